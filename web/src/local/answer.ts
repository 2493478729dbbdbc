/** What an image's probabilities mean: the classes by likelihood, the set, and whether to look. */

import type { BrowserModel } from "../api/models";

export interface ClassShare {
  readonly name: string;
  readonly colour: string;
  readonly probability: number;
  readonly inSet: boolean;
}

export interface Verdict {
  /** The most likely first. */
  readonly classes: readonly ClassShare[];
  /** Why a person has to look; null: the answer stands. */
  readonly review: string | null;
  /** How unsure it is, 0 to 1: 1 - the largest probability. */
  readonly doubt: number;
}

/** The verdict on one image; `probabilities` are of all classes, in their order. */
export function verdictOf(model: BrowserModel, probabilities: readonly number[]): Verdict {
  const limit = model.set_limit;
  const classes = model.classes.map((one, index) => {
    const probability = probabilities[index] ?? NaN;
    return { ...one, probability, inSet: limit !== null && 1 - probability <= limit };
  });
  classes.sort((a, b) => b.probability - a.probability);
  const inSet = classes.filter((one) => one.inSet);
  let review: string | null = null;
  if (limit !== null && inSet.length === 0) review = "no class is likely enough";
  if (limit !== null && inSet.length > 1) review = `may be ${inSet.map((one) => one.name).join(" or ")}`;
  return { classes, review, doubt: 1 - (classes[0]?.probability ?? 0) };
}
