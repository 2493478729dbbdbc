/** Lengths: µm on the slide, px on the screen, and how pathologists call a zoom. */

import type { Point } from "./affine";

/** µm per level-0 px. */
export interface Mpp {
  readonly x: number;
  readonly y: number;
}

/** What a microscope's 40× stands for on a screen: 0.25 µm per screen px. */
const UM_PX_AT_1 = 10;

/** The magnifications that have a button. */
export const MAGNIFICATIONS = [1, 2, 5, 10, 20, 40] as const;

/** The share by which px may differ along both axes and count as square: the analysis' own. */
const SQUARE_TOLERANCE = 0.02;

export function isSquare(mpp: Mpp): boolean {
  return Math.max(mpp.x / mpp.y, mpp.y / mpp.x) - 1 < SQUARE_TOLERANCE * (1 - 1e-9);
}

/** How long a level-0 px is from left to right on a screen the slide was turned on, µm. */
export function umAcross(mpp: Mpp, rotation: number): number {
  if (isSquare(mpp)) return mpp.x;
  const angle = (rotation * Math.PI) / 180;
  return Math.hypot(Math.cos(angle) * mpp.x, Math.sin(angle) * mpp.y);
}

/** A resolution as text; both directions where px are not square. */
export function mppText(mpp: Mpp): string {
  return isSquare(mpp) ? `${mpp.x.toFixed(3)} µm/px` : `${mpp.x.toFixed(3)} × ${mpp.y.toFixed(3)} µm/px`;
}

/** The mean of both directions, for what has only one. */
export function meanMpp(mpp: Mpp): number {
  return (mpp.x + mpp.y) / 2;
}

/** The magnification of a zoom in screen px per level-0 px. */
export function magnificationOf(zoom: number, mpp: Mpp): number {
  return (UM_PX_AT_1 * zoom) / meanMpp(mpp);
}

/** The zoom, screen px per level-0 px, of a magnification. */
export function zoomOf(magnification: number, mpp: Mpp): number {
  return (magnification * meanMpp(mpp)) / UM_PX_AT_1;
}

/** A magnification as text: `0.6×`, `12×`. */
export function magnificationText(magnification: number): string {
  const digits = magnification >= 9.95 ? 0 : magnification >= 0.995 ? 1 : 2;
  const text = magnification.toFixed(digits);
  return `${text.includes(".") ? text.replace(/\.?0+$/, "") : text}×`;
}

/** A scale bar: how long in screen px, and what that is in µm. */
export interface ScaleBar {
  readonly px: number;
  readonly um: number;
}

/** The longest bar of 1, 2 or 5 times a power of ten µm that is at most `mostPx` long. */
export function scaleBar(zoom: number, umPerPx0: number, mostPx: number): ScaleBar {
  const umPerPx = umPerPx0 / zoom;
  const most = mostPx * umPerPx;
  const power = 10 ** Math.floor(Math.log10(most) + 1e-9);
  const step = [5, 2, 1].find((factor) => factor * power <= most * (1 + 1e-9)) ?? 1;
  return { px: (step * power) / umPerPx, um: step * power };
}

/** A length as text, with the unit that keeps it short. */
export function lengthText(um: number): string {
  if (um >= 10_000) return `${(um / 1000).toFixed(1)} mm`;
  if (um >= 1000) return `${(um / 1000).toFixed(2)} mm`;
  if (um >= 100) return `${um.toFixed(0)} µm`;
  return `${um.toFixed(1)} µm`;
}

/** A round length, as on a scale bar. */
export function roundLengthText(um: number): string {
  return um >= 1000 ? `${um / 1000} mm` : `${Number(um.toPrecision(3))} µm`;
}

/** Distance in µm between two level-0 points; px need not be square. */
export function distanceUm(from: Point, to: Point, mpp: Mpp): number {
  return Math.hypot((to.x - from.x) * mpp.x, (to.y - from.y) * mpp.y);
}
