/** The drawing that is selected: its class and comment, to be changed, and how to delete it. */

import { MAX_COMMENT } from "../../api/drawings";
import { h, setText } from "../../ui/dom";
import { icon } from "../../ui/icons";
import { ClassField } from "./class_field";
import type { Desk } from "./desk";
import { aboutText } from "./texts";

export class Editor {
  readonly element: HTMLElement;
  readonly #desk: Desk;
  readonly #head = h("h3", {});
  readonly #class: ClassField;
  readonly #comment = h("textarea", {
    class: "input",
    rows: 2,
    maxlength: MAX_COMMENT,
    placeholder: "Comment",
    "aria-label": "Comment on this drawing",
  });
  #id: string | null = null;
  #kept = "";

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#class = new ClassField("drawing-class", (name) => desk.colour(name), (className) => {
      if (this.#id !== null) desk.change(this.#id, { className });
    });
    this.#comment.addEventListener("change", () => { this.keep(); });
    const remove = h("button", { class: "button danger", type: "button", title: "Delete this drawing (Delete)" }, icon("trash", 16), "Delete");
    remove.addEventListener("click", () => { desk.removeSelected(); });
    this.element = h(
      "section",
      { class: "drawing-editor", "aria-label": "Selected drawing", hidden: true },
      this.#head,
      this.#class.element,
      this.#comment,
      h("div", { class: "drawing-row" }, remove),
    );
  }

  update(): void {
    const { selected } = this.#desk;
    if (selected?.id !== this.#id) this.keep();
    this.element.hidden = selected === null;
    const other = selected?.id !== this.#id;
    this.#id = selected?.id ?? null;
    if (selected === null) return;
    setText(this.#head, aboutText(selected, this.#desk.session.mpp));
    this.#class.update(selected.className, this.#desk.classes, selected.effect === "erase");
    // What is being written is not overwritten.
    if (other || this.#comment.value === this.#kept) this.#comment.value = selected.comment;
    this.#kept = selected.comment;
  }

  /** Take in the comment as it is written now. */
  keep(): void {
    const comment = this.#comment.value.trim();
    if (this.#id === null || comment === this.#kept) return;
    this.#kept = comment;
    this.#desk.change(this.#id, { comment });
  }
}
