/** The jobs, and the images of the one that is looked at, kept up to date while answers come. */

import { getImage, getImageJob, listImageJobs, listJobImages, PAGE, type ImageJob, type StoredImage } from "../api/images";
import { connection } from "../api/connection";
import { listModels, type Model } from "../api/models";

/** How often a job that runs is looked at, ms. */
const RUNNING_MS = 1000;
/** Pages that are read again each time, of a job that runs: its answers come in their order. */
const PAGES_AGAIN = 4;
/** As people count: 2 before 10. */
const BY_NAME = new Intl.Collator("en", { numeric: true });

export class ImagesData {
  /** Those that can answer for images. */
  models: readonly Model[] = [];
  jobs: readonly ImageJob[] = [];
  /** The one that is looked at. */
  job: ImageJob | null = null;
  /** Of the job, by name. */
  images: readonly StoredImage[] = [];
  /** Whether models and jobs are there. */
  listed = false;
  /** Whether all images of the job are there. */
  loaded = false;
  /** Why there is nothing; null while there is something or it is on its way. */
  error: unknown = null;

  readonly #onChange: () => void;
  readonly #stop = new AbortController();
  /** Of the job that is looked at. */
  #looking = new AbortController();
  #pages: (readonly StoredImage[])[] = [];
  #timer = 0;
  /** Counts readings and my changes: what a reading says of a label that was set since is old. */
  #turn = 0;
  readonly #labelled = new Map<string, number>();
  readonly #unlisten: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#unlisten = connection.listen((state) => {
      if (state === "online") void this.refresh();
    });
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  stop(): void {
    this.#stop.abort();
    this.#looking.abort();
    this.#unlisten();
    window.clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisible);
  }

  /** The model of the job that is looked at; null: it is not installed any more. */
  get model(): Model | null {
    return this.models.find(({ name }) => name === this.job?.model) ?? null;
  }

  /** Whether the installed model of this name is the one that answered. */
  get isCurrent(): boolean {
    return this.model !== null && this.model.sha256 === this.job?.model_sha256;
  }

  /** The classes of the job, in the order of its model. */
  get classes(): readonly string[] {
    if (this.model !== null && this.isCurrent) return this.model.classes;
    const answered = this.images.find(({ answer }) => answer !== null);
    return Object.keys(answered?.answer?.probabilities ?? {});
  }

  /** Read models and jobs, then the images of a job, or of the newest one. */
  async start(job: string | null): Promise<void> {
    try {
      const { signal } = this.#stop;
      const [models, jobs] = await Promise.all([listModels(signal), listImageJobs(signal)]);
      this.models = models.filter(({ output }) => output === "classes");
      this.jobs = jobs;
      this.listed = true;
      this.error = null;
      let found = jobs.find(({ id }) => id === job);
      // Older jobs are not in the list.
      if (found === undefined && job !== null) found = await getImageJob(job, signal).catch(() => undefined);
      found ??= jobs[0];
      if (found !== undefined) await this.look(found);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.error = error;
    }
    this.#changed();
  }

  /** Have a job in the list. */
  add(job: ImageJob): void {
    if (!this.jobs.some(({ id }) => id === job.id)) this.jobs = [job, ...this.jobs];
    this.#changed();
  }

  /** Look at a job. */
  async look(job: ImageJob): Promise<void> {
    this.#looking.abort();
    this.#looking = new AbortController();
    window.clearTimeout(this.#timer);
    this.add(job);
    this.job = job;
    this.images = [];
    this.#pages = [];
    this.loaded = false;
    this.#changed();
    await this.#read(this.#places(Math.ceil(job.total / PAGE)));
  }

  /** Read the job again, and all its images: others may have labelled them. */
  async refresh(): Promise<void> {
    if (this.job !== null) await this.#look(() => this.#places(this.#pages.length));
  }

  /** Read what people said of an image again. */
  async refreshLabels(id: string): Promise<void> {
    const begun = ++this.#turn;
    const { signal } = this.#looking;
    const { label, labels } = await getImage(id, signal);
    if (!signal.aborted) this.#replace(id, (before) => this.#newer({ ...before, label, labels }, before, begun));
  }

  /** Take over a label that the server has. */
  keepLabel(id: string, label: string | null): void {
    this.#labelled.set(id, ++this.#turn);
    this.#replace(id, (image) => ({ ...image, label }));
  }

  /** Take over what became of the job. */
  keepJob(job: ImageJob): void {
    this.jobs = this.jobs.map((one) => (one.id === job.id ? job : one));
    if (this.job?.id === job.id) this.job = job;
    this.#changed();
  }

  readonly #onVisible = (): void => {
    if (document.hidden || !this.loaded) return;
    void this.refresh();
  };

  /** Read the job, then the pages that matter by then. */
  async #look(pages: () => readonly number[]): Promise<void> {
    const id = this.job?.id;
    const { signal } = this.#looking;
    window.clearTimeout(this.#timer);
    if (id === undefined) return;
    try {
      this.keepJob(await getImageJob(id, signal));
    } catch {
      // The line at the top of the page says what is wrong; it is tried again.
      this.#later();
      return;
    }
    if (!signal.aborted) await this.#read(pages());
  }

  #places(pages: number): readonly number[] {
    return Array.from({ length: pages }, (_, page) => page);
  }

  /** Pages that lack answers; of a job that runs the first ones. */
  #open(): readonly number[] {
    const open = this.#places(this.#pages.length).filter((page) => this.#pages[page]?.some(isOpen) ?? false);
    return this.job?.state === "running" ? open.slice(0, PAGES_AGAIN) : open;
  }

  /** Read pages, and look again while answers are missing. */
  async #read(pages: readonly number[]): Promise<void> {
    const { job } = this;
    const { signal } = this.#looking;
    if (job === null) return;
    try {
      for (const page of pages) {
        const begun = ++this.#turn;
        const { images } = await listJobImages(job.id, page, signal);
        const before = new Map((this.#pages[page] ?? []).map((image) => [image.id, image]));
        this.#pages[page] = images.map((image) => this.#newer(image, before.get(image.id), begun));
        // The first ones need not wait for thousands.
        if (!this.loaded) this.#sort();
      }
      this.loaded = true;
      this.error = null;
    } catch (error) {
      if (signal.aborted) return;
      if (!this.loaded) this.error = error;
    }
    this.#sort();
    if (job.state === "running") this.#later();
  }

  #sort(): void {
    this.images = this.#pages.flat().sort((a, b) => BY_NAME.compare(a.name, b.name));
    this.#changed();
  }

  #later(): void {
    const { signal } = this.#looking;
    window.clearTimeout(this.#timer);
    if (signal.aborted) return;
    this.#timer = window.setTimeout(() => {
      // A page in the background looks again when it is seen.
      if (document.hidden) return;
      void this.#look(() => this.#open());
    }, RUNNING_MS);
  }

  #newer(image: StoredImage, before: StoredImage | undefined, begun: number): StoredImage {
    const isOld = (this.#labelled.get(image.id) ?? 0) > begun;
    return isOld && before !== undefined ? { ...image, label: before.label } : image;
  }

  #replace(id: string, change: (image: StoredImage) => StoredImage): void {
    const replaced = (images: readonly StoredImage[]): readonly StoredImage[] =>
      images.map((image) => (image.id === id ? change(image) : image));
    this.#pages = this.#pages.map(replaced);
    this.images = replaced(this.images);
    this.#changed();
  }

  #changed(): void {
    if (!this.#stop.signal.aborted) this.#onChange();
  }
}

/** Whether an answer may still come. */
function isOpen(image: StoredImage): boolean {
  return image.answer === null && (image.state === "queued" || image.state === "running");
}
