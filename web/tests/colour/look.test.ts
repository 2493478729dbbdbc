import { describe, expect, it } from "vitest";

import { applyLook, isPlain, PLAIN_LOOK, stainMatrix, toneTable, type Look } from "../../src/colour/look";

type Rgb = [number, number, number];

function shown(rgb: Rgb, look: Partial<Look>): number[] {
  const pixels = new Uint8ClampedArray([...rgb, 200]);
  applyLook(pixels, { ...PLAIN_LOOK, ...look });
  expect(pixels[3]).toBe(200);
  return [...pixels.slice(0, 3)];
}

/** What is seen of stains with these densities along their directions. */
function stained(haematoxylin: number, eosin: number): Rgb {
  const density = [0.65 * haematoxylin + 0.07 * eosin, 0.7 * haematoxylin + 0.99 * eosin, 0.29 * haematoxylin + 0.11 * eosin];
  return density.map((one) => 255 * 10 ** -one) as Rgb;
}

describe("the tone", () => {
  it("stays in the plain look", () => {
    expect(isPlain(PLAIN_LOOK)).toBe(true);
    expect(shown([0, 100, 255], {})).toEqual([0, 100, 255]);
  });

  it("is lighter by brightness and by a gamma above 1, and never beyond white", () => {
    expect(shown([0, 100, 250], { brightness: 10 })).toEqual([26, 126, 255]);
    const [dark = 0, middle = 0, white = 0] = shown([0, 64, 255], { gamma: 2 });
    expect([dark, white]).toEqual([0, 255]);
    expect(middle).toBeCloseTo(255 * Math.sqrt(64 / 255), -0.5);
  });

  it("moves away from middle grey by contrast", () => {
    expect(shown([64, 128, 192], { contrast: 200 })).toEqual([0, 128, 255]);
    expect(toneTable({ ...PLAIN_LOOK, contrast: 25 })[0]).toBeCloseTo(0.375);
  });
});

describe("a stain by itself", () => {
  it("is all of it, and nothing of the others", () => {
    const both = stained(0.4, 0.3);
    shown(both, { stain: "haematoxylin" }).forEach((value, channel) => {
      expect(Math.abs(value - (stained(0.4, 0)[channel] ?? 0))).toBeLessThanOrEqual(3);
    });
    shown(both, { stain: "eosin" }).forEach((value, channel) => {
      expect(Math.abs(value - (stained(0, 0.3)[channel] ?? 0))).toBeLessThanOrEqual(3);
    });
    shown(both, { stain: "dab" }).forEach((value) => {
      expect(value).toBeGreaterThan(248);
    });
  });

  it("leaves glass white", () => {
    expect(shown([255, 255, 255], { stain: "eosin" })).toEqual([255, 255, 255]);
  });

  it("changes nothing when it is taken a second time", () => {
    const matrix = stainMatrix("eosin");
    const twice = matrix.map((row) => [0, 1, 2].map((column) => row.reduce((sum, one, at) => sum + one * (matrix[at]?.[column] ?? 0), 0)));
    twice.forEach((row, at) => {
      row.forEach((value, column) => {
        expect(value).toBeCloseTo(matrix[at]?.[column] ?? NaN, 10);
      });
    });
  });
});
