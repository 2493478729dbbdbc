/** What was typed into the job dialog, as an order or as what is wrong with it. */

import type { JobOrder } from "../api/jobs";
import type { Slide } from "../api/slides";

/** As the fields hold them. */
export interface RawSettings {
  readonly model: string;
  /** `model`, `mpp` or `level`. */
  readonly resolution: string;
  readonly mpp: string;
  readonly level: string;
  readonly stride: string;
  readonly threshold: string;
  /** µm per level-0 px of the slide. */
  readonly slideMpp: string;
  /** Whether some slide's file states none. */
  readonly slideMppNeeded: boolean;
  /** Whether each tile is looked at in eight orientations. */
  readonly orientations: boolean;
  readonly priority: string;
}

export interface Problems {
  mpp?: string;
  stride?: string;
  threshold?: string;
  slideMpp?: string;
}

/** An order without its slide; null where something is wrong. */
export interface Settings {
  readonly order: Omit<JobOrder, "slide_id"> | null;
  readonly problems: Problems;
}

/** Rule of thumb: 40× is 0.25 µm per px, 20× is 0.5. */
const UM_TIMES_OBJECTIVE = 10;
const MOST_MPP = 64;
const [LEAST_SLIDE_MPP, MOST_SLIDE_MPP] = [0.05, 250] as const;
const MOST_STRIDE = 4096;

/** The order for one of the slides: where the files of some state no spacing, it is given to those only. */
export function orderOf(
  slide: Slide,
  slides: readonly Slide[],
  order: Omit<JobOrder, "slide_id">,
): JobOrder {
  const { slide_mpp, ...rest } = order;
  const meant = slide_mpp !== undefined && (lacksSpacing(slide) || !slides.some(lacksSpacing));
  return meant ? { slide_id: slide.id, ...rest, slide_mpp } : { slide_id: slide.id, ...rest };
}

/** Whether the file says nothing of how much a px measures. */
export function lacksSpacing(slide: Pick<Slide, "info">): boolean {
  return slide.info !== null && slide.info.mpp === null;
}

/** What to say of the slides' own resolution: a suggestion where none is stated, never a value. */
export function slideMppHint(slides: readonly Pick<Slide, "info">[]): string {
  const unknown = slides.filter(lacksSpacing);
  if (unknown.length === 0) return "Level 0. Only where the file states it wrongly.";
  const objectives = new Set(unknown.map(({ info }) => info?.objective ?? null));
  const [objective] = objectives;
  const usual =
    objectives.size === 1 && objective !== null && objective !== undefined
      ? ` Px of a ${objective}× objective usually measure ${UM_TIMES_OBJECTIVE / objective} µm; use that only if it holds here.`
      : "";
  const who =
    slides.length === 1
      ? "The file states none; it is needed."
      : `${unknown.length} of ${slides.length} files state none; it is needed, and used for these only.`;
  return `${who}${usual}`;
}

/** Read the fields; empty ones are left to the model package. */
export function readSettings(raw: RawSettings): Settings {
  const problems: Problems = {};
  const order: {
    -readonly [K in keyof Omit<JobOrder, "slide_id">]: JobOrder[K];
  } = { model: raw.model };

  if (raw.resolution === "mpp") {
    const mpp = Number(raw.mpp);
    if (raw.mpp.trim() !== "" && mpp > 0 && mpp <= MOST_MPP) order.mpp = mpp;
    else problems.mpp = `A number above 0, at most ${MOST_MPP}.`;
  } else if (raw.resolution === "level") {
    order.level = Number(raw.level);
  }
  if (raw.stride.trim() !== "") {
    const stride = Number(raw.stride);
    if (Number.isInteger(stride) && stride >= 1 && stride <= MOST_STRIDE) order.stride = stride;
    else problems.stride = `A whole number from 1 to ${MOST_STRIDE}.`;
  }
  if (raw.threshold.trim() !== "") {
    const threshold = Number(raw.threshold);
    if (threshold > 0 && threshold < 1) order.threshold = threshold;
    else problems.threshold = "A number between 0 and 1.";
  }
  if (raw.slideMppNeeded || raw.slideMpp.trim() !== "") {
    const mpp = Number(raw.slideMpp);
    if (mpp >= LEAST_SLIDE_MPP && mpp <= MOST_SLIDE_MPP) order.slide_mpp = mpp;
    else problems.slideMpp = `A number from ${LEAST_SLIDE_MPP} to ${MOST_SLIDE_MPP}.`;
  }
  if (raw.orientations) order.tta = true;
  const priority = Number(raw.priority);
  if (priority !== 0) order.priority = priority;
  return { order: Object.keys(problems).length === 0 ? order : null, problems };
}
