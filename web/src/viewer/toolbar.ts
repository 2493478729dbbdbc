/** The buttons over the slide. */

import { fill, h, setText } from "../ui/dom";
import { icon, type IconName } from "../ui/icons";
import type { Controls } from "./controls";

export class Toolbar {
  readonly element: HTMLElement;
  readonly #controls: Controls;
  readonly #measure: HTMLButtonElement;
  readonly #side: HTMLButtonElement;
  readonly #said = h("span", { class: "unseen", role: "status" });

  constructor(controls: Controls) {
    this.#controls = controls;
    const { state } = controls.session;
    this.#measure = tool("ruler", "Measure (m)", () => { controls.toggleMeasure(); });
    this.#side = tool("layers", "Side by side (s)", () => {
      state.set({ mode: state.value.mode === "side" ? "stack" : "side" });
    });
    this.element = h(
      "div",
      { class: "viewer-tools", role: "toolbar", "aria-label": "Slide", "aria-orientation": "vertical" },
      tool("plus", "Zoom in (+)", () => { controls.zoomBy(2); }),
      tool("minus", "Zoom out (−)", () => { controls.zoomBy(0.5); }),
      tool("home", "Whole slide (0)", () => { controls.goHome(); }),
      tool("rotate", "Rotate by 90° (r)", () => { controls.rotateBy(90); }),
      h("hr"),
      this.#measure,
      this.#side,
      tool("fullscreen", "Full screen (f)", () => { void controls.toggleFullScreen(); }),
      h("button", { class: "button plain icon-only", type: "button", title: "Keys (?)", "aria-label": "Keys (?)", on: { click: () => { controls.showKeys(); } } }, "?"),
      this.#said,
    );
  }

  update(): void {
    const { mode, layers } = this.#controls.session.state.value;
    this.#measure.setAttribute("aria-pressed", String(this.#controls.measure.on));
    this.#side.setAttribute("aria-pressed", String(mode === "side"));
    this.#side.hidden = layers.length < 2;
  }

  /** For screen readers. */
  say(text: string): void {
    fill(this.#said);
    setText(this.#said, text);
  }
}

function tool(name: IconName, title: string, run: () => void): HTMLButtonElement {
  return h(
    "button",
    { class: "button plain icon-only", type: "button", title, "aria-label": title, on: { click: run } },
    icon(name),
  );
}
