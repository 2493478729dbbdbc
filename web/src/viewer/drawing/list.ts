/** The drawings of each user: mine first, the newest on top; and whose are shown. */

import { fill, h } from "../../ui/dom";
import { plural } from "../../ui/format";
import { swatch } from "../../ui/swatch";
import type { Desk } from "./desk";
import type { Author, Drawing } from "./drawing";
import { classText, sizeText } from "./texts";

/** Rows made at a time: thousands of them would make the page slow. */
const PAGE = 100;

export class DrawingList {
  readonly element = h("div", { class: "drawing-lists" });
  readonly #desk: Desk;
  readonly #go: (drawing: Drawing) => void;
  /** Rows shown of a user, where these are more than at first. */
  readonly #most = new Map<string, number>();
  #shown: readonly unknown[] = [];

  constructor(desk: Desk, go: (drawing: Drawing) => void) {
    this.#desk = desk;
    this.#go = go;
  }

  update(): void {
    const { book, selected, hidden, session } = this.#desk;
    const unsaved = book.mine.filter((one) => book.outbox.isUnsaved(one.id)).map((one) => one.id);
    const shown = [book.mine, book.colleagues, book.loaded, selected?.id, [...hidden].join(" "), unsaved.join(" "), session.mpp, session.models, session.layers.length];
    if (shown.every((one, index) => one === this.#shown[index])) return;
    this.#shown = shown;
    const mine: Author = { id: "", name: "My drawings" };
    fill(
      this.element,
      this.#user(mine, book.mine, new Set(unsaved)),
      ...book.colleagues.map((one) => this.#user(one.author, one.drawings, new Set())),
    );
  }

  #user({ id, name }: Author, drawings: readonly Drawing[], unsaved: ReadonlySet<string>): HTMLElement {
    const box = h("input", { type: "checkbox" });
    box.checked = !this.#desk.hidden.has(id);
    box.addEventListener("change", () => { this.#desk.show(id, box.checked); });
    const most = this.#most.get(id) ?? PAGE;
    const rows = [...drawings].reverse().slice(0, most);
    const empty = this.#desk.book.loaded ? "Nothing is drawn yet." : "Loading…";
    const more = h("button", { class: "button", type: "button" }, `Show more of ${drawings.length}`);
    more.addEventListener("click", () => {
      this.#most.set(id, most + PAGE);
      this.#shown = [];
      this.update();
    });
    return h(
      "section",
      { class: "drawing-user", "data-author": id },
      h(
        "label",
        { class: "drawing-author", title: "Show on the slide" },
        box,
        h("strong", { class: "cut" }, name),
        h("span", { class: id === "" ? "line-sample" : "line-sample broken", "aria-hidden": "true" }),
        h("span", { class: "quiet numbers" }, drawings.length > 0 && plural(drawings.length, "drawing")),
      ),
      drawings.length === 0
        ? h("p", { class: "quiet" }, empty)
        : h("ol", { class: "drawing-list" }, ...rows.map((one) => this.#row(one, id === "", unsaved.has(one.id)))),
      drawings.length > most && more,
    );
  }

  #row(drawing: Drawing, mine: boolean, unsaved: boolean): HTMLElement {
    const { effect, className, comment } = drawing;
    const button = h(
      "button",
      { class: "drawing-item", type: "button", title: comment === "" ? null : comment, "data-drawing": drawing.id, "aria-current": this.#desk.selected?.id === drawing.id ? "true" : null },
      swatch(effect === "erase" ? "transparent" : this.#desk.colour(className)),
      h("span", { class: "cut" }, classText(drawing)),
      h("span", { class: "quiet numbers" }, unsaved ? "not saved" : sizeText(drawing, this.#desk.session.mpp)),
      comment !== "" && h("span", { class: "drawing-comment quiet cut" }, comment),
    );
    button.addEventListener("click", () => {
      if (mine && this.#desk.may) this.#desk.select(drawing.id);
      this.#go(drawing);
    });
    return h("li", {}, button);
  }
}
