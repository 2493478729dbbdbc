/** Small pictures of slides with their heatmap on them. */

import { colourCells, colourLabels, colourTable, labelColours } from "../colour/lut";
import { DEFAULT_PALETTE } from "../colour/palette";
import { get, send } from "../api/client";
import type { ClassLabel, Task } from "../api/jobs";
import type { Slide } from "../api/slides";
import { h } from "../ui/dom";

/** Longest side of the picture, px: sharp on fine screens too. */
const PICTURE_PX = 192;
/** More cells than this across cannot be told apart at this size. */
const ENOUGH_CELLS = 160;
const AT_ONCE = 3;

interface Cells {
  readonly tile_cells: number;
  readonly threshold_step: number;
  readonly task: Task;
  readonly classes: readonly ClassLabel[];
  readonly positive: string;
  readonly levels: readonly {
    readonly columns: number;
    readonly rows: number;
    /** Side of a cell, level-0 px. */
    readonly cell_px: number;
    readonly cell_height_px: number;
  }[];
}

/** The colours of a result's cells, one px each, and the level-0 px of a cell. */
interface Heat {
  readonly picture: HTMLCanvasElement;
  readonly cell: { readonly width: number; readonly height: number };
}

const known = new Map<string, Promise<Heat | null>>();
let busy = 0;
const waiting: (() => void)[] = [];

/** Lets elements know that they came into sight. */
const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      sight.unobserve(entry.target);
      entry.target.dispatchEvent(new Event("wsi:seen"));
    }
  },
  { rootMargin: "200px" },
);

/** A slide's picture; with the cells of a job's result on it if there is one. */
export function thumbnail(slide: Slide, jobId: string | null): HTMLElement {
  const frame = h("div", { class: "thumb" });
  if (slide.state !== "ready" || slide.info === null) return frame;
  const { width, height } = slide.info.dimensions;
  const inner = h("div", { class: "thumb-inner" });
  inner.style.setProperty("aspect-ratio", `${width} / ${height}`);
  inner.classList.add(width * 3 > height * 4 ? "wide" : "tall");
  const image = h("img", {
    alt: "",
    loading: "lazy",
    decoding: "async",
    src: `/v1/slides/${slide.id}/thumbnail?size=${PICTURE_PX}`,
  });
  inner.append(image);
  frame.append(inner);
  if (jobId !== null) {
    frame.addEventListener("wsi:seen", () => void overlay(inner, jobId, width, height));
    sight.observe(frame);
  }
  return frame;
}

async function overlay(inner: HTMLElement, jobId: string, width: number, height: number) {
  let heat = known.get(jobId);
  if (heat === undefined) {
    heat = inTurn(() => fetchHeat(jobId)).catch(() => null);
    known.set(jobId, heat);
  }
  const found = await heat;
  if (found === null) {
    known.delete(jobId);
    return;
  }
  const scale = PICTURE_PX / Math.max(width, height);
  const canvas = h("canvas", {
    class: "thumb-heat",
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  });
  const context = canvas.getContext("2d");
  if (context === null) return;
  const { picture, cell } = found;
  context.imageSmoothingEnabled = false;
  const across = picture.width * cell.width * scale;
  const down = picture.height * cell.height * scale;
  context.drawImage(picture, 0, 0, across, down);
  inner.append(canvas);
}

/** The finest level that fits in one tile and is not finer than the picture. */
async function fetchHeat(jobId: string): Promise<Heat | null> {
  const cells = await get<Cells>(`/v1/jobs/${jobId}/heatmap`);
  // No class, and no attention in place of one: the result has nothing to show.
  if (cells.positive === "") return null;
  const fits = cells.levels.findIndex(
    ({ columns, rows }) => Math.max(columns, rows) <= Math.min(ENOUGH_CELLS, cells.tile_cells),
  );
  const index = fits === -1 ? cells.levels.length - 1 : fits;
  const level = cells.levels[index];
  if (level === undefined) return null;
  const columns = Math.min(level.columns, cells.tile_cells);
  const rows = Math.min(level.rows, cells.tile_cells);
  // Where the most likely class counts, no threshold says which cells to show.
  const likely = cells.task === "multiclass";
  const answer = await send(`/v1/jobs/${jobId}/heatmap/${index}/0_0${likely ? "?labels=true" : ""}`);
  const steps = new Uint16Array(await answer.arrayBuffer(), 0, columns * rows);
  const picture = h("canvas", { width: columns, height: rows });
  const context = picture.getContext("2d");
  if (context === null) return null;
  const image = context.createImageData(columns, rows);
  const px = new Uint32Array(image.data.buffer);
  if (likely) colourLabels(steps, labelColours(onlyPositive(cells), DEFAULT_PALETTE), px);
  else colourCells(steps, cells.threshold_step, colourTable(DEFAULT_PALETTE), px);
  context.putImageData(image, 0, 0);
  return { picture, cell: { width: level.cell_px, height: level.cell_height_px } };
}

/** The classes, with a colour for the one that slides are ranked by alone. */
function onlyPositive({ classes, positive }: Cells): ClassLabel[] {
  return classes.map((one) => (one.name === positive ? one : { ...one, colour: null }));
}

/** A few at a time, so that what the user asks for meanwhile is not kept waiting. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (busy >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  busy += 1;
  try {
    return await work();
  } finally {
    busy -= 1;
    waiting.shift()?.();
  }
}
