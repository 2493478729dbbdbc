/** The panel "Drawings": tools, what is selected, the list, saving, and files. */

import { drawingsFile } from "../../api/drawings";
import { fill, h, setText } from "../../ui/dom";
import { plural } from "../../ui/format";
import { icon, type IconName } from "../../ui/icons";
import { range, setNumber } from "../inputs";
import { ClassField } from "./class_field";
import type { Desk } from "./desk";
import type { Drawing } from "./drawing";
import { Editor } from "./editor";
import { DrawingList } from "./list";
import { BRUSH_LIMITS, type ToolName } from "./pen";

const TOOLS: readonly (readonly [ToolName, IconName, string])[] = [
  ["select", "pointer", "Select a drawing (v)"],
  ["polygon", "polygon", "Polygon (g)"],
  ["rectangle", "rectangle", "Rectangle (u)"],
  ["brush", "brush", "Brush (b)"],
];

const HINTS: Record<ToolName, string> = {
  select: "Click a drawing of yours to select it.",
  polygon: "Click the corners. A double click or Enter closes, Escape takes the last corner back.",
  rectangle: "Drag, or click two corners. It is upright on the screen.",
  brush: "Drag. Strokes of one class that touch become one area.",
};
const MOVING = " The space bar or the middle button moves the slide.";

export class DrawingPanel {
  readonly element = h("div", { class: "panel-body drawings" });
  readonly #desk: Desk;
  readonly #tools = new Map<ToolName, HTMLButtonElement>();
  readonly #add: HTMLButtonElement;
  readonly #erase: HTMLButtonElement;
  readonly #hint = h("p", { class: "quiet drawing-hint" });
  readonly #size: HTMLInputElement;
  readonly #sizeText = h("output", { class: "numbers" });
  readonly #sizeRow: HTMLElement;
  readonly #class: ClassField;
  readonly #classRow: HTMLElement;
  readonly #undo: HTMLButtonElement;
  readonly #redo: HTMLButtonElement;
  readonly #take: HTMLButtonElement;
  readonly #saved = h("p", { class: "drawing-saved quiet", role: "status" });
  readonly #retry = h("button", { class: "button", type: "button", hidden: true }, icon("retry", 16), "Save now");
  readonly #editor: Editor;
  readonly #list: DrawingList;
  readonly #files: Files;

