/** Which rows of a grid are in sight. */

/** Width of a tile and of the gap beside it, px: at least, and of the gap. */
const LEAST_PX = 164;
export const GAP_PX = 10;
/** Rows that are kept above and below those in sight, so that scrolling never meets an empty place. */
const BEYOND = 2;

/** How many tiles fit beside one another. */
export function columnsIn(width: number): number {
  return Math.max(1, Math.floor((width + GAP_PX) / (LEAST_PX + GAP_PX)));
}

/** Rows from `first` to before `end`. */
export interface Rows {
  readonly first: number;
  readonly end: number;
}

/**
 * The rows to keep.
 *
 * @param top Where the grid begins, px below the upper edge of what is seen; negative: scrolled past.
 * @param height Of what is seen, px.
 * @param row Height of a row with its gap, px.
 * @param rows How many there are.
 */
export function rowsInSight(top: number, height: number, row: number, rows: number): Rows {
  const first = Math.floor(-top / row) - BEYOND;
  const end = Math.ceil((height - top) / row) + BEYOND;
  return { first: Math.min(rows, Math.max(0, first)), end: Math.max(0, Math.min(rows, end)) };
}
