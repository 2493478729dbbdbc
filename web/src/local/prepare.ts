/** From an image of any size to what the network is given, as the server does it. */

import type { BrowserModel } from "../api/models";
import { resample, type Filter, type Pixels } from "./resample";

/** A square of one colour with an image laid on it; what lies outside is cut off. */
function onSquare(image: Pixels, side: number, left: number, top: number, fill: readonly number[]): Pixels {
  const data = new Uint8Array(side * side * 3);
  for (let place = 0; place < data.length; place += 1) data[place] = fill[place % 3] ?? 0;
  for (let y = Math.max(0, top); y < Math.min(side, top + image.height); y += 1) {
    const from = Math.max(0, left);
    const until = Math.min(side, left + image.width);
    const start = ((y - top) * image.width + from - left) * 3;
    data.set(image.data.subarray(start, start + (until - from) * 3), (y * side + from) * 3);
  }
  return { width: side, height: side, data };
}

/** Python's rounding: halves go to the even number. */
export function rounded(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** An image as the model's square: `images` of the package says how. */
export function place(image: Pixels, model: BrowserModel): Pixels {
  const side = model.patch_px;
  const { how, fill } = model.images;
  if (how === "stretch") return resample(image, side, side, "bilinear");
  const pick = how === "pad" ? Math.max : Math.min;
  const longest = pick(image.width, image.height);
  const width = Math.max(1, rounded((image.width * side) / longest));
  const height = Math.max(1, rounded((image.height * side) / longest));
  const inner = resample(image, width, height, "bilinear");
  if (width === side && height === side) return inner;
  return onSquare(inner, side, Math.floor((side - width) / 2), Math.floor((side - height) / 2), fill);
}

/** The network's input: float32, channel by channel, 0-255. */
export function prepare(image: Pixels, model: BrowserModel): Float32Array {
  let square = place(image, model);
  const { resize, pad, fill, crop } = model.preprocessing;
  if (resize !== null && resize.px !== square.width) {
    square = resample(square, resize.px, resize.px, resize.interpolation as Filter);
  }
  if (pad !== null && pad > square.width) {
    const before = Math.floor((pad - square.width) / 2);
    square = onSquare(square, pad, before, before, [fill, fill, fill]);
  }
  if (crop !== null && crop < square.width) {
    const first = rounded((square.width - crop) / 2);
    square = onSquare(square, crop, -first, -first, [0, 0, 0]);
  }
  return planes(square);
}

/** RGB px as float32, channel by channel. */
export function planes(image: Pixels): Float32Array {
  const area = image.width * image.height;
  const values = new Float32Array(area * 3);
  for (let place = 0; place < area; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[channel * area + place] = image.data[place * 3 + channel] ?? 0;
    }
  }
  return values;
}

/** The image by which a browser finds out whether it computes rightly; see the API. */
export function probePixels(side: number): Pixels {
  const data = new Uint8Array(side * side * 3);
  for (let place = 0; place < data.length; place += 1) {
    data[place] = (37 * place + 11 * Math.floor(place / 8) + Math.floor(place / 1021)) % 256;
  }
  return { width: side, height: side, data };
}