  constructor(desk: Desk, go: (drawing: Drawing) => void) {
    this.#desk = desk;
    for (const [name, picture, title] of TOOLS) this.#tools.set(name, button(picture, title, () => { desk.take(name); }));
    this.#add = choice("Add", "Draw areas", () => { desk.effect = "add"; });
    this.#erase = choice("Erase", "Take away from what I drew before (e)", () => { desk.effect = "erase"; });
    this.#size = range("brush-size", "brush", BRUSH_LIMITS.least, BRUSH_LIMITS.most, 1, (px) => { desk.brushPx = px; });
    this.#sizeRow = h(
      "div",
      { class: "slider" },
      h("div", { class: "slider-head" }, h("label", { for: "brush-size" }, "Brush on the screen"), this.#sizeText),
      this.#size,
    );
    this.#class = new ClassField("draw-class", (name) => desk.colour(name), (name) => { desk.className = name; });
    this.#classRow = h("div", { class: "field" }, h("label", { for: "draw-class" }, "Class"), this.#class.element);
    this.#undo = button("undo", "Undo (Ctrl+Z)", () => { desk.undo(); });
    this.#redo = button("redo", "Redo (Ctrl+Shift+Z)", () => { desk.redo(); });
    this.#take = h("button", { class: "button", type: "button", title: "Draw the marked region of the model, to correct it (i)" }, "");
    this.#take.addEventListener("click", () => { desk.takeRegion(); });
    this.#retry.addEventListener("click", () => { desk.book.outbox.retry(); });
    this.#editor = new Editor(desk);
    this.#list = new DrawingList(desk, go);
    this.#files = new Files(desk);
    const tools = h("div", { class: "drawing-tools", role: "toolbar", "aria-label": "Drawing" }, ...this.#tools.values());
    const effects = h("div", { class: "segments", role: "group", "aria-label": "What the tool does" }, this.#add, this.#erase);
    const drawing = h(
      "div",
      { class: "drawing-desk", hidden: !desk.may },
      h("div", { class: "drawing-row" }, tools, effects, h("span", { class: "drawing-steps" }, this.#undo, this.#redo)),
      this.#hint,
      this.#classRow,
      this.#sizeRow,
      this.#take,
      h("div", { class: "drawing-row" }, this.#saved, this.#retry),
    );
    fill(this.element, drawing, this.#editor.element, this.#list.element, this.#files.element);
  }

  update(): void {
    const desk = this.#desk;
    const { pen, effect, book } = desk;
    for (const [name, tool] of this.#tools) tool.setAttribute("aria-pressed", String(name === pen.tool));
    this.#add.setAttribute("aria-pressed", String(effect === "add"));
    this.#erase.setAttribute("aria-pressed", String(effect === "erase"));
    setText(this.#hint, HINTS[pen.tool] + (pen.tool === "select" ? "" : MOVING));
    this.#sizeRow.hidden = pen.tool !== "brush";
    setNumber(this.#size, pen.brushPx);
    setText(this.#sizeText, `${pen.brushPx} px`);
    this.#classRow.hidden = pen.tool === "select";
    this.#class.update(desk.className, desk.classes, effect === "erase");
    this.#undo.disabled = !book.canUndo;
    this.#redo.disabled = !book.canRedo;
    const { region } = desk.session;
    this.#take.hidden = region === null;
    setText(this.#take, region === null ? "" : `Correct region ${region.number} of the model`);
    this.#showSaving();
    this.#editor.update();
    this.#list.update();
    this.#files.update();
  }

  /** Take in what is being written. */
  keep(): void {
    this.#editor.keep();
  }

  #showSaving(): void {
    const { outbox, mine } = this.#desk.book;
    const { unsaved, trouble } = outbox;
    const wrong = trouble !== null && unsaved > 0;
    const saved = mine.length > 0 ? "All drawings are saved." : "";
    const text = unsaved === 0 ? saved : wrong ? `${plural(unsaved, "drawing")} not saved. ${trouble}${outbox.waits ? " It is tried again; leave the page open." : ""}` : "Saving…";
    this.#saved.classList.toggle("wrong", wrong);
    this.#retry.hidden = !wrong;
    setText(this.#saved, text);
  }
}

/** What drawings come to, as files for other programs. */
class Files {
  readonly element: HTMLElement;
  readonly #desk: Desk;
  readonly #whose = h("select", { class: "input", "aria-label": "Whose drawings" });
  readonly #links = (["geojson", "xml"] as const).map((ending) => {
    const text = ending === "geojson" ? "GeoJSON" : "ASAP XML";
    const title = ending === "geojson" ? "Areas for QuPath" : "Areas for ASAP, as CAMELYON has them";
    return { ending, link: h("a", { class: "button", title }, icon("download", 16), text) };
  });
  #shape = "";

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#whose.addEventListener("change", () => { this.#point(); });
    this.element = h(
      "section",
      { class: "drawing-files", "aria-label": "Files of the drawings" },
      h("h3", {}, "Save as a file"),
      h("div", { class: "drawing-row" }, this.#whose, ...this.#links.map(({ link }) => link)),
    );
  }

  update(): void {
    const { me, mine, colleagues } = this.#desk.book;
    this.element.hidden = mine.length + colleagues.length === 0;
    const users = [...(me === null ? [] : [{ id: me.id, name: "Mine" }]), ...colleagues.map((one) => one.author)];
    const shape = JSON.stringify(users);
    if (shape === this.#shape) return;
    this.#shape = shape;
    const { value } = this.#whose;
    fill(this.#whose, h("option", { value: "" }, "Of everyone"), ...users.map(({ id, name }) => h("option", { value: id }, name)));
    this.#whose.value = users.some(({ id }) => id === value) ? value : "";
    this.#point();
  }

  #point(): void {
    const { id } = this.#desk.session.slide;
    for (const { ending, link } of this.#links) {
      link.href = drawingsFile(id, ending, this.#whose.value === "" ? null : this.#whose.value);
      // Named by id: file names of slides may hold a patient's.
      link.download = `${id}.drawings.${ending}`;
    }
  }
}

function button(name: IconName, title: string, run: () => void): HTMLButtonElement {
  const made = h("button", { class: "button plain icon-only", type: "button", title, "aria-label": title }, icon(name));
  made.addEventListener("click", run);
  return made;
}

function choice(text: string, title: string, run: () => void): HTMLButtonElement {
  return h("button", { type: "button", title, on: { click: run } }, text);
}
