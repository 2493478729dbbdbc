/** Measuring: distances between points that were clicked, in µm. */

import { apply, type Affine, type Point } from "../geometry/affine";
import { distanceUm, lengthText, type Mpp } from "../geometry/scale";

interface Line {
  readonly from: Point;
  /** Null while the other end is being chosen. */
  readonly to: Point | null;
}

export class Measure {
  #lines: Line[] = [];
  #pointer: Point | null = null;
  #on = false;
  readonly #mpp: () => Mpp | null;
  readonly #changed: () => void;

  constructor(mpp: () => Mpp | null, changed: () => void) {
    this.#mpp = mpp;
    this.#changed = changed;
  }

  get on(): boolean {
    return this.#on;
  }

  set on(on: boolean) {
    this.#on = on;
    if (!on) {
      this.#lines = this.#lines.filter((line) => line.to !== null);
      this.#pointer = null;
    }
    this.#changed();
  }

  get empty(): boolean {
    return this.#lines.length === 0;
  }

  /** Begin or end a line at a level-0 place; returns its length once it has both ends. */
  point(place: Point): string | null {
    const last = this.#lines.at(-1);
    this.#changed();
    if (last?.to !== null) {
      this.#lines.push({ from: place, to: null });
      return null;
    }
    this.#lines[this.#lines.length - 1] = { from: last.from, to: place };
    return this.#text(last.from, place);
  }

  /** The pointer is over a level-0 place. */
  move(place: Point | null): void {
    this.#pointer = place;
    if (this.#on && this.#lines.at(-1)?.to === null) this.#changed();
  }

  clear(): void {
    this.#lines = [];
    this.#changed();
  }

  /** Draw all lines in screen px. */
  readonly paint = (context: CanvasRenderingContext2D, toScreen: Affine): void => {
    for (const line of this.#lines) {
      const end = line.to ?? this.#pointer;
      const from = apply(toScreen, line.from);
      if (end !== null) drawLine(context, from, apply(toScreen, end), this.#text(line.from, end));
      else drawEnd(context, from);
    }
  };

  #text(from: Point, to: Point): string {
    const mpp = this.#mpp();
    if (mpp === null) return `${Math.hypot(to.x - from.x, to.y - from.y).toFixed(0)} px`;
    return lengthText(distanceUm(from, to, mpp));
  }
}

function drawLine(context: CanvasRenderingContext2D, from: Point, to: Point, text: string): void {
  for (const [width, colour] of [[4, "rgb(255 255 255 / 0.9)"], [1.8, "#0c1820"]] as const) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }
  drawEnd(context, from);
  drawEnd(context, to);
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const width = context.measureText(text).width + 14;
  const [x, y] = [(from.x + to.x) / 2 - width / 2, (from.y + to.y) / 2 - 26];
  context.fillStyle = "rgb(12 24 32 / 0.88)";
  context.beginPath();
  context.roundRect(x, y, width, 22, 5);
  context.fill();
  context.fillStyle = "#fff";
  context.fillText(text, x + 7, y + 11.5);
}

function drawEnd(context: CanvasRenderingContext2D, at: Point): void {
  context.beginPath();
  context.arc(at.x, at.y, 3.5, 0, Math.PI * 2);
  context.fillStyle = "#fff";
  context.fill();
  context.lineWidth = 1.8;
  context.strokeStyle = "#0c1820";
  context.stroke();
}
