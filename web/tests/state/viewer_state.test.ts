import { describe, expect, it } from "vitest";

import { EMPTY_STATE, fromQuery, newLayer, toQuery, type ViewerState } from "../../src/state/viewer_state";

const JOB = "0123456789abcdef0123456789abcdef";
const OTHER = "f".repeat(32);

const FULL: ViewerState = {
  view: { x: 31_000.25, y: 27_000, zoom: 0.01834567, rotation: 30 },
  mode: "side",
  layers: [
    { ...newLayer(JOB), palette: "ember", opacity: 0.455, threshold: 0.4837, outline: false },
    { ...newLayer(OTHER), visible: false, coverage: false },
  ],
  active: 1,
  region: 12,
  panel: "regions",
  look: { brightness: -12, contrast: 140, gamma: 0.85, stain: "eosin" },
};

describe("the query string", () => {
  it("holds everything", () => {
    expect(fromQuery(toQuery(FULL))).toEqual(FULL);
  });

  it("is stable", () => {
    expect(toQuery(fromQuery(toQuery(FULL)))).toBe(toQuery(FULL));
  });

  it("is empty for the plain state, and back", () => {
    expect(toQuery(EMPTY_STATE)).toBe("");
    expect(fromQuery("")).toEqual(EMPTY_STATE);
  });

  it("holds a class by any name, and whether labels are shown", () => {
    const layers = [{ ...newLayer(JOB), of: "a_b c&d", labels: true, coverage: false }, newLayer(OTHER)];
    expect(fromQuery(toQuery({ ...EMPTY_STATE, layers })).layers).toEqual(layers);
  });

  it("needs no escapes", () => {
    expect(toQuery(FULL)).not.toContain("%");
  });

  it("keeps a zoom to a part in a million", () => {
    const view = { x: 0, y: 0, zoom: 0.012345678, rotation: 0 };
    const back = fromQuery(toQuery({ ...EMPTY_STATE, view })).view;
    expect(Math.abs((back?.zoom ?? 0) / view.zoom - 1)).toBeLessThan(1e-6);
  });
});

describe("a query string from elsewhere", () => {
  it.each([
    ["x=1&y=2", "a view without a zoom"],
    ["x=1&y=2&z=0", "a zoom of nothing"],
    ["x=a&y=2&z=1", "a place that is no number"],
    ["x=Infinity&y=2&z=1", "a place without an end"],
  ])("%s: %s is left out", (query) => {
    expect(fromQuery(query).view).toBeNull();
  });

  it("keeps a look within what can be shown", () => {
    expect(fromQuery("look=900_0_x_gold").look).toEqual({ brightness: 100, contrast: 25, gamma: 1, stain: "all" });
    expect(fromQuery("look=").look).toEqual(EMPTY_STATE.look);
  });

  it("does not bring in what is no job", () => {
    expect(fromQuery("layer=../../etc_reef_60_0.5_v&layer=<b>").layers).toEqual([]);
  });

  it("has unknown palettes and wild numbers replaced", () => {
    const [layer] = fromQuery(`layer=${JOB}_rainbow_900_7_v`).layers;
    expect(layer).toEqual({
      ...newLayer(JOB),
      opacity: 1,
      threshold: 1,
      outline: false,
      coverage: false,
    });
  });

  it("may name only the job", () => {
    expect(fromQuery(`layer=${JOB}`).layers).toEqual([newLayer(JOB)]);
  });

  it("cannot make a layer active that is not there", () => {
    expect(fromQuery(`layer=${JOB}&active=5`).active).toBe(0);
  });

  it("ends its list of layers somewhere", () => {
    expect(fromQuery(Array.from({ length: 50 }, () => `layer=${JOB}`).join("&")).layers).toHaveLength(8);
  });

  it("turns angles into 0 to 360", () => {
    expect(fromQuery("x=1&y=2&z=1&r=-90").view?.rotation).toBe(270);
  });
});
