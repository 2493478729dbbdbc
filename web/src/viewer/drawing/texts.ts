/** What panels call drawings. */

import type { Mpp } from "../../geometry/scale";
import { area, capital, count } from "../../ui/format";
import { areaOf, sizeOf } from "./area";
import type { Drawing } from "./drawing";

const TOOLS: Record<Drawing["tool"], string> = {
  polygon: "polygon",
  rectangle: "rectangle",
  brush: "brush",
  model: "region of the model",
};

/** Its class; of an erasure what is erased. */
export function classText({ effect, className }: Drawing): string {
  if (effect === "add") return className;
  return className === "" ? "Erased" : `Erased: ${className}`;
}

/** An area, in µm² where it is small; in px where nothing says how long a px is. */
export function sizeText(drawing: Drawing, mpp: Mpp | null): string {
  const px2 = sizeOf(areaOf(drawing.rings));
  if (mpp === null) return `${count(Math.round(px2))} px²`;
  const um2 = px2 * mpp.x * mpp.y;
  return um2 < 100_000 ? `${count(Math.round(um2))} µm²` : area(um2 / 1e6);
}

/** One line on a drawing. */
export function aboutText(drawing: Drawing, mpp: Mpp | null): string {
  const tool = TOOLS[drawing.tool];
  return `${drawing.effect === "erase" ? `Erased by ${tool}` : capital(tool)}, ${sizeText(drawing, mpp)}`;
}
