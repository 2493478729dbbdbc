/** The table of slides and their analyses; rows are moved and changed, never made anew. */

import { fill, h, setText } from "../ui/dom";
import { plural } from "../ui/format";
import { icon } from "../ui/icons";
import type { Choice, Group, Sort } from "./lines";
import { GroupRow, type RowContext } from "./row";

/** Slides shown at once; more at a press. */
const PAGE = 200;
const SKELETONS = 6;

const COLUMNS: readonly { readonly name: string; readonly text: string; readonly sort?: Sort }[] = [
  { name: "col-check", text: "" },
  { name: "col-thumb", text: "" },
  { name: "col-slide", text: "Slide", sort: "name" },
  { name: "col-analysis", text: "Analysis" },
  { name: "col-state", text: "State", sort: "added" },
  { name: "col-score", text: "Score", sort: "suspicion" },
  { name: "col-area", text: "Area", sort: "area" },
  { name: "col-alarms", text: "Alarms" },
  { name: "col-actions", text: "" },
];
const HIDDEN_NAMES: Readonly<Record<string, string>> = {
  "col-check": "Selected",
  "col-thumb": "Picture with heatmap",
  "col-actions": "Actions",
};

export class Table {
  readonly element: HTMLElement;
  readonly table = h("table", { class: "worklist" });
  readonly #heads = new Map<Sort, HTMLTableCellElement>();
  readonly #rows = new Map<string, GroupRow>();
  readonly #more = h("button", { class: "button", type: "button", hidden: true });
  readonly #told = h("p", { class: "unseen", role: "status" });
  #limit = PAGE;
  #shown: { groups: readonly Group[]; context: RowContext } | null = null;

  constructor(onSort: (sort: Sort) => void) {
    const head = COLUMNS.map(({ name, text, sort }) => {
      const cell = h("th", { class: name, scope: "col" });
      if (sort === undefined) {
        cell.append(text === "" ? h("span", { class: "unseen" }, HIDDEN_NAMES[name]) : text);
        return cell;
      }
      const button = h(
        "button",
        {
          class: "sort",
          type: "button",
          on: {
            click: () => {
              onSort(sort);
            },
          },
        },
        sort === "added" ? "State" : text,
        icon("sortDown", 14),
      );
      if (sort === "added") button.title = "Sort by when the slide was added";
      cell.append(button);
      this.#heads.set(sort, cell);
      return cell;
    });
    this.table.append(
      h("caption", { class: "unseen" }, "Slides and their analyses"),
      h("thead", {}, h("tr", {}, ...head)),
    );
    this.#more.addEventListener("click", () => {
      this.#limit += PAGE;
      if (this.#shown) this.show(this.#shown.groups, this.#shown.context);
    });
    // A word is selected at the second press, not at the second click.
    this.table.addEventListener("mousedown", (event) => {
      if (event.detail > 1 && lineAt(event) !== null) event.preventDefault();
    });
    this.table.addEventListener("dblclick", (event) => {
      const line = lineAt(event);
      const own = line?.querySelector<HTMLElement>("a[data-line]");
      (own ?? line?.parentElement?.querySelector<HTMLElement>("a[data-line]"))?.click();
    });
    this.element = h("div", { class: "table-frame" }, this.table, this.#more, this.#told);
  }

  showSort(choice: Choice): void {
    for (const [sort, cell] of this.#heads) {
      const natural = sort === "name" ? "ascending" : "descending";
      const turned = sort === "name" ? "descending" : "ascending";
      const direction = choice.reversed ? turned : natural;
      cell.setAttribute("aria-sort", sort === choice.sort ? direction : "none");
    }
  }

  /** Grey lines while the list is on its way. */
  showLoading(): void {
    if (this.table.querySelector(".skeleton") !== null) return;
    const line = (): HTMLElement =>
      h("tr", {}, ...COLUMNS.map(({ name }) => h("td", { class: name }, h("span", { class: "grey" }))));
    this.table.append(
      h("tbody", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: SKELETONS }, line)),
    );
    setText(this.#told, "Loading the list");
  }

  show(groups: readonly Group[], context: RowContext): void {
    this.#shown = { groups, context };
    this.table.querySelector(".skeleton")?.remove();
    const visible = groups.slice(0, this.#limit);
    const focused = document.activeElement;
    const wanted = new Set(visible.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    let before: Element | null = this.table.tHead;
    for (const group of visible) {
      let row = this.#rows.get(group.id);
      if (row === undefined) {
        row = new GroupRow(group, context);
        this.#rows.set(group.id, row);
      }
      row.update(group, context);
      // Only rows out of place are moved: moving takes the focus away.
      if (before?.nextElementSibling !== row.element) before?.after(row.element);
      before = row.element;
    }
    if (focused instanceof HTMLElement && focused.isConnected && document.activeElement !== focused) {
      focused.focus({ preventScroll: true });
    }
    const hidden = groups.length - visible.length;
    this.#more.hidden = hidden === 0;
    fill(this.#more, `Show ${plural(Math.min(PAGE, hidden), "more slide", "more slides")}`);
    setText(this.#told, `${plural(groups.length, "slide")} in the list`);
  }
}

/** The line of a slide where a press is for the line itself, not for something in it. */
function lineAt(event: Event): HTMLElement | null {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("a, button, label, input, [popover]")) return null;
  return target?.closest<HTMLElement>("tbody.group > tr") ?? null;
}
