/** Above the table: adding slides, searching, filtering, and what to do with those selected. */

import type { Model } from "../api/models";
import { maySubmit } from "../api/session";
import { ACCEPTED, fromInput, type Picking } from "../uploads/files";
import { fill, h, setText } from "../ui/dom";
import { fileInput, Filters, searchField } from "../ui/filters";
import { plural } from "../ui/format";
import { icon } from "../ui/icons";
import { FILTERS, passes, type Filter, type Group } from "./lines";

const FILTER_NAMES: Record<Filter, string> = {
  all: "All",
  suspicious: "Suspicious",
  "look-again": "Look again",
  clear: "Clear",
  alarms: "With alarms",
  active: "In progress",
  failed: "Failed",
  none: "Not analysed",
};
const AFTER = "wsi.after-upload";

export interface ToolbarEvents {
  readonly onPick: (picking: Picking) => void;
  readonly onSearch: (text: string) => void;
  readonly onFilter: (filter: Filter) => void;
  readonly onAnalyse: () => void;
  readonly onDelete: () => void;
  readonly onClear: () => void;
}

export class Toolbar {
  readonly element: HTMLElement;
  readonly search: HTMLInputElement;
  readonly #files: HTMLInputElement;
  readonly #folder: HTMLInputElement;
  readonly #after = h("select", { class: "input", id: "after-upload" });
  readonly #filters: Filters<Filter>;
  readonly #selection: HTMLElement;
  readonly #selected = h("span", { class: "numbers" });
  #models = "";

  constructor(events: ToolbarEvents) {
    const picked = (input: HTMLInputElement): void => { events.onPick(fromInput(input)); };
    this.#files = fileInput("Slides to upload", { multiple: true, accept: ACCEPTED, id: "choose-files" }, picked);
    this.#folder = fileInput("Slides to upload", { webkitdirectory: true, id: "choose-folder" }, picked);
    this.#filters = new Filters(FILTERS, FILTER_NAMES, events.onFilter);
    this.search = searchField("Search by name or model", "Search slides", events.onSearch);
    this.#after.addEventListener("change", () => {
      localStorage.setItem(AFTER, this.#after.value);
    });
    this.#selection = h(
      "div",
      { class: "selection", hidden: true },
      this.#selected,
      textButton("Analyse…", "play", events.onAnalyse),
      textButton("Delete…", "trash", events.onDelete),
      textButton("Clear selection", "close", events.onClear),
    );
    const submits = maySubmit();
    this.element = h(
      "div",
      { class: "toolbar" },
      h(
        "div",
        { class: "toolbar-row" },
        h("h1", {}, "Slides"),
        h("div", { class: "search" }, icon("search", 16), this.search),
        h(
          "div",
          { class: "after", hidden: !submits },
          h("label", { for: "after-upload" }, "After upload"),
          this.#after,
        ),
        this.#files,
        this.#folder,
        h(
          "button",
          {
            class: "button",
            type: "button",
            hidden: !submits,
            on: { click: () => { this.chooseFolder(); } },
          },
          icon("folder", 16),
          "Add folder",
        ),
        h(
          "button",
          {
            class: "button primary",
            type: "button",
            hidden: !submits,
            on: { click: () => { this.chooseFiles(); } },
          },
          icon("upload", 16),
          "Add slides",
        ),
      ),
      h("div", { class: "toolbar-row" }, this.#filters.element, this.#selection),
    );
  }

  /** Model that uploads are analysed with; null for none. */
  get afterUpload(): string | null {
    return this.#after.value === "" ? null : this.#after.value;
  }

  chooseFiles(): void {
    this.#files.click();
  }

  chooseFolder(): void {
    this.#folder.click();
  }

  showModels(models: readonly Model[]): void {
    const names = models.map(({ name }) => name);
    if (names.join("\n") === this.#models && this.#after.options.length > 0) return;
    this.#models = names.join("\n");
    fill(
      this.#after,
      h("option", { value: "" }, "store without analysing"),
      ...names.map((name) => h("option", { value: name }, `analyse with ${name}`)),
    );
    const kept = localStorage.getItem(AFTER) ?? "";
    this.#after.value = names.includes(kept) ? kept : "";
  }

  showFilters(groups: readonly Group[], chosen: Filter): void {
    this.#filters.show(chosen, (filter) => groups.filter((group) => passes(group, filter)).length);
  }

  showSelected(number: number): void {
    this.#selection.hidden = number === 0;
    setText(this.#selected, `${plural(number, "slide")} selected`);
  }
}

function textButton(text: string, name: "play" | "trash" | "close", act: () => void): HTMLElement {
  return h("button", { class: "button plain", type: "button", on: { click: act } }, icon(name, 16), text);
}
