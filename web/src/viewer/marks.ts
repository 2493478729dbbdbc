/** Which cells are marked by a pattern: those the model has not looked at, and those that cannot be judged. */

import type { CellTile } from "./cell_source";
import type { CellsInfo, QualityReason } from "./results";

/** Coverage classes by how they are marked; a reason of quality control has a mark of its own. */
export type Mark = CoverageMark | QualityReason;
export type CoverageMark = "unread" | "unreadable" | "screened";

const MARKED: Record<CoverageMark, readonly string[]> = {
  unread: ["empty"],
  unreadable: ["unreadable", "rejected"],
  screened: ["screened"],
};

/** A short name of a mark. */
export function markName(mark: Mark): string {
  return typeof mark === "string" ? mark : `${mark.key}${mark.colour}`;
}

/** Which cells of a tile a mark is for, by their index. */
export function marked(tile: CellTile, mark: Mark, info: CellsInfo): (index: number) => boolean {
  if (typeof mark === "string") {
    const numbers = MARKED[mark].map((name) => info.coverage[name]);
    return (index) => numbers.includes(tile.coverage[index]);
  }
  return (index) => {
    const value = tile.quality?.[index] ?? info.qualityUnknown;
    return value !== info.qualityUnknown && (value & mark.bit) !== 0;
  };
}
