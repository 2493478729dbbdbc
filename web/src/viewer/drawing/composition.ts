/**
 * What one user's areas and erasures, in their order, come to: one area for each class.
 *
 * Each area is added to its class; an erasure takes from its class, or from all, what came before.
 */

import { NOTHING, areaOf, boxOf, joined, touches, unionOf, without, type Area } from "./area";
import type { Drawing } from "./drawing";

export type ByClass = ReadonlyMap<string, Area>;

/** Areas of this many last drawings are remembered, for undoing. */
const REMEMBERED = 32;
/** Where no more than these are new, they are added one by one to what is known. */
const FEW = 4;

/** Composes drawings, with what is known of the last times. */
export class Composition {
  #drawings: readonly Drawing[] = [];
  /** Of the first so many of the drawings. */
  readonly #known = new Map<number, ByClass>();

  of(drawings: readonly Drawing[]): ByClass {
    if (drawings !== this.#drawings) this.#forget(drawings);
    let state = this.#known.get(drawings.length);
    if (state !== undefined) return state;
    const near = Math.max(...this.#known.keys(), 0);
    if (drawings.length - near > FEW) {
      state = composed(drawings);
      this.#remember(drawings.length, state);
      return state;
    }
    state = this.#known.get(near) ?? new Map<string, Area>();
    for (const [index, drawing] of drawings.slice(near).entries()) {
      state = after(state, drawing);
      this.#remember(near + index + 1, state);
    }
    return state;
  }

  /** Forget what other drawings came to. */
  #forget(drawings: readonly Drawing[]): void {
    let same = 0;
    while (same < drawings.length && isSame(this.#drawings[same], drawings[same])) same++;
    for (const count of this.#known.keys()) if (count > same) this.#known.delete(count);
    this.#drawings = drawings;
  }

  #remember(count: number, state: ByClass): void {
    this.#known.set(count, state);
    for (const old of this.#known.keys()) if (old < count - REMEMBERED) this.#known.delete(old);
  }
}

function isSame(one: Drawing | undefined, other: Drawing | undefined): boolean {
  return one?.effect === other?.effect && one?.className === other?.className && one?.rings === other?.rings;
}

function erases(erasure: Drawing, className: string): boolean {
  return erasure.effect === "erase" && (erasure.className === "" || erasure.className === className);
}

/** All at once: each area less what later erasures take from it, then those of a class united. */
function composed(drawings: readonly Drawing[]): ByClass {
  const parts = new Map<string, Area[]>();
  for (const [index, { effect, className, rings }] of drawings.entries()) {
    if (effect === "erase") continue;
    const later = drawings
      .slice(index + 1)
      .filter((one) => erases(one, className) && touches(boxOf(rings), boxOf(one.rings)))
      .map((one) => areaOf(one.rings));
    const left = later.length === 0 ? areaOf(rings) : without(areaOf(rings), unionOf(later));
    const areas = parts.get(className);
    if (areas === undefined) parts.set(className, [left]);
    else areas.push(left);
  }
  return new Map([...parts].map(([className, areas]) => [className, unionOf(areas)]));
}

function after(state: ByClass, drawing: Drawing): ByClass {
  const area = areaOf(drawing.rings);
  const next = new Map(state);
  if (drawing.effect === "add") {
    const whole = state.get(drawing.className) ?? NOTHING;
    next.set(drawing.className, joined(whole, area));
    return next;
  }
  for (const [className, whole] of state) if (erases(drawing, className)) next.set(className, without(whole, area));
  return next;
}
