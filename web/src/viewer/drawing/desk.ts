/** Drawing on a slide: the tool in hand, its class, what is selected, and what all that leads to. */

import type { Effect } from "../../api/drawings";
import { maySubmit } from "../../api/session";
import { problemText } from "../../api/problem";
import type { Affine, Point } from "../../geometry/affine";
import { toast } from "../../ui/toast";
import type { Session } from "../session";
import { fitting, isInside, piecesOf, type Ring, type Rings } from "./area";
import { Book } from "./book";
import { classesOf, colourOf } from "./colours";
import type { Drawing, Sketch } from "./drawing";
import { outboxOf } from "./outboxes";
import { BRUSH_LIMITS, Pen, type ToolName } from "./pen";

/** How far a region of a model may be simplified if it has too many points, level-0 px. */
const REGION_PX = 0.5;
/** The brush grows and shrinks by this factor. */
const WIDER = 1.25;

export interface DeskEvents {
  /** Something is to be drawn anew. */
  readonly onPaint: () => void;
  /** Something is other than the panel shows it. */
  readonly onChange: () => void;
  /** A tool was taken: the keyboard is for the slide now. */
  readonly onTake: () => void;
  readonly onSay: (text: string) => void;
}

export class Desk {
  readonly session: Session;
  readonly book: Book;
  readonly pen = new Pen();
  /** Ids of users whose drawings are not shown; mine: "". */
  readonly hidden = new Set<string>();
  readonly #events: DeskEvents;
  #effect: Effect = "add";
  /** Of areas, and of erasures. */
  #class: string | null = null;
  #erased = "";
  #selected: string | null = null;

