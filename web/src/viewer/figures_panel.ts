/** What the result says in numbers, and where it comes from. */

import { fittedAnswer, SLIDE_STATES, STATE_BADGE, type SlideAnswer } from "../api/jobs";
import { stepOf, STEPS } from "../colour/lut";
import { fill, h, setText, type Child } from "../ui/dom";
import { icon } from "../ui/icons";
import { area, capital, count, percent, probability } from "../ui/format";
import { message } from "../ui/message";
import { Histogram } from "./histogram";
import { swatch } from "../ui/swatch";
import { faultsOf, type Findings } from "./results";
import { attends } from "./shown";
import type { Loaded, Session } from "./session";

export class FiguresPanel {
  readonly element = h("div", { class: "panel-body figures" });
  readonly #session: Session;
  readonly #histogram = new Histogram();
  readonly #probabilities = h("section", {}, h("h3", {}, "Probabilities"), this.#histogram.element);
  readonly #area = h("dd", { class: "numbers" });
  readonly #share = h("dd", { class: "numbers" });
  readonly #areaName = h("dt");
  readonly #regions = h("dd", { class: "numbers" });
  #of: Findings | null = null;

  constructor(session: Session) {
    this.#session = session;
  }

  update(): void {
    const result = this.#session.active;
    const findings = result?.findings ?? null;
    if (findings !== this.#of || this.element.childElementCount === 0) {
      this.#of = findings;
      fill(this.element, ...(findings === null ? [this.#missing(result)] : this.#parts(findings, result)));
    }
    if (findings !== null && result !== null) this.#live(findings, result);
  }

  /** What follows the threshold. */
  #live(findings: Findings, result: Loaded): void {
    const settings = this.#session.activeSettings;
    const layer = result.layer;
    const attention = layer !== null && settings !== null && attends(layer.info, settings);
    const threshold = layer?.threshold ?? settings?.threshold ?? findings.threshold;
    const positive = layer === null || layer.of.name === findings.positive;
    const bins = positive ? findings.histogram : histogramOf(layer.counts, findings.histogram.length);
    // Of ranks there is as much of each.
    this.#probabilities.hidden = bins === null || attention;
    if (bins !== null) this.#histogram.update(bins, threshold, settings?.palette ?? "reef");
    // Of classes that exclude one another the most likely one counts until a threshold is chosen.
    const own =
      !attention && (findings.task === "multiclass" ? (settings?.threshold ?? null) === null : threshold === findings.threshold);
    const ownArea = positive ? findings.tumour_area_mm2 : (findings.class_areas_mm2[layer.of.name] ?? null);
    const mm2 = own ? ownArea : this.#areaAt(result, threshold);
    const named = `${capital(layer?.of.name ?? findings.positive)} area`;
    const from = attention ? `Attention of rank ${probability(threshold)} or more` : `${named} at ${probability(threshold)}`;
    setText(this.#areaName, own ? named : from);
    const regions = attention ? null : positive ? findings.regions : (result.regions?.length ?? null);
    setText(this.#regions, regions === null ? "–" : count(regions));
    setText(this.#area, mm2 === null ? "–" : area(mm2));
    const share = mm2 === null || findings.tissue_area_mm2 === 0 ? null : (100 * mm2) / findings.tissue_area_mm2;
    setText(this.#share, share === null ? "–" : percent(Math.min(100, share)));
  }

  #areaAt(result: Loaded, threshold: number): number | null {
    const mpp = this.#session.mpp;
    const cell = result.layer?.source.levels[0]?.cell;
    const counts = result.layer?.counts ?? null;
    if (counts === null || mpp === null || cell === undefined) return null;
    return ((counts[stepOf(threshold)] ?? 0) * cell.x * mpp.x * cell.y * mpp.y) / 1e6;
  }

  #parts(findings: Findings, result: Loaded | null): Child[] {
    const { model } = findings.provenance;
    const installed = result === null ? null : this.#session.model(result.job);
    // Else there is nothing that has an area.
    const shows = !(result?.nothing ?? false);
    return [
      ...findings.alarms.map((alarm) =>
        h("p", { class: "alarm", "data-alarm": alarm.code }, icon("warning", 16), h("span", {}, sentence(alarm.message))),
      ),
      h(
        "dl",
        { class: "tiles-of-figures" },
        slideFigure(findings),
        shows && h("div", {}, this.#areaName, this.#area),
        shows && h("div", {}, h("dt", {}, "of the tissue"), this.#share),
        h("div", {}, h("dt", {}, "Tissue classified"), h("dd", { class: "numbers" }, area(findings.tissue_area_mm2))),
        shows && h("div", {}, h("dt", {}, "Regions"), this.#regions),
      ),
      slideAnswer(findings.slide_answer),
      shows && this.#probabilities,
      classAreas(findings),
      h("section", {}, h("h3", {}, "Cells"), coverage(findings)),
      quality(findings, result),
      h(
        "section",
        {},
        h("h3", {}, "Model"),
        facts([
          ["Name", `${model.name} ${model.version}`],
          ...(findings.notice === "" ? [] : [["Notice", findings.notice] as const]),
          ["Trained on", installed?.training_data ?? "–"],
          ["Resolution", model.mpp === null ? "–" : `${model.mpp} µm/px`],
          ["Threshold", findings.task === "multiclass" ? "none: the most likely class counts" : probability(findings.threshold)],
          ["How chosen", installed?.threshold_chosen ?? "–"],
          ["Intended use", model.intended_use],
          ["Licence", installed?.licence ?? "–"],
          ["SHA-256", h("code", { class: "hash" }, model.sha256)],
        ]),
      ),
      provenance(findings, result),
    ];
  }

  #missing(result: Loaded | null): HTMLElement {
    if (result?.problem) return message({ icon: "warning", title: "No figures", text: result.problem, urgent: true });
    if (result === null) return message({ icon: "info", title: "No result, no figures" });
    return h("p", { class: "loading", role: "status" }, "Loading figures…");
  }
}

/** The figure of the slide: its probability by a fit, else the largest of a cell. */
function slideFigure(findings: Findings): HTMLElement {
  const answer = fittedAnswer(findings.slide_answer);
  const [low, high] = [answer?.low ?? null, answer?.high ?? null];
  const interval = low !== null && high !== null ? `${probability(low)} to ${probability(high)} (95 %)` : null;
  return h(
    "div",
    { class: "wide" },
    h("dt", {}, answer === null ? "Slide score" : "Slide probability"),
    h("dd", { class: "numbers large" }, findings.slide_score === null ? "–" : probability(findings.slide_score)),
    interval !== null && h("dd", { class: "numbers" }, interval),
    h("dd", { class: "quiet" }, answer === null ? `${findings.slide_score_rule} of ${findings.positive}` : findings.slide_score_rule),
  );
}

/** What is to be done with the slide, why, and what that rests on. */
function slideAnswer(answer: SlideAnswer | null): Child {
  if (answer === null) return null;
  const { rule } = answer;
  const rows: [Child, Child][] = Object.entries(answer.probabilities).map(([name, value]) => [name, probability(value)]);
  if (rule !== null) {
    const limit = (value: number | null, what: string) => (value === null ? "none" : `${what} ${probability(value)}`);
    rows.push(
      ["Clear", limit(rule.clear_below, "below")],
      ["Suspicious", limit(rule.suspicious_from, "from")],
      ["Stated", `of clear slides at most ${percent(100 * rule.alpha)} are positive, with ${percent(100 * (1 - rule.delta))} confidence`],
      ["From", `${count(rule.slides)} validation slides, ${count(rule.positives)} positive`],
    );
  }
  return h(
    "section",
    { class: "slide-answer" },
    h("h3", {}, "Slide"),
    h("p", {}, h("span", { class: STATE_BADGE[answer.state], "data-slide-state": answer.state }, SLIDE_STATES[answer.state])),
    h("p", { class: "quiet" }, sentence(answer.reason)),
    rows.length > 0 && facts(rows),
  );
}

/** Cells per probability, from the cells at or above each step. */
function histogramOf(counts: Uint32Array | null, bins: number): number[] | null {
  if (counts === null) return null;
  const from = (bin: number) => (bin === bins ? 0 : (counts[Math.ceil((bin / bins) * STEPS)] ?? 0));
  return Array.from({ length: bins }, (_, bin) => from(bin) - from(bin + 1));
}

/** The area of every class; nothing where there is one class only. */
function classAreas(findings: Findings): Child {
  if (findings.task === "binary") return null;
  const rows = findings.classes.map(({ name, colour }): [Child, Child] => {
    const mm2 = findings.class_areas_mm2[name] ?? 0;
    const share = findings.tissue_area_mm2 === 0 ? "" : ` · ${percent((100 * mm2) / findings.tissue_area_mm2)}`;
    return [h("span", { class: "class-name" }, swatch(colour), name), `${area(mm2)}${share}`];
  });
  return h("section", {}, h("h3", {}, "Classes"), facts(rows));
}

function coverage(findings: Findings): HTMLElement {
  const names: Record<string, string> = {
    classified: "Classified",
    screened: "Screened",
    glass: "Glass",
    empty: "Not scanned",
    unreadable: "Unreadable",
    rejected: "Rejected (quality)",
  };
  const rows = Object.entries(names)
    .filter(([key]) => (findings.coverage[key] ?? 0) > 0 || key === "classified")
    .map(([key, name]): [string, Child] => [name, count(findings.coverage[key] ?? 0)]);
  return facts(rows);
}

/** What quality control found; nothing where it did not look. */
function quality(findings: Findings, result: Loaded | null): Child {
  const told = findings.provenance.quality;
  if (!told) return null;
  const share = told.tiles === 0 ? 0 : (100 * told.marked) / told.tiles;
  return h(
    "section",
    { "data-figures": "quality" },
    h("h3", {}, "Quality of the tissue"),
    facts([
      ["Tiles marked", `${count(told.marked)} of ${count(told.tiles)} (${percent(share)})`],
      ...faultsOf(result).map(({ reason, tiles }): [Child, Child] => [capital(reason.text), count(tiles)]),
      ["Left out", count(told.rejected)],
    ]),
  );
}

function facts(rows: readonly (readonly [Child, Child])[]): HTMLElement {
  return h("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function provenance(findings: Findings, result: Loaded | null): HTMLElement {
  const { slide, grid, runtime, software, timings, fingerprint, digest } = findings.provenance;
  const text = (value: unknown) => h("pre", {}, JSON.stringify(value, null, 2));
  return h(
    "section",
    {},
    h("h3", {}, "Provenance"),
    facts([
      ["Job", h("code", { class: "hash" }, result?.job.id ?? "")],
      ["Slide SHA-256", h("code", { class: "hash" }, slide.sha256 ?? "")],
      ["Settings", h("code", { class: "hash" }, String(fingerprint))],
      ["Result", h("code", { class: "hash" }, String(digest))],
      ["Grid", `${count(grid.columns)} × ${count(grid.rows)} cells, patch ${grid.patch_px} px, stride ${grid.stride_px} px`],
      ["Analysed at", `${Number(grid.mpp.x.toPrecision(4))} µm/px`],
    ]),
    ...findings.warnings.map((warning) => h("p", { class: "quiet" }, sentence(warning))),
    h("details", {}, h("summary", {}, "Software, device, timings"), text({ runtime, software, timings })),
  );
}

function sentence(text: string): string {
  const whole = capital(text);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
