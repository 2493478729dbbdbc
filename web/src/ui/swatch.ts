/** A small square in the colour of a class. */

import { h } from "./dom";

/** Without a colour, the veil of what was looked at. */
export function swatch(colour: string | null): HTMLElement {
  const element = h("span", { class: "swatch", "aria-hidden": "true" });
  if (colour !== null) element.style.backgroundColor = colour;
  return element;
}
