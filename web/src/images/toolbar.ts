/** Above the grid: what to add, which job is shown, and which of its images. */

import type { ImageJob, Whose } from "../api/images";
import { labelsUrl } from "../api/images";
import type { Model } from "../api/models";
import { maySubmit } from "../api/session";
import { fill, h } from "../ui/dom";
import { fileInput, Filters, searchField } from "../ui/filters";
import { count, when } from "../ui/format";
import { icon } from "../ui/icons";
import { menuItem, openPopover } from "../ui/popover";
import { FILTERS, SORTS, type Choice, type Filter, type Sort } from "./choice";
import { ACCEPTED, fromInput, type Picking } from "./picking";

const FILTER_NAMES: Record<Filter, string> = {
  all: "All",
  review: "Look again",
  labelled: "Labelled",
  failed: "Failed",
};
const SORT_NAMES: Record<Sort, string> = {
  doubt: "Most doubtful first",
  name: "Name",
  newest: "Newest first",
};
const MODEL = "wsi.image-model";

export interface ToolbarEvents {
  readonly onPick: (picking: Picking) => void;
  readonly onJob: (id: string) => void;
  readonly onChoice: (change: Partial<Choice>) => void;
  readonly onModel: () => void;
}

export class Toolbar {
  readonly element: HTMLElement;
  readonly #files: HTMLInputElement;
  readonly #folder: HTMLInputElement;
  readonly #model = h("select", { class: "input", id: "image-model" });
  readonly #jobs = h("select", { class: "input", id: "image-job" });
  readonly #sort = h("select", { class: "input", id: "image-sort" });
  readonly #search: HTMLInputElement;
  readonly #filters: Filters<Filter>;
  readonly #export: HTMLElement;
  /** What concerns a job. */
  readonly #second: HTMLElement;
  readonly #jobField: HTMLElement;
  #models: readonly Model[] = [];
  #listed = "";
  #modelled = "";
  #job: ImageJob | null = null;

  constructor(events: ToolbarEvents) {
    const picked = (input: HTMLInputElement): void => { events.onPick(fromInput(input)); };
    this.#files = fileInput("Images to add", { multiple: true, accept: ACCEPTED, id: "choose-images" }, picked);
    this.#folder = fileInput("Images to add", { webkitdirectory: true, id: "choose-image-folder" }, picked);
    this.#filters = new Filters(FILTERS, FILTER_NAMES, (filter) => { events.onChoice({ filter }); });
    this.#model.addEventListener("change", () => {
      localStorage.setItem(MODEL, this.#model.value);
      events.onModel();
    });
    this.#jobs.addEventListener("change", () => {
      events.onJob(this.#jobs.value);
    });
    fill(this.#sort, ...SORTS.map((sort) => h("option", { value: sort }, SORT_NAMES[sort])));
    this.#sort.addEventListener("change", () => {
      events.onChoice({ sort: this.#sort.value as Sort });
    });
    this.#search = searchField("Search by name", "Search images", (search) => { events.onChoice({ search }); });
    this.#export = h(
      "button",
      { class: "button", type: "button", "aria-expanded": "false", on: { click: () => { this.#openExport(); } } },
      icon("download", 16),
      "Export labels",
    );
    const submits = maySubmit();
    this.#jobField = h("div", { class: "image-field" }, h("label", { for: "image-job" }, "Folder"), this.#jobs);
    this.#second = h(
      "div",
      { class: "toolbar-row" },
      this.#filters.element,
      h("div", { class: "search" }, icon("search", 16), this.#search),
      h("div", { class: "image-field" }, h("label", { for: "image-sort" }, "Sort by"), this.#sort),
      this.#export,
    );
    this.element = h(
      "div",
      { class: "toolbar" },
      h(
        "div",
        { class: "toolbar-row" },
        h("h1", {}, "Images"),
        this.#jobField,
        h("div", { class: "image-field image-model", hidden: !submits }, h("label", { for: "image-model" }, "Model for new images"), this.#model),
        this.#files,
        this.#folder,
        adding("Add images", "upload", submits, () => { this.chooseFiles(); }),
        adding("Add folder", "folder", submits, () => { this.chooseFolder(); }),
      ),
      this.#second,
    );
  }

  /** For new images; null: none is installed. */
  get model(): Model | null {
    return this.#models.find(({ name }) => name === this.#model.value) ?? null;
  }

  chooseFiles(): void {
    this.#files.click();
  }

  chooseFolder(): void {
    this.#folder.click();
  }

  search(): void {
    this.#search.select();
  }

  showModels(models: readonly Model[]): void {
    const names = models.map(({ name }) => name);
    this.#models = models;
    if (names.join("\n") === this.#modelled) return;
    this.#modelled = names.join("\n");
    fill(this.#model, ...names.map((name) => h("option", { value: name }, name)));
    const kept = localStorage.getItem(MODEL) ?? "";
    if (names.includes(kept)) this.#model.value = kept;
  }

  showJobs(jobs: readonly ImageJob[], job: ImageJob | null): void {
    this.#job = job;
    this.#jobField.hidden = this.#second.hidden = job === null;
    const listed = JSON.stringify(jobs.map(({ id, name, model, total }) => [id, name, model, total]));
    if (listed !== this.#listed) {
      this.#listed = listed;
      fill(
        this.#jobs,
        ...jobs.map((one) =>
          h("option", { value: one.id }, `${one.name} · ${count(one.total)} · ${one.model} · ${when(one.created_at)}`),
        ),
      );
    }
    if (job !== null) this.#jobs.value = job.id;
  }

  showChoice(choice: Choice, counts: ReadonlyMap<Filter, number>): void {
    this.#sort.value = choice.sort;
    if (document.activeElement !== this.#search) this.#search.value = choice.search;
    this.#filters.show(choice.filter, (filter) => counts.get(filter) ?? 0);
  }

  #openExport(): void {
    const job = this.#job;
    if (job === null) return;
    const item = (text: string, hint: string, kind: "csv" | "zip", by: Whose): HTMLElement =>
      menuItem({ text, hint, href: labelsUrl(job.id, kind, by), download: true });
    openPopover(
      this.#export,
      "Export labels",
      item("My labels", "CSV", "csv", "me"),
      item("My labels and the images", "ZIP", "zip", "me"),
      h("hr", {}),
      item("Everyone's labels", "CSV", "csv", "everyone"),
      item("Everyone's labels and the images", "ZIP", "zip", "everyone"),
    );
  }
}

function adding(text: string, name: "upload" | "folder", shown: boolean, act: () => void): HTMLElement {
  const look = name === "folder" ? "button primary" : "button";
  return h("button", { class: look, type: "button", hidden: !shown, on: { click: act } }, icon(name, 16), text);
}
