/** The slides and jobs of the workspace, kept up to date by the server's events. */

import { connection } from "../api/connection";
import { JobEvents, type ProgressNews, type StateNews } from "../api/events";
import { deleteJob, getJob, listJobs, type Job } from "../api/jobs";
import { listModels, type Model } from "../api/models";
import { ApiProblem } from "../api/problem";
import { deleteSlide, getSlide, listSlides, type Slide } from "../api/slides";
import { groupsOf, type Group } from "./lines";

/** How often slides that are being checked are asked for, ms. */
const CHECKING_MS = 1000;
/** Everything is read anew now and then: events tell nothing of slides, nor of deletions, ms. */
const WHOLE_MS = 60_000;
/** News that come together are answered together, ms. */
const TOGETHER_MS = 200;

export class WorklistData {
  readonly slides = new Map<string, Slide>();
  readonly jobs = new Map<string, Job>();
  models: readonly Model[] = [];
  /** Null until the first list is there. */
  loaded = false;
  /** Why there is no list; null while there is one or it is on its way. */
  error: unknown = null;

  readonly #onChange: () => void;
  readonly #stop = new AbortController();
  readonly #events: JobEvents;
  readonly #stale = new Set<string>();
  #positions = false;
  #later: number | undefined;
  #whole: number | undefined;
  #checking: number | undefined;
  #loading: Promise<void> | null = null;
  #again = false;
  /** Jobs of which events told since the reading began: what it says of them may be old. */
  readonly #touched = new Set<string>();
  /** Slides and jobs that are being deleted, or were: nothing asks for them any more. */
  readonly #leaving = new Set<string>();
  #catching: Promise<void> = Promise.resolve();
  #looking: Promise<void> = Promise.resolve();
  readonly #unlisten: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#events = new JobEvents({
      onStart: () => void this.load(),
      onState: (news) => {
        this.#onState(news);
      },
      onProgress: (news) => {
        this.#onProgress(news);
      },
    });
    this.#unlisten = connection.listen((state) => {
      if (state === "online") void this.load();
    });
  }

  get groups(): Group[] {
    return groupsOf(this.slides.values(), this.jobs.values(), this.models);
  }

  start(): void {
    void this.load();
    this.#events.start();
    this.#whole = window.setInterval(() => {
      if (!document.hidden && connection.state === "online") void this.load();
    }, WHOLE_MS);
  }

  stop(): void {
    this.#stop.abort();
    this.#events.stop();
    this.#unlisten();
    window.clearInterval(this.#whole);
    window.clearTimeout(this.#later);
    window.clearTimeout(this.#checking);
  }

  /** Read everything; calls that come while it is read lead to one more reading. */
  load(): Promise<void> {
    this.#again = this.#loading !== null;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
      if (this.#again && !this.#stop.signal.aborted) void this.load();
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { signal } = this.#stop;
    this.#touched.clear();
    try {
      const [slides, jobs, models] = await Promise.all([
        listSlides(signal),
        listJobs(undefined, signal),
        listModels(signal),
      ]);
      replace(this.slides, slides.filter(({ id }) => !this.#leaving.has(id)));
      replace(this.jobs, jobs.filter(({ id }) => !this.#leaving.has(id)));
      this.models = models;
      this.loaded = true;
      this.error = null;
      for (const id of this.#touched) this.#stale.add(id);
      if (this.#touched.size > 0) this.#soon();
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.#changed();
  }

  /** Take over a job that an answer held, or what became of it. */
  putJobs(jobs: readonly Job[]): void {
    for (const job of jobs) this.jobs.set(job.id, job);
    this.#positions = true;
    this.#soon();
    this.#changed();
  }

  /** Delete a job, of which nothing is asked meanwhile nor afterwards. */
  async deleteJob(id: string): Promise<void> {
    await this.#remove(id, deleteJob);
    this.jobs.delete(id);
    this.#changed();
  }

  /** Delete a slide; its jobs stay. */
  async deleteSlide(id: string): Promise<void> {
    await this.#remove(id, deleteSlide);
    this.slides.delete(id);
    this.#changed();
  }

  async #remove(id: string, remove: (id: string) => Promise<void>): Promise<void> {
    this.#leaving.add(id);
    // What is asked already shall find it.
    await Promise.allSettled([this.#catching, this.#looking]);
    try {
      await remove(id);
    } catch (error) {
      this.#leaving.delete(id);
      throw error;
    }
  }

  /** A slide that has just come into being. */
  async addSlide(id: string): Promise<void> {
    await this.#readSlide(id);
    this.#changed();
  }

  #onState(news: StateNews): void {
    const job = this.jobs.get(news.job_id);
    if (job) {
      this.jobs.set(job.id, {
        ...job,
        state: news.state,
        attempts: news.attempts,
        problem: news.problem,
        result_id: news.result_id,
        position: news.state === "queued" ? job.position : null,
      });
      this.#changed();
    }
    this.#stale.add(news.job_id);
    this.#touched.add(news.job_id);
    this.#positions = true;
    this.#soon();
  }

  #onProgress(news: ProgressNews): void {
    const job = this.jobs.get(news.job_id);
    if (!job) {
      this.#stale.add(news.job_id);
      this.#soon();
      return;
    }
    const { tiles, stage = job.stage, tiles_per_second: pace = job.tiles_per_second } = news;
    const left = tiles.total === null || !pace ? null : (tiles.total - tiles.done) / pace;
    this.jobs.set(job.id, {
      ...job,
      tiles,
      stage,
      tiles_per_second: pace,
      expected_at: left === null ? null : new Date(Date.now() + left * 1000).toISOString(),
    });
    this.#changed();
  }

  #soon(): void {
    this.#later ??= window.setTimeout(() => {
      this.#later = undefined;
      this.#catching = this.#catchUp();
    }, TOGETHER_MS);
  }

  /** Read what events told of: jobs with their findings, and places in the queue. */
  async #catchUp(): Promise<void> {
    const ids = [...this.#stale];
    this.#stale.clear();
    const positions = this.#positions;
    this.#positions = false;
    const { signal } = this.#stop;
    try {
      for (const id of ids) await this.#readJob(id);
      if (positions && [...this.jobs.values()].some((job) => job.state === "queued")) {
        for (const job of await listJobs("queued", signal)) this.jobs.set(job.id, job);
      }
    } catch {
      // The line is down, which the frame says; all is read anew when it is back.
      return;
    }
    this.#changed();
  }

  async #readJob(id: string): Promise<void> {
    if (this.#leaving.has(id)) return;
    const { signal } = this.#stop;
    try {
      const job = await getJob(id, signal);
      this.jobs.set(id, job);
      if (!this.slides.has(job.slide_id)) await this.#readSlide(job.slide_id);
    } catch (error) {
      if (!isGone(error)) throw error;
      this.jobs.delete(id);
    }
  }

  async #readSlide(id: string): Promise<void> {
    if (this.#leaving.has(id)) return;
    try {
      this.slides.set(id, await getSlide(id, this.#stop.signal));
    } catch (error) {
      if (!isGone(error)) throw error;
      this.slides.delete(id);
    }
  }

  #changed(): void {
    if (this.#stop.signal.aborted) return;
    this.#onChange();
    const checking = [...this.slides.values()].some((slide) => slide.state === "checking");
    if (!checking) return;
    this.#checking ??= window.setTimeout(() => {
      this.#looking = this.#look();
    }, CHECKING_MS);
  }

  /** Look after the slides that are being checked. */
  async #look(): Promise<void> {
    try {
      if (connection.state === "online") {
        const waiting = [...this.slides.values()].filter((slide) => slide.state === "checking");
        for (const slide of waiting.slice(0, 20)) await this.#readSlide(slide.id);
      }
    } catch {
      // As above.
    }
    this.#checking = undefined;
    this.#changed();
  }
}

function isGone(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 404;
}

function replace<T extends { readonly id: string }>(map: Map<string, T>, values: readonly T[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
