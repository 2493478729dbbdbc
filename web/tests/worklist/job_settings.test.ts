import { describe, expect, it } from "vitest";
import type { Slide } from "../../src/api/slides";
import { orderOf, readSettings, type RawSettings } from "../../src/worklist/job_settings";

function slide(id: string, mpp: number | null): Slide {
  return {
    id,
    name: id,
    state: "ready",
    size_bytes: 1,
    sha256: null,
    info: {
      vendor: "png",
      dimensions: { width: 1, height: 1 },
      levels: [],
      mpp: mpp === null ? null : { x: mpp, y: mpp },
      objective: null,
      warnings: [],
    },
    problem: null,
    created_at: "",
  };
}

const EMPTY: RawSettings = {
  model: "demo",
  resolution: "model",
  mpp: "",
  level: "0",
  stride: "",
  threshold: "",
  slideMpp: null,
  priority: "0",
};

describe("the job dialog", () => {
  it("leaves to the model what was left empty", () => {
    expect(readSettings(EMPTY).order).toEqual({ model: "demo" });
  });

  it("takes what was filled in", () => {
    const raw = { ...EMPTY, resolution: "mpp", mpp: "0.5", stride: "128", threshold: "0.7", priority: "-10" };
    expect(readSettings(raw).order).toEqual({
      model: "demo", mpp: 0.5, stride: 128, threshold: 0.7, priority: -10,
    });
  });

  it("takes level 0, and mpp only where it was asked for", () => {
    const raw = { ...EMPTY, resolution: "level", level: "0", mpp: "nonsense" };
    expect(readSettings(raw).order).toEqual({ model: "demo", level: 0 });
  });

  it("gives a spacing to slides whose file states none, and to no other", () => {
    const { order } = readSettings({ ...EMPTY, slideMpp: "0.25" });
    expect(order).toEqual({ model: "demo", slide_mpp: 0.25 });
    expect(orderOf(slide("a", null), order ?? { model: "" })).toEqual({
      slide_id: "a", model: "demo", slide_mpp: 0.25,
    });
    expect(orderOf(slide("b", 0.5), order ?? { model: "" })).toEqual({
      slide_id: "b", model: "demo",
    });
  });

  it.each([
    ["mpp", { resolution: "mpp", mpp: "" }],
    ["mpp", { resolution: "mpp", mpp: "0" }],
    ["mpp", { resolution: "mpp", mpp: "65" }],
    ["stride", { stride: "1.5" }],
    ["stride", { stride: "4097" }],
    ["threshold", { threshold: "1" }],
    ["threshold", { threshold: "0" }],
    ["threshold", { threshold: "x" }],
    ["slideMpp", { slideMpp: "" }],
    ["slideMpp", { slideMpp: "250" }],
  ])("says what is wrong with %s", (name, change) => {
    const { order, problems } = readSettings({ ...EMPTY, ...change });
    expect(order).toBeNull();
    expect(Object.keys(problems)).toEqual([name]);
  });
});
