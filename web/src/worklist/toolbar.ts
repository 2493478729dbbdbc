/** Above the table: adding slides, searching, filtering, and what to do with those selected. */

import type { Model } from "../api/models";
import { maySubmit } from "../api/session";
import { ACCEPTED, fromInput, type Picking } from "../uploads/files";
import { fill, h, setText } from "../ui/dom";
import { count, plural } from "../ui/format";
import { icon } from "../ui/icons";
import { FILTERS, passes, type Filter, type Group } from "./lines";

const FILTER_NAMES: Record<Filter, string> = {
  all: "All",
  suspicious: "Suspicious",
  alarms: "With alarms",
  active: "In progress",
  failed: "Failed",
  none: "Not analysed",
};
const SEARCH_MS = 120;
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
  readonly #filters = new Map<Filter, { button: HTMLElement; number: HTMLElement }>();
  readonly #selection: HTMLElement;
  readonly #selected = h("span", { class: "numbers" });
  #models = "";

  constructor(events: ToolbarEvents) {
    this.#files = picker(events, { multiple: true, accept: ACCEPTED, id: "choose-files" });
    this.#folder = picker(events, { webkitdirectory: true, id: "choose-folder" });
    let timer: number | undefined;
    this.search = h("input", {
      class: "input",
      type: "search",
      placeholder: "Search by name or model",
      "aria-label": "Search slides",
      autocomplete: "off",
      spellcheck: "false",
      on: {
        input: () => {
          window.clearTimeout(timer);
          timer = window.setTimeout(() => {
            events.onSearch(this.search.value);
          }, SEARCH_MS);
        },
      },
    });
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
      h("div", { class: "toolbar-row" }, this.#makeFilters(events), this.#selection),
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
    for (const [filter, { button, number }] of this.#filters) {
      const found = groups.filter((group) => passes(group, filter)).length;
      setText(number, count(found));
      button.setAttribute("aria-pressed", String(filter === chosen));
    }
  }

  showSelected(number: number): void {
    this.#selection.hidden = number === 0;
    setText(this.#selected, `${plural(number, "slide")} selected`);
  }

  #makeFilters(events: ToolbarEvents): HTMLElement {
    const buttons = FILTERS.map((filter) => {
      const number = h("span", { class: "filter-count numbers" });
      const button = h(
        "button",
        {
          class: "filter",
          type: "button",
          "aria-pressed": "false",
          "data-filter": filter,
          on: {
            click: () => {
              events.onFilter(filter);
            },
          },
        },
        FILTER_NAMES[filter],
        number,
      );
      this.#filters.set(filter, { button, number });
      return button;
    });
    return h("div", { class: "filters", role: "group", "aria-label": "Show" }, ...buttons);
  }
}

function picker(events: ToolbarEvents, how: Record<string, string | boolean>): HTMLInputElement {
  const input = h("input", { type: "file", hidden: true, "aria-label": "Slides to upload", ...how });
  input.addEventListener("change", () => {
    events.onPick(fromInput(input));
    // So that the same file can be chosen again.
    input.value = "";
  });
  return input;
}

function textButton(text: string, name: "play" | "trash" | "close", act: () => void): HTMLElement {
  return h("button", { class: "button plain", type: "button", on: { click: act } }, icon(name, 16), text);
}
