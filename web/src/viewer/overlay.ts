/**
 * Everything drawn over the slide: heatmaps, outlines, marks, the marked region, measurements.
 *
 * One canvas of the pane's device px, drawn anew for every frame with one affine map from level 0:
 * nothing is placed by rounded sizes of tiles, so edges fall where the cells' edges are.
 */

import { compose, scaling, type Affine } from "../geometry/affine";
import { levelFor, tilesIn } from "../geometry/cells";
import { levelToScreen, shownBox, type Box, type Size, type View } from "../geometry/view";
import type { CellTile } from "./cell_source";
import { hatchTile } from "./hatch";
import type { Layer } from "./layer";
import type { Mark } from "./marks";
import type { Region } from "./results";

/** Draws over everything else, in screen px. */
export type Painter = (context: CanvasRenderingContext2D, levelToScreen: Affine) => void;

export interface Scene {
  readonly slide: Size;
  /** From the bottom up. */
  readonly layers: readonly Layer[];
  readonly region: Region | null;
  readonly painters: readonly Painter[];
}

const MARKS: readonly Mark[] = ["unread", "unreadable", "screened"];

export class Overlay {
  readonly canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  /** Where patterns are cut to the cells they mark; made when it is needed first. */
  #scratch: CanvasRenderingContext2D | null = null;

  constructor() {
    this.canvas.className = "viewer-overlay";
    this.canvas.setAttribute("aria-hidden", "true");
    const context = this.canvas.getContext("2d");
    if (context === null) throw new Error("this browser cannot draw pictures (canvas)");
    this.#context = context;
  }

  /** Draw a scene as a pane of some screen px shows it; whether there were cells to draw. */
  draw(scene: Scene, view: View, pane: Size, ratio: number): boolean {
    const [width, height] = [Math.round(pane.width * ratio), Math.round(pane.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (width === 0 || height === 0) return false;
    // The canvas may be a fraction of a px larger or smaller than the pane, as the slide's is.
    const toScreen = levelToScreen(view, pane);
    const stretch = { a: width / pane.width, b: 0, c: 0, d: height / pane.height, e: 0, f: 0 };
    const toDevice = compose(stretch, toScreen);
    const shown = shownBox(view, pane);
    context.save();
    transform(context, toDevice);
    context.beginPath();
    context.rect(0, 0, scene.slide.width, scene.slide.height);
    context.clip();
    let cells = false;
    for (const layer of scene.layers) {
      if (!layer.settings.visible) continue;
      if (this.#drawLayer(layer, toDevice, shown, view.zoom * ratio, ratio)) cells = true;
    }
    context.restore();
    if (scene.region !== null) this.#drawRegion(scene.region, toDevice, view.zoom * ratio, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const paint of scene.painters) {
      context.save();
      paint(context, toScreen);
      context.restore();
    }
    return cells;
  }

  #drawLayer(layer: Layer, toDevice: Affine, shown: Box, zoom: number, ratio: number): boolean {
    const { source, settings } = layer;
    const index = levelFor(source.levels, zoom);
    const level = source.levels[index];
    if (level === undefined) return false;
    const tiles = tilesIn(level, source.info.tileCells, shown)
      .map((at) => source.tile(index, at.column, at.row))
      .filter((tile) => tile !== null);
    const map = compose(toDevice, scaling(level.cell.x, level.cell.y));
    const context = this.#context;
    context.imageSmoothingEnabled = false;
    transform(context, map);
    context.globalAlpha = settings.opacity;
    for (const tile of tiles) {
      context.drawImage(layer.picture(tile), tile.firstColumn, tile.firstRow);
    }
    context.globalAlpha = 1;
    if (settings.coverage) {
      for (const mark of MARKS) this.#drawMark(layer, tiles, mark, map, ratio);
    }
    if (settings.quality) {
      for (const reason of layer.info.quality) this.#drawMark(layer, tiles, reason, map, ratio);
    }
    if (settings.outline) {
      transform(context, map);
      const px = ratio / (Math.sqrt(level.cell.x * level.cell.y) * zoom);
      for (const tile of tiles) {
        const path = layer.line(tile);
        stroke(context, path, px, 3.2, "rgb(255 255 255 / 0.75)");
        stroke(context, path, px, 1.4, "rgb(16 24 32)");
      }
    }
    return tiles.length > 0;
  }

  #drawMark(
    layer: Layer,
    tiles: readonly CellTile[],
    mark: Mark,
    map: Affine,
    ratio: number,
  ): void {
    const masks = tiles
      .map((tile) => ({ tile, mask: layer.mark(tile, mark) }))
      .filter((one) => one.mask !== null);
    if (masks.length === 0) return;
    const scratch = this.#cleanScratch();
    scratch.imageSmoothingEnabled = false;
    transform(scratch, map);
    for (const { tile, mask } of masks) {
      if (mask !== null) scratch.drawImage(mask, tile.firstColumn, tile.firstRow);
    }
    const pattern = scratch.createPattern(hatchTile(mark, ratio), "repeat");
    if (pattern === null) return;
    // It moves with the slide, and is always upright.
    pattern.setTransform(new DOMMatrix([1, 0, 0, 1, map.e, map.f]));
    scratch.setTransform(1, 0, 0, 1, 0, 0);
    scratch.globalCompositeOperation = "source-in";
    scratch.fillStyle = pattern;
    scratch.fillRect(0, 0, this.canvas.width, this.canvas.height);
    scratch.globalCompositeOperation = "source-over";
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.drawImage(scratch.canvas, 0, 0);
  }

  #drawRegion(region: Region, toDevice: Affine, zoom: number, ratio: number): void {
    const path = new Path2D();
    for (const ring of region.rings) {
      for (let index = 0; index + 1 < ring.length; index += 2) {
        const [x, y] = [ring[index] ?? 0, ring[index + 1] ?? 0];
        if (index === 0) path.moveTo(x, y);
        else path.lineTo(x, y);
      }
      path.closePath();
    }
    const context = this.#context;
    transform(context, toDevice);
    stroke(context, path, ratio / zoom, 5, "rgb(255 255 255)");
    stroke(context, path, ratio / zoom, 2.6, "rgb(12 106 120)");
  }

  #cleanScratch(): CanvasRenderingContext2D {
    this.#scratch ??= document.createElement("canvas").getContext("2d");
    if (this.#scratch === null) throw new Error("this browser cannot draw pictures (canvas)");
    const { canvas } = this.#scratch;
    // Also forgets everything that was set.
    canvas.width = this.canvas.width;
    canvas.height = this.canvas.height;
    return this.#scratch;
  }

  dispose(): void {
    this.canvas.width = 0;
    this.canvas.height = 0;
    if (this.#scratch !== null) this.#scratch.canvas.width = 0;
    this.canvas.remove();
  }
}

function transform(context: CanvasRenderingContext2D, map: Affine): void {
  context.setTransform(map.a, map.b, map.c, map.d, map.e, map.f);
}

function stroke(
  context: CanvasRenderingContext2D,
  path: Path2D,
  px: number,
  width: number,
  colour: string,
): void {
  context.lineWidth = width * px;
  context.lineJoin = "round";
  context.strokeStyle = colour;
  context.stroke(path);
}
