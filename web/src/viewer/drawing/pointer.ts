/**
 * The pointer over the slide while a tool is in hand: the main button draws; the middle one, or the
 * main one with the space bar, moves the slide; the wheel zooms as always.
 */

import { apply, invert, type Point } from "../../geometry/affine";
import { levelToScreen } from "../../geometry/view";
import type { Pane } from "../pane";
import type { Stage } from "../stage";
import type { Desk } from "./desk";

const WRITES = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, button, a, summary";

interface Held {
  readonly pane: Pane;
  readonly pointer: number;
  /** Where the slide was taken, level-0 px; null: it is drawn. */
  readonly taken: Point | null;
}

/** Let the pointer draw; `area` gets the keyboard's focus, and the classes of the cursors. */
export function listenToPointer(stage: Stage, area: HTMLElement, desk: Desk, signal: AbortSignal): void {
  const { element } = stage;
  let held: Held | null = null;
  let blank = false;
  const grip = (on: boolean): void => {
    blank = on;
    area.classList.toggle("gripping", on || (held?.taken ?? null) !== null);
  };

  const down = (event: PointerEvent): void => {
    const pane = desk.draws ? stage.paneAt(event.target) : null;
    if (pane === null || event.button > 1) return;
    // Before OpenSeadragon hears of it.
    event.stopPropagation();
    event.preventDefault();
    area.focus({ preventScroll: true });
    area.classList.add("by-pointer");
    if (held !== null) return;
    element.setPointerCapture(event.pointerId);
    const place = pane.placeOf(event);
    held = { pane, pointer: event.pointerId, taken: event.button === 1 || blank ? place : null };
    if (held.taken === null) desk.press(place, pane.toScreen, event.timeStamp);
    grip(blank);
  };
  const move = (event: PointerEvent): void => {
    if (held === null) {
      const pane = stage.paneAt(event.target);
      if (pane !== null) desk.move(pane.placeOf(event), pane.toScreen);
      return;
    }
    if (event.pointerId !== held.pointer) return;
    event.stopPropagation();
    const { pane, taken } = held;
    if (taken !== null) {
      stage.show(moved(pane, taken, pane.placeOf(event)), true);
      return;
    }
    const several = event.getCoalescedEvents();
    for (const one of several.length > 0 ? several : [event]) desk.move(pane.placeOf(one), pane.toScreen);
  };
  const up = (event: PointerEvent): void => {
    if (event.pointerId !== held?.pointer) return;
    event.stopPropagation();
    const { pane, taken } = held;
    held = null;
    grip(blank);
    if (taken === null) desk.release(pane.toScreen);
  };
  const lost = (event: PointerEvent): void => {
    if (event.pointerId !== held?.pointer) return;
    // Half a stroke is none.
    const { taken } = held;
    held = null;
    grip(blank);
    if (taken === null) desk.escape();
  };
  element.addEventListener("pointerdown", down, { signal, capture: true });
  element.addEventListener("pointermove", move, { signal, capture: true });
  element.addEventListener("pointerup", up, { signal, capture: true });
  element.addEventListener("pointercancel", lost, { signal, capture: true });
  element.addEventListener(
    "pointerleave",
    () => {
      if (held === null && stage.panes.length > 0) desk.move(null, stage.pane.toScreen);
    },
    { signal },
  );
  // Browsers scroll with the middle button.
  element.addEventListener("mousedown", (event) => { if (event.button === 1 && desk.draws) event.preventDefault(); }, { signal });

  const pressed = (event: KeyboardEvent): void => {
    if (event.key.startsWith("Arrow") || event.key === "x") area.classList.remove("by-pointer");
    if (event.key !== " " || !desk.draws) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target?.matches(WRITES) || document.querySelector("dialog[open]") !== null) return;
    event.preventDefault();
    grip(true);
  };
  document.addEventListener("keydown", pressed, { signal, capture: true });
  document.addEventListener("keyup", (event) => { if (event.key === " ") grip(false); }, { signal, capture: true });
  window.addEventListener("blur", () => { grip(false); }, { signal });
}

/** The view in which a level-0 place that was taken is where the pointer is now. */
function moved(pane: Pane, taken: Point, now: Point): Pane["view"] {
  const { view, size } = pane;
  const middle = apply(invert(levelToScreen(view, size)), { x: size.width / 2, y: size.height / 2 });
  return { ...view, x: middle.x + taken.x - now.x, y: middle.y + taken.y - now.y };
}
