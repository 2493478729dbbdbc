/** What the page says where there are no images to show. */

import { problemText } from "../api/problem";
import { maySubmit } from "../api/session";
import { fill, h } from "../ui/dom";
import { message } from "../ui/message";
import type { ImagesData } from "./data";

export interface NoteEvents {
  readonly onFolder: () => void;
  readonly onFiles: () => void;
  readonly onAll: () => void;
  readonly onAgain: () => void;
}

export class Note {
  readonly element = h("div", { class: "note" });
  readonly #events: NoteEvents;
  /** What it says, so that it is made anew only when that changed. */
  #said = "";

  constructor(events: NoteEvents) {
    this.#events = events;
  }

  /** @param shown How many images are in the grid. */
  show({ error, listed, loaded, job, models }: ImagesData, shown: number): void {
    let what = "";
    if (error !== null) what = problemText(error);
    else if (!listed || (job !== null && !loaded)) what = "loading";
    else if (job === null) what = models.length === 0 ? "no model" : "empty";
    else if (shown === 0) what = "nothing";
    if (what === this.#said) return;
    this.#said = what;
    fill(this.element, what === "" ? null : this.#of(what));
  }

  #of(what: string): HTMLElement {
    const { onFolder, onFiles, onAll, onAgain } = this.#events;
    switch (what) {
      case "loading":
        return h("p", { class: "quiet image-loading", role: "status" }, "Loading…");
      case "empty":
        return message({
          icon: "folder",
          title: "No images yet",
          text: "Drop a folder of images anywhere on this page, or choose one. Each image is one cell or patch: PNG, JPEG, TIFF, BMP or WebP.",
          actions: maySubmit() ? [button("Add folder", onFolder, true), button("Add images", onFiles)] : [],
        });
      case "no model":
        return message({
          icon: "info",
          title: "No model can answer for images yet",
          text: "An administrator makes one with wsi train, or installs one with wsi models import. Its output must be classes.",
        });
      case "nothing":
        return message({
          icon: "search",
          title: "No image matches",
          text: "No image of this folder has this name, class or state.",
          actions: [button("Show all images", onAll)],
        });
      default:
        return message({
          icon: "warning",
          title: "The images could not be loaded",
          text: what,
          urgent: true,
          actions: [button("Try again", onAgain, true)],
        });
    }
  }
}

function button(text: string, act: () => void, primary = false): HTMLElement {
  return h("button", { class: primary ? "button primary" : "button", type: "button", on: { click: act } }, text);
}
