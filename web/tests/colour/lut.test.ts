import { describe, expect, it } from "vitest";

import {
  colourLabels,
  labelColours,
  colourCells,
  colourTable,
  cssColour,
  NOT_CLASSIFIED,
  stepOf,
  STEPS,
  VEIL_ALPHA,
} from "../../src/colour/lut";
import { palette } from "../../src/colour/palette";

function coloured(steps: number[], threshold: number): number[] {
  const px = new Uint32Array(steps.length);
  colourCells(Uint16Array.from(steps), threshold, colourTable("reef"), px);
  return [...px];
}

const alpha = (px: number) => px >>> 24;

describe("colours of cells", () => {
  it("are opaque from the threshold on and a veil below it", () => {
    const limit = stepOf(0.5);
    const [below, at, above] = coloured([limit - 1, limit, STEPS], limit);
    expect(alpha(below ?? 0)).toBe(VEIL_ALPHA);
    expect(alpha(at ?? 0)).toBe(255);
    expect(alpha(above ?? 0)).toBe(255);
  });

  it("leave cells that were not classified clear at every threshold", () => {
    for (const threshold of [0, 1, stepOf(0.5), STEPS]) {
      expect(coloured([NOT_CLASSIFIED], threshold)).toEqual([0]);
    }
  });

  it("end in the palette's last colour", () => {
    const [red, green, blue] = palette("reef").at(-1) ?? [0, 0, 0];
    const [px] = coloured([STEPS], 0);
    expect((px ?? 0) & 0xff).toBe(Math.round(red * 255));
    expect(((px ?? 0) >>> 8) & 0xff).toBe(Math.round(green * 255));
    expect(((px ?? 0) >>> 16) & 0xff).toBe(Math.round(blue * 255));
  });

  it("differ between probabilities that lie apart", () => {
    const seen = new Set(coloured(Array.from({ length: 200 }, (_, i) => Math.round((i / 199) * STEPS)), 0));
    expect(seen.size).toBe(200);
  });
});

describe("colours of labels", () => {
  it("are those of the classes; a veil without one, and nothing where nothing was classified", () => {
    const classes = [
      { label: 0, name: "none", colour: null },
      { label: 1, name: "mucin", colour: "#4281f4" },
    ];
    const px = new Uint32Array(3);
    colourLabels(Uint16Array.of(0, 1, NOT_CLASSIFIED), labelColours(classes, "reef"), px);
    expect([...px]).toEqual([colourTable("reef").below, 0xfff48142, 0]);
  });
});

describe("steps of thresholds", () => {
  it("round up, as the service does", () => {
    expect(stepOf(0)).toBe(0);
    expect(stepOf(1)).toBe(STEPS);
    expect(stepOf(0.5)).toBe(32767);
    expect(stepOf(0.500001)).toBe(32768);
  });

  it("stay probabilities", () => {
    expect(stepOf(-1)).toBe(0);
    expect(stepOf(2)).toBe(STEPS);
  });
});

it("writes colours for CSS", () => {
  expect(cssColour("graphite", 1)).toMatch(/^rgb\(\d+ \d+ \d+\)$/);
});
