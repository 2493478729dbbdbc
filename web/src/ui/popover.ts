/** Small panels that open beside a button: menus and explanations. */

import { h, type Child } from "./dom";

const GAP_PX = 4;
const EDGE_PX = 8;

/** Open a panel below a button, or above it where there is more room; returns how to close it. */
export function openPopover(anchor: HTMLElement, label: string, ...children: Child[]): () => void {
  const panel = h(
    "div",
    { class: "popover", popover: "auto", role: "group", "aria-label": label },
    ...children,
  );
  anchor.after(panel);
  anchor.setAttribute("aria-expanded", "true");
  panel.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    const back = panel.contains(document.activeElement);
    panel.remove();
    if (back) anchor.focus();
  });
  panel.addEventListener("keydown", (event) => {
    move(panel, event);
  });
  panel.showPopover();
  place(panel, anchor);
  panel.querySelector<HTMLElement>("button, a")?.focus();
  return () => {
    if (panel.isConnected) panel.hidePopover();
  };
}

/** One thing to do in a menu. */
export function menuItem(what: {
  readonly text: string;
  readonly hint?: string;
  readonly href?: string;
  readonly download?: boolean;
  readonly danger?: boolean;
  readonly act?: () => void;
}): HTMLElement {
  const name = what.danger ? "menu-item danger" : "menu-item";
  const inside = [h("span", {}, what.text), what.hint && h("span", { class: "quiet" }, what.hint)];
  if (what.href !== undefined) {
    return h(
      "a",
      {
        class: name,
        href: what.href,
        download: what.download ?? false,
        on: {
          click: (event) => {
            close(event);
          },
        },
      },
      ...inside,
    );
  }
  return h(
    "button",
    {
      class: name,
      type: "button",
      on: {
        click: (event) => {
          close(event);
          what.act?.();
        },
      },
    },
    ...inside,
  );
}

function close(event: Event): void {
  const panel = (event.currentTarget as Element).closest<HTMLElement>("[popover]");
  panel?.hidePopover();
}

function move(panel: HTMLElement, event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (step === 0) return;
  const items = [...panel.querySelectorAll<HTMLElement>("button, a")];
  const index = items.findIndex((item) => item === document.activeElement);
  items[(index + step + items.length) % items.length]?.focus();
  event.preventDefault();
  event.stopPropagation();
}

function place(panel: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const { width, height } = panel.getBoundingClientRect();
  const below = at.bottom + GAP_PX + height <= innerHeight - EDGE_PX || at.top < innerHeight / 2;
  const top = below ? at.bottom + GAP_PX : at.top - GAP_PX - height;
  const left = Math.min(at.right - width, innerWidth - width - EDGE_PX);
  panel.style.setProperty("top", `${Math.max(EDGE_PX, top)}px`);
  panel.style.setProperty("left", `${Math.max(EDGE_PX, left)}px`);
}
