/** A slide and its analyses in the table: one line each, changed in place. */

import type { Job } from "../api/jobs";
import { fill, h, type Child } from "../ui/dom";
import { icon } from "../ui/icons";
import type { Actions } from "./actions";
import * as cells from "./cells";
import type { Group } from "./lines";
import { thumbnail } from "./thumbnail";

export interface RowContext {
  readonly actions: Actions;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (slideId: string, selected: boolean) => void;
}

/**
 * Remembers what a cell shows, so that it is made anew only when that changed, and not under a
 * menu that somebody is reading.
 */
class Cell {
  readonly element: HTMLTableCellElement;
  #key: string | null = null;
  /** What to show as soon as no menu is open here. */
  #later: (() => Child[]) | null = null;

  constructor(name: string, tag: "td" | "th" = "td") {
    this.element = h(tag, { class: name, scope: tag === "th" ? "rowgroup" : null });
  }

  show(key: string, make: () => Child[]): void {
    if (key === this.#key) return;
    this.#key = key;
    const open = this.element.querySelector(":popover-open");
    if (open === null) {
      this.#later = null;
      this.#fill(make);
      return;
    }
    if (this.#later === null) open.addEventListener("toggle", this.#closed, { once: true });
    this.#later = make;
  }

  readonly #closed = (): void => {
    const make = this.#later;
    this.#later = null;
    if (make !== null) this.#fill(make);
  };

  #fill(make: () => Child[]): void {
    const focused = this.element.contains(document.activeElement);
    fill(this.element, ...make());
    if (focused) this.element.querySelector<HTMLElement>("a, button, [tabindex]")?.focus();
  }
}

/** Columns that each analysis has for itself. */
class Line {
  readonly element = h("tr", {});
  readonly analysis = new Cell("col-analysis");
  readonly state = new Cell("col-state");
  readonly score = new Cell("col-score numbers");
  readonly area = new Cell("col-area numbers");
  readonly alarms = new Cell("col-alarms");
  readonly actions = new Cell("col-actions");
  jobId: string | null = null;
}

export class GroupRow {
  readonly element = h("tbody", { class: "group" });
  readonly #check: HTMLInputElement;
  readonly #checkCell = h("td", { class: "col-check" });
  readonly #thumb = new Cell("col-thumb");
  readonly #slide = new Cell("col-slide", "th");
  #lines: Line[] = [];

  constructor(group: Group, context: RowContext) {
    this.element.dataset["slide"] = group.id;
    this.#check = h("input", {
      type: "checkbox",
      tabindex: -1,
      on: {
        change: () => {
          context.onSelect(group.id, this.#check.checked);
        },
      },
    });
    this.#checkCell.append(h("label", { class: "check" }, this.#check));
  }

  update(group: Group, context: RowContext): void {
    const { slide } = group;
    const jobs: readonly (Job | null)[] = group.jobs.length === 0 ? [null] : group.jobs;
    this.#fit(jobs.length);
    const [first = null] = jobs;
    const name = slide?.name ?? "deleted slide";
    const shown = group.jobs.find((job) => job.result_id !== null)?.id ?? null;

    this.#check.disabled = slide === null;
    this.#check.checked = context.selected.has(group.id);
    this.#check.setAttribute("aria-label", `Select ${name}`);
    this.element.classList.toggle("selected", this.#check.checked);
    this.#thumb.show(`${slide?.state ?? ""}|${shown ?? ""}`, () =>
      slide === null
        ? [h("div", { class: "thumb" }, icon("trash"))]
        : [thumbnail(slide, shown)],
    );
    this.#slide.show(`${name}|${slide?.state ?? ""}|${slide?.size_bytes ?? ""}|${first?.result_id ?? ""}`, () =>
      cells.slideCell(slide, first),
    );
    for (const [index, job] of jobs.entries()) {
      const line = this.#lines[index];
      if (line) updateLine(line, group, job, index === 0, context);
    }
  }

  /** As many lines as there are analyses; the cells of the slide go over all of them. */
  #fit(wanted: number): void {
    const slideCells = [this.#checkCell, this.#thumb.element, this.#slide.element];
    for (const cell of slideCells) cell.rowSpan = wanted;
    const surplus = this.#lines.splice(wanted);
    const focused = surplus.some(({ element }) => element.contains(document.activeElement));
    for (const { element } of surplus) element.remove();
    while (this.#lines.length < wanted) {
      const line = new Line();
      const own = [line.analysis, line.state, line.score, line.area, line.alarms, line.actions];
      const before = this.#lines.length === 0 ? slideCells : [];
      line.element.append(...before, ...own.map(({ element }) => element));
      this.element.append(line.element);
      this.#lines.push(line);
    }
    if (focused) this.element.querySelector<HTMLElement>("[data-line]")?.focus();
  }
}

function updateLine(line: Line, group: Group, job: Job | null, first: boolean, context: RowContext): void {
  const { slide } = group;
  const synthetic = job !== null && group.synthetic.has(job.id);
  const result = `${job?.id ?? ""}|${job?.result_id ?? ""}|${job?.findings === null ? "" : "f"}`;
  line.element.dataset["job"] = job?.id ?? "";
  line.element.dataset["state"] = job?.state ?? slide?.state ?? "";
  const notice = group.notices.get(job?.id ?? "") ?? "";
  line.analysis.show(`${result}|${notice}|${first}`, () =>
    cells.analysisCell(job, group.id, first, notice),
  );
  line.state.show(`${job?.id ?? ""}|${cells.stateKey(slide, job)}`, () => cells.stateCell(slide, job));
  cells.updateProgress(line.state.element, slide, job);
  line.score.show(`${result}|${synthetic}`, () => cells.scoreCell(job, synthetic));
  line.area.show(`${result}|${synthetic}`, () => cells.areaCell(job, synthetic));
  line.alarms.show(result, () => cells.alarmCell(job));
  const { actions } = context;
  line.actions.show(`${result}|${job?.state ?? ""}|${job?.cancel_requested ?? ""}|${slide?.state ?? ""}`, () =>
    actions.buttons(slide, job),
  );
}
