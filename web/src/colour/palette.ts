/**
 * Palettes for probabilities, 0 to 1.
 *
 * Each runs through a few colours from dark to light. Lightness rises all the way, so that order
 * survives colour blindness and grey printing; and entries are spaced evenly along the way in Oklab,
 * so that equal steps of probability look equally large.
 */

import { distance, fitted, lch, toRgb, type Lab, type Rgb } from "./oklab";

/** Entries of a palette. */
export const ENTRIES = 256;
/** Points of the curve before it is spaced evenly. */
const FINE = 2048;

interface Definition {
  readonly label: string;
  readonly stops: readonly Lab[];
}

const DEFINITIONS = {
  reef: {
    label: "Violet–yellow",
    stops: [
      lch(0.26, 0.13, 298),
      lch(0.4, 0.13, 272),
      lch(0.53, 0.105, 232),
      lch(0.66, 0.125, 172),
      lch(0.8, 0.17, 140),
      lch(0.93, 0.185, 108),
    ],
  },
  ember: {
    label: "Red–yellow",
    stops: [
      lch(0.22, 0.1, 292),
      lch(0.38, 0.16, 318),
      lch(0.53, 0.19, 8),
      lch(0.67, 0.18, 40),
      lch(0.81, 0.15, 74),
      lch(0.95, 0.1, 102),
    ],
  },
  harbour: {
    label: "Blue–yellow",
    // Straight through grey: blue and yellow are what nearly everybody tells apart.
    stops: [lch(0.27, 0.085, 258), lch(0.92, 0.165, 98)],
  },
  graphite: {
    label: "Grey",
    stops: [lch(0.2, 0, 0), lch(0.97, 0, 0)],
  },
} as const satisfies Record<string, Definition>;

export type PaletteName = keyof typeof DEFINITIONS;

export const PALETTE_NAMES = Object.keys(DEFINITIONS) as PaletteName[];
export const DEFAULT_PALETTE: PaletteName = "reef";

export function isPaletteName(text: string): text is PaletteName {
  return Object.hasOwn(DEFINITIONS, text);
}

export function paletteLabel(name: PaletteName): string {
  return DEFINITIONS[name].label;
}

const made = new Map<PaletteName, readonly Rgb[]>();

/** The colours of a palette, the first for probability 0, the last for 1. */
export function palette(name: PaletteName): readonly Rgb[] {
  let colours = made.get(name);
  if (colours === undefined) {
    colours = evenly(DEFINITIONS[name].stops).map(toRgb);
    made.set(name, colours);
  }
  return colours;
}

/** Colours at equal distances along the curve through the stops. */
function evenly(stops: readonly Lab[]): Lab[] {
  const fine = Array.from({ length: FINE }, (_, index) => fitted(along(stops, index / (FINE - 1))));
  const length = new Float64Array(FINE);
  for (let index = 1; index < FINE; index++) {
    length[index] = at(length, index - 1) + distance(pick(fine, index - 1), pick(fine, index));
  }
  const total = at(length, FINE - 1);
  const colours: Lab[] = [];
  let before = 0;
  for (let entry = 0; entry < ENTRIES; entry++) {
    const wanted = (total * entry) / (ENTRIES - 1);
    while (before < FINE - 2 && at(length, before + 1) < wanted) before++;
    const span = at(length, before + 1) - at(length, before);
    const share = span === 0 ? 0 : (wanted - at(length, before)) / span;
    colours.push(mixed(pick(fine, before), pick(fine, before + 1), share));
  }
  return colours;
}

/** A smooth curve through the stops that never overshoots them: cubic steps between neighbours. */
function along(stops: readonly Lab[], share: number): Lab {
  const place = share * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  const one = pick(stops, index);
  const other = pick(stops, index + 1);
  const before = index > 0 ? pick(stops, index - 1) : one;
  const after = index + 2 < stops.length ? pick(stops, index + 2) : other;
  const t = place - index;
  const cubic = (p: number, q: number, r: number, s: number): number =>
    q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
  return {
    l: one.l + (other.l - one.l) * t,
    a: cubic(before.a, one.a, other.a, after.a),
    b: cubic(before.b, one.b, other.b, after.b),
  };
}

function mixed(one: Lab, other: Lab, share: number): Lab {
  return {
    l: one.l + (other.l - one.l) * share,
    a: one.a + (other.a - one.a) * share,
    b: one.b + (other.b - one.b) * share,
  };
}

function pick(labs: readonly Lab[], index: number): Lab {
  const found = labs[index];
  if (found === undefined) throw new RangeError(`no colour ${index}`);
  return found;
}

function at(numbers: Float64Array, index: number): number {
  return numbers[index] ?? 0;
}
