/** Patterns for places that were not looked at; their lines keep their width at every zoom. */

import type { Mark } from "./layer";

/** Side of a pattern's tile, device px at a ratio of 1. */
const SIDE = 8;

function tileOf(mark: Mark, ratio: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const side = Math.max(4, Math.round(SIDE * ratio));
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d");
  if (context === null) return canvas;
  if (mark === "unread") {
    diagonal(context, side, Math.max(1, ratio), "rgb(70 84 94 / 0.5)", false);
  } else {
    context.fillStyle = "rgb(214 120 0 / 0.22)";
    context.fillRect(0, 0, side, side);
    diagonal(context, side, 1.8 * ratio, "rgb(176 84 0 / 0.95)", false);
    diagonal(context, side, 1.8 * ratio, "rgb(176 84 0 / 0.95)", true);
  }
  return canvas;
}

function diagonal(
  context: CanvasRenderingContext2D,
  side: number,
  width: number,
  colour: string,
  falling: boolean,
): void {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const shift of [-side, 0, side]) {
    context.moveTo(shift - 1, falling ? -1 : side + 1);
    context.lineTo(shift + side + 1, falling ? side + 1 : -1);
  }
  context.stroke();
}

const made = new Map<string, HTMLCanvasElement>();

/** The tile of a mark's pattern; made once per device px ratio. */
export function hatchTile(mark: Mark, ratio: number): HTMLCanvasElement {
  const name = `${mark}/${ratio}`;
  let canvas = made.get(name);
  if (canvas === undefined) {
    canvas = tileOf(mark, ratio);
    made.set(name, canvas);
  }
  return canvas;
}
