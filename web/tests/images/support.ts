import type { ImageAnswer, StoredImage } from "../../src/api/images";
import type { Model } from "../../src/api/models";

/** An answer of three classes. */
export function answerOf(change: Partial<ImageAnswer> = {}): ImageAnswer {
  return {
    width: 300,
    height: 200,
    warnings: [],
    probabilities: { basophil: 0.1, eosinophil: 0.7, neutrophil: 0.2 },
    called: ["eosinophil"],
    set: ["eosinophil"],
    review: false,
    reason: "",
    coverage: 0.9,
    ...change,
  };
}

export function imageOf(name: string, change: Partial<StoredImage> = {}): StoredImage {
  return {
    id: name.padEnd(32, "0"),
    name,
    sha256: "0".repeat(64),
    size_bytes: 5,
    created_at: "2026-01-01T00:00:00Z",
    state: "answered",
    answer: answerOf(),
    problem: null,
    label: null,
    labels: [],
    ...change,
  };
}

export const MODEL = { name: "cells", sha256: "a".repeat(64), task: "multiclass" } as Model;
