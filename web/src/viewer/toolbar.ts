/** The buttons over the slide. */

import { fill, h, setText } from "../ui/dom";
import { icon, type IconName } from "../ui/icons";
import type { Workspace } from "./workspace";

export class Toolbar {
  readonly element: HTMLElement;
  readonly #workspace: Workspace;
  readonly #measure: HTMLButtonElement;
  readonly #side: HTMLButtonElement;
  readonly #said = h("span", { class: "unseen", role: "status" });

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
    const { state } = workspace.session;
    this.#measure = tool("ruler", "Measure (m)", () => { workspace.toggleMeasure(); });
    this.#side = tool("layers", "Side by side (s)", () => {
      state.set({ mode: state.value.mode === "side" ? "stack" : "side" });
    });
    this.element = h(
      "div",
      { class: "viewer-tools", role: "toolbar", "aria-label": "Slide", "aria-orientation": "vertical" },
      tool("plus", "Zoom in (+)", () => { workspace.zoomBy(2); }),
      tool("minus", "Zoom out (−)", () => { workspace.zoomBy(0.5); }),
      tool("home", "Whole slide (0)", () => { workspace.goHome(); }),
      tool("rotate", "Rotate by 90° (r)", () => { workspace.rotateBy(90); }),
      h("hr"),
      this.#measure,
      this.#side,
      tool("fullscreen", "Full screen (f)", () => { void workspace.toggleFullScreen(); }),
      h("button", { class: "button plain icon-only", type: "button", title: "Keys (?)", "aria-label": "Keys (?)", on: { click: () => { workspace.showKeys(); } } }, "?"),
      this.#said,
    );
  }

  update(): void {
    const { mode, layers } = this.#workspace.session.state.value;
    this.#measure.setAttribute("aria-pressed", String(this.#workspace.measure.on));
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
