/** The viewer's parts put together: what one of them does, the others show. */

import { Desk } from "./drawing/desk";
import { DrawingPainter } from "./drawing/painter";
import { listenToPointer } from "./drawing/pointer";
import type { Point } from "../geometry/affine";
import type { View } from "../geometry/view";
import { toQuery } from "../state/viewer_state";
import { h } from "../ui/dom";
import { commandsOf } from "./commands";
import { Controls } from "./controls";
import { Exports } from "./exports";
import { listenToKeys, openKeyHelp } from "./keys";
import { Measure } from "./measure";
import { Overview } from "./overview";
import { Readout } from "./readout";
import { Magnifications, ScaleBarView } from "./scale_bar";
import type { Session } from "./session";
import { Sidebar } from "./sidebar";
import { Stage } from "./stage";
import { Toolbar } from "./toolbar";

/** The address follows moves and sliders at most this often, ms: browsers count changes of it. */
const ADDRESS_MS = 250;

export class Workspace {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #stage: Stage;
  readonly #controls: Controls;
  readonly #desk: Desk;
  readonly #sidebar: Sidebar;
  readonly #overview: Overview;
  readonly #scaleBar = new ScaleBarView();
  readonly #magnifications: Magnifications;
  readonly #readout: Readout;
  readonly #toolbar: Toolbar;
  readonly #area: HTMLElement;
  readonly #damage = h("p", { class: "viewer-damage", role: "status", hidden: true }, "Parts of this slide cannot be read. They stay blank or blurred.");
  readonly #stop = new AbortController();
  #timer = 0;
  #frame = 0;

  constructor(session: Session) {
    this.#session = session;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const measure = new Measure(() => session.mpp, () => { this.#stage.redraw(); });
    this.#desk = new Desk(session, {
      onPaint: () => { this.#stage.redraw(); },
      onChange: () => { this.#updateSoon(); },
      onTake: () => {
        if (measure.on) this.#controls.toggleMeasure();
        this.#area.focus({ preventScroll: true });
      },
      onSay: (text) => { this.#toolbar.say(text); },
    });
    this.#stage = new Stage(
      session,
      [new DrawingPainter(this.#desk, session.pyramid.dimensions).paint, measure.paint],
      {
        onView: (view) => { this.#onView(view); },
        onClick: (place) => { this.#controls.act(place); },
        onHover: (place, job) => {
          this.#readout.show(place, job);
          measure.move(place);
        },
        onDamage: () => { this.#damage.hidden = false; },
      },
      still,
    );
    const exports = new Exports(session, () => this.#stage);
    this.#controls = new Controls(session, this.#stage, measure, exports, this.#desk, {
      onMeasuring: (on) => {
        this.#area.classList.toggle("measuring", on);
        this.#toolbar.update();
      },
      onSay: (text) => { this.#toolbar.say(text); },
      onFullScreen: () => this.#toggleFullScreen(),
      onKeyHelp: () => { openKeyHelp(commands); },
    });
    const commands = commandsOf(this.#controls);
    this.#sidebar = new Sidebar(session, exports, this.#desk, {
      onRegion: (region) => { this.#controls.goTo(region); },
      onDrawing: (drawing) => { this.#controls.goToDrawing(drawing); },
    });
    this.#overview = new Overview(session, (place) => { this.#moveTo(place); });
    this.#magnifications = new Magnifications((one) => { this.#controls.magnify(one); });
    this.#readout = new Readout(session);
    this.#toolbar = new Toolbar(this.#controls);
    this.#area = h(
      "section",
      { class: "viewer-stage", tabindex: 0, "aria-label": "Slide; arrow keys move it, plus and minus zoom, question mark lists all keys" },
      this.#stage.element,
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
      this.#sidebar.element,
    );
    listenToKeys(commands, this.#stop.signal);
    listenToPointer(this.#stage, this.#area, this.#desk, this.#stop.signal);
    // Before others look whether everything is stored.
    window.addEventListener("beforeunload", () => { this.#sidebar.keep(); }, { capture: true, signal: this.#stop.signal });
    // What was about to be written is there when the browser goes back to this page.
    window.addEventListener("pagehide", this.#writeNow, { signal: this.#stop.signal });
    session.listen(() => {
      this.#update();
      this.#controls.resume();
    });
    session.state.listen((now, before) => {
      if (now.panel !== before.panel) this.#desk.follow();
      if (now.view === before.view) this.#update();
      const flowing = now.view !== before.view || now.layers !== before.layers || now.look !== before.look;
      if (flowing) this.#writeSoon();
      else this.#writeNow();
    });
  }

  /** Fill the panes; once this is on the page. */
  begin(): void {
    this.#update();
    void this.#desk.begin();
  }

  dispose(): void {
    this.#sidebar.keep();
    this.#stop.abort();
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#timer);
    this.#stage.dispose();
    this.#overview.dispose();
    this.#session.dispose();
  }

  async #toggleFullScreen(): Promise<void> {
    if (document.fullscreenElement !== null) await document.exitFullscreen();
    else await this.element.requestFullscreen();
  }

  #moveTo(place: Point): void {
    this.#stage.show({ ...this.#stage.pane.target, x: place.x, y: place.y }, true);
  }

  #onView(view: View): void {
    const { mpp } = this.#session;
    this.#session.state.set({ view });
    this.#overview.show(view, this.#stage.pane.size);
    this.#scaleBar.update(view.zoom, view.rotation, mpp);
    this.#magnifications.update(view.zoom, mpp);
  }

  #updateSoon(): void {
    if (this.#frame !== 0 || this.#stop.signal.aborted) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#update();
    });
  }

  #update(): void {
    this.#readout.update();
    this.#area.classList.toggle("drawing", this.#desk.draws);
    this.#stage.update();
    this.#overview.update();
    this.#sidebar.update();
    this.#toolbar.update();
    const { view } = this.#session.state.value;
    if (view !== null) this.#onView(view);
  }

  #writeSoon(): void {
    if (this.#timer !== 0) return;
    this.#timer = window.setTimeout(this.#writeNow, ADDRESS_MS);
  }

  readonly #writeNow = (): void => {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    const { pane } = this.#stage;
    const state = this.#session.state.value;
    // Not a place on the way: who loads the page again, or follows the link, arrives.
    const query = toQuery(pane.ready ? { ...state, view: pane.target } : state);
    history.replaceState(history.state, "", `${location.pathname}${query === "" ? "" : `?${query}`}`);
  };
}

