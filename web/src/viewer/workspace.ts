/** The viewer's parts put together: what one of them does, the others show. */

import type { Point } from "../geometry/affine";
import { zoomOf } from "../geometry/scale";
import { normalDegrees, viewOf, type View } from "../geometry/view";
import { toQuery } from "../state/viewer_state";
import { h } from "../ui/dom";
import { toast } from "../ui/toast";
import { commandsOf } from "./commands";
import { Exports } from "./exports";
import { listenToKeys, openKeyHelp, type Command } from "./keys";
import { Measure } from "./measure";
import { Overview } from "./overview";
import { openPatch } from "./patch_dialog";
import { Readout } from "./readout";
import type { Region } from "./results";
import { Magnifications, ScaleBarView } from "./scale_bar";
import type { Session } from "./session";
import { Sidebar } from "./sidebar";
import { Stage } from "./stage";
import { Toolbar } from "./toolbar";

/** The address follows moves and sliders at most this often, ms: browsers count changes of it. */
const ADDRESS_MS = 250;
/** Share of the pane a region may fill, and the magnification not to go beyond. */
const REGION_SHARE = 0.5;
const REGION_MAGNIFICATION = 10;

export class Workspace {
  readonly element: HTMLElement;
  readonly session: Session;
  readonly stage: Stage;
  readonly measure: Measure;
  readonly sidebar: Sidebar;
  readonly exports: Exports;
  readonly #overview: Overview;
  readonly #scaleBar = new ScaleBarView();
  readonly #magnifications: Magnifications;
  readonly #readout: Readout;
  readonly #toolbar: Toolbar;
  readonly #commands: readonly Command[];
  readonly #area: HTMLElement;
  readonly #damage = h("p", { class: "viewer-damage", role: "status", hidden: true }, "Parts of this slide cannot be read. They stay blank or blurred.");
  readonly #stop = new AbortController();
  #timer = 0;
  /** Regions to go on by as soon as they have arrived. */
  #step = 0;

