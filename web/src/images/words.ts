/** Answers in words. */

import type { ImageAnswer, ImageLabel, StoredImage } from "../api/images";
import type { Model } from "../api/models";
import { capital, probability } from "../ui/format";

/** The last part of a name that has folders. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** What an image is called, as one text. */
export function calledText(answer: ImageAnswer): string {
  return answer.called.length === 0 ? "none of the classes" : answer.called.join(", ");
}

/** The probability of what it is called: of several classes the least, of none the largest there is. */
export function calledProbability(answer: ImageAnswer): number {
  const values = answer.called.map((name) => answer.probabilities[name] ?? NaN);
  return values.length > 0 ? Math.min(...values) : Math.max(...Object.values(answer.probabilities));
}

/** What the prediction set means. */
export function setMeaning(answer: ImageAnswer, model: Model | null): string {
  const { set } = answer;
  if (set === null) {
    return model?.task === "multilabel"
      ? "There is no prediction set: they are for classes that exclude one another."
      : "There is no prediction set: the model keeps nothing to say which images to look at again.";
  }
  const share = `${(answer.coverage * 100).toFixed(answer.coverage * 100 % 1 === 0 ? 0 : 1)} %`;
  const promise = `Of images like those the model was validated with, ${share} have their true class in their set.`;
  if (set.length === 0) {
    return `No class is likely enough: look again. It may be something that the model does not know. ${promise}`;
  }
  if (set.length === 1) return `Only ${set[0] ?? ""} is likely enough. ${promise}`;
  return `Any of these ${set.length} classes may be right: ${set.join(", ")}. Look again. ${promise}`;
}

/** Why an image failed, without its name: that stands beside it. */
function causeOf({ name, problem }: StoredImage): string {
  const detail = problem?.detail ?? "It could not be classified";
  return detail.startsWith(`${name}: `) ? detail.slice(name.length + 2) : detail;
}

/** Why there is no answer; null where there is one. */
export function waitText(image: StoredImage): string | null {
  if (image.answer !== null) return null;
  switch (image.state) {
    case "failed":
      return capital(causeOf(image));
    case "cancelled":
      return "Cancelled";
    case "running":
      return "Being classified";
    case "queued":
    case "answered":
      return "Waiting";
    case null:
      return "Not classified";
  }
}

/** All that is to be known of an image, for those who do not see it. */
export function spoken(image: StoredImage): string {
  const { answer, label } = image;
  const parts = [baseName(image.name)];
  const wait = waitText(image);
  if (wait !== null) parts.push(image.state === "failed" ? `failed: ${wait}` : wait);
  if (answer !== null) {
    parts.push(`${calledText(answer)} ${probability(calledProbability(answer))}`);
    if (answer.review === true) parts.push(`look again: ${answer.reason}`);
  }
  if (label !== null) parts.push(`your label: ${label}`);
  return parts.join(", ");
}

/** Labels as a list: `eosinophil: Ann, Ben`. */
export function labelLines(labels: readonly ImageLabel[]): string[] {
  const by = new Map<string, string[]>();
  for (const { label, author } of labels) by.set(label, [...(by.get(label) ?? []), author.name]);
  return [...by].map(([label, names]) => `${label}: ${names.join(", ")}`);
}
