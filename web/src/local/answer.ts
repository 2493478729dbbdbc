/** What an image's probabilities mean: what it is called, the set, and whether to look, as on the server. */

import type { BrowserModel } from "../api/models";

export interface ClassShare {
  readonly name: string;
  readonly colour: string;
  readonly probability: number;
  readonly inSet: boolean;
}

export interface Verdict {
  /** What it is called: the most likely class; of a binary or multilabel model by the threshold. */
  readonly called: readonly string[];
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
  if (limit !== null && inSet.length === 0) review = "resembles no class well enough";
  if (limit !== null && inSet.length > 1) review = `may be ${inSet.map((one) => one.name).join(" or ")}`;
  return { called: calledOf(model, classes), classes, review, doubt: 1 - (classes[0]?.probability ?? 0) };
}

function calledOf(model: BrowserModel, classes: readonly ClassShare[]): string[] {
  if (model.task === "multiclass") return classes.slice(0, 1).map((one) => one.name);
  // In float32, as the probabilities are: 0.5 computed and 0.5 asked for must meet.
  const reached = classes.filter((one) => Math.fround(one.probability) >= Math.fround(model.threshold));
  if (model.task === "multilabel") return reached.map((one) => one.name);
  const isPositive = reached.some((one) => one.name === model.positive);
  return classes.filter((one) => (one.name === model.positive) === isPositive).map((one) => one.name);
}
