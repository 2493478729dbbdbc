/** What is under the pointer. */

import type { Point } from "../geometry/affine";
import type { Mpp } from "../geometry/scale";
import { h, setText } from "../ui/dom";
import { percent, probability } from "../ui/format";
import type { CellFacts } from "./cell_source";
import type { CellsInfo, NumberName } from "./results";
import { shownOf } from "./shown";
import type { Session } from "./session";

const COVERAGE: Record<string, string> = {
  classified: "Classified",
  glass: "Glass or too little tissue",
  empty: "Not scanned",
  unreadable: "Unreadable, not analysed",
  rejected: "Rejected by quality control, not analysed",
  screened: "Screened: surely below the threshold, the number is a bound",
};

export function coverageText(name: string): string {
  return COVERAGE[name] ?? "–";
}

/** How far the answers for eight orientations are apart; empty where there was one. */
export function spreadText({ spread }: CellFacts["numbers"]): string {
  return spread === undefined ? "" : `spread ${spread.toFixed(3)}`;
}

/** How unlike the training data a tile is, beside what is usual; empty where it is not known. */
export function trainingText({ distance, nearest }: CellFacts["numbers"], { numbers }: Pick<CellsInfo, "numbers">): string {
  const heldOut = (name: NumberName) => numbers.find((one) => one.name === name)?.heldOut ?? null;
  const told: string[] = [];
  if (distance !== undefined) {
    const limit = heldOut("distance");
    const like = limit === null ? "Distance from training" : distance > limit ? "Unlike training: distance" : "Like training: distance";
    told.push(`${like} ${distance.toFixed(2)}${limit === null ? "" : `, limit ${limit.toFixed(2)}`}`);
  }
  if (nearest !== undefined) {
    const usual = heldOut("nearest");
    told.push(`nearest training tile ${nearest.toFixed(2)}${usual === null ? "" : `, usually ${usual.toFixed(2)}`}`);
  }
  return told.join(" · ");
}

/** A level-0 place in µm from the slide's corner, or in px where nothing says how long a px is. */
export function placeText(place: Point, mpp: Mpp | null): string {
  if (mpp === null) return `${place.x.toFixed(0)}, ${place.y.toFixed(0)} px`;
  const micrometres = (value: number) => Math.round(value).toLocaleString("en");
  return `${micrometres(place.x * mpp.x)}, ${micrometres(place.y * mpp.y)} µm`;
}

export class Readout {
  readonly #probability = h("span", { class: "readout-probability numbers" });
  readonly #about = h("span", { class: "quiet cut" });
  readonly #place = h("span", { class: "readout-place numbers quiet" });
  /** How unlike the training the tile is; there wherever a result on the slide says it, so that nothing moves. */
  readonly #training = h("div", { class: "readout-training numbers quiet cut", hidden: true });
  readonly element = h("div", { class: "readout" }, h("div", {}, this.#probability, this.#about, this.#place), this.#training);
  readonly #session: Session;

  #shown: { readonly place: Point | null; readonly job: string | null } = { place: null, job: null };

  constructor(session: Session) {
    this.#session = session;
    this.update();
  }

  /** Say what is at a level-0 place, by the result of a job or else the active one. */
  show(place: Point | null, job: string | null): void {
    this.#shown = { place, job };
    this.update();
  }

  /** The same place, by what is known now. */
  update(): void {
    const { place, job } = this.#shown;
    const { width, height } = this.#session.pyramid.dimensions;
    this.#training.hidden = !this.#session.layers.some((layer) => layer.info.numbers.some(({ name }) => name === "distance"));
    setText(this.#training, "");
    const inside = place !== null && place.x >= 0 && place.y >= 0 && place.x < width && place.y < height;
    if (!inside) {
      setText(this.#probability, "");
      setText(this.#about, this.#session.layers.length > 0 ? "Move the pointer over the slide to see its values" : "");
      setText(this.#place, "");
      return;
    }
    setText(this.#place, placeText(place, this.#session.mpp));
    const result = job === null ? this.#session.active : this.#session.result(job);
    const facts = result?.layer?.at(place) ?? null;
    const known = facts?.probability ?? null;
    const layer = result?.layer ?? null;
    const one = layer === null || shownOf(layer.info).length === 1;
    const named = one || known === null ? "" : `${layer.of.name} `;
    setText(this.#probability, facts?.label ?? (known === null ? "" : `${named}${probability(known)}`));
    const share = facts?.tissue ?? null;
    const tissue = share === null ? "" : `tissue ${percent(100 * share)}`;
    const screened = facts?.coverage === "screened" ? coverageText("screened") : "";
    const name = facts === null ? "" : known === null ? coverageText(facts.coverage) : [screened, tissue].filter((text) => text !== "").join(" · ");
    const found = facts?.quality.join(", ") ?? "";
    const faults = found === "" ? "" : `quality: ${found}`;
    const spread = facts === null ? "" : spreadText(facts.numbers);
    setText(this.#about, [name, faults, spread].filter((text) => text !== "").join(" · "));
    if (facts !== null && layer !== null) setText(this.#training, trainingText(facts.numbers, layer.info));
  }
}

