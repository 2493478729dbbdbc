/** The panels beside the slide: layers, regions, drawings, figures, and what can be taken along. */

import { besideSynthetic } from "../api/jobs";
import type { Desk } from "./drawing/desk";
import type { Drawing } from "./drawing/drawing";
import { DrawingPanel } from "./drawing/panel";
import { PANELS, type PanelName } from "../state/viewer_state";
import { h, setText } from "../ui/dom";
import type { Exports } from "./exports";
import { FiguresPanel } from "./figures_panel";
import { LayersPanel } from "./layers_panel";
import { RegionsPanel } from "./regions_panel";
import type { Region } from "./results";
import type { Session } from "./session";

const NAMES: Record<PanelName, string> = { layers: "Layers", regions: "Regions", drawings: "Drawings", figures: "Figures" };

export interface SidebarEvents {
  /** Go there. */
  readonly onRegion: (region: Region) => void;
  readonly onDrawing: (drawing: Drawing) => void;
}

export class Sidebar {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #exports: Exports;
  readonly #desk: Desk;
  readonly #drawings: DrawingPanel;
  readonly #panels: Record<PanelName, { readonly element: HTMLElement; update: () => void }>;
  readonly #tabs = new Map<PanelName, HTMLButtonElement>();
  readonly #count = h("span", { class: "tab-count numbers" });
  readonly #drawn = h("span", { class: "tab-count numbers" });
  readonly #alarms = h("span", { class: "tab-count alarm-count numbers" });

  constructor(session: Session, exports: Exports, desk: Desk, go: SidebarEvents) {
    this.#session = session;
    this.#exports = exports;
    this.#desk = desk;
    this.#drawings = new DrawingPanel(desk, go.onDrawing);
    this.#panels = {
      layers: new LayersPanel(session),
      regions: new RegionsPanel(session, go.onRegion),
      drawings: this.#drawings,
      figures: new FiguresPanel(session),
    };
    for (const name of PANELS) this.#tabs.set(name, this.#tab(name));
    const bodies = PANELS.map((name) => {
      const { element } = this.#panels[name];
      element.id = `panel-${name}`;
      element.setAttribute("role", "tabpanel");
      element.setAttribute("aria-labelledby", `tab-${name}`);
      element.tabIndex = 0;
      return element;
    });
    this.element = h(
      "aside",
      { class: "viewer-side", "aria-label": "Results" },
      h("div", { class: "tabs", role: "tablist", "aria-label": "Results" }, ...this.#tabs.values()),
      ...bodies,
      exports.element,
    );
  }

  update(): void {
    const { panel } = this.#session.state.value;
    for (const name of PANELS) {
      const chosen = name === panel;
      const tab = this.#tabs.get(name);
      tab?.setAttribute("aria-selected", String(chosen));
      if (tab !== undefined) tab.tabIndex = chosen ? 0 : -1;
      this.#panels[name].element.hidden = !chosen;
    }
    this.#panels[panel].update();
    const regions = this.#session.active?.regions?.length ?? this.#session.active?.findings?.regions;
    setText(this.#count, regions === undefined ? "" : String(regions));
    const { mine, colleagues } = this.#desk.book;
    const drawn = colleagues.reduce((sum, one) => sum + one.drawings.length, mine.length);
    setText(this.#drawn, drawn === 0 ? "" : String(drawn));
    const alarms = besideSynthetic(this.#session.active?.findings?.alarms ?? []).length;
    setText(this.#alarms, alarms === 0 ? "" : String(alarms));
    this.#alarms.title = alarms === 0 ? "" : alarms === 1 ? "1 alarm" : `${alarms} alarms`;
    this.#exports.update();
  }

  /** Take in what is being written. */
  keep(): void {
    this.#drawings.keep();
  }

  #tab(name: PanelName): HTMLButtonElement {
    const tab = h(
      "button",
      { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}` },
      NAMES[name],
      name === "regions" && this.#count,
      name === "drawings" && this.#drawn,
      name === "figures" && this.#alarms,
    );
    tab.addEventListener("click", () => {
      this.#session.state.set({ panel: name });
    });
    tab.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (by === 0) return;
      event.preventDefault();
      const next = PANELS[(PANELS.indexOf(name) + by + PANELS.length) % PANELS.length] ?? name;
      this.#session.state.set({ panel: next });
      this.#tabs.get(next)?.focus();
    });
    return tab;
  }
}
