/** The whole slide in small, with its heatmap and the part that is shown; a click goes there. */

import { apply, invert, type Point } from "../geometry/affine";
import { levelFor, tilesIn } from "../geometry/cells";
import { levelToScreen, type Size, type View } from "../geometry/view";
import { h } from "../ui/dom";
import type { Session } from "./session";

/** Longest side in CSS px. */
const SIDE = 176;

export class Overview {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #canvas: HTMLCanvasElement;
  readonly #image = new Image();
  readonly #size: Size;
  readonly #scale: number;
  #view: View | null = null;
  #pane: Size = { width: 1, height: 1 };
  #frame = 0;

  constructor(session: Session, go: (place: Point) => void) {
    this.#session = session;
    const { width, height } = session.pyramid.dimensions;
    this.#scale = SIDE / Math.max(width, height);
    this.#size = { width: Math.max(8, width * this.#scale), height: Math.max(8, height * this.#scale) };
    this.#canvas = h("canvas", { class: "viewer-overview-map", "aria-hidden": "true" });
    this.#canvas.style.width = `${this.#size.width}px`;
    this.#canvas.style.height = `${this.#size.height}px`;
    this.element = h("div", { class: "viewer-overview" }, this.#canvas);
    const move = (event: PointerEvent) => {
      if (event.buttons !== 1) return;
      const at = this.#canvas.getBoundingClientRect();
      go({ x: (event.clientX - at.left) / this.#scale, y: (event.clientY - at.top) / this.#scale });
    };
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    this.#canvas.addEventListener("pointermove", move);
    this.#image.addEventListener("load", () => {
      this.update();
    });
    this.#image.src = `/v1/slides/${session.slide.id}/thumbnail?size=512`;
  }

  /** What the pane shows now. */
  show(view: View, pane: Size): void {
    this.#view = view;
    this.#pane = pane;
    this.update();
  }

  /** Draw it with the next frame. */
  update(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#image.removeAttribute("src");
    this.#canvas.width = 0;
  }

  #draw(): void {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.#size;
    const context = this.#canvas.getContext("2d");
    if (context === null) return;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== across || this.#canvas.height !== down) {
      this.#canvas.width = across;
      this.#canvas.height = down;
    }
    context.setTransform(across / width, 0, 0, down / height, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    if (this.#image.complete && this.#image.naturalWidth > 0) {
      context.drawImage(this.#image, 0, 0, width, height);
    }
    context.imageSmoothingEnabled = false;
    for (const layer of this.#session.layers) {
      if (!layer.settings.visible) continue;
      const index = levelFor(layer.source.levels, this.#scale * ratio);
      const level = layer.source.levels[index];
      if (level === undefined) continue;
      context.globalAlpha = layer.settings.opacity;
      const all = { x: 0, y: 0, ...this.#session.pyramid.dimensions };
      const across = level.cell.x * this.#scale;
      const down = level.cell.y * this.#scale;
      for (const at of tilesIn(level, layer.source.info.tileCells, all)) {
        const tile = layer.source.tile(index, at.column, at.row);
        if (tile === null) continue;
        const box = [
          tile.firstColumn * across,
          tile.firstRow * down,
          tile.columns * across,
          tile.rows * down,
        ] as const;
        context.drawImage(layer.picture(tile), ...box);
      }
    }
    context.globalAlpha = 1;
    if (this.#view !== null) this.#drawFrame(context, this.#view);
  }

  #drawFrame(context: CanvasRenderingContext2D, view: View): void {
    const back = invert(levelToScreen(view, this.#pane));
    const { width, height } = this.#pane;
    const corners = [{ x: 0, y: 0 }, { x: width, y: 0 }, { x: width, y: height }, { x: 0, y: height }];
    context.beginPath();
    for (const corner of corners) {
      const at = apply(back, corner);
      context.lineTo(at.x * this.#scale, at.y * this.#scale);
    }
    context.closePath();
    context.lineJoin = "round";
    context.lineWidth = 3.5;
    context.strokeStyle = "rgb(255 255 255 / 0.9)";
    context.stroke();
    context.lineWidth = 1.8;
    context.strokeStyle = "rgb(12 106 120)";
    context.stroke();
  }
}
