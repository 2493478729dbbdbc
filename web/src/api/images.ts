/** Single images as `/v1/images` has them: the answers, people's labels, and jobs of many. */

import { get, remove, send } from "./client";
import type { ProblemDetail } from "./slides";

/** What a model says of an image. */
export interface ImageAnswer {
  /** Of the image, px. */
  readonly width: number;
  readonly height: number;
  /** What to know of how it was read. */
  readonly warnings: readonly string[];
  /** Of every class, by its name. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** The class it is called; of a multilabel model all that reach the threshold. */
  readonly called: readonly string[];
  /** The prediction set; null: the model makes none. */
  readonly set: readonly string[] | null;
  /** Whether a person has to look again; null: the model cannot say. */
  readonly review: boolean | null;
  /** Why to look again; empty: there is no reason. */
  readonly reason: string;
  /** Share of images whose set holds the true class. */
  readonly coverage: number;
}

export interface ImageLabel {
  readonly author: { readonly key_id: string; readonly name: string };
  readonly label: string;
  readonly changed_at: string;
}

export interface StoredImage {
  readonly id: string;
  /** As it was dropped, with its folders. */
  readonly name: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly created_at: string;
  /** Null: nobody asked. */
  readonly state: "queued" | "running" | "answered" | "failed" | "cancelled" | null;
  readonly answer: ImageAnswer | null;
  readonly problem: ProblemDetail | null;
  /** Of whoever is signed in. */
  readonly label: string | null;
  /** Of everybody. */
  readonly labels: readonly ImageLabel[];
}

export interface ImageJob {
  readonly id: string;
  /** Of the folder. */
  readonly name: string;
  readonly model: string;
  readonly model_sha256: string;
  readonly state: "running" | "finished" | "cancelled";
  readonly total: number;
  readonly answered: number;
  readonly failed: number;
  /** How many a person has to look at again. */
  readonly review: number;
  readonly created_at: string;
}

/** Most images of a job. */
export const MOST_IMAGES = 5000;
/** Most bytes of an image. */
export const MOST_BYTES = 64 * 2 ** 20;
/** Images of one answer. */
export const PAGE = 250;

export type Whose = "me" | "everyone";

const ROOT = "/v1/images";
const MOST_JOBS = 200;

/** The newest jobs. */
export async function listImageJobs(signal?: AbortSignal): Promise<ImageJob[]> {
  return (await get<{ jobs: ImageJob[] }>(`${ROOT}/jobs?limit=${MOST_JOBS}`, signal)).jobs;
}

export function getImageJob(id: string, signal?: AbortSignal): Promise<ImageJob> {
  return get<ImageJob>(`${ROOT}/jobs/${id}`, signal);
}

/** Ask for the classes of images; the same key and request again are the job that is there. */
export async function createImageJob(
  name: string,
  model: string,
  ids: readonly string[],
  key: string,
): Promise<ImageJob> {
  const answer = await send(`${ROOT}/jobs`, {
    method: "POST",
    body: { name, model, image_ids: ids },
    headers: { "Idempotency-Key": key },
  });
  return (await answer.json()) as ImageJob;
}

/** Cancel what waits; answers that are there stay. */
export async function cancelImageJob(id: string): Promise<void> {
  await remove(`${ROOT}/jobs/${id}`);
}

/** A page of a job's images by name; `page` counts from 0. */
export async function listJobImages(
  job: string,
  page: number,
  signal?: AbortSignal,
): Promise<{ readonly images: readonly StoredImage[]; readonly total: number }> {
  return get(`${ROOT}?job=${job}&sort=name&offset=${page * PAGE}&limit=${PAGE}`, signal);
}

/** A page of the images whose names hold a text, whatever job they are in. */
export async function findImages(
  text: string,
  page: number,
  signal?: AbortSignal,
): Promise<readonly StoredImage[]> {
  const query = new URLSearchParams({ search: text, sort: "name", offset: String(page * PAGE), limit: String(PAGE) });
  return (await get<{ images: StoredImage[] }>(`${ROOT}?${query.toString()}`, signal)).images;
}

/** An image with everybody's labels, and without an answer: no model was named. */
export function getImage(id: string, signal?: AbortSignal): Promise<StoredImage> {
  return get<StoredImage>(`${ROOT}/${id}`, signal);
}

/** Keep an image; the same bytes under the same name are the image that is there. */
export async function putImage(name: string, file: Blob, signal?: AbortSignal): Promise<StoredImage> {
  const answer = await send(`${ROOT}?name=${encodeURIComponent(name)}`, {
    method: "PUT",
    content: file,
    headers: { "Content-Type": "application/octet-stream" },
    ...(signal && { signal }),
  });
  return (await answer.json()) as StoredImage;
}

/** Set my label of an image, or take it back. */
export async function writeLabel(id: string, label: string | null): Promise<void> {
  const path = `${ROOT}/${id}/label`;
  if (label === null) await remove(path);
  else await send(path, { method: "PUT", body: { label } });
}

export function thumbnailUrl(id: string): string {
  return `${ROOT}/${id}/thumbnail`;
}

/** A copy that browsers can show, at most 1024 px wide and high. */
export function pictureUrl(id: string): string {
  return `${ROOT}/${id}/picture`;
}

export function fileUrl(id: string): string {
  return `${ROOT}/${id}/file`;
}

/** Labels of a job's images, as a table or with the images. */
export function labelsUrl(job: string, kind: "csv" | "zip", by: Whose): string {
  return `${ROOT}/labels.${kind}?job=${job}&by=${by}`;
}

/** What the class of an image rests on, as a picture; waits until it is drawn. */
export async function fetchExplanation(id: string, model: string, signal: AbortSignal): Promise<Blob> {
  for (;;) {
    const answer = await send(`${ROOT}/${id}/explanation?model=${encodeURIComponent(model)}`, { signal });
    if (answer.status !== 202) return answer.blob();
    const seconds = Number(answer.headers.get("Retry-After") ?? 1);
    await pause(1000 * (Number.isFinite(seconds) ? seconds : 1), signal);
  }
}

/** Wait; rejects where `signal` says so meanwhile. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      window.clearTimeout(timer);
      reject(new DOMException("The page no longer waits.", "AbortError"));
    }, { once: true });
  });
}
