/** What one user's areas and erasures, in their order, come to: one area for each class. */

import { NOTHING, areaOf, joined, without, type Area } from "./area";
import type { Drawing } from "./drawing";

export type ByClass = ReadonlyMap<string, Area>;

/** After this many of the last drawings the areas are remembered, for undoing; */
const NEAR = 24;
/** and after each of these, for changes further back. */
const FAR = 64;

const EMPTY: ByClass = new Map();

/**
 * Composes drawings, beginning where they differ from those of the last time.
 *
 * Each area is added to its class; an erasure takes from its class, or from all, what came before.
 */
export class Composition {
  #drawings: readonly Drawing[] = [];
  /** By how many drawings they are made of. */
  readonly #states = new Map<number, ByClass>([[0, EMPTY]]);

  of(drawings: readonly Drawing[]): ByClass {
    if (drawings !== this.#drawings) this.#compose(drawings);
    return this.#states.get(drawings.length) ?? EMPTY;
  }

  #compose(drawings: readonly Drawing[]): void {
    const before = this.#drawings;
    let same = 0;
    while (same < drawings.length && isSame(before[same], drawings[same])) same++;
    this.#drawings = drawings;
    for (const made of [...this.#states.keys()]) if (made > same) this.#states.delete(made);
    let at = Math.max(...this.#states.keys());
    let state = this.#states.get(at) ?? EMPTY;
    for (const drawing of drawings.slice(at)) {
      state = after(state, drawing);
      this.#states.set(++at, state);
      const old = at - NEAR;
      if (old > 0 && old % FAR !== 0) this.#states.delete(old);
    }
  }
}

function isSame(one: Drawing | undefined, other: Drawing | undefined): boolean {
  return one?.effect === other?.effect && one?.className === other?.className && one?.rings === other?.rings;
}

function after(state: ByClass, { effect, className, rings }: Drawing): ByClass {
  const area = areaOf(rings);
  const next = new Map(state);
  if (effect === "add") {
    next.set(className, joined(state.get(className) ?? NOTHING, area));
    return next;
  }
  for (const [name, whole] of state) {
    if (className === "" || className === name) next.set(name, without(whole, area));
  }
  return next;
}
