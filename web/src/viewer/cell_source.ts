/** The cells of a result, fetched tile by tile as they are needed. */

import { send } from "../api/client";
import { cellAt, type CellLevel } from "../geometry/cells";
import type { Point } from "../geometry/affine";
import { NOT_CLASSIFIED } from "../colour/lut";
import { reasonsOf, type CellsInfo, type NumberName } from "./results";

/** A block of cells of one level, row by row. */
export interface CellTile {
  readonly level: number;
  /** Of its first cell. */
  readonly firstColumn: number;
  readonly firstRow: number;
  readonly columns: number;
  readonly rows: number;
  /** Probabilities as steps, or labels; `NOT_CLASSIFIED` where there is none. */
  readonly steps: Uint16Array;
  readonly coverage: Uint8Array;
  /** Share of tissue as steps; null in answers that have none. */
  readonly tissue: Uint8Array | null;
  /** Bits of what quality control found; null in answers that have none. */
  readonly quality: Uint8Array | null;
  /** Steps of each of the result's numbers, in their order. */
  readonly numbers: readonly Uint16Array[];
  /**
   * Where the class shown is the label of the cell: 1 there, 0 where another one is,
   * `NOT_CLASSIFIED` where there is none. Null unless labels were asked for beside probabilities.
   */
  readonly own: Uint16Array | null;
}

/** What is known of one place. */
export interface CellFacts {
  readonly column: number;
  readonly row: number;
  /** Its step or label; null: not classified. */
  readonly value: number | null;
  /** Name of the coverage class. */
  readonly coverage: string;
  /** 0 to 1; null where no patch covers the cell. */
  readonly tissue: number | null;
  /** What quality control found, in words; empty: nothing. */
  readonly quality: readonly string[];
  /** Other numbers of the place, as far as they are known. */
  readonly numbers: Readonly<Partial<Record<NumberName, number>>>;
}

/** Tiles kept, of about 1.3 MB each with their picture. */
const MOST_TILES = 48;
const AT_ONCE = 4;
/** Cells whose probabilities are all counted, for figures at any threshold. */
const MOST_COUNTED = 16;

export function decodeTile(
  bytes: ArrayBuffer,
  place: Pick<CellTile, "level" | "firstColumn" | "firstRow" | "columns" | "rows">,
): CellTile {
  const cells = place.columns * place.rows;
  if (bytes.byteLength < cells * 3) throw new Error("a tile of cells is too short");
  return {
    ...place,
    // Browsers run on little-endian machines only.
    steps: new Uint16Array(bytes, 0, cells),
    coverage: new Uint8Array(bytes, cells * 2, cells),
    tissue: bytes.byteLength >= cells * 4 ? new Uint8Array(bytes, cells * 3, cells) : null,
    quality: bytes.byteLength >= cells * 5 ? new Uint8Array(bytes, cells * 4, cells) : null,
    // Copied: they may begin at an odd byte.
    numbers: Array.from({ length: Math.max(0, Math.floor((bytes.byteLength / cells - 5) / 2)) }, (_, index) => {
      const start = cells * (5 + 2 * index);
      return new Uint16Array(bytes.slice(start, start + cells * 2));
    }),
    own: null,
  };
}

/** The cells of a tile of labels that have one label. */
export function ownOf({ steps }: CellTile, label: number): Uint16Array {
  return steps.map((one) => (one === NOT_CLASSIFIED ? NOT_CLASSIFIED : Number(one === label)));
}

/**
 * Which numbers the cells have: labels, or probabilities of a class; `label` is the class's own
 * where tiles shall also say which cells have it, as `own`.
 */
export type Plane = { readonly of: string; readonly label: number | null } | "labels";

const LABELS = "?labels=true";

function queryOf(plane: Plane, info: CellsInfo): string {
  if (plane === "labels") return LABELS;
  return plane.of === info.positive ? "" : `?class=${encodeURIComponent(plane.of)}`;
}

export class CellSource {
  readonly info: CellsInfo;
  readonly #job: string;
  readonly #query: string;
  /** Of the class, where tiles say which cells have it. */
  readonly #label: number | null;
  readonly #stop = new AbortController();
  readonly #changed: () => void;
  /** The tile used last is the last. */
  readonly #tiles = new Map<string, CellTile>();
  readonly #asked = new Map<string, { level: number; column: number; row: number }>();
  readonly #failed = new Set<string>();
  readonly #loading = new Set<string>();

  /** `changed` is called whenever a tile has arrived. */
  constructor(job: string, info: CellsInfo, plane: Plane, changed: () => void) {
    this.#job = job;
    this.info = info;
    this.#query = queryOf(plane, info);
    this.#label = plane === "labels" ? null : plane.label;
    this.#changed = changed;
  }

  get levels(): readonly CellLevel[] {
    return this.info.levels;
  }

  /** Whether everything that was asked for is here. */
  get settled(): boolean {
    return this.#loading.size === 0 && this.#asked.size === 0;
  }

  /** A tile if it is here; if not, it is fetched. */
  tile(level: number, column: number, row: number): CellTile | null {
    const name = `${level}/${column}_${row}`;
    const tile = this.#tiles.get(name);
    if (tile !== undefined) {
      this.#tiles.delete(name);
      this.#tiles.set(name, tile);
      return tile;
    }
    if (!this.#asked.has(name) && !this.#loading.has(name) && !this.#failed.has(name)) {
      this.#asked.set(name, { level, column, row });
      this.#next();
    }
    return null;
  }

