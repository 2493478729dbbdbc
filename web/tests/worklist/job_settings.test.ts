import { describe, expect, it } from "vitest";
import type { Slide } from "../../src/api/slides";
import { readSettings, slideMppHint, type RawSettings } from "../../src/worklist/job_settings";

const EMPTY: RawSettings = {
  model: "demo",
  resolution: "model",
  mpp: "",
  level: "0",
  stride: "",
  threshold: "",
  slideMpp: "",
  priority: "0",
};

describe("what is said of the slide's resolution", () => {
  const slide = (mpp: number | null, objective: number | null) =>
    ({ info: { mpp: mpp === null ? null : { x: mpp, y: mpp }, objective } }) as Pick<Slide, "info">;

  it("suggests what the objective usually makes, and fills in nothing", () => {
    expect(slideMppHint([slide(null, 20)])).toContain("20× objective usually measure 0.5 µm");
    expect(slideMppHint([slide(null, 40), slide(0.25, 40)])).toContain("1 of 2 files state none");
    expect(slideMppHint([slide(null, null)])).not.toContain("objective");
    expect(slideMppHint([slide(null, 20), slide(null, 40)])).not.toContain("objective");
    expect(slideMppHint([slide(0.25, 40)])).toContain("Only where the file states it wrongly");
  });
});

describe("the job dialog", () => {
  it("leaves to the model what was left empty", () => {
    expect(readSettings(EMPTY).order).toEqual({ model: "demo" });
  });

  it("takes what was filled in", () => {
    const raw = { ...EMPTY, resolution: "mpp", mpp: "0.5", stride: "128", threshold: "0.7", slideMpp: "0.25", priority: "-10" };
    expect(readSettings(raw).order).toEqual({
      model: "demo", mpp: 0.5, stride: 128, threshold: 0.7, slide_mpp: 0.25, priority: -10,
    });
  });

  it("takes level 0, and mpp only where it was asked for", () => {
    const raw = { ...EMPTY, resolution: "level", level: "0", mpp: "nonsense" };
    expect(readSettings(raw).order).toEqual({ model: "demo", level: 0 });
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
    ["slideMpp", { slideMpp: "0.01" }],
    ["slideMpp", { slideMpp: "352" }],
  ])("says what is wrong with %s", (name, change) => {
    const { order, problems } = readSettings({ ...EMPTY, ...change });
    expect(order).toBeNull();
    expect(Object.keys(problems)).toEqual([name]);
  });
});
