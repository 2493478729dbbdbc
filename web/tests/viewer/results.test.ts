import { describe, expect, it } from "vitest";

import { isLikely } from "../../src/viewer/layer";
import { ATTENTION, measureOf, shownOf } from "../../src/viewer/results";
import type { LayerSettings } from "../../src/state/viewer_state";

const TUMOUR = { label: 1, name: "tumour", colour: "#d50000" };
const INFO = { classes: [{ label: 0, name: "normal", colour: null }, TUMOUR], attention: false };

describe("what a layer can show", () => {
  it("is the classes that have probabilities, and the attention where there is one", () => {
    expect(shownOf(INFO)).toEqual([TUMOUR]);
    expect(shownOf({ ...INFO, attention: true })).toEqual([TUMOUR, ATTENTION]);
  });

  it("is named as what it is", () => {
    expect(measureOf(TUMOUR, true)).toBe("Probability");
    expect(measureOf(TUMOUR, false)).toBe("Probability of tumour");
    expect(measureOf(ATTENTION, false)).toBe("Attention, rank within the slide");
  });

  it("is never the most likely class where it is the attention", () => {
    const settings = { threshold: null, labels: false, of: null } as LayerSettings;
    expect(isLikely({ task: "multiclass" }, settings)).toBe(true);
    expect(isLikely({ task: "multiclass" }, { ...settings, of: ATTENTION.name })).toBe(false);
  });
});
