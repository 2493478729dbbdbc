/** The scale bar, and the buttons for magnifications. */

import {
  magnificationOf,
  magnificationText,
  MAGNIFICATIONS,
  roundLengthText,
  scaleBar,
  type Mpp,
} from "../geometry/scale";
import { h, setText } from "../ui/dom";

/** Longest bar, screen px. */
const MOST_PX = 150;

export class ScaleBarView {
  readonly #line = h("span", { class: "scale-line", "aria-hidden": "true" });
  readonly #text = h("span", { class: "numbers" });
  readonly element = h("div", { class: "scale-bar" }, this.#text, this.#line);

  update(zoom: number, mpp: Mpp | null): void {
    const bar = scaleBar(zoom, mpp?.x ?? 1, MOST_PX);
    setText(this.#text, mpp === null ? `${bar.um} px` : roundLengthText(bar.um));
    this.#line.style.width = `${bar.px}px`;
  }
}

export class Magnifications {
  readonly element = h("div", { class: "segments", role: "group", "aria-label": "Magnification" });
  readonly #now = h("output", { class: "magnification-now numbers", "aria-label": "Current magnification" });
  readonly #buttons: HTMLButtonElement[];

  constructor(go: (magnification: number) => void) {
    this.#buttons = MAGNIFICATIONS.map((magnification, index) =>
      h(
        "button",
        {
          type: "button",
          title: `${magnification}× (${index + 1})`,
          "data-magnification": magnification,
          on: { click: () => { go(magnification); } },
        },
        `${magnification}×`,
      ),
    );
    this.element.append(this.#now, ...this.#buttons);
  }

  update(zoom: number, mpp: Mpp | null): void {
    this.element.hidden = mpp === null;
    if (mpp === null) return;
    const now = magnificationOf(zoom, mpp);
    setText(this.#now, magnificationText(now));
    for (const button of this.#buttons) {
      const of = Number(button.dataset["magnification"]);
      button.setAttribute("aria-pressed", String(Math.abs(now / of - 1) < 0.005));
    }
  }
}
