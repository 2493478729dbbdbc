/** Which class of a result is shown, or every cell in the colour of its class, and what colours mean. */

import type { LayerSettings } from "../state/viewer_state";
import { fill, h } from "../ui/dom";
import type { ClassLabel } from "../api/jobs";
import { swatch } from "../ui/swatch";
import type { CellsInfo } from "./results";
import { planesOf, shownOf } from "./shown";

export class ClassMenu {
  /** Empty and hidden for results of one class. */
  readonly element = h("div", { class: "class-menu", hidden: true });
  readonly #id: string;
  readonly #changed: (settings: Partial<LayerSettings>) => void;
  readonly #radios = new Map<string, HTMLInputElement>();
  readonly #labels = h("input", { type: "checkbox", "data-check": "labels" });
  readonly #legend = h("ul", { class: "class-legend", "aria-label": "Colours of the classes" });
  #of: CellsInfo | null = null;

  constructor(id: string, changed: (settings: Partial<LayerSettings>) => void) {
    this.#id = id;
    this.#changed = changed;
    this.#labels.addEventListener("change", () => {
      changed({ labels: this.#labels.checked });
    });
  }

  update(settings: LayerSettings, info: CellsInfo | null): void {
    if (info === null || shownOf(info).length === 1) return;
    if (info !== this.#of) this.#build(info);
    const shown = this.#radios.get(settings.of ?? info.positive) ?? this.#radios.get(info.positive);
    if (shown !== undefined) shown.checked = true;
    this.#labels.checked = settings.labels;
    this.#legend.hidden = !settings.labels;
  }

  #build(info: CellsInfo): void {
    this.#of = info;
    this.#radios.clear();
    fill(
      this.element,
      h("fieldset", {}, h("legend", {}, info.attention ? "Shown" : "Class"), ...shownOf(info).map((one) => this.#choice(one, info.positive))),
      planesOf(info).length > 1 && h("label", { class: "class-likely" }, this.#labels, "Most likely class"),
      this.#legend,
    );
    fill(this.#legend, ...info.classes.map((one) => h("li", {}, swatch(one.colour), h("span", {}, one.name))));
    this.element.hidden = false;
  }

  #choice({ name, colour }: ClassLabel, positive: string): HTMLElement {
    const radio = h("input", { type: "radio", name: `${this.#id}-class`, value: name });
    radio.addEventListener("change", () => {
      this.#changed({ of: name === positive ? null : name });
    });
    this.#radios.set(name, radio);
    return h("label", {}, radio, swatch(colour), h("span", { class: "cut" }, name));
  }
}
