/** One image, large: what it is called and why, and the keys that label it. */

import { fileUrl, pictureUrl, type StoredImage } from "../api/images";
import type { Model } from "../api/models";
import { openDialog } from "../ui/dialog";
import { fill, h, setText } from "../ui/dom";
import { count, plural } from "../ui/format";
import { icon, type IconName } from "../ui/icons";
import { Explanation } from "./explanation";
import { Verdict } from "./verdict";
import { baseName, calledText, spoken } from "./words";

export interface OpenedEvents {
  /** Another image is shown. */
  readonly onMove: (id: string) => void;
  readonly onClose: (id: string) => void;
  /** A key that labels; says whether it meant something. */
  readonly onKey: (image: StoredImage, key: string) => boolean;
  readonly onClass: (image: StoredImage, name: string) => void;
  readonly onLabel: (image: StoredImage, label: string | null) => void;
}

export class Opened {
  readonly #events: OpenedEvents;
  readonly #dialog: HTMLDialogElement;
  /** Ids in the order that the grid had: labelling must not move what is next. */
  readonly #order: readonly string[];
  readonly #look: (id: string) => StoredImage | undefined;
  readonly #picture = h("div", { class: "image-large" });
  readonly #explanation = new Explanation();
  readonly #verdict: Verdict;
  readonly #told = h("p", { class: "unseen", role: "status" });
  readonly #place = h("span", { class: "quiet numbers" });
  readonly #previous: HTMLButtonElement;
  readonly #next: HTMLButtonElement;
  readonly #file = h("a", { class: "button plain", download: true }, icon("download", 16), "Original file");
  readonly #body: HTMLElement;
  #image: StoredImage;
  /** The image and answer whose explanation is shown. */
  #explained = "";
  #pictured = "";

  constructor(
    image: StoredImage,
    order: readonly string[],
    look: (id: string) => StoredImage | undefined,
    events: OpenedEvents,
  ) {
    this.#image = image;
    this.#order = order;
    this.#look = look;
    this.#events = events;
    this.#verdict = new Verdict({
      onClass: (name) => {
        events.onClass(this.#image, name);
        this.#body.focus();
      },
      onLabel: (label) => {
        events.onLabel(this.#image, label);
        this.#body.focus();
      },
      onClear: () => {
        events.onLabel(this.#image, null);
        this.#body.focus();
      },
    });
    this.#previous = mover("Previous image (←)", "chevron", () => { this.#move(-1); });
    this.#previous.classList.add("turned");
    this.#next = mover("Next image (→)", "chevron", () => { this.#move(1); });
    this.#body = h(
      "div",
      { class: "image-opened", tabindex: -1, autofocus: true },
      h("div", { class: "image-pictures" }, this.#picture, this.#explanation.element),
      this.#verdict.element,
      this.#told,
    );
    this.#dialog = openDialog({
      title: baseName(image.name),
      body: [this.#body],
      buttons: [this.#file, this.#previous, this.#place, this.#next],
    });
    this.#dialog.classList.add("image-dialog");
    this.#body.focus();
    this.#dialog.addEventListener("keydown", (event) => {
      this.#onKey(event);
    });
    this.#dialog.addEventListener("close", () => {
      this.#explanation.clear();
      events.onClose(this.#image.id);
    });
  }

  close(): void {
    this.#dialog.close();
  }

  get id(): string {
    return this.#image.id;
  }

  /**
   * Show the image as it is now.
   *
   * @param isCurrent Whether this model is the one that answered, and so can explain the answer.
   * @param classes Of the model that answered.
   */
  show(image: StoredImage, model: Model | null, isCurrent: boolean, classes: readonly string[]): void {
    this.#image = image;
    const { answer } = image;
    const heading = this.#dialog.querySelector("h2");
    if (heading !== null) {
      setText(heading, baseName(image.name));
      heading.title = image.name;
    }
    this.#file.href = fileUrl(image.id);
    // Before a worker read it there is no copy that a browser could show.
    const pictured = answer === null ? `${image.id}|` : `${image.id}|there`;
    if (pictured !== this.#pictured) {
      this.#pictured = pictured;
      fill(
        this.#picture,
        answer === null
          ? icon(image.state === "failed" ? "warning" : "clock", 40)
          : h("img", { src: pictureUrl(image.id), alt: image.name, width: answer.width, height: answer.height }),
      );
    }
    this.#verdict.show(image, model, classes);
    const explained = answer === null ? "" : image.id;
    if (explained !== this.#explained) {
      this.#explained = explained;
      if (answer === null) this.#explanation.clear();
      else if (model === null || !isCurrent) this.#explanation.refuse("the model that answered is not installed any more");
      else this.#explanation.show(image.id, model.name, calledText(answer));
    }
    const place = this.#order.indexOf(image.id);
    setText(this.#place, `${count(place + 1)} of ${plural(this.#order.length, "image")}`);
    this.#previous.disabled = place <= 0;
    this.#next.disabled = place >= this.#order.length - 1;
    setText(this.#told, spoken(image));
  }

  #move(step: number): void {
    const place = this.#order.indexOf(this.#image.id) + step;
    const id = this.#order[place];
    // One that was deleted meanwhile is passed over.
    const image = id === undefined ? undefined : this.#look(id);
    if (image !== undefined) this.#events.onMove(image.id);
    else if (id !== undefined) this.#move(step + Math.sign(step));
    // A button that is off now would keep the focus to itself.
    this.#body.focus({ preventScroll: true });
  }

  #onKey(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : this.#dialog;
    if (target.closest("input") !== null) return;
    if (event.key === "ArrowLeft") this.#move(-1);
    else if (event.key === "ArrowRight") this.#move(1);
    // On a button Enter presses it.
    else if (event.repeat || (event.key === "Enter" && target.closest("button, a") !== null)) return;
    else if (!this.#events.onKey(this.#image, event.key)) return;
    event.preventDefault();
  }
}

function mover(text: string, name: IconName, act: () => void): HTMLButtonElement {
  return h("button", { class: "button icon-only", type: "button", title: text, "aria-label": text, on: { click: act } }, icon(name, 16));
}
