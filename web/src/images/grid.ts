/** The grid of images. Only rows near those in sight are on the page, however many there are. */

import type { StoredImage } from "../api/images";
import { h } from "../ui/dom";
import { columnsIn, GAP_PX, rowsInSight } from "./rows";
import { Tile, type Colours } from "./tile";

/** Height of a row, in the page's text size; `images.css` gives tiles the same. */
const ROW_REM = 14;
/** Before thumbnails of new rows are asked for: those that only fly by are not, ms. */
const SETTLE_MS = 100;

export interface GridEvents {
  readonly onOpen: (image: StoredImage) => void;
  /** A key that does not move; says whether it meant something. */
  readonly onKey: (image: StoredImage, key: string) => boolean;
}

export class Grid {
  readonly element = h("div", { class: "image-grid", role: "grid", "aria-label": "Images", "aria-readonly": "true" });
  readonly #events: GridEvents;
  readonly #tiles = new Map<string, Tile>();
  readonly #rows = new Map<number, HTMLElement>();
  readonly #sizes = new ResizeObserver(() => {
    this.#later();
  });
  readonly #row = ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize) + GAP_PX;
  #images: readonly StoredImage[] = [];
  #colours: Colours = {};
  #columns = 1;
  /** Place of the image that the keyboard is at. */
  #current = 0;
  #frame = 0;
  #timer = 0;

  constructor(events: GridEvents) {
    this.#events = events;
    this.element.addEventListener("keydown", (event) => {
      this.#onKey(event);
    });
    this.element.addEventListener("click", (event) => {
      const image = this.#images[this.#placeOf(event.target)];
      if (image !== undefined) this.#events.onOpen(image);
    });
    this.element.addEventListener("focusin", (event) => {
      const place = this.#placeOf(event.target);
      if (place !== -1 && place !== this.#current) this.#point(place);
    });
  }

  start(): void {
    window.addEventListener("scroll", this.#later, { passive: true });
    window.addEventListener("resize", this.#later);
    this.#sizes.observe(this.element);
  }

  stop(): void {
    window.removeEventListener("scroll", this.#later);
    window.removeEventListener("resize", this.#later);
    this.#sizes.disconnect();
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#timer);
    for (const tile of this.#tiles.values()) tile.close();
  }

  /** Show images in their order; the keyboard stays at its image, or at its place. */
  show(images: readonly StoredImage[], colours: Colours): void {
    const id = this.#images[this.#current]?.id;
    const place = images.findIndex((image) => image.id === id);
    this.#current = place === -1 ? Math.max(0, Math.min(this.#current, images.length - 1)) : place;
    this.#images = images;
    this.#colours = colours;
    this.#draw();
  }

  /** Put the keyboard at an image, and have it in sight. */
  focus(id: string): void {
    const place = this.#images.findIndex((image) => image.id === id);
    if (place !== -1) this.#go(place);
  }

  readonly #later = (): void => {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  };

  #draw(): void {
    const width = this.element.clientWidth;
    if (width === 0) return;
    this.#columns = columnsIn(width);
    const rows = Math.ceil(this.#images.length / this.#columns);
    const { first, end } = rowsInSight(this.element.getBoundingClientRect().top, innerHeight, this.#row, rows);
    const wanted = new Set(Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index));
    // Where the keyboard is stays on the page, or the focus would be lost.
    if (rows > 0) wanted.add(Math.floor(this.#current / this.#columns));
    const hadFocus = this.element.contains(document.activeElement);
    this.element.style.setProperty("height", `${Math.max(0, rows * this.#row - GAP_PX)}px`);
    this.element.setAttribute("aria-rowcount", String(rows));
    this.element.setAttribute("aria-colcount", String(this.#columns));
    const ids = new Set<string>();
    for (const [row, element] of this.#rows) {
      if (wanted.has(row)) continue;
      element.remove();
      this.#rows.delete(row);
    }
    for (const row of wanted) this.#drawRow(row, ids);
    for (const [id, tile] of this.#tiles) {
      if (ids.has(id)) continue;
      tile.close();
      this.#tiles.delete(id);
    }
    if (hadFocus && !this.element.contains(document.activeElement)) {
      this.#tileAt(this.#current)?.focus({ preventScroll: true });
    }
    if (this.#timer === 0) {
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        for (const tile of this.#tiles.values()) tile.load();
      }, SETTLE_MS);
    }
  }

  #drawRow(row: number, ids: Set<string>): void {
    let element = this.#rows.get(row);
    if (element === undefined) {
      element = h("div", { class: "image-row", role: "row", "aria-rowindex": row + 1 });
      this.#rows.set(row, element);
      // In their order also for those who hear the page.
      const after = [...this.#rows].filter(([other]) => other > row).sort(([a], [b]) => a - b)[0];
      this.element.insertBefore(element, after?.[1] ?? null);
    }
    element.style.setProperty("transform", `translateY(${row * this.#row}px)`);
    element.style.setProperty("grid-template-columns", `repeat(${this.#columns}, minmax(0, 1fr))`);
    const place = row * this.#columns;
    const tiles = this.#images.slice(place, place + this.#columns).map((image, column) => {
      ids.add(image.id);
      let tile = this.#tiles.get(image.id);
      if (tile === undefined) {
        tile = new Tile(image);
        this.#tiles.set(image.id, tile);
      }
      tile.show(image, this.#colours);
      tile.element.setAttribute("aria-colindex", String(column + 1));
      tile.element.tabIndex = place + column === this.#current ? 0 : -1;
      return tile.element;
    });
    const isSame = tiles.length === element.children.length && tiles.every((tile, at) => element.children[at] === tile);
    if (!isSame) element.replaceChildren(...tiles);
  }

  #onKey(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.metaKey || event.altKey) return;
    const image = this.#images[this.#current];
    if (image === undefined || this.#placeOf(event.target) === -1) return;
    const place = this.#moved(event);
    if (place !== null) {
      this.#go(place);
    } else if (event.ctrlKey || event.repeat) {
      return;
    } else if (event.key === "Enter" || event.key === " ") {
      this.#events.onOpen(image);
    } else if (!this.#events.onKey(image, event.key)) {
      return;
    }
    event.preventDefault();
  }

  /** Where a key leads; null: it does not move. */
  #moved({ key, ctrlKey }: KeyboardEvent): number | null {
    const columns = this.#columns;
    const begin = this.#current - (this.#current % columns);
    const screen = columns * Math.max(1, Math.floor(innerHeight / this.#row) - 1);
    if (ctrlKey) return key === "Home" ? 0 : key === "End" ? Infinity : null;
    const places: Readonly<Record<string, number>> = {
      ArrowRight: this.#current + 1,
      ArrowLeft: this.#current - 1,
      ArrowDown: this.#current + columns,
      ArrowUp: this.#current - columns,
      PageDown: this.#current + screen,
      PageUp: this.#current - screen,
      Home: begin,
      End: begin + columns - 1,
    };
    return places[key] ?? null;
  }

  #go(place: number): void {
    this.#point(Math.max(0, Math.min(this.#images.length - 1, place)));
    const tile = this.#tileAt(this.#current);
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  #point(place: number): void {
    this.#current = place;
    this.#draw();
  }

  #tileAt(place: number): HTMLElement | undefined {
    return this.#tiles.get(this.#images[place]?.id ?? "")?.element;
  }

  #placeOf(target: EventTarget | null): number {
    const tile = target instanceof Element ? target.closest<HTMLElement>("[data-image]") : null;
    return tile === null ? -1 : this.#images.findIndex(({ id }) => id === tile.dataset["image"]);
  }
}
