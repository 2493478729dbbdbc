import { describe, expect, it } from "vitest";

import { isLikely } from "../../src/viewer/layer";
import { ATTENTION, attends, measureOf, ownThreshold, shownOf, showsNothing } from "../../src/viewer/shown";
import type { LayerSettings } from "../../src/state/viewer_state";

const TUMOUR = { label: 1, name: "tumour", colour: "#d50000" };
const INFO = { classes: [{ label: 0, name: "normal", colour: null }, TUMOUR], attention: false };

describe("what a layer can show", () => {
  it("is the classes that have probabilities, and the attention where there is one", () => {
    expect(shownOf(INFO)).toEqual([TUMOUR]);
    expect(shownOf({ ...INFO, attention: true })).toEqual([TUMOUR, ATTENTION]);
  });

  it("is nothing of an encoder whose networks weigh all tiles alike", () => {
    expect(showsNothing({ classes: [], attention: false })).toBe(true);
    expect(showsNothing({ classes: [], attention: true })).toBe(false);
    expect(showsNothing(INFO)).toBe(false);
  });

  it("is named as what it is", () => {
    expect(measureOf(TUMOUR, true)).toBe("Probability");
    expect(measureOf(TUMOUR, false)).toBe("Probability of tumour");
    expect(measureOf(ATTENTION, false)).toBe("Attention, rank within the slide");
  });

  it("is never the most likely class where it is the attention", () => {
    const settings = { threshold: null, labels: false, of: null } as LayerSettings;
    const info = { ...INFO, task: "multiclass", positive: "tumour", attention: true } as const;
    expect(isLikely(info, settings)).toBe(true);
    expect(isLikely(info, { ...settings, of: ATTENTION.name })).toBe(false);
  });

  it("is outlined from the result's threshold, or around the tenth that is looked at most", () => {
    const info = { ...INFO, positive: "tumour", attention: true, threshold: 0.3 };
    expect(ownThreshold(info, { of: null, labels: false })).toBe(0.3);
    expect(ownThreshold(info, { of: ATTENTION.name, labels: false })).toBe(0.9);
    // The class colours are of classes.
    expect(attends(info, { of: ATTENTION.name, labels: true })).toBe(false);
    // A result without attention shows the positive class whatever the link says.
    expect(attends({ ...info, attention: false }, { of: ATTENTION.name, labels: false })).toBe(false);
    // An encoder has nothing else.
    expect(attends({ classes: [], positive: "", attention: true }, { of: null, labels: false })).toBe(true);
  });
});
