/** One result over the slide: its cells, how they are to look, and the pictures made of both. */

import type { Point } from "../geometry/affine";
import { colourCells, colourLabels, colourTable, labelColours, NOT_CLASSIFIED, stepOf, STEPS } from "../colour/lut";
import type { PaletteName } from "../colour/palette";
import type { LayerSettings } from "../state/viewer_state";
import { CellSource, type CellFacts, type CellTile, type Plane } from "./cell_source";
import { marked, markName, type Mark } from "./marks";
import { outline, pathOf, type Range } from "./outline";
import type { ClassLabel } from "../api/jobs";
import type { CellsInfo } from "./results";
import { ATTENTION, attends, chosenOf, ownThreshold } from "./shown";

/** What a result says of a place. */
export interface PlaceFacts {
  readonly column: number;
  readonly row: number;
  /** Of the class that is shown; null: not classified. */
  readonly probability: number | null;
  /** Name of the class the cell is of, where labels are shown. */
  readonly label: string | null;
  /** Name of the coverage class. */
  readonly coverage: string;
  /** 0 to 1; null where no patch covers the cell. */
  readonly tissue: number | null;
  /** What quality control found, in words. */
  readonly quality: readonly string[];
  readonly numbers: CellFacts["numbers"];
}

interface Picture {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  readonly image: ImageData;
  readonly px: Uint32Array;
  /** What it was coloured with. */
  palette: PaletteName | null;
  step: number | null;
}

interface Line {
  readonly range: Range;
  /** Which neighbours were there. */
  readonly neighbours: string;
  readonly path: Path2D;
}

/** Whether a class is shown where it is the most likely one: until somebody chooses a threshold. */
export function isLikely(info: Pick<CellsInfo, "task" | "classes" | "attention" | "positive">, settings: LayerSettings): boolean {
  const { threshold, labels } = settings;
  return info.task === "multiclass" && threshold === null && !labels && !attends(info, settings);
}

export class Layer {
  readonly info: CellsInfo;
  readonly #job: string;
  readonly #changed: () => void;
  #settings: LayerSettings;
  /** Probabilities of the class that is shown. */
  #probabilities: CellSource;
  /** Labels, while these are shown. */
  #labels: CellSource | null = null;
  #counts: Uint32Array | null = null;
  #pictures = new WeakMap<CellTile, Picture>();
  #lines = new WeakMap<CellTile, Line>();
  #marks = new WeakMap<CellTile, Partial<Record<string, HTMLCanvasElement | null>>>();

  /** `changed` is called whenever cells have arrived. */
  constructor(job: string, info: CellsInfo, settings: LayerSettings, changed: () => void) {
    this.#job = job;
    this.info = info;
    this.#changed = changed;
    this.#settings = settings;
    this.#probabilities = this.#newSource(this.#plane());
    if (settings.labels) this.#labels = this.#newSource("labels");
    this.#count();
  }

  /** The cells that are drawn. */
  get source(): CellSource {
    return this.#labels ?? this.#probabilities;
  }

  /** Whether everything that was asked for is here. */
  get settled(): boolean {
    return this.#probabilities.settled && (this.#labels?.settled ?? true);
  }

