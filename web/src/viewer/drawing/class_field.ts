/** A menu of classes, with a field for one that is not in it. */

import { MAX_CLASS } from "../../api/drawings";
import { fill, h } from "../../ui/dom";
import { swatch } from "../../ui/swatch";

/** Values of a menu that are no classes. */
const OTHER = "\u0000other";
const EVERY = "";

export class ClassField {
  readonly element: HTMLElement;
  readonly #select: HTMLSelectElement;
  readonly #text: HTMLInputElement;
  readonly #swatch = h("span", { class: "class-swatch" });
  readonly #colour: (name: string) => string;
  #shape = "";

  /** `chosen` is told of a class; `every`: of none too, which stands for all. */
  constructor(id: string, colour: (name: string) => string, chosen: (name: string) => void) {
    this.#colour = colour;
    this.#select = h("select", { class: "input", id, "aria-label": "Class" });
    this.#text = h("input", { class: "input", "aria-label": "Name of the class", placeholder: "Name of the class", maxlength: MAX_CLASS, hidden: true });
    this.#select.addEventListener("change", () => {
      const { value } = this.#select;
      this.#text.hidden = value !== OTHER;
      if (value !== OTHER) {
        chosen(value);
        return;
      }
      this.#text.value = "";
      this.#text.focus();
    });
    this.#text.addEventListener("change", () => {
      const name = this.#text.value.trim();
      if (name !== "") chosen(name);
    });
    this.element = h("div", { class: "class-field" }, this.#swatch, this.#select, this.#text);
  }

  /** Show a class; the menu has the names, this one among them. */
  update(name: string, names: readonly string[], every: boolean): void {
    const all = [...(every ? [EVERY] : []), ...new Set([...(name === "" ? [] : [name]), ...names])];
    const shape = JSON.stringify([...all].sort());
    if (shape !== this.#shape) {
      this.#shape = shape;
      const options = all.map((one) => h("option", { value: one }, one === EVERY ? "Every class" : one));
      fill(this.#select, ...options, h("option", { value: OTHER }, "Other class…"));
      this.#select.dataset["name"] = "";
    }
    // Not while another one is being written.
    const writes = document.activeElement === this.#text && !this.#text.hidden;
    if (!writes || this.#select.dataset["name"] !== name) {
      this.#select.value = name;
      this.#text.hidden = true;
    }
    this.#select.dataset["name"] = name;
    fill(this.#swatch, swatch(name === "" ? null : this.#colour(name)));
  }
}
