/** What keys, buttons and clicks do with the slide. */

import { boxOf } from "./drawing/area";
import type { Desk } from "./drawing/desk";
import type { Drawing } from "./drawing/drawing";
import type { Point } from "../geometry/affine";
import { zoomOf } from "../geometry/scale";
import { normalDegrees, viewOf, type Box, type View } from "../geometry/view";
import { toast } from "../ui/toast";
import type { Exports } from "./exports";
import type { Measure } from "./measure";
import { openPatch } from "./patch_dialog";
import type { Region } from "./results";
import type { Session } from "./session";
import type { Stage } from "./stage";

/** Share of the pane a region may fill, and the magnification not to go beyond. */
const REGION_SHARE = 0.5;
const REGION_MAGNIFICATION = 10;

export interface ControlEvents {
  /** Measuring begins or ends. */
  readonly onMeasuring: (on: boolean) => void;
  /** Something to tell those who see no picture. */
  readonly onSay: (text: string) => void;
  readonly onFullScreen: () => Promise<void>;
  readonly onKeyHelp: () => void;
}

export class Controls {
  readonly session: Session;
  readonly stage: Stage;
  readonly measure: Measure;
  readonly exports: Exports;
  readonly desk: Desk;
  readonly #events: ControlEvents;
  /** Regions to go on by as soon as they have arrived. */
  #step = 0;
  /** Number of the region that was gone to last. */
  #last: number | null = null;

  constructor(session: Session, stage: Stage, measure: Measure, exports: Exports, desk: Desk, events: ControlEvents) {
    this.session = session;
    this.stage = stage;
    this.measure = measure;
    this.exports = exports;
    this.desk = desk;
    this.#events = events;
  }

  /** A click, or its key, at a level-0 place. */
  act(place: Point): void {
    if (this.measure.on) {
      const length = this.measure.point(place);
      if (length !== null) this.#events.onSay(`Distance ${length}`);
      return;
    }
    if (this.desk.click(place)) return;
    const result = this.session.active;
    if (result !== null) openPatch(this.session.pyramid, result, place, this.session.mpp);
  }

  /** Mark a region and fly there. */
  goTo(region: Region): void {
    this.#flyTo(region.box);
    this.#last = region.number;
    // Who draws goes through the regions to correct them.
    this.session.state.set({ region: region.number, panel: this.desk.on ? "drawings" : "regions" });
  }

  /** Fly to a drawing. */
  goToDrawing(drawing: Drawing): void {
    this.#flyTo(boxOf(drawing.rings));
  }

  #flyTo(box: Box): void {
    const { pane } = this.stage;
    const mpp = this.session.mpp;
    const most = mpp === null ? 1 : zoomOf(REGION_MAGNIFICATION, mpp);
    this.stage.show(viewOf(box, pane.size, pane.target.rotation, REGION_SHARE, most));
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
    const at = regions.findIndex((region) => region.number === (this.session.state.value.region ?? this.#last));
    const next = at === -1 ? (by > 0 ? 0 : regions.length - 1) : (at + by + regions.length) % regions.length;
    const region = regions[next];
    if (region !== undefined) this.goTo(region);
  }

  /** Regions may have arrived: go on to the one that was asked for. */
  resume(): void {
    if (this.#step !== 0) this.step(this.#step);
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
    if (this.desk.draws) this.desk.take("select");
    this.measure.on = !this.measure.on;
    this.#events.onMeasuring(this.measure.on);
    this.#events.onSay(this.measure.on ? "Measuring: click two points, or use Enter at the cross" : "Measuring ended");
  }

  async toggleFullScreen(): Promise<void> {
    await this.#events.onFullScreen();
  }

  showKeys(): void {
    this.#events.onKeyHelp();
  }
}
