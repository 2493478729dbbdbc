import { describe, expect, it } from "vitest";

import { cellAt, levelFor, tilesIn, type CellLevel } from "../../src/geometry/cells";

const FINE: CellLevel = { columns: 1300, rows: 600, cell: { x: 123.75, y: 123.75 } };
const LEVELS = [
  FINE,
  { columns: 650, rows: 300, cell: { x: 247.5, y: 247.5 } },
  { columns: 325, rows: 150, cell: { x: 495, y: 495 } },
];

describe("cells", () => {
  it("own their left and top edges", () => {
    expect(cellAt(FINE, { x: 7 * 123.75, y: 0 })).toEqual({ column: 7, row: 0 });
    expect(cellAt(FINE, { x: 7 * 123.75 - 1e-6, y: 0 })).toEqual({ column: 6, row: 0 });
  });

  it("end with the grid", () => {
    expect(cellAt(FINE, { x: -0.1, y: 0 })).toBeNull();
    expect(cellAt(FINE, { x: 1300 * 123.75, y: 0 })).toBeNull();
    expect(cellAt(FINE, { x: 1299.5 * 123.75, y: 599.5 * 123.75 })).toEqual({ column: 1299, row: 599 });
  });
});

describe("the level to draw", () => {
  it("is the finest whose cells are a px or more", () => {
    expect(levelFor(LEVELS, 1)).toBe(0);
    expect(levelFor(LEVELS, 1 / 123.75)).toBe(0);
    expect(levelFor(LEVELS, 1 / 200)).toBe(1);
    expect(levelFor(LEVELS, 1 / 10_000)).toBe(2);
  });
});

describe("cells of px that are not square", () => {
  const wide: CellLevel = { columns: 10, rows: 10, cell: { x: 64, y: 128 } };

  it("are found by both sides", () => {
    expect(cellAt(wide, { x: 200, y: 200 })).toEqual({ column: 3, row: 1 });
    expect(levelFor([wide, { columns: 5, rows: 5, cell: { x: 128, y: 256 } }], 1 / 100)).toBe(1);
    expect(tilesIn(wide, 4, { x: 0, y: 0, width: 300, height: 300 })).toEqual([
      { column: 0, row: 0 },
      { column: 1, row: 0 },
    ]);
  });
});

describe("tiles", () => {
  it("are those a box touches", () => {
    const side = 512 * FINE.cell.x;
    expect(tilesIn(FINE, 512, { x: -10, y: -10, width: 5, height: 5 })).toEqual([]);
    expect(tilesIn(FINE, 512, { x: -10, y: -10, width: 15, height: 15 })).toHaveLength(1);
    expect(tilesIn(FINE, 512, { x: side - 1, y: 10, width: 2, height: 2 })).toEqual([
      { column: 0, row: 0 },
      { column: 1, row: 0 },
    ]);
    expect(tilesIn(FINE, 512, { x: 0, y: 0, width: 1e9, height: 1e9 })).toHaveLength(6);
  });
});
