/** How probabilities are spread, with the threshold on it. */

import { cssColour } from "../colour/lut";
import type { PaletteName } from "../colour/palette";
import { h, svg } from "../ui/dom";
import { count, probability } from "../ui/format";

const WIDTH = 300;
const HEIGHT = 92;

export class Histogram {
  readonly element: HTMLElement;
  readonly #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "histogram", role: "img" });
  readonly #bars = svg("g");
  readonly #line = svg("line", { y1: 0, y2: HEIGHT, class: "histogram-line" });
  #drawn = "";

  constructor() {
    this.#picture.append(this.#bars, this.#line);
    this.element = h(
      "figure",
      {},
      this.#picture,
      h("figcaption", { class: "palette-ends quiet numbers" }, h("span", {}, "0"), h("span", {}, "cells per probability, logarithmic"), h("span", {}, "1")),
    );
  }

  update(bins: readonly number[], threshold: number, palette: PaletteName): void {
    const drawn = `${palette}/${bins.join()}`;
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#draw(bins, palette);
    }
    const x = String(threshold * WIDTH);
    this.#line.setAttribute("x1", x);
    this.#line.setAttribute("x2", x);
    const total = bins.reduce((sum, bin) => sum + bin, 0);
    const label = `Histogram of ${count(total)} cells by probability; the threshold is ${probability(threshold)}`;
    this.#picture.setAttribute("aria-label", label);
    this.#bars.querySelectorAll("rect").forEach((bar, index) => {
      bar.classList.toggle("below", (index + 1) / bins.length <= threshold);
    });
  }

  #draw(bins: readonly number[], palette: PaletteName): void {
    const most = Math.log10(1 + Math.max(1, ...bins));
    const step = WIDTH / bins.length;
    this.#bars.replaceChildren(
      ...bins.map((bin, index) => {
        const height = bin === 0 ? 0 : Math.max(1.5, (Math.log10(1 + bin) / most) * (HEIGHT - 4));
        return svg("rect", {
          x: index * step + 0.5,
          y: HEIGHT - height,
          width: step - 1,
          height,
          fill: cssColour(palette, (index + 0.5) / bins.length),
        });
      }),
    );
  }
}
