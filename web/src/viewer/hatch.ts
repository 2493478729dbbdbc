/** Patterns for places that were not looked at, or cannot be judged; lines of one width at every zoom. */

import { markName, type Mark } from "./marks";

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
  } else if (mark === "screened") {
    dot(context, side, ratio);
  } else if (mark !== "unreadable") {
    // The slide must stay visible: a person looks whether the mark is right.
    upright(context, side, 1.6 * ratio, mark.colour);
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

/** Small and pale: most of a slide may be screened, and its tissue must stay visible. */
function dot(context: CanvasRenderingContext2D, side: number, ratio: number): void {
  context.fillStyle = "rgb(255 255 255 / 0.6)";
  context.fillRect(side / 2 - 1.5 * ratio, side / 2 - 1.5 * ratio, 3 * ratio, 3 * ratio);
  context.fillStyle = "rgb(2 119 189 / 0.9)";
  context.fillRect(side / 2 - 0.75 * ratio, side / 2 - 0.75 * ratio, 1.5 * ratio, 1.5 * ratio);
}

function upright(context: CanvasRenderingContext2D, side: number, width: number, colour: string): void {
  context.fillStyle = `${colour}26`;
  context.fillRect(0, 0, side, side);
  // Beside each line a light one: a mark is often of the colour of what it marks, as ink is.
  context.fillStyle = "rgb(255 255 255 / 0.8)";
  context.fillRect(width, 0, width, side);
  context.fillStyle = colour;
  context.fillRect(0, 0, width, side);
}

const made = new Map<string, HTMLCanvasElement>();

/** The tile of a mark's pattern; made once per device px ratio. */
export function hatchTile(mark: Mark, ratio: number): HTMLCanvasElement {
  const name = `${markName(mark)}/${ratio}`;
  let canvas = made.get(name);
  if (canvas === undefined) {
    canvas = tileOf(mark, ratio);
    made.set(name, canvas);
  }
  return canvas;
}
