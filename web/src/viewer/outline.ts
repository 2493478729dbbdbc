/** The line between cells of some numbers and the others. */

import { NOT_CLASSIFIED } from "../colour/lut";
import type { CellTile } from "./cell_source";

/** Numbers of cells that are inside, both ends too: steps from a threshold on, or one label. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Whether a cell outside of the tile, by its column and row in the grid, is inside the line. */
export type Beyond = (column: number, row: number) => boolean;

/** Segments as x1, y1, x2, y2 in cells of the tile's level, from the grid's corner. */
export type Segments = Int32Array;

/**
 * The boundary inside a tile and along its left and top edges, in as few straight pieces as there
 * are runs. Right and bottom edges belong to the next tile, or are the grid's own.
 */
export function outline(tile: CellTile, { least, most }: Range, beyond: Beyond): Segments {
  const { columns, rows, steps, firstColumn, firstRow } = tile;
  // One cell of margin, so that edges need no case of their own.
  const width = columns + 2;
  const inside = new Uint8Array(width * (rows + 2));
  for (let row = 0; row < rows; row++) {
    let from = row * columns;
    let to = (row + 1) * width + 1;
    for (let column = 0; column < columns; column++, from++, to++) {
      const step = steps[from] ?? NOT_CLASSIFIED;
      inside[to] = step >= least && step <= most ? 1 : 0;
    }
  }
  for (let column = 0; column < columns; column++) {
    inside[column + 1] = beyond(firstColumn + column, firstRow - 1) ? 1 : 0;
    inside[(rows + 1) * width + column + 1] = beyond(firstColumn + column, firstRow + rows) ? 1 : 0;
  }
  for (let row = 0; row < rows; row++) {
    inside[(row + 1) * width] = beyond(firstColumn - 1, firstRow + row) ? 1 : 0;
    inside[(row + 2) * width - 1] = beyond(firstColumn + columns, firstRow + row) ? 1 : 0;
  }
  const found: number[] = [];
  for (let row = 0; row <= rows; row++) {
    let from = -1;
    const above = row * width + 1;
    for (let column = 0; column < columns; column++) {
      const edge = inside[above + column] !== inside[above + width + column];
      if (edge && from < 0) from = column;
      else if (!edge && from >= 0) {
        found.push(firstColumn + from, firstRow + row, firstColumn + column, firstRow + row);
        from = -1;
      }
    }
    if (from >= 0) found.push(firstColumn + from, firstRow + row, firstColumn + columns, firstRow + row);
  }
  for (let column = 0; column <= columns; column++) {
    let from = -1;
    let place = width + column;
    for (let row = 0; row < rows; row++, place += width) {
      const edge = inside[place] !== inside[place + 1];
      if (edge && from < 0) from = row;
      else if (!edge && from >= 0) {
        found.push(firstColumn + column, firstRow + from, firstColumn + column, firstRow + row);
        from = -1;
      }
    }
    if (from >= 0) found.push(firstColumn + column, firstRow + from, firstColumn + column, firstRow + rows);
  }
  return Int32Array.from(found);
}

/** Segments as a path in cells. */
export function pathOf(segments: Segments): Path2D {
  const path = new Path2D();
  for (let index = 0; index + 3 < segments.length; index += 4) {
    path.moveTo(segments[index] ?? 0, segments[index + 1] ?? 0);
    path.lineTo(segments[index + 2] ?? 0, segments[index + 3] ?? 0);
  }
  return path;
}
