/** Taking results along: files of the service, a picture of the view, addresses to copy. */

import { problemText } from "../api/problem";
import { shareMask } from "../api/sharing";
import { scaleBar, umAcross } from "../geometry/scale";
import { copyText } from "../ui/clipboard";
import { h } from "../ui/dom";
import { icon, type IconName } from "../ui/icons";
import { toast } from "../ui/toast";
import { barText } from "./scale_bar";
import type { Session } from "./session";
import type { Stage } from "./stage";

const NOTICE = "Research use, not a diagnosis";

export class Exports {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #stage: () => Stage;
  readonly #files: HTMLAnchorElement[];
  readonly #zarr: HTMLButtonElement;

  constructor(session: Session, stage: () => Stage) {
    this.#session = session;
    this.#stage = stage;
    this.#files = [
      link("regions.geojson?notes=true", "GeoJSON", "Outlines and notes for QuPath"),
      link("tiles.csv", "CSV", "One row per classified tile"),
    ];
    this.#zarr = action("link", "Zarr URL", "Copy the address of the OME-Zarr mask, for vizarr, QuPath or zarr-python", () => this.#copyZarr());
    this.element = h(
      "div",
      { class: "exports", role: "group", "aria-label": "Export" },
      ...this.#files,
      action("download", "PNG", "Picture of the current view", () => this.#savePicture()),
      this.#zarr,
      action("link", "Link", "Copy a link to this view (l)", () => this.copyLink()),
    );
  }

  update(): void {
    const active = this.#session.active;
    const job = active?.job.id ?? null;
    // That panel has files of its own.
    const beside = this.#session.state.value.panel !== "drawings";
    this.#zarr.hidden = !beside;
    for (const file of this.#files) {
      if (job === null) file.removeAttribute("href");
      else file.href = `/v1/jobs/${job}/${file.dataset["file"] ?? ""}`;
      // Of a result without anything to show there is neither.
      file.hidden = !beside || (active?.nothing ?? false);
      file.setAttribute("aria-disabled", String(job === null));
    }
    this.#zarr.disabled = job === null;
  }

  async copyLink(): Promise<void> {
    await copyText(location.href, "The link to this view was copied.");
  }

  async #copyZarr(): Promise<void> {
    const job = this.#session.active?.job.id;
    if (job === undefined) return;
    const { url, told } = await shareMask(job);
    await copyText(url, told);
  }

  async #savePicture(): Promise<void> {
    const canvas = viewPicture(this.#session, this.#stage());
    const blob = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
    if (blob === null) throw new Error("The picture could not be created.");
    const url = URL.createObjectURL(blob);
    // Named by id: file names of slides may hold a patient's.
    h("a", { href: url, download: `${this.#session.slide.id}.view.png` }).click();
    window.setTimeout(() => {
      URL.revokeObjectURL(url);
    }, 10_000);
  }
}

/** All panes beside each other, with a scale bar and the notice. */
function viewPicture(session: Session, stage: Stage): HTMLCanvasElement {
  const pictures = stage.panes.map((pane) => pane.picture());
  const first = stage.pane;
  const ratio = (pictures[0]?.width ?? 1) / Math.max(1, first.size.width);
  const canvas = document.createElement("canvas");
  const foot = Math.round(34 * ratio);
  canvas.width = pictures.reduce((sum, picture) => sum + picture.width, 0);
  canvas.height = Math.max(...pictures.map((picture) => picture.height)) + foot;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("This browser cannot draw pictures (canvas).");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  let x = 0;
  for (const picture of pictures) {
    context.drawImage(picture, x, 0);
    x += picture.width;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, canvas.height - foot);
  context.fillStyle = "#17222a";
  context.font = "500 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillText([NOTICE, ...session.notices].join(" · "), 12, 17);
  const mpp = session.mpp;
  if (mpp !== null) {
    const bar = scaleBar(first.view.zoom, umAcross(mpp, first.view.rotation), 160);
    const right = canvas.width / ratio - 12;
    context.textAlign = "right";
    context.fillText(barText(bar.um, mpp), right - bar.px - 8, 17);
    context.fillRect(right - bar.px, 15, bar.px, 4);
  }
  return canvas;
}

function link(file: string, text: string, title: string): HTMLAnchorElement {
  return h("a", { class: "button", download: "", "data-file": file, title }, icon("download", 16), text);
}

function action(name: IconName, text: string, title: string, run: () => Promise<void>): HTMLButtonElement {
  const button = h("button", { class: "button", type: "button", title }, icon(name, 16), text);
  button.addEventListener("click", () => {
    run().catch((error: unknown) => {
      toast(problemText(error), "wrong");
    });
  });
  return button;
}
