/**
 * The grid of cells over a slide. Cell (c, r) covers level-0 px from c·cell.x to (c + 1)·cell.x and
 * from r·cell.y to (r + 1)·cell.y; positions are always computed from the index, never added up.
 */

import type { Point } from "./affine";
import type { Box } from "./view";

/** One level of cells, finest first in a list of them. */
export interface CellLevel {
  readonly columns: number;
  readonly rows: number;
  /** Width and height of a cell in level-0 px: not whole, and not equal where px are not square. */
  readonly cell: Point;
}

/** A cell by its column and row. */
export interface Cell {
  readonly column: number;
  readonly row: number;
}

/** The cell a level-0 point lies in; null outside of the grid. */
export function cellAt(level: CellLevel, point: Point): Cell | null {
  const column = Math.floor(point.x / level.cell.x);
  const row = Math.floor(point.y / level.cell.y);
  const inside = column >= 0 && row >= 0 && column < level.columns && row < level.rows;
  return inside ? { column, row } : null;
}

/**
 * The finest level whose cells are at least one device px on screen, or the coarsest.
 *
 * Finer ones would be thinned out at random when they are drawn; coarser ones hold the maximum of
 * theirs, so nothing suspicious is lost.
 */
export function levelFor(levels: readonly CellLevel[], devicePxPerLevel0: number): number {
  const index = levels.findIndex(({ cell }) => Math.min(cell.x, cell.y) * devicePxPerLevel0 >= 1);
  return index === -1 ? levels.length - 1 : index;
}

/** Columns and rows of the tiles, `tileCells` cells wide, that a level-0 box touches. */
export function tilesIn(
  level: CellLevel,
  tileCells: number,
  box: Box,
): { readonly column: number; readonly row: number }[] {
  const width = level.cell.x * tileCells;
  const height = level.cell.y * tileCells;
  const lastColumn = Math.ceil(level.columns / tileCells) - 1;
  const lastRow = Math.ceil(level.rows / tileCells) - 1;
  const left = Math.max(0, Math.floor(box.x / width));
  const right = Math.min(lastColumn, Math.floor((box.x + box.width) / width));
  const top = Math.max(0, Math.floor(box.y / height));
  const bottom = Math.min(lastRow, Math.floor((box.y + box.height) / height));
  const tiles = [];
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) tiles.push({ column, row });
  }
  return tiles;
}
