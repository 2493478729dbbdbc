/** Reading an image file in the browser: its header first, so that nothing huge is decoded. */

import type { Pixels } from "./resample";

/** As on the server: more is a slide or a scan. */
const MOST_PX = 64_000_000;

const SEVERAL = "holds several pictures: save the one that is meant by itself";

/** Why a file cannot be judged; the text is for the user. */
export class Unusable extends Error {}

interface Header {
  readonly width: number;
  readonly height: number;
  /** Of a JPEG: 4 are CMYK. */
  readonly channels?: number;
}

/** The px of an image file, upright, without transparency: it is laid over white. */
export async function readImage(file: Blob): Promise<Pixels> {
  if (file.size === 0) throw new Unusable("is empty");
  const start = new DataView(await file.slice(0, 2 ** 20).arrayBuffer());
  const header = headerOf(start);
  if (header === null) {
    throw new Unusable("is no PNG, JPEG, BMP or WebP image, which are what a browser reads here");
  }
  if (header.channels === 4) throw new Unusable("is in CMYK, the inks of a press: save it as RGB");
  if (header.width * header.height > MOST_PX) {
    throw new Unusable(
      `has ${header.width.toLocaleString()} × ${header.height.toLocaleString()} px: too many for a single image`,
    );
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      imageOrientation: "from-image",
    });
  } catch {
    throw new Unusable("is damaged: copy it again");
  }
  try {
    return overWhite(bitmap);
  } finally {
    bitmap.close();
  }
}

function overWhite(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Unusable("cannot be decoded: the browser has no room for it");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const from = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let place = 0, to = 0; to < data.length; place += 4, to += 3) {
    data[to] = from[place] ?? 0;
    data[to + 1] = from[place + 1] ?? 0;
    data[to + 2] = from[place + 2] ?? 0;
  }
  return { width, height, data };
}

/** What the first bytes of a file state; null if it is no image that is read here. */
export function headerOf(view: DataView): Header | null {
  const is = (at: number, text: string): boolean =>
    view.byteLength >= at + text.length &&
    Array.from({ length: text.length }, (_, index) => index).every(
      (index) => view.getUint8(at + index) === text.charCodeAt(index),
    );
  if (is(1, "PNG\r\n") && is(12, "IHDR") && view.byteLength >= 24) {
    refuseAnimated(view);
    return { width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (is(0, "BM") && view.byteLength >= 26) {
    return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
  }
  if (is(0, "RIFF") && is(8, "WEBP") && view.byteLength >= 30) return webp(view, is);
  if (view.byteLength >= 4 && view.getUint16(0) === 0xffd8) return jpeg(view);
  return null;
}

/** PNG, third edition: several pictures are announced by an acTL chunk before the first of px. */
function refuseAnimated(view: DataView): void {
  let at = 8;
  while (at + 8 <= view.byteLength) {
    const kind = String.fromCharCode(...[4, 5, 6, 7].map((place) => view.getUint8(at + place)));
    if (kind === "acTL") throw new Unusable(SEVERAL);
    if (kind === "IDAT") return;
    at += 12 + view.getUint32(at);
  }
}

/** RFC 9649: the three kinds of stream. */
function webp(view: DataView, is: (at: number, text: string) => boolean): Header | null {
  if (is(12, "VP8X")) {
    const at = (place: number): number => view.getUint16(place, true) + view.getUint8(place + 2) * 65_536;
    // Bit 1 of the flags: an animation.
    if ((view.getUint8(20) & 2) !== 0) throw new Unusable(SEVERAL);
    return { width: at(24) + 1, height: at(27) + 1 };
  }
  if (is(12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (is(12, "VP8 ")) {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  return null;
}

/** ITU-T T.81, B.2.2: the frame header is the first of these markers that comes. */
function jpeg(view: DataView): Header | null {
  let at = 2;
  while (at + 10 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return {
        width: view.getUint16(at + 7),
        height: view.getUint16(at + 5),
        channels: view.getUint8(at + 9),
      };
    }
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}
