/** The layers of the slide, how they lie, which results could be added, and what marks mean. */

import { askedOf, type Job } from "../api/jobs";
import { fill, h } from "../ui/dom";
import { icon } from "../ui/icons";
import { capital, plural, when } from "../ui/format";
import { message } from "../ui/message";
import { hatchTile } from "./hatch";
import { LayerCard } from "./layer_card";
import { LookCard } from "./look_card";
import type { CoverageMark } from "./marks";
import { faultsOf, type Fault } from "./results";
import type { Session } from "./session";

export class LayersPanel {
  readonly element = h("div", { class: "panel-body" });
  readonly #session: Session;
  readonly #cards = new Map<string, LayerCard>();
  readonly #list = h("div", { class: "layer-list" });
  readonly #mode = h("div", { class: "segments", role: "group", "aria-label": "How results are shown" });
  readonly #more = h("div", { class: "layer-more" });
  readonly #waiting = h("div", { class: "layer-waiting", role: "status" });
  readonly #look: LookCard;
  readonly #coverage = h("section", { class: "legend" });
  readonly #faults = h("section", { class: "legend quality", hidden: true });
  #coverageShape = "";
  #moreShape = "";
  #faultsShape = "";
  #listShape = "";

  constructor(session: Session) {
    this.#session = session;
    for (const [mode, text] of [["stack", "Layers"], ["side", "Side by side"]] as const) {
      const button = h("button", { type: "button", "data-mode": mode }, text);
      button.addEventListener("click", () => {
        session.state.set({ mode });
      });
      this.#mode.append(button);
    }
    this.#look = new LookCard((change) => {
      session.state.set({ look: { ...session.state.value.look, ...change } });
    });
    fill(this.element, this.#waiting, this.#mode, this.#list, this.#more, this.#look.element, this.#coverage, this.#faults);
  }

  update(): void {
    const { layers, active, mode, look } = this.#session.state.value;
    this.#look.update(look);
    const jobs = layers.map((layer) => layer.job).join(" ");
    const shape = jobs === "" ? `none, ${this.#session.unfinished.length > 0 ? "soon" : "yet"}` : jobs;
    if (shape !== this.#listShape || this.#list.childElementCount === 0) this.#build(shape);
    layers.forEach((settings, index) => {
      const result = this.#session.result(settings.job);
      const job = this.#session.jobs.find((one) => one.id === settings.job);
      this.#cards.get(settings.job)?.update(settings, {
        info: result?.layer?.info ?? null,
        notice: job === undefined ? "" : this.#session.notice(job),
        active: index === active,
        alone: layers.length === 1,
        nothing: result?.nothing ?? false,
        problem: result?.problem ?? null,
      });
    });
    this.#mode.hidden = layers.length < 2;
    for (const button of this.#mode.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["mode"] === mode));
    }
    this.#showCoverage();
    this.#showFaults();
    this.#showMore();
    this.#showWaiting();
  }

  #showCoverage(): void {
    const screened = (this.#session.active?.findings?.coverage["screened"] ?? 0) > 0;
    const shape = String(screened);
    if (shape === this.#coverageShape) return;
    this.#coverageShape = shape;
    fill(this.#coverage, h("h3", {}, "Coverage"), legend(screened));
  }

  #showFaults(): void {
    const marks = faultsOf(this.#session.active);
    const shape = marks.map(({ reason, tiles }) => `${reason.key} ${tiles}`).join(" ");
    if (shape === this.#faultsShape) return;
    this.#faultsShape = shape;
    this.#faults.hidden = marks.length === 0;
    fill(this.#faults, h("h3", {}, "Quality"), h("ul", {}, ...marks.map(faultRow)));
  }

  #build(shape: string): void {
    this.#listShape = shape;
    const { layers } = this.#session.state.value;
    for (const id of this.#cards.keys()) {
      if (!layers.some((layer) => layer.job === id)) this.#cards.delete(id);
    }
    for (const { job: id } of layers) {
      const job = this.#session.jobs.find((one) => one.id === id);
      if (job !== undefined && !this.#cards.has(id)) this.#cards.set(id, this.#card(job));
    }
    const cards = layers.map((layer) => this.#cards.get(layer.job)?.element ?? null);
    fill(this.#list, ...(cards.length > 0 ? cards : [this.#nothing()]));
  }

  #card(job: Job): LayerCard {
    const index = () => this.#session.state.value.layers.findIndex((layer) => layer.job === job.id);
    return new LayerCard(job, {
      onChange: (settings) => {
        this.#session.change(index(), settings);
      },
      onActivate: () => {
        if (index() !== this.#session.state.value.active) {
          this.#session.state.set({ active: index(), region: null });
        }
      },
      onRemove: () => {
        this.#session.removeLayer(index());
      },
    });
  }

  #nothing(): HTMLElement {
    const waits = this.#session.unfinished.length > 0;
    return message({
      icon: waits ? "clock" : "layers",
      title: waits ? "The analysis is not finished" : "No result yet",
      text: waits
        ? "The heatmap appears here when the analysis is finished."
        : "Queue an analysis of this slide in the worklist.",
      actions: [h("a", { class: "button", href: "/" }, "To the worklist")],
    });
  }

  #showMore(): void {
    const shown = new Set(this.#session.state.value.layers.map((layer) => layer.job));
    const others = this.#session.finished.filter((job) => !shown.has(job.id));
    const shape = others.map((job) => job.id).join(" ");
    if (shape === this.#moreShape) return;
    this.#moreShape = shape;
    this.#more.hidden = others.length === 0;
    const add = (job: Job) => {
      const about = [...askedOf(job), ...(job.finished_at === null ? [] : [when(job.finished_at)])];
      return h(
        "button",
        { class: "layer-add", type: "button", on: { click: () => { this.#session.add(job.id); } } },
        icon("plus", 16),
        h("span", { class: "cut" }, job.model),
        h("span", { class: "quiet cut" }, about.join(" · ")),
      );
    };
    fill(this.#more, h("h3", {}, "Other results of this slide"), ...others.map(add));
  }

  #showWaiting(): void {
    const waiting = this.#session.unfinished;
    this.#waiting.hidden = waiting.length === 0 || this.#session.state.value.layers.length === 0;
    const done = waiting.find((job) => job.state === "running")?.tiles;
    const share = done?.total ? ` · ${Math.round((100 * done.done) / done.total)} %` : "";
    fill(this.#waiting, icon("clock", 16), `${plural(waiting.length, "analysis", "analyses")} in progress${share}`);
  }
}

/** The pattern of a reason, what it means, and how often it is. */
function faultRow({ reason, tiles }: Fault): HTMLElement {
  const canvas = h("canvas", { class: "legend-sample", width: 44, height: 28, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  if (context !== null) {
    context.fillStyle = "#e6c6da";
    context.fillRect(0, 0, 44, 28);
    context.fillStyle = context.createPattern(hatchTile(reason, 2), "repeat") ?? "#000";
    context.fillRect(0, 0, 44, 28);
  }
  return h("li", {}, canvas, h("span", {}, capital(reason.text), h("span", { class: "quiet" }, ` – ${plural(tiles, "tile")}`)));
}

/** What a place without colour means. */
function legend(screened: boolean): HTMLElement {
  const sample = (kind: "below" | "glass" | CoverageMark): HTMLElement => {
    const canvas = h("canvas", { class: "legend-sample", width: 44, height: 28, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    if (context !== null) {
      context.fillStyle = kind === "glass" ? "#f7f5f6" : kind === "unread" ? "#fff" : "#e6c6da";
      context.fillRect(0, 0, 44, 28);
      if (kind === "below") {
        context.fillStyle = "rgb(61 74 137 / 0.16)";
        context.fillRect(0, 0, 44, 28);
      } else if (kind !== "glass") {
        const pattern = context.createPattern(hatchTile(kind, 2), "repeat");
        context.fillStyle = pattern ?? "#000";
        context.fillRect(0, 0, 44, 28);
      }
    }
    return canvas;
  };
  const row = (kind: "below" | "glass" | CoverageMark, name: string, text: string) =>
    h("li", {}, sample(kind), h("span", {}, name, h("span", { class: "quiet" }, ` – ${text}`)));
  return h(
    "ul",
    {},
    row("below", "Below threshold", "classified, not of the class shown"),
    screened ? row("screened", "Screened", "surely below the threshold; the model was not asked") : null,
    row("glass", "Glass", "or too little tissue; not classified"),
    row("unread", "Not scanned", "outside the scanned area"),
    row("unreadable", "Unreadable", "tissue that could not be read; not analysed"),
  );
}
