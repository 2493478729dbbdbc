/** Sending the images of one selection: a few at a time, each again while the line is bad. */

import { createImageJob, findImages, MOST_BYTES, MOST_IMAGES, PAGE, putImage, type ImageJob } from "../api/images";
import { connection } from "../api/connection";
import type { Model } from "../api/models";
import { ApiProblem, Offline, problemText } from "../api/problem";
import { bytes } from "../ui/format";
import type { Placed } from "../uploads/files";
import type { Picking } from "./picking";

/** A browser has six lines to a server, and the page wants some for itself. */
const AT_ONCE = 3;
/** Characters that the server searches for. */
const MOST_SEARCHED = 200;
/** Before it is tried again, ms; the last one over and over. */
const DELAYS_MS = [500, 1000, 2000, 4000, 8000, 15_000];

export interface Failure {
  readonly name: string;
  readonly text: string;
}

export type TransferState = "sending" | "waiting" | "asking" | "done" | "stopped";

export class Transfer {
  readonly name: string;
  readonly model: Model;
  readonly total: number;
  /** Images the server has. */
  sent = 0;
  /** Of these, how many it had before. */
  known = 0;
  readonly failures: Failure[] = [];
  state: TransferState = "sending";
  jobs: readonly ImageJob[] = [];
  /** Why nothing could be asked for. */
  problem: string | null = null;

  readonly #images: readonly Placed[];
  readonly #onChange: () => void;
  readonly #stop = new AbortController();
  readonly #ids = new Map<number, string>();
  /** What the server had of these folders, by name. */
  readonly #there = new Map<string, { readonly id: string; readonly sha256: string; readonly size: number }[]>();
  #next = 0;
  /** Images that wait for the line. */
  #waiting = 0;

  constructor(picking: Picking, model: Model, onChange: () => void) {
    this.name = picking.name;
    this.model = model;
    this.#images = picking.images;
    this.total = picking.images.length;
    this.#onChange = onChange;
  }

  /** Whether it is still under way. */
  get open(): boolean {
    return this.state !== "done" && this.state !== "stopped";
  }

  /** Send everything and ask for its classes; what cannot be sent is told and left out. */
  async run(): Promise<void> {
    try {
      await this.#look();
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.#sendOn()));
      if (this.#isStopped()) return;
      this.#tell("asking");
      await this.#ask();
      this.#tell("done");
    } catch (error) {
      if (this.#isStopped()) return;
      this.#stop.abort();
      this.problem = problemText(error);
      this.#tell("done");
    }
  }

  /** Send no more; what the server has, it keeps. */
  stop(): void {
    if (!this.open) return;
    this.#stop.abort();
    this.#tell("stopped");
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #tell(state: TransferState): void {
    this.state = state;
    this.#onChange();
  }

  /** Learn what the server has of these folders, so that the same file again costs nothing. */
  async #look(): Promise<void> {
    // Without a secure line browsers compute no SHA-256, and every file is sent.
    if (!("subtle" in crypto)) return;
    const tops = new Set(this.#images.filter(({ path }) => path.includes("/")).map(({ path }) => path.slice(0, path.indexOf("/") + 1)));
    for (const top of tops) {
      for (let page = 0; ; page += 1) {
        const found = await this.#patiently(() => findImages(top.slice(0, MOST_SEARCHED), page, this.#stop.signal));
        for (const { id, name, sha256, size_bytes: size } of found) {
          this.#there.set(name, [...(this.#there.get(name) ?? []), { id, sha256, size }]);
        }
        if (found.length < PAGE) break;
      }
    }
  }

  async #sendOn(): Promise<void> {
    for (;;) {
      const place = this.#next;
      const image = this.#images[place];
      if (image === undefined || this.#isStopped()) return;
      this.#next += 1;
      try {
        this.#ids.set(place, await this.#send(image));
        this.sent += 1;
      } catch (error) {
        if (this.#isStopped()) return;
        // The size of each was checked: 413 means that the workspace is full.
        if (error instanceof ApiProblem && [401, 403, 413, 507].includes(error.status)) throw error;
        // As it is told: it begins with the name, which stays as it is spelled.
        this.failures.push({ name: image.path, text: error instanceof Error ? error.message : String(error) });
      }
      this.#onChange();
    }
  }

  /** Id of an image that the server has now. */
  async #send({ file, path }: Placed): Promise<string> {
    if (file.size > MOST_BYTES) {
      throw new Error(`${path} has ${bytes(file.size)}; an image has at most ${bytes(MOST_BYTES)}.`);
    }
    const alike = (this.#there.get(path) ?? []).filter(({ size }) => size === file.size);
    if (alike.length > 0) {
      const sha256 = await sha256Of(await file.arrayBuffer());
      const same = alike.find((one) => one.sha256 === sha256);
      if (same !== undefined) {
        this.known += 1;
        return same.id;
      }
    }
    return (await this.#patiently(() => putImage(path, file, this.#stop.signal))).id;
  }

  async #ask(): Promise<void> {
    const ids = [...new Set([...this.#ids].sort(([a], [b]) => a - b).map(([, id]) => id))];
    const jobs: ImageJob[] = [];
    for (let first = 0; first < ids.length; first += MOST_IMAGES) {
      const part = ids.slice(first, first + MOST_IMAGES);
      const name = ids.length > MOST_IMAGES ? `${this.name} (${first / MOST_IMAGES + 1})` : this.name;
      const order = [name, this.model.name, this.model.sha256, ...part].join("\n");
      // The same images with the same model again are the same job.
      const key = "subtle" in crypto ? await sha256Of(new TextEncoder().encode(order)) : random();
      let job = await this.#patiently(() => createImageJob(name, this.model.name, part, key));
      // Nobody wants to see again what was cancelled.
      if (job.state === "cancelled") {
        const another = random();
        job = await this.#patiently(() => createImageJob(name, this.model.name, part, another));
      }
      jobs.push(job);
    }
    this.jobs = jobs;
  }

  /** Try until the server answers. */
  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#isStopped() || !isPassing(error)) throw error;
        await this.#line(DELAYS_MS[Math.min(failures, DELAYS_MS.length - 1)] ?? 0);
      }
    }
  }

  /** Wait for so long, or until somebody else finds out that the server is back. */
  async #line(delay: number): Promise<void> {
    const before = this.state === "waiting" ? "sending" : this.state;
    this.#waiting += 1;
    this.#tell("waiting");
    await new Promise<void>((resolve) => {
      const go = (): void => {
        window.clearTimeout(timer);
        unlisten();
        resolve();
      };
      const timer = window.setTimeout(go, delay);
      const unlisten = connection.listen((state) => {
        if (state === "online") go();
      });
      this.#stop.signal.addEventListener("abort", go, { once: true });
    });
    this.#waiting -= 1;
    this.#stop.signal.throwIfAborted();
    if (this.#waiting === 0) this.#tell(before);
  }
}

/** Whether trying again may help. */
function isPassing(error: unknown): boolean {
  if (error instanceof Offline) return true;
  return error instanceof ApiProblem && error.status !== 507 && (error.status >= 500 || [408, 429].includes(error.status));
}

async function sha256Of(content: BufferSource): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", content)));
}

/** Also where the page came over plain http. */
function random(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

function hex(values: Uint8Array): string {
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}
