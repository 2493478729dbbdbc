/** What the viewer knows: the slide, the results that were asked for, and the state of it all. */

import { problemText } from "../api/problem";
import type { Job } from "../api/jobs";
import type { Model } from "../api/models";
import type { Slide } from "../api/slides";
import type { Mpp } from "../geometry/scale";
import { Store } from "../state/store";
import { newLayer, type LayerSettings, type ViewerState } from "../state/viewer_state";
import { Layer } from "./layer";
import { Notes } from "./notes";
import type { Pyramid } from "./pyramid";
import { cellsOf, findingsOf, jobsOf, regionsOf, regionsWith, type Findings, type Region } from "./results";
import { showsNothing } from "./shown";

/** A result and what of it has arrived. */
export interface Loaded {
  readonly job: Job;
  layer: Layer | null;
  /** Whether it has nothing to show on the slide, and so neither a layer nor regions. */
  nothing: boolean;
  findings: Findings | null;
  /** Of all classes. */
  all: readonly Region[] | null;
  /** Of the class that is shown. */
  regions: readonly Region[] | null;
  readonly notes: Notes;
  problem: string | null;
}

/** How long until jobs that are not through are looked at again, ms. */
const LOOK_AGAIN_MS = 4000;

/** Show the regions of the class that the layer shows. */
function choose(result: Loaded): void {
  const { all, layer } = result;
  result.regions = all === null || layer === null ? null : regionsWith(all, layer.of.name);
}

/** Whether notes may be written on the regions shown: they are kept of the positive class's. */
export function takesNotes({ layer }: Loaded): boolean {
  return layer === null || layer.of.name === layer.info.positive;
}

export class Session {
  readonly slide: Slide;
  readonly pyramid: Pyramid;
  readonly state: Store<ViewerState>;
  jobs: readonly Job[] = [];
  models: readonly Model[] = [];
  readonly #results = new Map<string, Loaded>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #told = 0;
  #timer = 0;

