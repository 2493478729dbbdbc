import { describe, expect, it } from "vitest";
import { readSettings, type RawSettings } from "../../src/worklist/job_settings";

const EMPTY: RawSettings = {
  model: "demo",
  resolution: "model",
  mpp: "",
  level: "0",
  stride: "",
  threshold: "",
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

  it.each([
    ["mpp", { resolution: "mpp", mpp: "" }],
    ["mpp", { resolution: "mpp", mpp: "0" }],
    ["mpp", { resolution: "mpp", mpp: "65" }],
    ["stride", { stride: "1.5" }],
    ["stride", { stride: "4097" }],
    ["threshold", { threshold: "1" }],
    ["threshold", { threshold: "0" }],
    ["threshold", { threshold: "x" }],
  ])("says what is wrong with %s", (name, change) => {
    const { order, problems } = readSettings({ ...EMPTY, ...change });
    expect(order).toBeNull();
    expect(Object.keys(problems)).toEqual([name]);
  });
});
