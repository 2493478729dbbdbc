/** Jobs as `/v1/jobs` has them. */

import { get, post, remove, send } from "./client";
import type { ProblemDetail } from "./slides";

export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export interface Alarm {
  readonly code: string;
  readonly message: string;
}

/** How the classes of a model exclude one another. */
export type Task = "binary" | "multiclass" | "multilabel";

/** What a label of the mask stands for. */
export interface ClassLabel {
  readonly label: number;
  readonly name: string;
  /** `#rrggbb`; null for what is none of the other classes, which has no probabilities. */
  readonly colour: string | null;
}

/** The code of the alarm that pages show as a badge of the model. */
export const SYNTHETIC = "synthetic-model";

/** The alarms that are counted as such. */
export function besideSynthetic(alarms: readonly Alarm[]): readonly Alarm[] {
  return alarms.filter((alarm) => alarm.code !== SYNTHETIC);
}

/** What lists show of a result. */
export interface JobFindings {
  /** Null where nothing was classified. */
  readonly slide_score: number | null;
  /** Of the slide as a whole; null in older results. */
  readonly slide_answer: SlideAnswer | null;
  readonly threshold: number;
  /** The class that the other figures are of: slides are ranked by it. */
  readonly positive: string;
  /** How the classes exclude one another. */
  readonly task: Task;
  readonly classes: readonly ClassLabel[];
  /** Area of every label by its name; empty in older results. */
  readonly class_areas_mm2: Readonly<Record<string, number>>;
  /** What the result can be exported as; null in older results. */
  readonly exports: readonly string[] | null;
  /** Of the positive class. */
  readonly tumour_area_mm2: number;
  /** The same, of the tissue. */
  readonly tumour_percent: number | null;
  readonly regions: number;
  readonly alarms: readonly Alarm[];
  /** What must be shown of the model; empty: nothing. */
  readonly notice: string;
}

export type SlideState = "clear" | "suspicious" | "look-again";

/** What a model package says of a slide as a whole. */
export interface SlideAnswer {
  /** `max`: the largest probability of a cell, else what was fitted. */
  readonly method: string;
  /** That the slide is positive; null of `max`, and where nothing was classified. */
  readonly probability: number | null;
  /** Its 95 % interval. */
  readonly low: number | null;
  readonly high: number | null;
  readonly probabilities: Readonly<Record<string, number>>;
  readonly state: SlideState;
  readonly reason: string;
  readonly rule: SlideRule | null;
}

/** What the state rests on. */
export interface SlideRule {
  /** Positive slides among the clear ones at most, but for a probability of `delta`. */
  readonly alpha: number;
  readonly delta: number;
  /** Negative slides among the suspicious ones at most, likewise. */
  readonly false_alarms: number;
  readonly slides: number;
  readonly positives: number;
  readonly clear_below: number | null;
  readonly suspicious_from: number | null;
}

export const SLIDE_STATES: Readonly<Record<SlideState, string>> = {
  clear: "Clear",
  suspicious: "Suspicious",
  "look-again": "Look again",
};

/** Classes of the badge with a state. */
export const STATE_BADGE: Readonly<Record<SlideState, string>> = {
  clear: "badge accent",
  suspicious: "badge danger",
  "look-again": "badge",
};

/** An answer that a fit gave, which has a probability; null where there is none. */
export function fittedAnswer(answer: SlideAnswer | null): SlideAnswer | null {
  return (answer?.probability ?? null) === null ? null : answer;
}

export interface Tiles {
  readonly done: number;
  readonly total: number | null;
}

export interface Job {
  readonly id: string;
  readonly slide_id: string;
  readonly model: string;
  /** Settings that differ from the defaults. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly priority: number;
  readonly state: JobState;
  readonly stage: string | null;
  readonly tiles: Tiles;
  readonly tiles_per_second: number | null;
  /** Place in the queue; 1 is next. */
  readonly position: number | null;
  readonly expected_at: string | null;
  readonly attempts: number;
  readonly cancel_requested: boolean;
  readonly problem: ProblemDetail | null;
  readonly result_id: string | null;
  readonly findings: JobFindings | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

/** What a job was asked beside its model and threshold, in a few words each. */
export function askedOf({ config }: Pick<Job, "config">): string[] {
  const told: string[] = [];
  const add = (key: string, text: (value: string) => string): void => {
    const value = config[key];
    if (typeof value === "number" || typeof value === "string") told.push(text(String(value)));
  };
  add("mpp", (value) => `${value} µm/px`);
  add("slide_mpp", (value) => `slide at ${value} µm/px`);
  add("level", (value) => `level ${value}`);
  add("stride", (value) => `stride ${value}`);
  add("tissue", (value) => `tissue ${value}`);
  if (config["qc"] !== "flag") add("qc", (value) => `quality control: ${value}`);
  if (config["screen"] === "off") told.push("without screen");
  if (config["tta"] === true) told.push("eight orientations");
  return told;
}

/** A job to be created; what is left out, the model package decides. */
export interface JobOrder {
  readonly slide_id: string;
  readonly model: string;
  /** µm per analysis px. */
  readonly mpp?: number;
  /** Pyramid level, instead of `mpp`. */
  readonly level?: number;
  /** Distance between tiles, analysis px. */
  readonly stride?: number;
  readonly threshold?: number;
  /** µm per level-0 px, whatever the file states. */
  readonly slide_mpp?: number;
  /** Whether each tile is looked at in eight orientations. */
  readonly tta?: boolean;
  /** Higher is sooner. */
  readonly priority?: number;
}

const PAGE = 200;

/** All jobs of the workspace, or those in a state, newest first. */
export async function listJobs(state?: JobState, signal?: AbortSignal): Promise<Job[]> {
  const all = new Map<string, Job>();
  const only = state === undefined ? "" : `&state=${state}`;
  for (let offset = 0; ; offset += PAGE) {
    const page = await get<{ jobs: Job[]; total: number }>(
      `/v1/jobs?limit=${PAGE}&offset=${offset}${only}`,
      signal,
    );
    for (const job of page.jobs) all.set(job.id, job);
    if (page.jobs.length < PAGE || offset + PAGE >= page.total) return [...all.values()];
  }
}

export function getJob(id: string, signal?: AbortSignal): Promise<Job> {
  return get<Job>(`/v1/jobs/${id}`, signal);
}

/** Queue jobs, all or none; the same key and orders again make nothing new. */
export async function createJobs(orders: readonly JobOrder[], key: string): Promise<Job[]> {
  const answer = await send("/v1/jobs", {
    method: "POST",
    body: { jobs: orders },
    headers: { "Idempotency-Key": key },
  });
  return ((await answer.json()) as { jobs: Job[] }).jobs;
}

export function cancelJob(id: string): Promise<Job> {
  return post<Job>(`/v1/jobs/${id}/cancel`);
}

export function retryJob(id: string): Promise<Job> {
  return post<Job>(`/v1/jobs/${id}/retry`);
}

export function deleteJob(id: string): Promise<void> {
  return remove(`/v1/jobs/${id}`);
}