  constructor(slide: Slide, pyramid: Pyramid, state: ViewerState) {
    this.slide = slide;
    this.pyramid = pyramid;
    this.state = new Store(state);
    this.state.listen((now, before) => {
      if (now.layers !== before.layers) this.#dress();
    });
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** µm per level-0 px: the slide's, or what a result was told to believe. */
  get mpp(): Mpp | null {
    if (this.pyramid.mpp !== null) return this.pyramid.mpp;
    const stated = this.active?.findings?.provenance.slide["mpp"];
    return stated === undefined || stated === null ? null : (stated as Mpp);
  }

  /** Jobs with a result, newest first, identical results once. */
  get finished(): readonly Job[] {
    const seen = new Set<string>();
    return this.jobs.filter((job) => {
      if (job.state !== "succeeded" || job.result_id === null || seen.has(job.result_id)) return false;
      seen.add(job.result_id);
      return true;
    });
  }

  get unfinished(): readonly Job[] {
    return this.jobs.filter((job) => job.state === "queued" || job.state === "running");
  }

  /** The result whose regions and figures are shown. */
  get active(): Loaded | null {
    const { layers, active } = this.state.value;
    const layer = layers[active];
    return layer === undefined ? null : (this.#results.get(layer.job) ?? null);
  }

  get activeSettings(): LayerSettings | null {
    const { layers, active } = this.state.value;
    return layers[active] ?? null;
  }

  /** The region that is marked. */
  get region(): Region | null {
    const { region } = this.state.value;
    return this.active?.regions?.find((one) => one.number === region) ?? null;
  }

  result(job: string): Loaded | null {
    return this.#results.get(job) ?? null;
  }

  /** Layers that have arrived, from the bottom up. */
  get layers(): readonly Layer[] {
    return this.state.value.layers
      .map((settings) => this.#results.get(settings.job)?.layer ?? null)
      .filter((layer) => layer !== null);
  }

  /** The model of a job, if it is still installed. */
  model(job: Job): Model | null {
    return this.models.find((one) => one.name === job.model) ?? null;
  }

  /** What must be shown of a job's model with its result; empty: nothing. */
  notice(job: Job): string {
    return this.#results.get(job.id)?.findings?.notice ?? this.model(job)?.notice ?? "";
  }

  /** What must be shown of the models of the results that are shown. */
  get notices(): readonly string[] {
    const shown = this.state.value.layers.map(({ job: id }) => this.jobs.find((job) => job.id === id));
    return [...new Set(shown.map((job) => (job === undefined ? "" : this.notice(job))))].filter((one) => one !== "");
  }

  /** Be told when something has arrived; returns how to stop that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Take in the slide's jobs; the newest result is shown if the address names none. */
  async begin(jobs: Promise<readonly Job[]>): Promise<void> {
    this.jobs = await jobs;
    const known = new Set(this.jobs.filter((job) => job.state === "succeeded").map((job) => job.id));
    const named = new Set<string>();
    const layers = this.state.value.layers.filter((layer) => {
      const first = known.has(layer.job) && !named.has(layer.job);
      named.add(layer.job);
      return first;
    });
    const newest = this.finished[0];
    if (layers.length === 0 && newest !== undefined) layers.push(newLayer(newest.id));
    const active = Math.min(this.state.value.active, Math.max(0, layers.length - 1));
    this.state.set({ layers, active });
    this.#watch();
    this.#tell();
  }

  /** Take in what is known of the models. */
  learn(models: readonly Model[]): void {
    this.models = models;
    this.#tell();
  }

  /** Show one more result. */
  add(job: string): void {
    const { layers } = this.state.value;
    if (layers.some((layer) => layer.job === job)) return;
    this.state.set({ layers: [...layers, newLayer(job)], active: layers.length, region: null });
  }

  removeLayer(index: number): void {
    const { layers, active } = this.state.value;
    const rest = layers.filter((_, at) => at !== index);
    const next = Math.max(0, Math.min(active >= index ? active - (active > index ? 1 : 0) : active, rest.length - 1));
    this.state.set({ layers: rest, active: next, region: null });
  }

  /** Change how a layer looks; regions of another class are others. */
  change(index: number, settings: Partial<LayerSettings>): void {
    const other = "of" in settings && settings.of !== this.state.value.layers[index]?.of;
    const layers = this.state.value.layers.map((layer, at) =>
      at === index ? { ...layer, ...settings } : layer,
    );
    this.state.set(other && index === this.state.value.active ? { layers, region: null } : { layers });
  }

  dispose(): void {
    this.#stop.abort();
    window.clearTimeout(this.#timer);
    cancelAnimationFrame(this.#told);
    for (const result of this.#results.values()) result.layer?.dispose();
    this.#results.clear();
    this.#listeners.clear();
  }

  /** Give layers their settings, begin to load new ones, let go of those that are gone. */
  #dress(): void {
    const wanted = this.state.value.layers;
    for (const settings of wanted) {
      const result = this.#results.get(settings.job);
      if (result?.layer) {
        const before = result.layer.of;
        result.layer.settings = settings;
        if (result.layer.of !== before) choose(result);
      }
      if (result === undefined) void this.#load(settings.job);
    }
    for (const [id, result] of this.#results) {
      if (wanted.some((settings) => settings.job === id)) continue;
      result.layer?.dispose();
      this.#results.delete(id);
    }
  }

  async #load(id: string): Promise<void> {
    const job = this.jobs.find((one) => one.id === id);
    if (job === undefined) return;
    const notes = new Notes(id, this.signal, () => {
      this.#tell();
    });
    const result: Loaded = {
      job,
      layer: null,
      nothing: false,
      findings: null,
      all: null,
      regions: null,
      notes,
      problem: null,
    };
    this.#results.set(id, result);
    const findings = findingsOf(id, this.signal);
    try {
      const cells = await cellsOf(id, this.signal);
      const settings = this.state.value.layers.find((one) => one.job === id);
      if (settings === undefined || this.signal.aborted) return;
      if (showsNothing(cells)) {
        result.nothing = true;
        result.all = result.regions = [];
      } else {
        result.layer = new Layer(id, cells, settings, () => {
          this.#tell();
        });
      }
      this.#tell();
      result.findings = await findings;
      this.#tell();
      if (result.nothing) return;
      result.all = await regionsOf(id, this.signal);
      choose(result);
      this.#tell();
      await notes.load();
    } catch (error) {
      findings.catch(() => null);
      if (this.signal.aborted) return;
      result.problem = problemText(error);
      this.#tell();
    }
  }

  #watch(): void {
    window.clearTimeout(this.#timer);
    if (this.unfinished.length === 0 || this.signal.aborted) return;
    this.#timer = window.setTimeout(() => {
      void this.#look();
    }, LOOK_AGAIN_MS);
  }

  async #look(): Promise<void> {
    try {
      const jobs = await jobsOf(this.slide.id, this.signal);
      const had = this.finished.length;
      this.jobs = jobs;
      const newest = this.finished[0];
      if (had === 0 && newest !== undefined) this.add(newest.id);
      this.#tell();
    } catch {
      // The frame tells when the server does not answer; this is tried again.
    }
    this.#watch();
  }

  /** Tell listeners, once per frame however much arrives. */
  #tell(): void {
    if (this.#told !== 0 || this.signal.aborted) return;
    this.#told = requestAnimationFrame(() => {
      this.#told = 0;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
