/** What stands above a list on every page: a search, filters with their numbers, and file inputs. */

import { h, setText } from "./dom";
import { count } from "./format";

const SEARCH_MS = 120;

/** A search field; `act` is told once nobody types any more. */
export function searchField(placeholder: string, label: string, act: (text: string) => void): HTMLInputElement {
  let timer = 0;
  const input = h("input", {
    class: "input",
    type: "search",
    placeholder,
    "aria-label": label,
    autocomplete: "off",
    spellcheck: "false",
    on: {
      input: () => {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => {
          act(input.value);
        }, SEARCH_MS);
      },
    },
  });
  return input;
}

/** A hidden file input; the same file or folder can be chosen again. */
export function fileInput(
  label: string,
  how: Record<string, string | boolean>,
  act: (input: HTMLInputElement) => void,
): HTMLInputElement {
  const input = h("input", { type: "file", hidden: true, "aria-label": label, ...how });
  input.addEventListener("change", () => {
    act(input);
    input.value = "";
  });
  return input;
}

/** Buttons, one of which is chosen; each with the number of what it shows. */
export class Filters<Name extends string> {
  readonly element: HTMLElement;
  readonly #buttons = new Map<Name, { button: HTMLElement; number: HTMLElement }>();

  constructor(order: readonly Name[], texts: Readonly<Record<Name, string>>, act: (filter: Name) => void) {
    const buttons = order.map((filter) => {
      const number = h("span", { class: "filter-count numbers" });
      const button = h(
        "button",
        {
          class: "filter",
          type: "button",
          "aria-pressed": "false",
          "data-filter": filter,
          on: { click: () => { act(filter); } },
        },
        texts[filter],
        number,
      );
      this.#buttons.set(filter, { button, number });
      return button;
    });
    this.element = h("div", { class: "filters", role: "group", "aria-label": "Show" }, ...buttons);
  }

  show(chosen: Name, numberOf: (filter: Name) => number): void {
    for (const [filter, { button, number }] of this.#buttons) {
      setText(number, count(numberOf(filter)));
      button.setAttribute("aria-pressed", String(filter === chosen));
    }
  }
}
