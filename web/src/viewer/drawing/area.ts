/**
 * Areas: what drawings enclose, added, taken away, and cut into outlines with their holes.
 *
 * Set operations are those of Clipper2, on whole hundredths of a level-0 px: exact, where
 * floating-point ones fail on outlines that nearly touch.
 */

import {
  ClipType,
  Clipper,
  EndType,
  FillRule,
  JoinType,
  PolyTree64,
  type Path64,
  type Paths64,
  type PolyPath64,
} from "clipper2-ts";

import type { Point } from "../../geometry/affine";
import type { Box } from "../../geometry/view";

/** Level-0 px, not closed. */
export type Ring = readonly Point[];
/** An outline, then its holes. */
export type Rings = readonly Ring[];
/** Rings in hundredths of a level-0 px: outlines turn one way, holes the other. */
export type Area = Paths64;

export const NOTHING: Area = [];

/** Of `/v1/slides/{id}/drawings`: points of one drawing, and its rings. */
const MOST_POINTS = 20_000;
const MOST_RINGS = 1000;
const STEPS = 100;
/** How far an outline of the brush may lie from the exact one, screen px. */
const BRUSH_PX = 0.15;
/** Holes of a stroke smaller than this are left by its joints, screen px². */
const LEAST_HOLE_PX = 4;

/** A place as drawings keep it. */
export function snap({ x, y }: Point): Point {
  return { x: Math.round(x * STEPS) / STEPS, y: Math.round(y * STEPS) / STEPS };
}

/** What rings enclose: points inside an odd number of their turns, the service's rule. */
export const areaOf = remembered((rings): Area => Clipper.union(rings.map(toPath), FillRule.EvenOdd));

export function joined(one: Area, other: Area): Area {
  return Clipper.union(one, other, FillRule.NonZero);
}

export function unionOf(areas: readonly Area[]): Area {
  return Clipper.union(areas.flat(), FillRule.NonZero);
}

export function without(one: Area, other: Area): Area {
  return Clipper.difference(one, other, FillRule.NonZero);
}

/** Level-0 px². */
export function sizeOf(area: Area): number {
  return Math.abs(Clipper.areaPaths(area)) / STEPS ** 2;
}

/** The rings of an area, level-0 px. */
export function ringsOf(area: Area): Rings {
  return area.map(toRing);
}

/** Connected pieces: each an outline with its holes. */
export function piecesOf(rings: Rings): readonly Rings[] {
  return pieces(rings.map(toPath), FillRule.EvenOdd).map((piece) => piece.map(toRing));
}

/**
 * The outline, with its holes, of what a round brush paints along a path.
 *
 * `radius` is in level-0 px, `zoom` in screen px per level-0 px: nobody sees what is finer.
 */
export function brushed(path: Ring, radius: number, zoom: number): Rings {
  const exact = (BRUSH_PX / zoom) * STEPS;
  const line = Clipper.ramerDouglasPeucker(Clipper.stripDuplicates(toPath(path), false), exact);
  const swept = Clipper.inflatePaths([line], radius * STEPS, JoinType.Round, EndType.Round, 2, Math.max(exact, 1));
  const found = pieces(swept, FillRule.NonZero).sort((one, other) => outlineArea(other) - outlineArea(one));
  const [outline, ...holes] = found[0] ?? [];
  if (outline === undefined) return [];
  const least = LEAST_HOLE_PX * (STEPS / zoom) ** 2;
  const kept = [outline, ...holes.filter((hole) => Math.abs(Clipper.area(hole)) >= least)];
  return fitting(kept.map(toRing), BRUSH_PX / zoom);
}

/** Rings with as few points as the service takes: `tolerance`, level-0 px, is doubled until then. */
export function fitting(rings: Rings, tolerance: number): Rings {
  let few = rings;
  for (let most = tolerance; ; most *= 2) {
    const points = few.reduce((sum, ring) => sum + ring.length, 0);
    if (points <= MOST_POINTS && few.length <= MOST_RINGS) return few;
    few = rings
      .map((ring) => toRing(Clipper.simplifyPath(toPath(ring), most * STEPS, true)))
      .filter((ring, index) => index === 0 || (ring.length >= 3 && boxOf([ring]).width > 2 * most));
  }
}

/** Whether a level-0 point lies inside an odd number of rings. */
export function isInside(rings: Rings, { x, y }: Point): boolean {
  let inside = false;
  for (const ring of rings) {
    let from = ring.at(-1);
    for (const to of ring) {
      if (from !== undefined && from.y > y !== to.y > y) {
        const crosses = from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x);
        if (x < crosses) inside = !inside;
      }
      from = to;
    }
  }
  return inside;
}

/** The box around rings, level-0 px. */
export const boxOf = remembered((rings): Box => {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of rings.flat()) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
});

/** Whether boxes have a point in common. */
export function touches(one: Box, other: Box): boolean {
  const across = one.x <= other.x + other.width && other.x <= one.x + one.width;
  return across && one.y <= other.y + other.height && other.y <= one.y + one.height;
}

/** Computes once what is asked of the same rings again. */
function remembered<T>(compute: (rings: Rings) => T): (rings: Rings) => T {
  const known = new WeakMap<Rings, T>();
  return (rings) => {
    const found = known.get(rings);
    if (found !== undefined) return found;
    const made = compute(rings);
    known.set(rings, made);
    return made;
  };
}

function toPath(ring: Ring): Path64 {
  return ring.map(({ x, y }) => ({ x: Math.round(x * STEPS), y: Math.round(y * STEPS) }));
}

function toRing(path: Path64): Ring {
  return path.map(({ x, y }) => ({ x: x / STEPS, y: y / STEPS }));
}

function outlineArea(piece: Paths64): number {
  return Math.abs(Clipper.area(piece[0] ?? []));
}

function pieces(paths: Paths64, rule: FillRule): Paths64[] {
  const tree = new PolyTree64();
  Clipper.booleanOpWithPolyTree(ClipType.Union, paths, null, tree, rule);
  const found: Paths64[] = [];
  const collect = (node: PolyPath64): void => {
    for (let index = 0; index < node.count; index++) {
      const outline = node.child(index);
      const piece = [outline.poly ?? []];
      for (let hole = 0; hole < outline.count; hole++) {
        piece.push(outline.child(hole).poly ?? []);
        // What lies inside a hole is a piece of its own.
        collect(outline.child(hole));
      }
      found.push(piece);
    }
  };
  collect(tree);
  return found;
}
