/** The settings of one layer: threshold, opacity, palette, what is marked. */

import { isPaletteName, palette, PALETTE_NAMES, paletteLabel, type PaletteName } from "../colour/palette";
import { askedOf, type Job } from "../api/jobs";
import { ClassMenu } from "./class_menu";
import { range, setNumber } from "./inputs";
import { isLikely } from "./layer";
import type { CellsInfo } from "./results";
import { attends, NOTHING_SHOWN, ownThreshold } from "./shown";
import type { LayerSettings } from "../state/viewer_state";
import { h, setText } from "../ui/dom";
import { icon } from "../ui/icons";
import { probability } from "../ui/format";

export interface CardEvents {
  readonly onChange: (settings: Partial<LayerSettings>) => void;
  readonly onActivate: () => void;
  readonly onRemove: () => void;
}

export interface CardFacts {
  /** What the result holds; null until it is known. */
  readonly info: CellsInfo | null;
  /** What must be shown of the model; empty: nothing. */
  readonly notice: string;
  readonly active: boolean;
  readonly alone: boolean;
  /** Whether the result has nothing to show on the slide. */
  readonly nothing: boolean;
  readonly problem: string | null;
}

const ATTENTION_RULE =
  "Each tile has the colour of its rank among the tiles of this slide: those with 1 the model looked at most. It says where the model looked, not that there is something.";

let made = 0;

export class LayerCard {
  readonly element: HTMLElement;
  readonly #bar = h("canvas", { class: "palette-bar", width: 256, height: 1, "aria-hidden": "true" });
  readonly #mark = h("span", { class: "palette-mark", "aria-hidden": "true" });
  readonly #thresholdText = h("output", { class: "numbers" });
  readonly #opacityText = h("output", { class: "numbers" });
  readonly #threshold: HTMLInputElement;
  readonly #opacity: HTMLInputElement;
  readonly #palette: HTMLSelectElement;
  readonly #eye: HTMLButtonElement;
  readonly #own: HTMLButtonElement;
  /** Which cells are shown as of the class, where that is no matter of the threshold alone. */
  readonly #rule = h("p", { class: "hint layer-rule", hidden: true });
  readonly #outline: HTMLInputElement;
  readonly #coverage: HTMLInputElement;
  readonly #quality: HTMLInputElement;
  readonly #qualityLabel: HTMLElement;
  readonly #badge = h("span", { class: "badge warning notice" });
  readonly #classes: ClassMenu;
  readonly #thresholdName = h("span");
  readonly #measure = h("span");
  /** What a probability is shown with. */
  readonly #ofProbability: readonly HTMLElement[];
  readonly #problem = h("p", { class: "layer-problem", role: "alert", hidden: true });
  readonly #nothing = h("p", { class: "hint layer-nothing", hidden: true }, NOTHING_SHOWN);
  /** How what is shown looks, whatever it is. */
  readonly #looks: readonly HTMLElement[];
  readonly #remove: HTMLButtonElement;
  readonly #choose: HTMLButtonElement;
  #ownThreshold: number | null = null;
  /** Whether what is shown is the most likely class: it counts, not a threshold. */
  #excluding = false;
  #shownPalette: PaletteName | null = null;

