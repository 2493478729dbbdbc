/** A patch as the model saw it, at full resolution: level-0 px, put together from Deep Zoom tiles. */

import { send } from "../api/client";
import type { Point } from "../geometry/affine";
import { cellAt } from "../geometry/cells";
import type { Mpp } from "../geometry/scale";
import type { Box } from "../geometry/view";
import { openDialog } from "../ui/dialog";
import { fill, h } from "../ui/dom";
import { percent, probability } from "../ui/format";
import { measureOf, planesOf, shownOf } from "./shown";
import { tileUrl, type Pyramid } from "./pyramid";
import type { Loaded } from "./session";
import { coverageText, placeText } from "./readout";
import { whyPart } from "./why";

/** Level-0 px around the patch, to see where it lies. */
const MARGIN_PX = 48;
/** Patches larger than this are shown with fewer px. */
const MOST_PX = 1600;

export function openPatch(pyramid: Pyramid, result: Loaded, place: Point, mpp: Mpp | null): void {
  const level = result.layer?.source.levels[0];
  const cell = level === undefined ? null : cellAt(level, place);
  const facts = result.layer?.at(place) ?? null;
  if (level === undefined || cell === null || result.findings === null) return;
  const { patch_px_0: width, patch_height_px_0: height = width } = result.findings.provenance.grid;
  const box = { x: cell.column * level.cell.x, y: cell.row * level.cell.y, width, height };
  const canvas = h("canvas", { class: "patch", role: "img", "aria-label": "The patch at full resolution" });
  const state = h("p", { class: "quiet", role: "status" }, "Loading the patch…");
  const stop = new AbortController();
  const known = facts?.probability ?? null;
  const tissue = facts?.tissue ?? null;
  const label = facts?.label ?? null;
  // Of what is shown; a cell that is called none of the classes has no answer of its own.
  const planes = result.layer === null ? [] : planesOf(result.layer.info);
  const called = planes.find((one) => one.name === label) ?? planes.find((one) => one === result.layer?.of);
  const asked = called?.name ?? result.layer?.info.positive ?? null;
  const rows: (readonly [string, string])[] = [
    [result.layer === null ? "Probability" : measureOf(result.layer.of, shownOf(result.layer.info).length === 1), known === null ? "–" : probability(known)],
    ...(label === null ? [] : [["Most likely class", label] as const]),
    ["Tissue", tissue === null ? "–" : percent(100 * tissue)],
    ["Coverage", coverageText(facts?.coverage ?? "")],
    ["Corner", placeText(box, mpp)],
    ["Cell", `column ${cell.column}, row ${cell.row}`],
    ["Patch", `${Math.round(width)} × ${Math.round(height)} px of level 0`],
  ];
  const dialog = openDialog({
    title: "Patch at full resolution",
    body: [
      h(
        "div",
        { class: "patch-body" },
        h("div", { class: "patch-frame" }, canvas, state),
        h("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { class: "numbers" }, value)])),
      ),
      known !== null && asked !== null && whyPart({ job: result.job.id, column: cell.column, row: cell.row, of: asked }, stop.signal),
    ],
    buttons: [h("button", { class: "button primary", type: "button", on: { click: () => { dialog.close(); } } }, "Close")],
  });
  dialog.classList.add("patch-dialog");
  dialog.addEventListener("close", () => {
    stop.abort();
    canvas.width = 0;
  });
  void draw(canvas, pyramid, box, stop.signal).then(
    (whole) => {
      if (whole) state.remove();
      else fill(state, "A part of this patch cannot be read.");
    },
    () => {
      if (!stop.signal.aborted) fill(state, "The patch could not be loaded.");
    },
  );
}

/** Draw a level-0 box with what lies around it; false where tiles are missing. */
async function draw(
  canvas: HTMLCanvasElement,
  pyramid: Pyramid,
  box: Box,
  signal: AbortSignal,
): Promise<boolean> {
  const coarser = Math.max(0, Math.ceil(Math.log2((Math.max(box.width, box.height) + 2 * MARGIN_PX) / MOST_PX)));
  const level = Math.max(0, pyramid.finest - coarser);
  const scale = 2 ** (level - pyramid.finest);
  const left = (box.x - MARGIN_PX) * scale;
  const top = (box.y - MARGIN_PX) * scale;
  const width = Math.round((box.width + 2 * MARGIN_PX) * scale);
  const height = Math.round((box.height + 2 * MARGIN_PX) * scale);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) return false;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  const tile = pyramid.tileSize;
  const columns = Math.ceil((pyramid.dimensions.width * scale) / tile);
  const rows = Math.ceil((pyramid.dimensions.height * scale) / tile);
  const wanted: Promise<boolean>[] = [];
  for (let row = Math.max(0, Math.floor(top / tile)); row < rows && row * tile < top + height; row++) {
    for (let column = Math.max(0, Math.floor(left / tile)); column < columns && column * tile < left + width; column++) {
      wanted.push(
        send(tileUrl(pyramid.slideId, level, column, row), { signal })
          .then((answer) => answer.blob())
          .then(createImageBitmap)
          .then((image) => {
            context.drawImage(image, column * tile - left, row * tile - top);
            image.close();
            return true;
          })
          .catch(() => false),
      );
    }
  }
  const whole = (await Promise.all(wanted)).every(Boolean);
  const edge = MARGIN_PX * scale;
  for (const [line, colour] of [[4, "rgb(255 255 255 / 0.9)"], [2, "rgb(12 106 120)"]] as const) {
    context.lineWidth = line;
    context.strokeStyle = colour;
    context.strokeRect(edge - 2, edge - 2, box.width * scale + 4, box.height * scale + 4);
  }
  return whole;
}
