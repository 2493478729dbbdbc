import { describe, expect, it } from "vitest";

import { decode, distance, fromRgb, lch, toRgb, type Lab, type Rgb } from "../../src/colour/oklab";
import { ENTRIES, isPaletteName, palette, PALETTE_NAMES } from "../../src/colour/palette";

/** What people without red, green or blue cones see (Machado, Oliveira, Fernandes 2009, linear light). */
const BLINDNESS: Record<string, readonly (readonly [number, number, number])[]> = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function seen(rgb: Rgb, kind: string): Lab {
  const light = rgb.map(decode);
  const encode = (value: number) =>
    value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  const rows = BLINDNESS[kind] ?? [];
  const out = rows.map((row) =>
    encode(Math.min(1, Math.max(0, row.reduce((sum, part, i) => sum + part * (light[i] ?? 0), 0)))),
  );
  return fromRgb([out[0] ?? 0, out[1] ?? 0, out[2] ?? 0]);
}

describe.each(PALETTE_NAMES)("palette %s", (name) => {
  const colours = palette(name);
  const labs = colours.map(fromRgb);

  it("has all its entries inside sRGB", () => {
    expect(colours).toHaveLength(ENTRIES);
    expect(colours.flat().every((value) => value >= 0 && value <= 1)).toBe(true);
  });

  it("gets lighter from entry to entry", () => {
    for (let i = 1; i < labs.length; i++) expect(labs[i]?.l).toBeGreaterThan(labs[i - 1]?.l ?? 1);
  });

  it("has equally large steps", () => {
    const steps = labs.slice(1).map((lab, i) => distance(lab, labs[i] ?? lab));
    const mean = steps.reduce((sum, step) => sum + step, 0) / steps.length;
    expect(Math.max(...steps) / mean).toBeLessThan(1.1);
    expect(Math.min(...steps) / mean).toBeGreaterThan(0.9);
  });

  it.each(Object.keys(BLINDNESS))("keeps its order and its differences under %s", (kind) => {
    const met = colours.map((rgb) => seen(rgb, kind));
    for (let i = 16; i < met.length; i++) {
      expect(met[i]?.l).toBeGreaterThan(met[i - 16]?.l ?? 1);
    }
    // Tenths of the palette stay apart: 0.02 is about the least difference people notice.
    for (let i = 0; i + 25 < met.length; i += 25) {
      const [one, other] = [met[i], met[i + 25]];
      if (one === undefined || other === undefined) throw new Error("no colour");
      expect(distance(one, other)).toBeGreaterThan(0.04);
    }
  });
});

describe("Oklab", () => {
  it("goes to sRGB and back", () => {
    for (const lab of [lch(0.3, 0.05, 20), lch(0.6, 0.1, 140), lch(0.9, 0.04, 280)]) {
      expect(distance(fromRgb(toRgb(lab)), lab)).toBeLessThan(1e-5);
    }
  });

  it("knows white", () => {
    expect(fromRgb([1, 1, 1]).l).toBeCloseTo(1, 6);
  });
});

it("knows names of palettes from other texts", () => {
  expect(isPaletteName("reef")).toBe(true);
  expect(isPaletteName("toString")).toBe(false);
});