  /** The class that is shown. */
  get of(): ClassLabel {
    const chosen = chosenOf(this.info, this.#settings.of);
    if (chosen === undefined) throw new Error("a result with nothing to show has no layer");
    return chosen;
  }

  /** Cells of the grid at or above each step; null until they are here, or for huge grids. */
  get counts(): Uint32Array | null {
    return this.#counts;
  }

  get settings(): LayerSettings {
    return this.#settings;
  }

  set settings(settings: LayerSettings) {
    const before = this.of;
    this.#settings = settings;
    if (this.of !== before) {
      this.#probabilities.dispose();
      this.#probabilities = this.#newSource(this.#plane());
      this.#counts = null;
      this.#count();
    }
    if (settings.labels) this.#labels ??= this.#newSource("labels");
    else {
      this.#labels?.dispose();
      this.#labels = null;
    }
  }

  /** What is known of a level-0 place. */
  at(place: Point): PlaceFacts | null {
    const facts = this.source.at(place);
    if (facts === null) return null;
    const { value, ...rest } = facts;
    const label = this.#labels === null ? null : (this.info.classes.find((one) => one.label === value)?.name ?? null);
    const step = this.#labels === null ? value : (this.#probabilities.at(place)?.value ?? null);
    return { ...rest, label, probability: step === null ? null : step / STEPS };
  }

  /** Probability from which a cell is shown as of the class, unless that is a matter of `likely`. */
  get threshold(): number {
    return this.#settings.threshold ?? ownThreshold(this.info, this.#settings);
  }

  /** Whether cells are shown as of the class where it is the most likely one. */
  get likely(): boolean {
    return isLikely(this.info, this.#settings);
  }

  /** The least step that is shown as of the class; null where another rule says what is. */
  get step(): number | null {
    if (this.likely) return null;
    const { threshold, thresholdStep } = this.info;
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
      const { palette } = this.#settings;
      picture.palette = palette;
      picture.step = this.step;
      if (this.#labels === null) {
        const above = attends(this.info, this.#settings) ? 0 : picture.step;
        const [deciding, least] = above === null ? [tile.own ?? tile.steps, 1] : [tile.steps, above];
        colourCells(tile.steps, least, colourTable(palette), picture.px, deciding);
      }
      else colourLabels(tile.steps, labelColours(this.info.classes, palette), picture.px);
      picture.context.putImageData(picture.image, 0, 0);
    }
    return picture.canvas;
  }

  /** The boundary of the class in a tile, in cells. */
  line(tile: CellTile): Path2D {
    const near = this.#neighbours(tile);
    const neighbours = near.map((one) => (one === null ? "0" : "1")).join("");
    const known = this.#lines.get(tile);
    const range = this.#range();
    const same = known?.range.least === range.least && known.range.most === range.most;
    if (same && known.neighbours === neighbours) return known.path;
    const deciding = near.map((one) => (one === null ? null : { ...one, steps: this.#deciding(one) }));
    const beyond = (column: number, row: number) => insideOf(deciding, column, row, range);
    const path = pathOf(outline({ ...tile, steps: this.#deciding(tile) }, range, beyond));
    this.#lines.set(tile, { range, neighbours, path });
    return path;
  }

  /** Numbers of the cells that the outline goes around. */
  #range(): Range {
    const { label } = this.of;
    if (this.#labels !== null) return { least: label, most: label };
    return this.step === null ? { least: 1, most: 1 } : { least: this.step, most: STEPS };
  }

  /** The numbers of a tile that `#range` is of. */
  #deciding(tile: CellTile): Uint16Array {
    return this.#labels === null && this.step === null ? (tile.own ?? tile.steps) : tile.steps;
  }

  #plane(): Plane {
    const { name, label } = this.of;
    const labelled = this.info.task === "multiclass" && name !== ATTENTION.name;
    return { of: name, label: labelled ? label : null };
  }

  #newSource(plane: Plane): CellSource {
    return new CellSource(this.#job, this.info, plane, () => {
      this.#count();
      this.#changed();
    });
  }

  #count(): void {
    this.#counts ??= this.#probabilities.countsFrom();
  }

  /** Where a tile has cells of a kind: opaque there, clear elsewhere; null where it has none. */
  mark(tile: CellTile, mark: Mark): HTMLCanvasElement | null {
    const made = this.#marks.get(tile) ?? {};
    const name = markName(mark);
    let canvas = made[name];
    if (canvas === undefined) {
      const has = marked(tile, mark, this.info);
      canvas = tile.coverage.some((_, index) => has(index)) ? drawn(tile, has) : null;
      this.#marks.set(tile, { ...made, [name]: canvas });
    }
    return canvas;
  }

  dispose(): void {
    this.#probabilities.dispose();
    this.#labels?.dispose();
    this.#pictures = new WeakMap();
    this.#lines = new WeakMap();
    this.#marks = new WeakMap();
  }

  #neighbours(tile: CellTile): (CellTile | null)[] {
    const side = this.info.tileCells;
    const [column, row] = [tile.firstColumn / side, tile.firstRow / side];
    return [[-1, 0], [1, 0], [0, -1], [0, 1]].map(([dx = 0, dy = 0]) =>
      this.source.peek(tile.level, column + dx, row + dy),
    );
  }
}

function insideOf(tiles: readonly (CellTile | null)[], column: number, row: number, range: Range): boolean {
  for (const tile of tiles) {
    if (tile === null) continue;
    const [x, y] = [column - tile.firstColumn, row - tile.firstRow];
    if (x < 0 || y < 0 || x >= tile.columns || y >= tile.rows) continue;
    const value = tile.steps[y * tile.columns + x] ?? NOT_CLASSIFIED;
    return value >= range.least && value <= range.most;
  }
  return false;
}

function newPicture(tile: CellTile): Picture {
  const { canvas, context } = newCanvas(tile);
  const image = context.createImageData(tile.columns, tile.rows);
  const px = new Uint32Array(image.data.buffer);
  return { canvas, context, image, px, palette: null, step: -1 };
}

function drawn(tile: CellTile, has: (index: number) => boolean): HTMLCanvasElement {
  const { canvas, context } = newCanvas(tile);
  const image = context.createImageData(tile.columns, tile.rows);
  const px = new Uint32Array(image.data.buffer);
  for (let index = 0; index < px.length; index++) {
    px[index] = has(index) ? 0xff000000 : 0;
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
