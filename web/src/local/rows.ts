/** The list of images with their answers. */

import type { BrowserModel } from "../api/models";
import { fill, h } from "../ui/dom";
import { verdictOf, type Verdict } from "./answer";

const SHOWN = 3;

export type Sorting = "order" | "name" | "doubt";

export class Rows {
  readonly element = h("ol", { class: "local-rows" });
  readonly #items: Row[] = [];

  /** Add a file that waits for its answer. */
  add(file: File): Row {
    const row = new Row(file, this.#items.length);
    this.#items.push(row);
    this.element.append(row.element);
    return row;
  }

  /** How many there are, how many a person has to look at, how many could not be judged. */
  counts(): { all: number; done: number; review: number; unusable: number } {
    const done = this.#items.filter((row) => row.verdict !== null);
    return {
      all: this.#items.length,
      done: done.length,
      review: done.filter((row) => row.verdict?.review !== null).length,
      unusable: this.#items.filter((row) => row.cause !== null).length,
    };
  }

  sort(by: Sorting): void {
    const order = [...this.#items];
    if (by === "name") order.sort((a, b) => a.file.name.localeCompare(b.file.name));
    if (by === "doubt") order.sort((a, b) => b.doubt - a.doubt || a.number - b.number);
    this.element.append(...order.map((row) => row.element));
  }

  /** Forget all of them. */
  clear(): void {
    for (const row of this.#items) row.close();
    this.#items.length = 0;
    this.element.replaceChildren();
  }

  /** The answers as a table, for a file. */
  csv(model: BrowserModel): string {
    const head = ["image", "state", "predicted", "set", "review", ...model.classes.map((one) => `p_${one.name}`)];
    const lines = this.#items.map((row) => row.cells(model).map(quoted).join(","));
    return `${[head.map(quoted).join(","), ...lines].join("\r\n")}\r\n`;
  }
}

export class Row {
  readonly element: HTMLLIElement;
  verdict: Verdict | null = null;
  cause: string | null = null;
  readonly #answer = h("div", { class: "local-answer" }, h("span", { class: "quiet" }, "waiting"));
  readonly #url: string;

  constructor(
    readonly file: File,
    readonly number: number,
  ) {
    this.#url = URL.createObjectURL(file);
    const image = h("img", { src: this.#url, alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => {
      image.classList.add("missing");
    });
    this.element = h(
      "li",
      { class: "local-row" },
      image,
      h("span", { class: "local-name cut", title: file.name }, file.name),
      this.#answer,
    );
  }

  /** What is most doubtful comes first: no answer at all, then a set that is none. */
  get doubt(): number {
    if (this.verdict === null) return this.cause === null ? -1 : 3;
    return this.verdict.doubt + (this.verdict.review === null ? 0 : 1);
  }

  show(model: BrowserModel, probabilities: readonly number[]): void {
    this.verdict = verdictOf(model, probabilities);
    this.element.dataset["probabilities"] = JSON.stringify(probabilities);
    const { called, classes, review } = this.verdict;
    fill(
      this.#answer,
      ...classes.slice(0, SHOWN).map((one) =>
        h(
          "span",
          { class: one.inSet ? "local-class in-set" : "local-class" },
          h("meter", { min: 0, max: 1, value: one.probability, "aria-label": one.name }),
          h(called.includes(one.name) ? "b" : "span", {}, one.name),
          h("span", { class: "numbers" }, one.probability.toFixed(3)),
        ),
      ),
      review !== null && h("span", { class: "badge warning" }, `Look again: ${review}`),
    );
  }

  refuse(cause: string): void {
    this.cause = cause;
    fill(this.#answer, h("span", { class: "badge danger" }, "Not judged"), h("span", {}, cause));
  }

  close(): void {
    URL.revokeObjectURL(this.#url);
  }

  cells(model: BrowserModel): string[] {
    if (this.verdict === null) return [this.file.name, this.cause ?? "waiting", "", "", ""];
    const { called, classes, review } = this.verdict;
    const by = new Map(classes.map((one) => [one.name, one.probability]));
    const set = classes.filter((one) => one.inSet).map((one) => one.name);
    return [
      this.file.name,
      "done",
      called.join("; "),
      set.join("; "),
      model.set_limit === null ? "" : String(review !== null),
      ...model.classes.map((one) => (by.get(one.name) ?? NaN).toFixed(6)),
    ];
  }
}

/** A cell that no spreadsheet takes for a formula. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
