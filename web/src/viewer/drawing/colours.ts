/** The classes that may be drawn, and their colours. */

import type { Session } from "../session";

/** Of classes that no model names: distinct for colour-blind readers too (Okabe and Ito 2008). */
const OTHERS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f6d00"] as const;
/** Classes that a menu offers. */
const MOST = 60;

/** Names of the classes of the results that are shown, else of all models; then those drawn. */
export function classesOf(session: Session, drawn: readonly string[]): readonly string[] {
  const shown = session.layers.flatMap((layer) => {
    const { classes, positive } = layer.info;
    return [positive, ...classes.map((one) => one.name)];
  });
  const named = shown.length > 0 ? shown : session.models.flatMap((model) => [model.positive, ...model.classes]);
  return [...new Set([...drawn, ...named])].filter((name) => name !== "").slice(0, MOST);
}

/** `#rrggbb` of a class: the model's, or one made of the name. */
export function colourOf(session: Session, name: string): string {
  for (const layer of session.layers) {
    const colour = layer.info.classes.find((one) => one.name === name)?.colour;
    if (colour) return colour;
  }
  for (const model of session.models) {
    const colour = model.class_colours[name];
    if (colour !== undefined) return colour;
  }
  let sum = 0;
  for (const letter of name) sum = (31 * sum + (letter.codePointAt(0) ?? 0)) % 1_000_003;
  return OTHERS[sum % OTHERS.length] ?? OTHERS[0];
}
