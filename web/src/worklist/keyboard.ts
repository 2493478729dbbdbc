/** Moving through the table and acting on its lines with the keyboard. */

import { openDialog } from "../ui/dialog";
import { h } from "../ui/dom";

export interface KeyActions {
  readonly search: () => void;
  readonly add: () => void;
  readonly analyse: () => void;
  readonly select: () => void;
  readonly remove: () => void;
}

const SHORTCUTS: readonly (readonly [readonly string[], string])[] = [
  [["↓", "j"], "Next line"],
  [["↑", "k"], "Previous line"],
  [["Home"], "First line"],
  [["End"], "Last line"],
  [["Enter"], "Open in the viewer"],
  [["x"], "Select the slide"],
  [["a"], "Analyse the selected slides, or this one"],
  [["Delete"], "Delete the selected slides, or this one"],
  [["/"], "Search"],
  [["u"], "Add slides"],
  [["?"], "Show this list"],
];

export class Keyboard {
  readonly #table: HTMLElement;
  readonly #actions: KeyActions;
  #last: HTMLElement | null = null;

  constructor(table: HTMLElement, actions: KeyActions) {
    this.#table = table;
    this.#actions = actions;
  }

  start(): void {
    document.addEventListener("keydown", this.#onKey);
    this.#table.addEventListener("focusin", this.#onFocus);
  }

  stop(): void {
    document.removeEventListener("keydown", this.#onKey);
    this.#table.removeEventListener("focusin", this.#onFocus);
  }

  /** Id of the slide whose line has, or had last, the focus. */
  get currentSlide(): string | null {
    const group = this.#current()?.closest<HTMLElement>("[data-slide]");
    return group?.dataset["slide"] ?? null;
  }

  readonly #onFocus = (event: FocusEvent): void => {
    const line = (event.target as Element).closest("tr");
    this.#last = line?.querySelector<HTMLElement>("[data-line]") ?? this.#last;
  };

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest("input:not([type=checkbox]), select, textarea, dialog, [popover]")) return;
    // Only where no other part of the page has the focus.
    if (target !== document.body && !target.closest("table, main")) return;
    const act = this.#actionOf(event.key);
    if (act === null) return;
    event.preventDefault();
    act();
  };

  #actionOf(key: string): (() => void) | null {
    const { search, add, analyse, select, remove } = this.#actions;
    const actions: Readonly<Record<string, () => void>> = {
      ArrowDown: () => { this.#move(1); },
      j: () => { this.#move(1); },
      ArrowUp: () => { this.#move(-1); },
      k: () => { this.#move(-1); },
      Home: () => { this.#go(0); },
      End: () => { this.#go(Infinity); },
      "/": search,
      u: add,
      a: analyse,
      x: select,
      Delete: remove,
      "?": showShortcuts,
    };
    return actions[key] ?? null;
  }

  #lines(): HTMLElement[] {
    return [...this.#table.querySelectorAll<HTMLElement>("[data-line]")];
  }

  #current(): HTMLElement | null {
    return this.#last?.isConnected ? this.#last : null;
  }

  #move(step: number): void {
    const lines = this.#lines();
    const current = this.#current();
    const index = current === null ? -1 : lines.indexOf(current);
    if (index === -1) this.#go(step > 0 ? 0 : Infinity);
    else this.#go(index + step);
  }

  #go(index: number): void {
    const lines = this.#lines();
    const line = lines[Math.max(0, Math.min(lines.length - 1, index))];
    line?.focus();
    line?.scrollIntoView({ block: "nearest" });
  }
}

export function showShortcuts(): void {
  openDialog({
    title: "Keyboard",
    body: [
      h(
        "dl",
        { class: "shortcuts" },
        ...SHORTCUTS.flatMap(([keys, text]) => [
          h("dt", {}, ...keys.map((key) => h("kbd", {}, key))),
          h("dd", {}, text),
        ]),
      ),
    ],
    buttons: [],
  });
}