  constructor(session: Session, events: DeskEvents) {
    this.session = session;
    this.#events = events;
    this.book = new Book(session.slide.id, outboxOf(session.slide.id), () => { this.#changed(); });
  }

  /** Fetch what was drawn. */
  async begin(): Promise<void> {
    try {
      await this.book.load(this.session.signal);
    } catch (error) {
      if (!this.session.signal.aborted) toast(`The drawings were not loaded. ${problemText(error)}`, "wrong");
    }
  }

  /** Whether whoever is signed in may draw. */
  get may(): boolean {
    return maySubmit();
  }

  /** Whether the panel of drawings is shown: clicks then are for drawings. */
  get on(): boolean {
    return this.session.state.value.panel === "drawings";
  }

  /** Whether the pointer draws. */
  get draws(): boolean {
    return this.on && this.may && this.pen.tool !== "select";
  }

  get effect(): Effect {
    return this.#effect;
  }

  set effect(effect: Effect) {
    this.#effect = effect;
    this.#changed();
  }

  /** Of the next area or erasure; an erasure's may be empty. */
  get className(): string {
    if (this.#effect === "erase") return this.#erased;
    return this.#class ?? this.session.active?.layer?.of.name ?? this.classes[0] ?? "tumour";
  }

  set className(name: string) {
    if (this.#effect === "erase") this.#erased = name;
    else this.#class = name;
    this.#changed();
  }

  /** Names that a menu offers. */
  get classes(): readonly string[] {
    const drawn = [...this.book.mine, ...this.book.colleagues.flatMap((one) => one.drawings)];
    return classesOf(this.session, [...(this.#class === null ? [] : [this.#class]), ...drawn.map((one) => one.className)]);
  }

  colour(name: string): string {
    return colourOf(this.session, name);
  }

  /** The drawing of mine that is marked. */
  get selected(): Drawing | null {
    return this.book.mine.find((one) => one.id === this.#selected) ?? null;
  }

  select(id: string | null): void {
    this.#selected = id;
    this.#changed();
  }

  /** Take a tool; the panel with its settings is shown. */
  take(tool: ToolName): void {
    if (!this.#mayDraw()) return;
    this.pen.tool = tool;
    this.session.state.set({ panel: "drawings" });
    this.#events.onTake();
    this.#events.onSay(tool === "select" ? "Select drawings by a click" : `Tool: ${tool}`);
    this.#changed();
  }

  /** Another panel is shown: what was begun is dropped, and clicks are for that panel again. */
  follow(): void {
    if (this.on || (this.pen.tool === "select" && this.#selected === null)) return;
    this.pen.tool = "select";
    this.#selected = null;
    this.#changed();
  }

  set brushPx(px: number) {
    this.pen.brushPx = Math.round(Math.min(BRUSH_LIMITS.most, Math.max(BRUSH_LIMITS.least, px)));
    this.#changed();
  }

  widen(wider: boolean): void {
    const px = this.pen.brushPx;
    this.brushPx = wider ? Math.max(px + 1, px * WIDER) : Math.min(px - 1, px / WIDER);
  }

  press(place: Point, toScreen: Affine, at: number): void {
    this.#drawn(this.pen.press(place, toScreen, at));
  }

  move(place: Point | null, toScreen: Affine): void {
    if (!this.draws) return;
    this.pen.move(place, toScreen);
    this.#events.onPaint();
  }

  release(toScreen: Affine): void {
    this.#drawn(this.pen.release(toScreen));
  }

  /** Set a corner at a place, by a key. */
  corner(place: Point, toScreen: Affine): void {
    if (this.draws) this.#drawn(this.pen.corner(place, toScreen));
  }

  /** The key Enter; whether it was for drawing. */
  enter(toScreen: Affine): boolean {
    if (!this.draws) return false;
    if (this.pen.busy) this.#drawn(this.pen.finish(toScreen));
    return true;
  }

  /** The key Escape; whether it was for drawing. */
  escape(): boolean {
    if (!this.on) return false;
    if (this.pen.busy) this.pen.back();
    else if (this.pen.tool !== "select") this.pen.tool = "select";
    else if (this.#selected !== null) this.#selected = null;
    else return false;
    this.#changed();
    return true;
  }

  /** Select what was drawn last at a place; whether clicks select now. */
  click(place: Point): boolean {
    if (!this.on) return false;
    const mine = this.hidden.has("") || !this.may ? [] : this.book.mine;
    this.select(mine.findLast((one) => isInside(one.rings, place))?.id ?? null);
    return true;
  }

  /** Draw the region that is marked, to be corrected; each connected part is one drawing. */
  takeRegion(): void {
    if (!this.#mayDraw()) return;
    const { region, active } = this.session;
    const className = active?.layer?.of.name;
    if (region === null || className === undefined) {
      toast("Select a region of the model first: n and p go through them.");
      return;
    }
    const rings = region.rings.map(ringOf);
    const sketches = piecesOf(rings).map((piece): Sketch => {
      const comment = `Region ${region.number} of ${active?.job.model ?? "the model"}`;
      return { effect: "add", tool: "model", className, comment, rings: fitting(piece, REGION_PX) };
    });
    const [first] = this.book.add(sketches);
    this.#class = className;
    this.#effect = "add";
    this.pen.tool = "brush";
    // Its outline would stay where the drawing is corrected.
    this.session.state.set({ panel: "drawings", region: null });
    this.select(first?.id ?? null);
    this.#events.onTake();
    this.#events.onSay(`Region ${region.number} is a drawing now: add to it, or erase from it`);
  }

  change(id: string, change: Partial<Pick<Sketch, "className" | "comment">>): void {
    this.book.change(id, change);
  }

  removeSelected(): void {
    const { selected } = this;
    if (selected !== null && this.on && this.may) this.book.remove(selected.id);
  }

  undo(): void {
    this.pen.drop();
    this.book.undo();
  }

  redo(): void {
    this.pen.drop();
    this.book.redo();
  }

  show(author: string, shown: boolean): void {
    if (shown) this.hidden.delete(author);
    else this.hidden.add(author);
    this.#changed();
  }

  #mayDraw(): boolean {
    if (!this.may) toast("This key may look at drawings, not draw.", "wrong");
    return this.may;
  }

  #drawn(rings: Rings | null): void {
    const { tool } = this.pen;
    if (rings !== null && rings.length > 0 && tool !== "select") {
      this.hidden.delete("");
      const sketch: Sketch = { effect: this.#effect, tool, className: this.className, comment: "", rings };
      const [drawing] = this.book.add([sketch]);
      this.#selected = drawing?.id ?? null;
    }
    this.#changed();
  }

  #changed(): void {
    this.#events.onPaint();
    this.#events.onChange();
  }
}

/** A closed ring of numbers as points, not closed. */
function ringOf(flat: Float64Array): Ring {
  const ring: Point[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    ring.push({ x: flat[index] ?? 0, y: flat[index + 1] ?? 0 });
  }
  const [first, last] = [ring[0], ring.at(-1)];
  if (first !== undefined && first.x === last?.x && first.y === last.y) ring.pop();
  return ring;
}
