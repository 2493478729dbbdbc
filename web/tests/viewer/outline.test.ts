import { describe, expect, it } from "vitest";

import { NOT_CLASSIFIED, STEPS } from "../../src/colour/lut";
import type { CellTile } from "../../src/viewer/cell_source";
import { outline } from "../../src/viewer/outline";

const nothing = () => false;
const from5 = { least: 5, most: STEPS };

function tile(rows: readonly (readonly number[])[], firstColumn = 0, firstRow = 0): CellTile {
  const columns = rows[0]?.length ?? 0;
  return {
    level: 0,
    firstColumn,
    firstRow,
    columns,
    rows: rows.length,
    steps: Uint16Array.from(rows.flat()),
    coverage: new Uint8Array(columns * rows.length).fill(1),
    tissue: null,
    quality: null,
    numbers: [],
    own: null,
  };
}

/** Every unit edge of the segments, sorted, so that order and joining do not matter. */
function edges(segments: Int32Array): string[] {
  const found: string[] = [];
  for (let i = 0; i < segments.length; i += 4) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = segments.subarray(i, i + 4);
    if (y1 === y2) for (let x = x1; x < x2; x++) found.push(`h ${x} ${y1}`);
    else for (let y = y1; y < y2; y++) found.push(`v ${x1} ${y}`);
  }
  return found.sort();
}

/** The definition: an edge wherever two neighbours differ. */
function expected(one: CellTile, step: number): string[] {
  const inside = (c: number, r: number) => {
    const [x, y] = [c - one.firstColumn, r - one.firstRow];
    if (x < 0 || y < 0 || x >= one.columns || y >= one.rows) return false;
    const value = one.steps[y * one.columns + x] ?? 0;
    return value >= step && value !== NOT_CLASSIFIED;
  };
  const found: string[] = [];
  for (let r = one.firstRow; r <= one.firstRow + one.rows; r++) {
    for (let c = one.firstColumn; c <= one.firstColumn + one.columns; c++) {
      if (inside(c, r - 1) !== inside(c, r) && c < one.firstColumn + one.columns) found.push(`h ${c} ${r}`);
      if (inside(c - 1, r) !== inside(c, r) && r < one.firstRow + one.rows) found.push(`v ${c} ${r}`);
    }
  }
  return found.sort();
}

describe("the outline", () => {
  it("goes around one cell in four pieces", () => {
    expect([...outline(tile([[0, 0, 0], [0, 9, 0], [0, 0, 0]]), from5, nothing)]).toHaveLength(16);
  });

  it("is drawn in as few pieces as there are runs", () => {
    expect([...outline(tile([[9, 9, 9, 9]], 10, 20), from5, nothing)]).toEqual([
      10, 20, 14, 20, 10, 21, 14, 21, 10, 20, 10, 21, 14, 20, 14, 21,
    ]);
  });

  it("is not drawn where nothing reaches the threshold, or all were not classified", () => {
    expect(outline(tile([[1, 2], [3, 4]]), from5, nothing)).toHaveLength(0);
    expect(outline(tile([[NOT_CLASSIFIED, NOT_CLASSIFIED]]), from5, nothing)).toHaveLength(0);
  });

  it("goes on into the tile beside: no line between two tumour cells of different tiles", () => {
    const right = (column: number) => column === 2;
    expect(edges(outline(tile([[9, 9]]), from5, right))).toEqual(["h 0 0", "h 0 1", "h 1 0", "h 1 1", "v 0 0"]);
  });

  it("goes around one label, not around those above it", () => {
    const labels = tile([[0, 1, 2, NOT_CLASSIFIED]]);
    expect(edges(outline(labels, { least: 1, most: 1 }, nothing))).toEqual(["h 1 0", "h 1 1", "v 1 0", "v 2 0"]);
  });

  it("has an edge wherever neighbours differ, and nowhere else", () => {
    let state = 7;
    const random = () => (state = (state * 48271) % 2147483647) % 10;
    for (let round = 0; round < 40; round++) {
      const rows = Array.from({ length: 1 + (random() % 6) }, () => Array.from({ length: 7 }, random));
      const one = tile(rows, round, 2 * round);
      expect(edges(outline(one, from5, nothing))).toEqual(expected(one, 5));
    }
  });
});
