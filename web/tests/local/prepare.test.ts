import { expect, test } from "vitest";
import type { BrowserModel } from "../../src/api/models";
import { verdictOf } from "../../src/local/answer";
import { headerOf } from "../../src/local/file";
import { place, prepare, probePixels, rounded } from "../../src/local/prepare";

const MODEL: BrowserModel = {
  name: "cells",
  version: "1",
  sha256: "",
  onnx_bytes: 1,
  classes: [
    { name: "lymphocyte", colour: "#112233" },
    { name: "monocyte", colour: "#445566" },
    { name: "neutrophil", colour: "#778899" },
  ],
  positive: "lymphocyte",
  task: "multiclass",
  threshold: 0.5,
  patch_px: 4,
  input_px: 4,
  preprocessing: { resize: null, pad: null, fill: 0, crop: null },
  images: { how: "pad", fill: [1, 2, 3] },
  coverage: 0.9,
  set_limit: 0.6,
  probe: [],
  notice: "",
  intended_use: "",
  licence: "",
};

const WIDE = { width: 4, height: 2, data: new Uint8Array(24).fill(9) };

test("halves are rounded to the even number, as the server does", () => {
  expect([0.5, 1.5, 2.5, 2.4, 2.6].map(rounded)).toEqual([0, 2, 2, 2, 3]);
});

test("padding keeps proportions and fills with the package's colour", () => {
  const square = place(WIDE, MODEL);
  const rows = [0, 1, 2, 3].map((row) => [...square.data.subarray(row * 12, row * 12 + 3)]);
  expect(rows).toEqual([[1, 2, 3], [9, 9, 9], [9, 9, 9], [1, 2, 3]]);
});

test("cropping cuts the longer side", () => {
  const square = place(WIDE, { ...MODEL, images: { how: "crop", fill: [0, 0, 0] } });
  expect(new Set(square.data)).toEqual(new Set([9]));
});

test("the network is given channel after channel", () => {
  const input = prepare(probePixels(4), MODEL);
  expect([...input.slice(0, 3)]).toEqual([0, 111, 222]);
  expect([...input.slice(16, 18)]).toEqual([37, 148]);
});

test("a set of one class is an answer, none or several are not", () => {
  expect(verdictOf(MODEL, [0.1, 0.7, 0.2])).toMatchObject({ review: null });
  expect(verdictOf(MODEL, [0.45, 0.41, 0.14]).review).toBe("may be lymphocyte or monocyte");
  expect(verdictOf(MODEL, [0.34, 0.33, 0.33]).review).toBe("resembles no class well enough");
  expect(verdictOf({ ...MODEL, set_limit: null }, [0.34, 0.33, 0.33]).review).toBeNull();
});

test("an image is called as the server calls it", () => {
  expect(verdictOf(MODEL, [0.1, 0.7, 0.2]).called).toEqual(["monocyte"]);
  const two = { ...MODEL, task: "binary" as const, threshold: 0.3, classes: MODEL.classes.slice(0, 2) };
  expect(verdictOf(two, [Math.fround(0.3), 0.7]).called).toEqual(["lymphocyte"]);
  expect(verdictOf(two, [0.29, 0.71]).called).toEqual(["monocyte"]);
  const several = { ...MODEL, task: "multilabel" as const };
  expect(verdictOf(several, [0.6, 0.1, 0.9]).called).toEqual(["neutrophil", "lymphocyte"]);
  expect(verdictOf(several, [0.1, 0.1, 0.2]).called).toEqual([]);
});

test("a PNG of several pictures is refused", () => {
  const chunk = (name: string, length: number): number[] =>
    [0, 0, 0, length, ...Array.from(name, (letter) => letter.charCodeAt(0)), ...new Array<number>(length + 4).fill(1)];
  const png = (...chunks: number[][]): DataView =>
    new DataView(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...chunk("IHDR", 13), ...chunks.flat()]).buffer);
  expect(headerOf(png(chunk("IDAT", 9)))).not.toBeNull();
  expect(headerOf(png(chunk("tEXt", 3), chunk("IDAT", 9), chunk("acTL", 8)))).not.toBeNull();
  expect(() => headerOf(png(chunk("tEXt", 3), chunk("acTL", 8), chunk("IDAT", 9)))).toThrow("several pictures");
});