  /** A tile if it is here. */
  peek(level: number, column: number, row: number): CellTile | null {
    return this.#tiles.get(`${level}/${column}_${row}`) ?? null;
  }

  /** What is known of a level-0 place, from the finest tile that is here. */
  at(place: Point): CellFacts | null {
    for (const [index, level] of this.levels.entries()) {
      const cell = cellAt(level, place);
      if (cell === null) return null;
      const side = this.info.tileCells;
      const [column, row] = [Math.floor(cell.column / side), Math.floor(cell.row / side)];
      const tile = index === 0 ? this.tile(0, column, row) : this.peek(index, column, row);
      if (tile !== null) return this.#facts(tile, cell.column, cell.row);
    }
    return null;
  }

  #facts(tile: CellTile, column: number, row: number): CellFacts {
    const index = (row - tile.firstRow) * tile.columns + column - tile.firstColumn;
    const step = tile.steps[index] ?? NOT_CLASSIFIED;
    const number = tile.coverage[index];
    const names = Object.entries(this.info.coverage);
    const tissue = tile.tissue?.[index] ?? this.info.tissueUnknown;
    return {
      column,
      row,
      value: step === NOT_CLASSIFIED ? null : step,
      coverage: names.find(([, value]) => value === number)?.[0] ?? "unknown",
      tissue: tissue === this.info.tissueUnknown ? null : tissue / this.info.tissueSteps,
      quality: reasonsOf(this.info, tile.quality?.[index] ?? this.info.qualityUnknown).map((one) => one.text),
      numbers: this.#numbers(tile, index),
    };
  }

  #numbers(tile: CellTile, index: number): CellFacts["numbers"] {
    const { numbers, numberUnknown } = this.info;
    const steps = numbers.map(({ name, step }, plane) => [name, step, tile.numbers[plane]?.[index] ?? numberUnknown] as const);
    return Object.fromEntries(
      steps.filter(([, , value]) => value !== numberUnknown).map(([name, step, value]) => [name, step * value]),
    );
  }

  /**
   * Cells of the grid at or above each step, 65,536 numbers; null while tiles are missing, or where
   * the grid is so large that it is never here as a whole.
   */
  countsFrom(): Uint32Array | null {
    const level = this.levels[0];
    if (level === undefined) return null;
    const across = Math.ceil(level.columns / this.info.tileCells);
    const down = Math.ceil(level.rows / this.info.tileCells);
    if (across * down > MOST_COUNTED) return null;
    const counts = new Uint32Array(NOT_CLASSIFIED + 1);
    let whole = true;
    for (let row = 0; row < down; row++) {
      for (let column = 0; column < across; column++) {
        const tile = this.tile(0, column, row);
        if (tile === null) whole = false;
        else for (const step of tile.steps) counts[step] = (counts[step] ?? 0) + 1;
      }
    }
    if (!whole) return null;
    counts[NOT_CLASSIFIED] = 0;
    for (let step = NOT_CLASSIFIED - 1; step >= 0; step--) {
      counts[step] = (counts[step] ?? 0) + (counts[step + 1] ?? 0);
    }
    return counts;
  }

  dispose(): void {
    this.#stop.abort();
    this.#asked.clear();
    this.#tiles.clear();
  }

  #next(): void {
    while (this.#loading.size < AT_ONCE) {
      // What was asked for last is what is on the screen now.
      const [name, wanted] = [...this.#asked].at(-1) ?? [];
      if (name === undefined || wanted === undefined) return;
      this.#asked.delete(name);
      this.#loading.add(name);
      void this.#load(name, wanted);
    }
  }

  async #bytes(path: string): Promise<ArrayBuffer> {
    const answer = await send(`/v1/jobs/${this.#job}/heatmap/${path}`, { signal: this.#stop.signal });
    return answer.arrayBuffer();
  }

  async #load(name: string, at: { level: number; column: number; row: number }): Promise<void> {
    try {
      const [bytes, labels] = await Promise.all([
        this.#bytes(`${name}${this.#query}`),
        this.#label === null ? null : this.#bytes(`${name}${LABELS}`),
      ]);
      const level = this.levels[at.level];
      if (level === undefined || this.#stop.signal.aborted) return;
      const [firstColumn, firstRow] = [at.column * this.info.tileCells, at.row * this.info.tileCells];
      const columns = Math.min(this.info.tileCells, level.columns - firstColumn);
      const rows = Math.min(this.info.tileCells, level.rows - firstRow);
      const place = { level: at.level, firstColumn, firstRow, columns, rows };
      const own = this.#label === null || labels === null ? null : ownOf(decodeTile(labels, place), this.#label);
      this.#tiles.set(name, { ...decodeTile(bytes, place), own });
      for (const oldest of this.#tiles.keys()) {
        if (this.#tiles.size <= MOST_TILES) break;
        this.#tiles.delete(oldest);
      }
    } catch {
      if (!this.#stop.signal.aborted) this.#failed.add(name);
    } finally {
      this.#loading.delete(name);
      if (!this.#stop.signal.aborted) {
        this.#changed();
        this.#next();
      }
    }
  }
}
