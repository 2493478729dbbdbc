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
  /** µm per level-0 px of slides whose file states none; null where each states it. */
  readonly slideMpp: string | null;
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

const MOST_MPP = 64;
const MOST_STRIDE = 4096;
/** What some scanner makes; the server's limits. */
const SLIDE_MPP = [0.05, 8] as const;

/** The order for one slide: a spacing is given only where the slide's file states none. */
export function orderOf(slide: Slide, order: Omit<JobOrder, "slide_id">): JobOrder {
  const { slide_mpp, ...rest } = order;
  const unknown = slide_mpp !== undefined && lacksSpacing(slide);
  return unknown ? { slide_id: slide.id, ...rest, slide_mpp } : { slide_id: slide.id, ...rest };
}

/** Whether the file says nothing of how much a px measures. */
export function lacksSpacing(slide: Slide): boolean {
  return slide.info !== null && slide.info.mpp === null;
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
  if (raw.slideMpp !== null) {
    const slideMpp = Number(raw.slideMpp);
    if (slideMpp >= SLIDE_MPP[0] && slideMpp <= SLIDE_MPP[1]) order.slide_mpp = slideMpp;
    else problems.slideMpp = `A number from ${SLIDE_MPP[0]} to ${SLIDE_MPP[1]}.`;
  }
  const priority = Number(raw.priority);
  if (priority !== 0) order.priority = priority;
  return { order: Object.keys(problems).length === 0 ? order : null, problems };
}
