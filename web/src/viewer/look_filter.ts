/** The browser's filter that shows a look: tables of channels, and a matrix between two of them. */

import {
  changesTone,
  densityTable,
  isPlain,
  lightTable,
  stainMatrix,
  toneTable,
  type Look,
} from "../colour/look";
import { fill, svg } from "../ui/dom";

const ID = "viewer-look";

export class LookFilter {
  /** Must be in the page, and is not seen. */
  readonly element: SVGSVGElement;
  readonly #filter = svg("filter", {
    id: ID,
    // The tables are of the values that pictures hold, not of linear light.
    "color-interpolation-filters": "sRGB",
    x: 0,
    y: 0,
    width: "100%",
    height: "100%",
  });
  #shown: Look | null = null;

  constructor() {
    this.element = svg("svg", { class: "viewer-look", "aria-hidden": "true", width: 0, height: 0 }, this.#filter);
  }

  /** Show a look; returns what an element's style calls the filter: empty where none is needed. */
  show(look: Look): string {
    if (look !== this.#shown) {
      this.#shown = look;
      fill(this.#filter, ...steps(look));
    }
    return isPlain(look) ? "" : `url(#${ID})`;
  }
}

function steps(look: Look): SVGElement[] {
  const made: SVGElement[] = [];
  if (look.stain !== "all") {
    const rows = stainMatrix(look.stain).map((row) => [...row, 0, 0].map((value) => value.toFixed(6)).join(" "));
    const values = [...rows, "0 0 0 1 0"].join(" ");
    made.push(transfer(densityTable()), svg("feColorMatrix", { type: "matrix", values }), transfer(lightTable()));
  }
  if (changesTone(look)) made.push(transfer(toneTable(look)));
  return made;
}

function transfer(table: readonly number[]): SVGElement {
  const tableValues = table.map((value) => value.toFixed(5)).join(" ");
  const of = { type: "table", tableValues };
  return svg("feComponentTransfer", {}, svg("feFuncR", of), svg("feFuncG", of), svg("feFuncB", of));
}
