/** One result over the slide: its cells, how they are to look, and the pictures made of both. */

import { colourCells, colourTable, NOT_CLASSIFIED, stepOf } from "../colour/lut";
import type { LayerSettings } from "../state/viewer_state";
import type { CellSource, CellTile } from "./cell_source";
import { outline, pathOf } from "./outline";

/** Coverage classes by how they are marked. */
export type Mark = "unread" | "unreadable";
const MARKED: Record<Mark, readonly string[]> = {
  unread: ["empty"],
  unreadable: ["unreadable", "rejected"],
};

interface Picture {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  readonly image: ImageData;
  readonly px: Uint32Array;
  /** What it was coloured with. */
  palette: string;
  step: number;
}

interface Line {
  readonly step: number;
  /** Which neighbours were there. */
  readonly neighbours: string;
  readonly path: Path2D;
}

export class Layer {
  readonly source: CellSource;
  #settings: LayerSettings;
  #pictures = new WeakMap<CellTile, Picture>();
  #lines = new WeakMap<CellTile, Line>();
  #marks = new WeakMap<CellTile, Partial<Record<Mark, HTMLCanvasElement | null>>>();

  constructor(source: CellSource, settings: LayerSettings) {
    this.source = source;
    this.#settings = settings;
  }

  get settings(): LayerSettings {
    return this.#settings;
  }

  set settings(settings: LayerSettings) {
    this.#settings = settings;
  }

  /** Probability from which a cell is shown as tumour. */
  get threshold(): number {
    return this.#settings.threshold ?? this.source.info.threshold;
  }

  /** The least step that is shown as tumour. */
  get step(): number {
    const { threshold, thresholdStep } = this.source.info;
    // The result's own is exact: it divides the cells just as the mask does.
    return this.threshold === threshold ? thresholdStep : stepOf(this.threshold);
  }

  /** The picture of a tile, one px per cell, in the colours of now. */
  picture(tile: CellTile): HTMLCanvasElement {
    let picture = this.#pictures.get(tile);
    if (picture === undefined) {
      picture = newPicture(tile);
      this.#pictures.set(tile, picture);
    }
    if (picture.palette !== this.#settings.palette || picture.step !== this.step) {
      picture.palette = this.#settings.palette;
      picture.step = this.step;
      colourCells(tile.steps, picture.step, colourTable(this.#settings.palette), picture.px);
      picture.context.putImageData(picture.image, 0, 0);
    }
    return picture.canvas;
  }

  /** The boundary of a tile's tumour, in cells. */
  line(tile: CellTile): Path2D {
    const near = this.#neighbours(tile);
    const neighbours = near.map((one) => (one === null ? "0" : "1")).join("");
    const known = this.#lines.get(tile);
    if (known?.step === this.step && known.neighbours === neighbours) return known.path;
    const step = this.step;
    const beyond = (column: number, row: number) => tumourIn(near, column, row, step);
    const path = pathOf(outline(tile, step, beyond));
    this.#lines.set(tile, { step, neighbours, path });
    return path;
  }

  /** Where a tile has cells of a kind: opaque there, clear elsewhere; null where it has none. */
  mark(tile: CellTile, mark: Mark): HTMLCanvasElement | null {
    const made = this.#marks.get(tile) ?? {};
    let canvas = made[mark];
    if (canvas === undefined) {
      const numbers = MARKED[mark].map((name) => this.source.info.coverage[name]);
      canvas = tile.coverage.some((value) => numbers.includes(value))
        ? drawn(tile, (value) => numbers.includes(value))
        : null;
      this.#marks.set(tile, { ...made, [mark]: canvas });
    }
    return canvas;
  }

  dispose(): void {
    this.source.dispose();
    this.#pictures = new WeakMap();
    this.#lines = new WeakMap();
    this.#marks = new WeakMap();
  }

  #neighbours(tile: CellTile): (CellTile | null)[] {
    const side = this.source.info.tileCells;
    const [column, row] = [tile.firstColumn / side, tile.firstRow / side];
    return [[-1, 0], [1, 0], [0, -1], [0, 1]].map(([dx = 0, dy = 0]) =>
      this.source.peek(tile.level, column + dx, row + dy),
    );
  }
}

function tumourIn(tiles: readonly (CellTile | null)[], column: number, row: number, step: number): boolean {
  for (const tile of tiles) {
    if (tile === null) continue;
    const [x, y] = [column - tile.firstColumn, row - tile.firstRow];
    if (x < 0 || y < 0 || x >= tile.columns || y >= tile.rows) continue;
    const value = tile.steps[y * tile.columns + x] ?? NOT_CLASSIFIED;
    return value >= step && value !== NOT_CLASSIFIED;
  }
  return false;
}

function newPicture(tile: CellTile): Picture {
  const { canvas, context } = newCanvas(tile);
  const image = context.createImageData(tile.columns, tile.rows);
  const px = new Uint32Array(image.data.buffer);
  return { canvas, context, image, px, palette: "", step: -1 };
}

function drawn(tile: CellTile, has: (coverage: number) => boolean): HTMLCanvasElement {
  const { canvas, context } = newCanvas(tile);
  const image = context.createImageData(tile.columns, tile.rows);
  const px = new Uint32Array(image.data.buffer);
  for (let index = 0; index < px.length; index++) {
    px[index] = has(tile.coverage[index] ?? 0) ? 0xff000000 : 0;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function newCanvas(tile: CellTile): { canvas: HTMLCanvasElement; context: CanvasRenderingContext2D } {
  const canvas = document.createElement("canvas");
  canvas.width = tile.columns;
  canvas.height = tile.rows;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser cannot draw pictures (canvas)");
  return { canvas, context };
}
