/** What a layer can show of a result: the probability of a class, or where its networks look. */

import type { ClassLabel } from "../api/jobs";
import type { LayerSettings } from "../state/viewer_state";
import type { CellsInfo } from "./results";

/** Of a result: what there is to choose from. */
type Choices = Pick<CellsInfo, "classes" | "attention" | "positive">;

/** The classes that have probabilities. */
export function planesOf(info: Pick<CellsInfo, "classes">): readonly ClassLabel[] {
  return info.classes.filter((one) => one.colour !== null);
}

/** What is shown in place of a class: the rank of each cell, of where the networks look. */
export const ATTENTION: ClassLabel = { label: -1, name: "attention", colour: "#6d5bd0" };

/** All that can be shown: the classes that have probabilities, and the attention. */
export function shownOf(info: Pick<CellsInfo, "classes" | "attention">): readonly ClassLabel[] {
  return info.attention ? [...planesOf(info), ATTENTION] : planesOf(info);
}

/** Whether there is nothing: no class with probabilities, and the networks weigh all tiles alike. */
export function showsNothing(info: Pick<CellsInfo, "classes" | "attention">): boolean {
  return shownOf(info).length === 0;
}

/** What is said of such a result where others are set up. */
export const NOTHING_SHOWN =
  "Nothing to show on the slide: this model has no classes, and all tiles count alike. Its answer for the slide is in Figures.";

/** Rank from which attention is outlined, as exports do: the tenth of the tissue that is looked at most. */
const ATTENTION_FROM = 0.9;

/** What is shown: what was chosen, else the positive class, else attention, which is all that an encoder has. */
export function chosenOf(info: Choices, name: string | null): ClassLabel | undefined {
  const shown = shownOf(info);
  return shown.find((one) => one.name === name) ?? shown.find((one) => one.name === info.positive) ?? shown[0];
}

/** Whether attention is shown in place of a class. */
export function attends(info: Choices, settings: Pick<LayerSettings, "of" | "labels">): boolean {
  return !settings.labels && chosenOf(info, settings.of)?.name === ATTENTION.name;
}

/** The number from which cells are outlined until somebody chooses another. */
export function ownThreshold(info: Choices & Pick<CellsInfo, "threshold">, settings: Pick<LayerSettings, "of" | "labels">): number {
  return attends(info, settings) ? ATTENTION_FROM : info.threshold;
}

/** What the numbers shown of a class are called. */
export function measureOf({ name }: ClassLabel, alone: boolean): string {
  if (name === ATTENTION.name) return "Attention, rank within the slide";
  return alone ? "Probability" : `Probability of ${name}`;
}
