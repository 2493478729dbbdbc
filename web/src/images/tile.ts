/** One image in the grid: its thumbnail, what it is called, and what people said of it. */

import { thumbnailUrl, type StoredImage } from "../api/images";
import { fill, h } from "../ui/dom";
import { probability } from "../ui/format";
import { icon } from "../ui/icons";
import { swatch } from "../ui/swatch";
import { baseName, calledProbability, calledText, labelLines, waitText } from "./words";

export type Colours = Readonly<Record<string, string>>;

export class Tile {
  readonly element: HTMLElement;
  readonly #thumb = h("div", { class: "image-thumb" });
  readonly #said = h("div", { class: "image-said" });
  readonly #marks = h("div", { class: "image-marks" });
  readonly #id: string;
  #picture: HTMLImageElement | null = null;
  #key = "";

  constructor(image: StoredImage) {
    this.#id = image.id;
    this.element = h(
      "div",
      { class: "image-tile", role: "gridcell", tabindex: -1, "data-image": image.id },
      this.#thumb,
      this.#said,
      this.#marks,
      h("div", { class: "image-name cut quiet", title: image.name }, baseName(image.name)),
    );
  }

  /** Show an image as it is now; nothing is made anew where nothing changed. */
  show(image: StoredImage, colours: Colours): void {
    const { answer, label, labels, state, problem } = image;
    const key = JSON.stringify([answer?.called, answer?.probabilities, answer?.reason, label, labels, state, problem?.detail]);
    if (key === this.#key) return;
    this.#key = key;
    this.element.dataset["state"] = state ?? "";
    const wait = waitText(image);
    if (answer === null) {
      this.#picture = null;
      fill(this.#thumb, icon(state === "failed" ? "warning" : "clock", 28));
      fill(this.#said, h("span", { class: state === "failed" ? "image-cause wrong" : "quiet", title: wait }, wait));
    } else {
      this.#show();
      const [first] = answer.called;
      fill(
        this.#said,
        swatch((first === undefined ? undefined : colours[first]) ?? null),
        h("b", { class: "cut" }, calledText(answer)),
        h("span", { class: "numbers" }, probability(calledProbability(answer))),
      );
    }
    const others = labelLines(labels.filter((one) => one.label !== label));
    fill(
      this.#marks,
      label !== null && h("span", { class: "badge accent cut", title: `Your label: ${label}` }, icon("check", 12), unseen("Your label: "), label),
      answer?.review === true && this.#doubt(answer.reason, label !== null),
      others.length > 0 && h("span", { class: "badge", title: others.join("\n") }, icon("comment", 12), others.length, unseen(` other labels: ${others.join("; ")}`)),
    );
  }

  /** Ask for the thumbnail, where there is one. */
  load(): void {
    if (this.#picture !== null && !this.#picture.hasAttribute("src")) this.#picture.src = thumbnailUrl(this.#id);
  }

  /** It is out of sight: what is still on its way is wanted no more. */
  close(): void {
    this.#picture?.removeAttribute("src");
  }

  /** Why to look again; beside a label, which says that somebody did, only its sign. */
  #doubt(reason: string, isShort: boolean): HTMLElement {
    const title = `Look again: ${reason}`;
    return h("span", { class: "badge warning cut", title }, icon("warning", 12), unseen("Look again: "), isShort ? unseen(reason) : reason);
  }

  #show(): void {
    if (this.#picture !== null) return;
    const picture = h("img", { alt: "", decoding: "async", draggable: "false" });
    picture.addEventListener("error", () => {
      picture.classList.add("missing");
    });
    this.#picture = picture;
    fill(this.#thumb, picture);
  }
}

/** What a sign stands for, for those who do not see it. */
function unseen(text: string): HTMLElement {
  return h("span", { class: "unseen" }, text);
}
