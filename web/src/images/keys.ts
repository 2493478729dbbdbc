/** Which key stands for which class, and what label a key leaves. */

import type { Task } from "../api/jobs";

/** In the order of the model's classes; classes after these have none. */
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

/** What divides the classes in the label of a multilabel model, as in tables for training. */
const DIVIDER = ";";

/** The key of a class by its place in the model; null: it has none. */
export function keyOf(place: number): string | null {
  return KEYS[place] ?? null;
}

/** The class that a key stands for; null: none. */
export function classOf(key: string, classes: readonly string[]): string | null {
  // Also with Caps Lock on; longer names are those of keys without a character.
  const place = key.length === 1 ? KEYS.indexOf(key.toLowerCase()) : -1;
  return classes[place] ?? null;
}

/**
 * The label once a class was chosen, or null for none: of a multilabel model each class is set or taken
 * back by itself, of others the class is the label.
 */
export function withClass(task: Task, classes: readonly string[], label: string | null, name: string): string | null {
  if (task !== "multilabel") return name;
  const parts = new Set(partsOf(task, label));
  if (!parts.delete(name)) parts.add(name);
  const known = classes.filter((one) => parts.has(one));
  const others = [...parts].filter((one) => !classes.includes(one));
  return joined([...known, ...others]);
}

/** The classes that a label names. */
export function partsOf(task: Task, label: string | null): readonly string[] {
  if (label === null) return [];
  return task === "multilabel" ? label.split(DIVIDER).map((part) => part.trim()) : [label];
}

/** The label that says the same as the model; null where it called none of its classes. */
export function joined(called: readonly string[]): string | null {
  return called.length === 0 ? null : called.join(DIVIDER);
}
