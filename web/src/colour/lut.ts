/**
 * Colours of cells, ready to be written into an image.
 *
 * A cell is a *step*: 0 to 65534 stand for probabilities 0 to 1, 65535 for a cell that was not
 * classified. The table answers a step at or above the threshold with its colour, one below with a
 * faint veil – looked at, and not of the class – and one that was not classified with nothing.
 */

import { ENTRIES, palette, type PaletteName } from "./palette";

/** What stands for a probability of 1. */
export const STEPS = 65534;
export const NOT_CLASSIFIED = 65535;

/** Opacity of the veil over what is below the threshold, of 255. */
export const VEIL_ALPHA = 26;

/** Colours by step, as canvases keep them on every machine a browser runs on: 0xAABBGGRR. */
export interface ColourTable {
  /** For cells at or above the threshold. */
  readonly above: Uint32Array;
  /** For cells below it. */
  readonly below: number;
}

const made = new Map<PaletteName, ColourTable>();

/** The table of a palette; made once. */
export function colourTable(name: PaletteName): ColourTable {
  let table = made.get(name);
  if (table === undefined) {
    table = build(name);
    made.set(name, table);
  }
  return table;
}

function build(name: PaletteName): ColourTable {
  const colours = palette(name);
  const above = new Uint32Array(STEPS + 2);
  for (let step = 0; step <= STEPS; step++) {
    const place = (step / STEPS) * (ENTRIES - 1);
    const index = Math.min(Math.floor(place), ENTRIES - 2);
    const share = place - index;
    const one = colours[index] ?? [0, 0, 0];
    const other = colours[index + 1] ?? one;
    above[step] = packed(
      one[0] + (other[0] - one[0]) * share,
      one[1] + (other[1] - one[1]) * share,
      one[2] + (other[2] - one[2]) * share,
      255,
    );
  }
  above[NOT_CLASSIFIED] = 0;
  const [red, green, blue] = colours[Math.round(ENTRIES * 0.2)] ?? [0, 0, 0];
  return { above, below: packed(red, green, blue, VEIL_ALPHA) };
}

function packed(red: number, green: number, blue: number, alpha: number): number {
  const byte = (value: number) => Math.round(Math.min(1, Math.max(0, value)) * 255);
  return ((alpha << 24) | (byte(blue) << 16) | (byte(green) << 8) | byte(red)) >>> 0;
}

/**
 * Write the colours of cells into the px of an image of the same size. A cell is above where its
 * number in `deciding` is at least `least`: that of its step, or another rule's.
 */
export function colourCells(
  steps: Uint16Array,
  least: number,
  table: ColourTable,
  px: Uint32Array,
  deciding: Uint16Array = steps,
): void {
  const { above, below } = table;
  for (let index = 0; index < steps.length; index++) {
    const step = steps[index] ?? NOT_CLASSIFIED;
    px[index] = (deciding[index] ?? NOT_CLASSIFIED) >= least ? (above[step] ?? 0) : below;
  }
}

/** Colours of labels, opaque; those without a colour are the veil of what was looked at. */
export function labelColours(
  classes: readonly { readonly label: number; readonly colour: string | null }[],
  name: PaletteName,
): Uint32Array {
  const colours = new Uint32Array(NOT_CLASSIFIED + 1);
  for (const { label, colour } of classes) {
    const rgb = Number.parseInt((colour ?? "").slice(1), 16);
    colours[label] =
      colour === null
        ? colourTable(name).below
        : packed((rgb >> 16) / 255, ((rgb >> 8) & 255) / 255, (rgb & 255) / 255, 255);
  }
  return colours;
}

/** Write the colours of labels into the px of an image of the same size. */
export function colourLabels(labels: Uint16Array, colours: Uint32Array, px: Uint32Array): void {
  for (let index = 0; index < labels.length; index++) {
    px[index] = colours[labels[index] ?? NOT_CLASSIFIED] ?? 0;
  }
}

/** The least step of a cell that is at or above a probability. */
export function stepOf(probability: number): number {
  return Math.min(STEPS, Math.max(0, Math.ceil(probability * STEPS)));
}

/** A CSS colour of a probability. */
export function cssColour(name: PaletteName, probability: number): string {
  const colour = palette(name)[Math.round(probability * (ENTRIES - 1))] ?? [0, 0, 0];
  return `rgb(${colour.map((value) => Math.round(value * 255)).join(" ")})`;
}
