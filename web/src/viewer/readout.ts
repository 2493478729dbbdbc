/** What is under the pointer. */

import type { Point } from "../geometry/affine";
import type { Mpp } from "../geometry/scale";
import { h, setText } from "../ui/dom";
import { percent, probability } from "../ui/format";
import type { CellFacts } from "./cell_source";
import { shownOf, type CellsInfo, type NumberName } from "./results";
import type { Session } from "./session";

const COVERAGE: Record<string, string> = {
  classified: "Classified",
  glass: "Glass or too little tissue",
  empty: "Not scanned",
  unreadable: "Unreadable, not analysed",
  rejected: "Rejected by quality control, not analysed",
};

export function coverageText(name: string): string {
  return COVERAGE[name] ?? "–";
}

/** What is known of a tile beside its probability: the spread of its answers, how unlike the training it is. */
export function numberTexts(
  { distance, nearest, spread }: CellFacts["numbers"],
  { numbers }: Pick<CellsInfo, "numbers">,
): string[] {
  const heldOut = (name: NumberName) => numbers.find((one) => one.name === name)?.heldOut ?? null;
  const told: string[] = [];
  if (spread !== undefined) told.push(`spread ${spread.toFixed(3)}`);
  if (distance !== undefined) {
    const limit = heldOut("distance");
    const like = limit === null ? "distance from training" : distance > limit ? "unlike training" : "like training";
    told.push(limit === null ? `${like} ${distance.toFixed(2)}` : `${like}: distance ${distance.toFixed(2)}, limit ${limit.toFixed(2)}`);
  }
  if (nearest !== undefined) {
    const usual = heldOut("nearest");
    told.push(`nearest training tile ${nearest.toFixed(2)}${usual === null ? "" : `, usually ${usual.toFixed(2)}`}`);
  }
  return told;
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
  readonly element = h("div", { class: "readout" }, this.#probability, this.#about, this.#place);
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    this.show(null, null);
  }

  /** Say what is at a level-0 place, by the result of a job or else the active one. */
  show(place: Point | null, job: string | null): void {
    const { width, height } = this.#session.pyramid.dimensions;
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
    const name = facts === null ? "" : known === null ? coverageText(facts.coverage) : tissue;
    const faults = facts?.quality.join(", ") ?? "";
    const numbers = facts === null || layer === null ? [] : numberTexts(facts.numbers, layer.info);
    setText(this.#about, [name, faults, ...numbers].filter((text) => text !== "").join(" · "));
  }
}