  constructor(job: Job, events: CardEvents) {
    const id = `layer-${String(++made)}`;
    this.#threshold = range(`${id}-threshold`, "threshold", 0, 1, 0.001, (value) => {
      events.onChange({ threshold: value });
    });
    this.#opacity = range(`${id}-opacity`, "opacity", 0, 100, 1, (value) => {
      events.onChange({ opacity: value / 100 });
    });
    this.#palette = h(
      "select",
      { class: "input", id: `${id}-palette` },
      ...PALETTE_NAMES.map((name) => h("option", { value: name }, paletteLabel(name))),
    );
    this.#palette.addEventListener("change", () => {
      if (isPaletteName(this.#palette.value)) events.onChange({ palette: this.#palette.value });
    });
    this.#outline = check("outline", (on) => { events.onChange({ outline: on }); });
    this.#coverage = check("coverage", (on) => { events.onChange({ coverage: on }); });
    this.#quality = check("quality", (on) => { events.onChange({ quality: on }); });
    this.#qualityLabel = h("label", { hidden: true }, this.#quality, "Quality");
    this.#eye = h("button", { class: "button plain icon-only", type: "button" }, icon("eye"));
    this.#eye.addEventListener("click", () => {
      events.onChange({ visible: this.#eye.getAttribute("aria-pressed") !== "true" });
    });
    this.#own = h("button", { class: "link", type: "button", hidden: true });
    this.#own.addEventListener("click", () => {
      events.onChange({ threshold: this.#excluding ? null : this.#ownThreshold });
    });
    this.#remove = h(
      "button",
      { class: "button plain icon-only", type: "button", "aria-label": `Remove layer ${job.model}`, title: "Remove" },
      icon("close", 16),
    );
    this.#remove.addEventListener("click", events.onRemove);
    this.#choose = h(
      "button",
      { class: "layer-name cut", type: "button", title: "Show this layer's regions and figures" },
      job.model,
    );
    this.#choose.addEventListener("click", events.onActivate);
    this.#classes = new ClassMenu(id, events.onChange);
    this.#ofProbability = [
      h(
        "div",
        { class: "slider" },
        h("div", { class: "slider-head" }, h("label", { for: `${id}-threshold` }, this.#thresholdName), this.#own, this.#thresholdText),
        this.#threshold,
        h("div", { class: "palette-scale" }, this.#bar, this.#mark),
        h("div", { class: "palette-ends quiet numbers", "aria-hidden": "true" }, h("span", {}, "0"), this.#measure, h("span", {}, "1")),
        this.#rule,
      ),
      h(
        "div",
        { class: "layer-row" },
        h("label", { for: `${id}-palette` }, "Palette"),
        this.#palette,
      ),
    ];
    const [thresholdRow, paletteRow] = this.#ofProbability;
    this.#looks = [
      h(
        "div",
        { class: "slider" },
        h("div", { class: "slider-head" }, h("label", { for: `${id}-opacity` }, "Opacity"), this.#opacityText),
        this.#opacity,
      ),
      h(
        "div",
        { class: "layer-checks" },
        h("label", {}, this.#outline, "Outline"),
        h("label", {}, this.#coverage, "Coverage"),
        this.#qualityLabel,
      ),
    ];
    const [opacityRow, checks] = this.#looks;
    const settings = askedOf(job).join(" · ");
    this.element = h(
      "section",
      { class: "layer", "aria-label": `Layer ${job.model}`, "data-job": job.id },
      h(
        "header",
        {},
        this.#eye,
        h("div", { class: "layer-title" }, this.#choose, settings !== "" && h("span", { class: "quiet cut" }, settings)),
        this.#remove,
      ),
      this.#badge,
      this.#problem,
      this.#nothing,
      this.#classes.element,
      thresholdRow,
      opacityRow,
      paletteRow,
      checks,
    );
  }

  update(settings: LayerSettings, facts: CardFacts): void {
    this.#classes.update(settings, facts.info);
    for (const row of this.#ofProbability) row.hidden = settings.labels || facts.nothing;
    for (const row of this.#looks) row.hidden = facts.nothing;
    this.#eye.hidden = facts.nothing;
    this.#nothing.hidden = !facts.nothing;
    const { info } = facts;
    const attention = info !== null && attends(info, settings);
    this.#ownThreshold = info === null ? null : ownThreshold(info, settings);
    const threshold = settings.threshold ?? this.#ownThreshold;
    this.#threshold.disabled = threshold === null;
    setNumber(this.#threshold, threshold ?? 0.5);
    this.#excluding = info?.task === "multiclass" && !attention;
    const likely = info !== null && isLikely(info, settings);
    setText(this.#thresholdName, attention ? "Outline from" : "Threshold");
    setText(this.#measure, attention ? "rank in the slide" : "probability");
    setText(this.#thresholdText, threshold === null ? "…" : likely ? "not in use" : probability(threshold));
    const back = attention ? "Use the most looked-at tenth" : "Use the model's threshold";
    setText(this.#own, this.#excluding ? "Show the most likely class" : back);
    this.#own.hidden = threshold === null || (this.#excluding ? likely : threshold === this.#ownThreshold);
    this.#rule.hidden = !this.#excluding && !attention;
    setText(this.#rule, info === null ? "" : attention ? ATTENTION_RULE : ruleText(info, settings));
    this.#mark.hidden = likely;
    this.#mark.style.left = `${(threshold ?? 0.5) * 100}%`;
    setNumber(this.#opacity, Math.round(settings.opacity * 100));
    setText(this.#opacityText, `${Math.round(settings.opacity * 100)} %`);
    this.#palette.value = settings.palette;
    this.#outline.checked = settings.outline;
    this.#coverage.checked = settings.coverage;
    this.#quality.checked = settings.quality;
    this.#qualityLabel.hidden = (facts.info?.quality.length ?? 0) === 0;
    this.#eye.setAttribute("aria-pressed", String(settings.visible));
    this.#eye.setAttribute("aria-label", settings.visible ? "Hide layer" : "Show layer");
    this.#eye.title = settings.visible ? "Hide" : "Show";
    this.#badge.hidden = facts.notice === "";
    setText(this.#badge, facts.notice);
    this.#problem.hidden = facts.problem === null;
    setText(this.#problem, facts.problem ?? "");
    this.#remove.hidden = facts.alone;
    this.element.classList.toggle("active", facts.active && !facts.alone);
    this.#choose.setAttribute("aria-pressed", String(facts.active));
    if (settings.palette !== this.#shownPalette) this.#drawBar(settings.palette);
  }

  #drawBar(name: PaletteName): void {
    this.#shownPalette = name;
    const context = this.#bar.getContext("2d");
    if (context === null) return;
    palette(name).forEach((rgb, index) => {
      context.fillStyle = `rgb(${rgb.map((value) => Math.round(value * 255)).join(" ")})`;
      context.fillRect(index, 0, 1, 1);
    });
  }
}

/** Which cells of a result of classes that exclude one another are shown as of the chosen one. */
function ruleText(info: CellsInfo, settings: LayerSettings): string {
  const name = settings.of ?? info.positive;
  if (isLikely(info, settings)) {
    return `Coloured and outlined: where ${name} is the most likely class. Move the slider to choose by probability instead.`;
  }
  const at = probability(settings.threshold ?? info.threshold);
  return `Coloured and outlined: where the probability of ${name} is ${at} or more. Regions and exports stay where it is the most likely class.`;
}

function check(name: string, changed: (on: boolean) => void): HTMLInputElement {
  const input = h("input", { type: "checkbox", "data-check": name });
  input.addEventListener("change", () => {
    changed(input.checked);
  });
  return input;
}
