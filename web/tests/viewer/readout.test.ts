import { describe, expect, it } from "vitest";

import { spreadText, trainingText } from "../../src/viewer/readout";
import type { TileNumber } from "../../src/viewer/results";

const NUMBERS: readonly TileNumber[] = [
  { name: "distance", step: 1, heldOut: 1.25 },
  { name: "nearest", step: 1, heldOut: 0.8 },
  { name: "spread", step: 1, heldOut: null },
];

describe("what is said of a tile beside its probability", () => {
  it("is whether it is like the training data, with what is usual", () => {
    expect(trainingText({ distance: 1.249, nearest: 0.7 }, { numbers: NUMBERS })).toBe(
      "Like training: distance 1.25, limit 1.25 · nearest training tile 0.70, usually 0.80",
    );
    expect(trainingText({ distance: 2.5 }, { numbers: NUMBERS })).toBe("Unlike training: distance 2.50, limit 1.25");
  });

  it("is the number alone where a result does not say what is usual", () => {
    const numbers = NUMBERS.map((one) => ({ ...one, heldOut: null }));
    expect(trainingText({ distance: 2.5, nearest: 1 }, { numbers })).toBe("Distance from training 2.50 · nearest training tile 1.00");
  });

  it("is the spread of the answers for eight orientations", () => {
    expect(spreadText({ spread: 0.1234 })).toBe("spread 0.123");
    expect(spreadText({}) + trainingText({}, { numbers: NUMBERS })).toBe("");
  });
});
