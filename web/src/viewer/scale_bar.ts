/** The scale bar, and the buttons for magnifications. */

import {
  isSquare,
  magnificationOf,
  magnificationText,
  MAGNIFICATIONS,
  roundLengthText,
  scaleBar,
  umAcross,
  type Mpp,
} from "../geometry/scale";
import { h, setText } from "../ui/dom";

/** Longest bar, screen px. */
const MOST_PX = 150;

/** The picture keeps the slide's px: where they are not square, a length depends on its direction. */
const NOT_SQUARE =
  "The px of this slide are not square, and the picture shows them as stored: it is longer or shorter than the tissue. The bar holds from left to right; measured lengths and areas are right in every direction.";

/** What a bar says: where px are not square, also the direction it holds for. */
export function barText(um: number, mpp: Mpp): string {
  return isSquare(mpp) ? roundLengthText(um) : `${roundLengthText(um)} left to right (px not square)`;
}

export class ScaleBarView {
  readonly #line = h("span", { class: "scale-line", "aria-hidden": "true" });
  readonly #text = h("span", { class: "numbers" });
  readonly element = h("div", { class: "scale-bar" }, this.#text, this.#line);

  update(zoom: number, rotation: number, mpp: Mpp | null): void {
    const bar = scaleBar(zoom, mpp === null ? 1 : umAcross(mpp, rotation), MOST_PX);
    setText(this.#text, mpp === null ? `${bar.um} px` : barText(bar.um, mpp));
    this.element.title = mpp === null || isSquare(mpp) ? "" : NOT_SQUARE;
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
