/** Inputs that panels share. */

import { h } from "../ui/dom";

export function range(
  id: string,
  name: string,
  min: number,
  max: number,
  step: number,
  changed: (value: number) => void,
): HTMLInputElement {
  const input = h("input", { type: "range", id, min, max, step, "data-slider": name });
  input.addEventListener("input", () => {
    changed(input.valueAsNumber);
  });
  return input;
}

export function setNumber(input: HTMLInputElement, value: number): void {
  // Not while it is the source of the change: the slider would jump to its own steps.
  if (Math.abs(input.valueAsNumber - value) > 5e-4) input.valueAsNumber = value;
}
