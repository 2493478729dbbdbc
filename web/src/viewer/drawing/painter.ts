/** Drawings over the slide: mine with a plain line, colleagues' with a broken one. */

import type { Affine, Point } from "../../geometry/affine";
import type { Size } from "../../geometry/view";
import { ringsOf, type Area, type Rings } from "./area";
import type { Desk } from "./desk";
import { uprightCorners } from "./pen";

const MARK = "rgb(12 106 120)";
const HALO = "rgb(255 255 255 / 0.85)";

export class DrawingPainter {
  readonly #desk: Desk;
  readonly #slide: Size;
  readonly #paths = new WeakMap<Area | Rings, Path2D>();

  constructor(desk: Desk, slide: Size) {
    this.#desk = desk;
    this.#slide = slide;
  }

  /** Draw everything, level-0 px by one affine map. */
  readonly paint = (context: CanvasRenderingContext2D, toScreen: Affine): void => {
    const { book, hidden, selected } = this.#desk;
    const px = 1 / Math.hypot(toScreen.a, toScreen.b);
    context.transform(toScreen.a, toScreen.b, toScreen.c, toScreen.d, toScreen.e, toScreen.f);
    context.lineJoin = "round";
    context.save();
    context.beginPath();
    context.rect(0, 0, this.#slide.width, this.#slide.height);
    context.clip();
    for (const colleague of book.colleagues) {
      if (hidden.has(colleague.author.id)) continue;
      for (const [name, area] of book.areasOf(colleague)) this.#paintArea(context, name, area, px, false);
    }
    if (!hidden.has("")) {
      for (const [name, area] of book.areas) this.#paintArea(context, name, area, px, true);
      if (selected !== null) {
        const path = this.#path(selected.rings, selected.rings);
        context.setLineDash(selected.effect === "erase" ? [6 * px, 5 * px] : []);
        stroke(context, path, 5 * px, HALO);
        stroke(context, path, 2.6 * px, MARK);
        context.setLineDash([]);
      }
    }
    context.restore();
    if (this.#desk.draws) this.#paintSketch(context, toScreen, px);
  };

  #paintArea(context: CanvasRenderingContext2D, name: string, area: Area, px: number, mine: boolean): void {
    if (area.length === 0) return;
    const path = this.#path(area, null);
    const colour = this.#desk.colour(name);
    context.globalAlpha = mine ? 0.2 : 0.1;
    context.fillStyle = colour;
    context.fill(path, "evenodd");
    context.globalAlpha = 1;
    stroke(context, path, 3.6 * px, HALO);
    context.setLineDash(mine ? [] : [7 * px, 5 * px]);
    stroke(context, path, 1.9 * px, colour);
    context.setLineDash([]);
  }

  #paintSketch(context: CanvasRenderingContext2D, toScreen: Affine, px: number): void {
    const { pen, effect, className } = this.#desk;
    const { corners, end, radius } = pen.sketched;
    const colour = effect === "erase" ? "#17222a" : this.#desk.colour(className);
    if (pen.tool === "brush") {
      if (pen.busy) {
        context.lineCap = "round";
        context.globalAlpha = effect === "erase" ? 0.6 : 0.4;
        stroke(context, pathOf([corners], false), 2 * radius, effect === "erase" ? "#fff" : colour);
        context.globalAlpha = 1;
      }
      if (end !== null) {
        const ring = new Path2D();
        ring.arc(end.x, end.y, pen.busy ? radius : (pen.brushPx / 2) * px, 0, 2 * Math.PI);
        stroke(context, ring, 3.2 * px, HALO);
        stroke(context, ring, 1.4 * px, colour);
      }
      return;
    }
    const [first] = corners;
    if (first === undefined) return;
    const shown = pen.tool === "rectangle" ? uprightCorners(first, end ?? first, toScreen) : [...corners, ...(end === null ? [] : [end])];
    const path = pathOf([shown], pen.tool === "rectangle");
    if (effect === "erase") context.setLineDash([6 * px, 5 * px]);
    stroke(context, path, 3.6 * px, HALO);
    stroke(context, path, 1.9 * px, colour);
    context.setLineDash([]);
    if (pen.tool === "polygon") for (const corner of corners) dot(context, corner, px, colour);
  }

  #path(key: Area | Rings, rings: Rings | null): Path2D {
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = pathOf(rings ?? ringsOf(key as Area), true);
      this.#paths.set(key, path);
    }
    return path;
  }
}

function pathOf(rings: Rings, closed: boolean): Path2D {
  const path = new Path2D();
  for (const [first, ...rest] of rings) {
    if (first === undefined) continue;
    path.moveTo(first.x, first.y);
    // A place by itself is a dot of a round line.
    if (rest.length === 0) path.lineTo(first.x, first.y);
    for (const { x, y } of rest) path.lineTo(x, y);
    if (closed) path.closePath();
  }
  return path;
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, width: number, colour: string): void {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(path);
}

function dot(context: CanvasRenderingContext2D, at: Point, px: number, colour: string): void {
  context.beginPath();
  context.arc(at.x, at.y, 3.5 * px, 0, 2 * Math.PI);
  context.fillStyle = "#fff";
  context.fill();
  context.lineWidth = 1.8 * px;
  context.strokeStyle = colour;
  context.stroke();
}
