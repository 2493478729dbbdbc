import { describe, expect, it } from "vitest";

import { areaOf, boxOf, brushed, fitting, isInside, joined, piecesOf, ringsOf, sizeOf, snap, without, type Ring } from "../../../src/viewer/drawing/area";

const square = (x: number, y: number, side: number): Ring => [
  { x, y },
  { x: x + side, y },
  { x: x + side, y: y + side },
  { x, y: y + side },
];

describe("areas", () => {
  it("add up where they overlap, and lose what is taken from them", () => {
    const both = joined(areaOf([square(0, 0, 10)]), areaOf([square(5, 5, 10)]));
    expect(sizeOf(both)).toBeCloseTo(175, 6);
    expect(sizeOf(without(both, areaOf([square(5, 5, 5)])))).toBeCloseTo(150, 6);
  });

  it("are as exact far away on a large slide", () => {
    const [x, y] = [250_000.25, 180_000.75];
    const left = without(areaOf([square(x, y, 100)]), areaOf([square(x + 99.98, y, 100)]));
    const box = boxOf(ringsOf(left));
    expect([box.x, box.y, box.height]).toEqual([x, y, 100]);
    expect(box.width).toBeCloseTo(99.98, 6);
  });

  it("are inside an odd number of turns, as the service has it", () => {
    expect(sizeOf(areaOf([square(0, 0, 10), square(2, 2, 5)]))).toBeCloseTo(75, 6);
  });

  it("fall into pieces with their holes, also one that lies in a hole", () => {
    const pieces = piecesOf([square(0, 0, 100), square(10, 10, 80), square(30, 30, 10), square(200, 0, 10)]);
    expect(pieces.map((piece) => piece.length).sort()).toEqual([1, 1, 2]);
  });
});

describe("the brush", () => {
  it("paints a disc where it is pressed only", () => {
    const [outline, ...holes] = brushed([{ x: 50, y: 60 }], 10, 4);
    expect(holes).toEqual([]);
    for (const { x, y } of outline ?? []) expect(Math.abs(Math.hypot(x - 50, y - 60) - 10)).toBeLessThan(0.1);
    expect(sizeOf(areaOf([outline ?? []]))).toBeCloseTo(Math.PI * 100, -1);
  });

  it("gives one outline of a stroke that crosses itself, with the hole it leaves", () => {
    const path = Array.from({ length: 200 }, (_, index) => {
      const angle = (index / 199) * 2.3 * Math.PI;
      return { x: 500 + 100 * Math.cos(angle), y: 500 + 100 * Math.sin(angle) };
    });
    const rings = brushed(path, 12, 1);
    expect(rings).toHaveLength(2);
    expect(isInside(rings, { x: 500, y: 500 })).toBe(false);
    for (const place of path) expect(isInside(rings, place)).toBe(true);
    expect(sizeOf(areaOf(rings))).toBeCloseTo(Math.PI * (112 ** 2 - 88 ** 2), -3);
  });

  it("has as much detail as the screen shows, at any zoom", () => {
    const path = [{ x: 0, y: 0 }, { x: 40_000, y: 10_000 }];
    const far = brushed(path, 2000, 0.01);
    expect(far[0]?.length).toBeLessThan(120);
    expect(sizeOf(areaOf(far))).toBeCloseTo(4000 * Math.hypot(40_000, 10_000) + Math.PI * 2000 ** 2, -6);
  });
});

it("rings have no more points than the service takes", () => {
  const many = Array.from({ length: 30_000 }, (_, index) => {
    const angle = (index / 30_000) * 2 * Math.PI;
    return snap({ x: 10_000 + 9000 * Math.cos(angle), y: 10_000 + 9000 * Math.sin(angle) });
  });
  const [ring] = fitting([many], 0.5);
  expect(ring?.length).toBeLessThanOrEqual(20_000);
  expect(sizeOf(areaOf([ring ?? []]))).toBeCloseTo(Math.PI * 9000 ** 2, -5);
  expect(fitting([square(0, 0, 1)], 0.5)).toEqual([square(0, 0, 1)]);
});

it("a place is hit inside the outline and not in its hole", () => {
  const rings = [square(0, 0, 100), square(40, 40, 20)];
  expect([{ x: 10, y: 50 }, { x: 50, y: 50 }, { x: 101, y: 50 }].map((place) => isInside(rings, place))).toEqual([true, false, false]);
});
