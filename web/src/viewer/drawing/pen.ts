/**
 * The tools: what presses and moves of the pointer draw.
 *
 * Places are level-0 px. What is near, or upright, is so on the screen, by the map from level 0 to
 * the screen at that moment; between two corners the slide may be moved, zoomed and turned.
 */

import { apply, invert, type Affine, type Point } from "../../geometry/affine";
import { brushed, snap, type Ring, type Rings } from "./area";

export const TOOLS = ["select", "polygon", "rectangle", "brush"] as const;
export type ToolName = (typeof TOOLS)[number];

/** Diameter of the brush, screen px. */
export const BRUSH_LIMITS = { least: 2, most: 300 } as const;

/** A press this near the first corner closes a polygon, screen px. */
const CLOSES_PX = 9;
/** A second press this near and this soon after the first is a double click. */
const DOUBLE_PX = 5;
const DOUBLE_MS = 400;
/** Rectangles with a shorter side are slips of the hand, screen px. */
const LEAST_SIDE_PX = 3;
/** The brush notes its place each so many screen px. */
const STEP_PX = 0.7;

/** What is being drawn, to be shown. */
export interface Sketched {
  readonly corners: Ring;
  /** Where the pointer is. */
  readonly end: Point | null;
  /** Of the brush, level-0 px. */
  readonly radius: number;
}

export class Pen {
  /** Diameter of the brush, screen px. */
  brushPx = 40;
  #tool: ToolName = "select";
  #corners: Point[] = [];
  #end: Point | null = null;
  /** While the brush paints. */
  #radius = 0;
  #pressedAt = -Infinity;

  get tool(): ToolName {
    return this.#tool;
  }

  set tool(tool: ToolName) {
    this.#tool = tool;
    this.drop();
  }

  /** Whether something is begun and not finished. */
  get busy(): boolean {
    return this.#corners.length > 0;
  }

  get sketched(): Sketched {
    return { corners: this.#corners, end: this.#end, radius: this.#radius };
  }

  /** The pointer is pressed, `at` in ms; what is finished by that. */
  press(place: Point, toScreen: Affine, at: number): Rings | null {
    const point = snap(place);
    const again = at - this.#pressedAt < DOUBLE_MS && this.#isNear(this.#corners.at(-1), point, toScreen, DOUBLE_PX);
    this.#pressedAt = at;
    this.#end = point;
    if (this.#tool === "brush") {
      this.#radius = this.brushPx / 2 / scaleOf(toScreen);
      this.#corners = [point];
      return null;
    }
    if (this.#tool === "polygon") {
      const closes = this.#corners.length > 2 && this.#isNear(this.#corners[0], point, toScreen, CLOSES_PX);
      if (again || closes) return this.finish(toScreen);
    }
    return this.corner(point, toScreen);
  }

  /** Set a corner; what is finished by that. */
  corner(place: Point, toScreen: Affine): Rings | null {
    const point = snap(place);
    this.#end = point;
    if (this.#tool === "rectangle" && this.busy) return this.finish(toScreen);
    if (this.#tool === "polygon" || this.#tool === "rectangle") this.#corners.push(point);
    return null;
  }

  move(place: Point | null, toScreen: Affine): void {
    this.#end = place === null ? null : snap(place);
    if (this.#tool !== "brush" || !this.busy || this.#end === null) return;
    if (!this.#isNear(this.#corners.at(-1), this.#end, toScreen, STEP_PX)) this.#corners.push(this.#end);
  }

  /** The pointer is let go; what is finished by that. */
  release(toScreen: Affine): Rings | null {
    if (!this.busy) return null;
    if (this.#tool === "brush") return this.finish(toScreen);
    // A click begins a rectangle that the next one ends; who drags ends it here.
    const dragged = this.#tool === "rectangle" && !this.#isNear(this.#corners[0], this.#end, toScreen, LEAST_SIDE_PX);
    return dragged ? this.finish(toScreen) : null;
  }

  /** End what is being drawn; null where it encloses nothing. */
  finish(toScreen: Affine): Rings | null {
    const rings = this.#rings(toScreen);
    this.drop();
    return rings;
  }

  /** Take the last corner back; false where there is none. */
  back(): boolean {
    if (this.#tool === "polygon") return this.#corners.pop() !== undefined;
    const { busy } = this;
    this.drop();
    return busy;
  }

  drop(): void {
    this.#corners = [];
    this.#radius = 0;
    this.#pressedAt = -Infinity;
  }

  #rings(toScreen: Affine): Rings | null {
    const [first] = this.#corners;
    if (first === undefined) return null;
    if (this.#tool === "polygon") return this.#corners.length < 3 ? null : [this.#corners];
    if (this.#tool === "brush") return brushed(this.#corners, this.#radius, scaleOf(toScreen));
    const [from, to] = [apply(toScreen, first), apply(toScreen, this.#end ?? first)];
    if (Math.min(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) < LEAST_SIDE_PX) return null;
    return [uprightCorners(first, this.#end ?? first, toScreen)];
  }

  #isNear(one: Point | undefined, other: Point | null, toScreen: Affine, px: number): boolean {
    if (one === undefined || other === null) return false;
    return Math.hypot(one.x - other.x, one.y - other.y) * scaleOf(toScreen) <= px;
  }
}

/** The corners of the rectangle, upright on the screen, that two level-0 places span. */
export function uprightCorners(one: Point, other: Point, toScreen: Affine): Ring {
  const [from, to] = [apply(toScreen, one), apply(toScreen, other)];
  const back = invert(toScreen);
  const across = apply(back, { x: to.x, y: from.y });
  const down = apply(back, { x: from.x, y: to.y });
  return [one, snap(across), other, snap(down)];
}

/** Screen px per level-0 px. */
function scaleOf(toScreen: Affine): number {
  return Math.hypot(toScreen.a, toScreen.b);
}
