/** What was done with drawings, to be undone and done again. */

import type { Drawing } from "./drawing";

/** One drawing as it was and as it is then; null: it is not there. */
export interface Change {
  readonly before: Drawing | null;
  readonly after: Drawing | null;
  /** Its place among the user's drawings. */
  readonly at: number;
}

/** Changes that belong together, in their order. */
export type Step = readonly Change[];

/** Steps that are remembered. */
const MOST = 500;

export class History {
  #done: Step[] = [];
  #undone: Step[] = [];

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  /** A step was done; what was undone before is forgotten. */
  add(step: Step): void {
    this.#done = [...this.#done, step].slice(-MOST);
    this.#undone = [];
  }

  /** The step that undoes the last one. */
  undo(): Step {
    const step = this.#done.pop();
    if (step === undefined) return [];
    this.#undone.push(step);
    return step.map(({ before, after, at }) => ({ before: after, after: before, at })).reverse();
  }

  /** The step that was undone last. */
  redo(): Step {
    const step = this.#undone.pop();
    if (step === undefined) return [];
    this.#done.push(step);
    return step;
  }
}

/** The drawings once a step is done. */
export function applied(drawings: readonly Drawing[], step: Step): readonly Drawing[] {
  const next = [...drawings];
  for (const { before, after, at } of step) {
    const id = (before ?? after)?.id;
    const index = next.findIndex((one) => one.id === id);
    if (after === null) {
      if (index !== -1) next.splice(index, 1);
    } else if (index !== -1) next[index] = after;
    else next.splice(Math.min(at, next.length), 0, after);
  }
  return next;
}
