/** The panes: one, or one per layer side by side, all looking at the same place. */

import { askedOf } from "../api/jobs";
import type { Point } from "../geometry/affine";
import type { View } from "../geometry/view";
import { fill, h } from "../ui/dom";
import { LookFilter } from "./look_filter";
import type { Painter } from "./overlay";
import { Pane } from "./pane";
import { shownOf } from "./shown";
import type { Session } from "./session";

export interface StageEvents {
  readonly onView: (view: View) => void;
  readonly onClick: (place: Point) => void;
  /** The pointer is over a level-0 place, of the pane of a job or of one that shows all. */
  readonly onHover: (place: Point | null, job: string | null) => void;
  readonly onDamage: () => void;
}

/** Views closer than this are the same, screen px. */
const SAME_PX = 0.01;

export class Stage {
  readonly element = h("div", { class: "viewer-panes" });
  readonly #filter = new LookFilter();
  readonly #session: Session;
  readonly #events: StageEvents;
  readonly #painters: readonly Painter[];
  readonly #still: boolean;
  #panes: Pane[] = [];
  #titles: readonly HTMLElement[] = [];
  /** The pane the others follow. */
  #leader: Pane | null = null;
  #shape = "";

  constructor(session: Session, painters: readonly Painter[], events: StageEvents, still: boolean) {
    this.#session = session;
    this.#painters = painters;
    this.#events = events;
    this.#still = still;
  }

  /** The pane that leads. */
  get pane(): Pane {
    const pane = this.#leader ?? this.#panes[0];
    if (pane === undefined) throw new Error("there is no pane yet");
    return pane;
  }

  get panes(): readonly Pane[] {
    return this.#panes;
  }

  /** The pane that an element is part of, once it has its slide. */
  paneAt(target: EventTarget | null): Pane | null {
    return this.#panes.find((pane) => pane.ready && target instanceof Node && pane.element.contains(target)) ?? null;
  }

  /** Make the panes the state asks for, and show in each what belongs there. */
  update(): void {
    const { mode, layers, look } = this.#session.state.value;
    const beside = mode === "side" ? layers.filter((layer) => layer.visible).map((layer) => layer.job) : [];
    const shape = beside.length > 1 ? beside.join(" ") : "one";
    if (shape !== this.#shape) this.#build(shape, beside.length > 1 ? beside : [null]);
    const filter = this.#filter.show(look);
    this.#panes.forEach((pane, index) => {
      pane.dress(look, filter);
      const job = beside.length > 1 ? beside[index] : undefined;
      if (job !== undefined) this.#name(index, job);
      const all = this.#session.layers;
      pane.scene = {
        layers: job === undefined ? all : all.filter((layer) => layer.settings.job === job),
        region: job === undefined || job === this.#session.activeSettings?.job ? this.#session.region : null,
        painters: this.#painters,
      };
    });
  }

  redraw(): void {
    for (const pane of this.#panes) pane.redraw();
  }

  /** Go to a view. */
  show(view: View, immediately = this.#still): void {
    this.pane.show(view, immediately);
  }

  dispose(): void {
    for (const pane of this.#panes) pane.dispose();
    this.#panes = [];
    this.#leader = null;
  }

  #build(shape: string, jobs: readonly (string | null)[]): void {
    const start = this.#panes[0]?.ready ? this.pane.view : this.#session.state.value.view;
    this.dispose();
    this.#shape = shape;
    this.element.dataset["panes"] = String(Math.min(jobs.length, 4));
    const frames = jobs.map((job) => {
      const place = h("div", { class: "viewer-slide" });
      const title = h("div", { class: "viewer-pane-title", hidden: job === null });
      return { job, place, title, frame: h("div", { class: "viewer-pane" }, place, title) };
    });
    this.#titles = frames.map((one) => one.title);
    fill(this.element, ...frames.map((one) => one.frame), this.#filter.element);
    this.#panes = frames.map(({ job, place }) => this.#newPane(job, place, start));
    this.#leader = this.#panes[0] ?? null;
  }

  #name(index: number, id: string): void {
    const job = this.#session.jobs.find((one) => one.id === id);
    const title = this.#titles[index];
    if (title === undefined || job === undefined) return;
    const notice = this.#session.notice(job);
    const layer = this.#session.result(id)?.layer ?? null;
    const several = layer !== null && shownOf(layer.info).length > 1;
    const of = several ? (layer.settings.labels ? "most likely class" : layer.of.name) : "";
    const shown = `${job.id} ${notice} ${of}`;
    if (title.dataset["shown"] === shown) return;
    title.dataset["shown"] = shown;
    fill(
      title,
      h("span", { class: "cut" }, [job.model, of, ...askedOf(job)].filter((text) => text !== "").join(" · ")),
      notice !== "" && h("span", { class: "badge warning notice" }, notice),
    );
  }

  #newPane(job: string | null, place: HTMLElement, start: View | null): Pane {
    const pane = new Pane(
      place,
      this.#session.pyramid,
      start,
      {
        onView: (moved) => {
          this.#follow(moved);
        },
        onClick: this.#events.onClick,
        onHover: (at) => {
          this.#events.onHover(at, job);
        },
        onDamage: this.#events.onDamage,
      },
      this.#still,
    );
    const lead = () => {
      this.#leader = pane;
    };
    place.addEventListener("pointerdown", lead);
    place.addEventListener("wheel", lead, { passive: true });
    return pane;
  }

  #follow(moved: Pane): void {
    if (moved !== this.#leader) return;
    const { view } = moved;
    for (const pane of this.#panes) {
      if (pane !== moved && pane.ready && !same(pane.view, view)) pane.show(view, true);
    }
    this.#events.onView(view);
  }
}

function same(one: View, other: View): boolean {
  return (
    Math.abs(one.x - other.x) * one.zoom < SAME_PX &&
    Math.abs(one.y - other.y) * one.zoom < SAME_PX &&
    Math.abs(one.zoom / other.zoom - 1) < 1e-5 &&
    Math.abs(one.rotation - other.rotation) < 1e-3
  );
}