  constructor(session: Session) {
    this.session = session;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.measure = new Measure(() => session.mpp, () => { this.stage.redraw(); });
    this.stage = new Stage(
      session,
      [this.measure.paint],
      {
        onView: (view) => { this.#onView(view); },
        onClick: (place) => { this.act(place); },
        onHover: (place, job) => {
          this.#readout.show(place, job);
          this.measure.move(place);
        },
        onDamage: () => { this.#damage.hidden = false; },
      },
      still,
    );
    this.exports = new Exports(session, () => this.stage);
    this.sidebar = new Sidebar(session, this.exports, (region) => { this.goTo(region); });
    this.#overview = new Overview(session, (place) => { this.#moveTo(place); });
    this.#magnifications = new Magnifications((one) => { this.magnify(one); });
    this.#readout = new Readout(session);
    this.#toolbar = new Toolbar(this);
    this.#area = h(
      "section",
      { class: "viewer-stage", tabindex: 0, "aria-label": "Slide; arrow keys move it, plus and minus zoom, question mark lists all keys" },
      this.stage.element,
      this.#toolbar.element,
      this.#overview.element,
      this.#scaleBar.element,
      h("span", { class: "viewer-cross", "aria-hidden": "true" }),
      this.#damage,
    );
    this.element = h(
      "div",
      { class: "viewer" },
      this.#area,
      h("footer", { class: "viewer-foot" }, this.#readout.element, this.#magnifications.element),
      this.sidebar.element,
    );
    this.#commands = commandsOf(this);
    listenToKeys(this.#commands, this.#stop.signal);
    // What was about to be written is there when the browser goes back to this page.
    window.addEventListener("pagehide", this.#writeNow, { signal: this.#stop.signal });
    session.listen(() => {
      this.#update();
      if (this.#step !== 0) this.step(this.#step);
    });
    session.state.listen((now, before) => {
      if (now.view === before.view) this.#update();
      const flowing = now.view !== before.view || now.layers !== before.layers;
      if (flowing) this.#writeSoon();
      else this.#writeNow();
    });
  }

  /** Fill the panes; once this is on the page. */
  begin(): void {
    this.#update();
  }

  /** A click, or its key, at a level-0 place. */
  act(place: Point): void {
    if (this.measure.on) {
      const length = this.measure.point(place);
      if (length !== null) this.#toolbar.say(`Distance ${length}`);
      return;
    }
    const result = this.session.active;
    if (result !== null) openPatch(this.session.pyramid, result, place, this.session.mpp);
  }

  /** Mark a region and fly there. */
  goTo(region: Region): void {
    const { pane } = this.stage;
    const mpp = this.session.mpp;
    const most = mpp === null ? 1 : zoomOf(REGION_MAGNIFICATION, mpp);
    this.stage.show(viewOf(region.box, pane.size, pane.target.rotation, REGION_SHARE, most));
    this.session.state.set({ region: region.number, panel: "regions" });
  }

  /** Go some regions on in the list, around its ends. */
  step(by: number): void {
    const { active } = this.session;
    if (active !== null && active.regions === null && active.problem === null) {
      // Asked before they are here: goes when they are.
      this.#step = by;
      return;
    }
    this.#step = 0;
    const regions = active?.regions ?? [];
    if (regions.length === 0) {
      toast("This result has no regions.");
      return;
    }
    const at = regions.findIndex((region) => region.number === this.session.state.value.region);
    const next = at === -1 ? (by > 0 ? 0 : regions.length - 1) : (at + by + regions.length) % regions.length;
    const region = regions[next];
    if (region !== undefined) this.goTo(region);
  }

  magnify(magnification: number): void {
    const mpp = this.session.mpp;
    if (mpp !== null) this.change({ zoom: zoomOf(magnification, mpp) });
  }

  /** Change parts of the view, from where it is going. */
  change(change: Partial<View>): void {
    this.stage.show({ ...this.stage.pane.target, ...change });
  }

  zoomBy(factor: number): void {
    this.change({ zoom: this.stage.pane.target.zoom * factor });
  }

  rotateBy(degrees: number): void {
    this.change({ rotation: normalDegrees(this.stage.pane.target.rotation + degrees) });
  }

  /** Move by a share of the pane, in screen directions. */
  panBy(across: number, down: number): void {
    const { target, size } = this.stage.pane;
    const angle = (-target.rotation * Math.PI) / 180;
    const [dx, dy] = [(across * size.width) / target.zoom, (down * size.height) / target.zoom];
    this.change({
      x: target.x + dx * Math.cos(angle) - dy * Math.sin(angle),
      y: target.y + dx * Math.sin(angle) + dy * Math.cos(angle),
    });
  }

  goHome(): void {
    this.stage.show(this.stage.pane.home());
  }

  toggleMeasure(): void {
    this.measure.on = !this.measure.on;
    this.#area.classList.toggle("measuring", this.measure.on);
    this.#toolbar.update();
    this.#toolbar.say(this.measure.on ? "Measuring: click two points, or use Enter at the cross" : "Measuring ended");
  }

  async toggleFullScreen(): Promise<void> {
    if (document.fullscreenElement !== null) await document.exitFullscreen();
    else await this.element.requestFullscreen();
  }

  showKeys(): void {
    openKeyHelp(this.#commands);
  }

  dispose(): void {
    this.#stop.abort();
    window.clearTimeout(this.#timer);
    this.stage.dispose();
    this.#overview.dispose();
    this.session.dispose();
  }

  #moveTo(place: Point): void {
    this.stage.show({ ...this.stage.pane.target, x: place.x, y: place.y }, true);
  }

  #onView(view: View): void {
    const { mpp } = this.session;
    this.session.state.set({ view });
    this.#overview.show(view, this.stage.pane.size);
    this.#scaleBar.update(view.zoom, mpp);
    this.#magnifications.update(view.zoom, mpp);
  }

  #update(): void {
    this.stage.update();
    this.#overview.update();
    this.sidebar.update();
    this.#toolbar.update();
    const { view } = this.session.state.value;
    if (view !== null) this.#onView(view);
  }

  #writeSoon(): void {
    if (this.#timer !== 0) return;
    this.#timer = window.setTimeout(this.#writeNow, ADDRESS_MS);
  }

  readonly #writeNow = (): void => {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    const { pane } = this.stage;
    const state = this.session.state.value;
    // Not a place on the way: who loads the page again, or follows the link, arrives.
    const query = toQuery(pane.ready ? { ...state, view: pane.target } : state);
    history.replaceState(history.state, "", `${location.pathname}${query === "" ? "" : `?${query}`}`);
  };
}

