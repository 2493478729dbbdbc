/** How far a job is, what must be known of its model, and its classes, each with its key. */

import type { ImageJob } from "../api/images";
import type { Model } from "../api/models";
import { maySubmit } from "../api/session";
import { fill, h, setText } from "../ui/dom";
import { count, plural } from "../ui/format";
import { swatch } from "../ui/swatch";
import { keyOf } from "./keys";

export class JobLine {
  readonly element: HTMLElement;
  readonly #told = h("p", { class: "numbers", role: "status" });
  readonly #inside = h("span", {});
  readonly #bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Images classified", "aria-valuemin": 0, "aria-valuemax": 100 }, this.#inside);
  readonly #cancel: HTMLButtonElement;
  readonly #notices = h("div", { class: "image-notices" });
  readonly #classes = h("div", { class: "filters image-legend", role: "group", "aria-label": "Only images called" });
  readonly #onClass: (name: string) => void;
  #noticed = "";
  #legend = "";

  constructor(onClass: (name: string) => void, onCancel: () => void) {
    this.#onClass = onClass;
    this.#cancel = h("button", { class: "button plain small", type: "button", on: { click: onCancel } }, "Cancel");
    this.element = h(
      "div",
      { class: "image-job" },
      h("div", { class: "image-progress" }, this.#told, this.#bar, this.#cancel),
      this.#notices,
      this.#classes,
    );
  }

  show(job: ImageJob | null, model: Model | null): void {
    this.element.hidden = job === null;
    if (job === null) return;
    const done = job.answered + job.failed;
    const parts = [`${count(done)} of ${plural(job.total, "image")} classified with ${job.model}`];
    if (job.review > 0) parts.push(`${count(job.review)} to look at again`);
    if (job.failed > 0) parts.push(`${count(job.failed)} failed`);
    if (job.state === "cancelled") parts.push("cancelled");
    if (model === null) parts.push("this model is not installed any more");
    setText(this.#told, parts.join(" · "));
    const share = job.total === 0 ? 1 : done / job.total;
    this.#bar.hidden = job.state !== "running";
    this.#cancel.hidden = job.state !== "running" || !maySubmit();
    this.#inside.style.setProperty("width", `${(100 * share).toFixed(2)}%`);
    this.#bar.setAttribute("aria-valuenow", String(Math.floor(100 * share)));
  }

  /** What must be shown of the models that are in use: of the job, and of new images. */
  showNotices(models: readonly Model[]): void {
    const texts = [...new Map(models.map((model) => [model.name, noticeOf(model)]))].filter(([, text]) => text !== "");
    const noticed = JSON.stringify(texts);
    if (noticed === this.#noticed) return;
    this.#noticed = noticed;
    this.#notices.hidden = texts.length === 0;
    const named = new Set(models.map(({ name }) => name)).size > 1;
    fill(
      this.#notices,
      ...texts.map(([name, text]) => h("p", { class: "badge warning notice" }, named ? `${name}: ${text}` : text)),
    );
  }

  showClasses(classes: readonly string[], counts: ReadonlyMap<string, number>, model: Model | null, called: string): void {
    const legend = JSON.stringify([classes, [...counts], called]);
    if (legend === this.#legend) return;
    this.#legend = legend;
    this.#classes.hidden = classes.length === 0;
    const focused = this.#classes.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset["class"]
      : undefined;
    const buttons = classes.map((name, place) => {
      const key = keyOf(place);
      return h(
        "button",
        {
          class: "filter",
          type: "button",
          "data-class": name,
          "aria-pressed": String(name === called),
          title: key === null ? name : `${name}: the key ${key} labels an image so`,
          on: { click: () => { this.#onClass(name === called ? "" : name); } },
        },
        key !== null && maySubmit() && h("kbd", {}, key),
        swatch(model?.class_colours[name] ?? null),
        h("span", { class: "cut" }, name),
        h("span", { class: "filter-count numbers" }, count(counts.get(name) ?? 0)),
      );
    });
    fill(this.#classes, ...buttons);
    buttons.find((button) => button.dataset["class"] === focused)?.focus();
  }
}

function noticeOf(model: Model): string {
  const drawn = model.synthetic ? "Trained on drawings only: it says nothing of real images" : "";
  if (model.notice === "") return drawn;
  return model.synthetic && !/synthetic|draw/i.test(model.notice) ? `${model.notice}. ${drawn}` : model.notice;
}
