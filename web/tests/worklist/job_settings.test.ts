import { describe, expect, it } from "vitest";
import type { Slide } from "../../src/api/slides";
import { orderOf, readSettings, slideMppHint, type RawSettings } from "../../src/worklist/job_settings";

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
  slideMpp: "",
  slideMppNeeded: false,
  orientations: false,
  priority: "0",
};

describe("what is said of the slide's resolution", () => {
  const scanned = (mpp: number | null, objective: number | null) =>
    ({ info: { mpp: mpp === null ? null : { x: mpp, y: mpp }, objective } }) as Pick<Slide, "info">;

  it("suggests what the objective usually makes, and fills in nothing", () => {
    expect(slideMppHint([scanned(null, 20)])).toContain("20× objective usually measure 0.5 µm");
    expect(slideMppHint([scanned(null, 40), scanned(0.25, 40)])).toContain("1 of 2 files state none");
    expect(slideMppHint([scanned(null, null)])).not.toContain("objective");
    expect(slideMppHint([scanned(null, 20), scanned(null, 40)])).not.toContain("objective");
    expect(slideMppHint([scanned(0.25, 40)])).toContain("Only where the file states it wrongly");
  });
});

describe("the job dialog", () => {
  it("leaves to the model what was left empty", () => {
    expect(readSettings(EMPTY).order).toEqual({ model: "demo" });
  });

  it("takes what was filled in", () => {
    const raw = { ...EMPTY, resolution: "mpp", mpp: "0.5", stride: "128", threshold: "0.7", slideMpp: "0.25", orientations: true, priority: "-10" };
    expect(readSettings(raw).order).toEqual({
      model: "demo", mpp: 0.5, stride: 128, threshold: 0.7, slide_mpp: 0.25, tta: true, priority: -10,
    });
  });

  it("takes level 0, and mpp only where it was asked for", () => {
    const raw = { ...EMPTY, resolution: "level", level: "0", mpp: "nonsense" };
    expect(readSettings(raw).order).toEqual({ model: "demo", level: 0 });
  });

  it("gives a spacing to slides whose file states none, else to all", () => {
    const { order } = readSettings({ ...EMPTY, slideMpp: "0.25" });
    expect(order).toEqual({ model: "demo", slide_mpp: 0.25 });
    const asked = order ?? { model: "" };
    const [without, stated] = [slide("a", null), slide("b", 0.5)];
    const given = { slide_id: "a", model: "demo", slide_mpp: 0.25 };
    expect(orderOf(without, [without, stated], asked)).toEqual(given);
    expect(orderOf(stated, [without, stated], asked)).toEqual({ slide_id: "b", model: "demo" });
    expect(orderOf(stated, [stated], asked)).toEqual({ ...given, slide_id: "b" });
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
    ["slideMpp", { slideMpp: "", slideMppNeeded: true }],
  ])("says what is wrong with %s", (name, change) => {
    const { order, problems } = readSettings({ ...EMPTY, ...change });
    expect(order).toBeNull();
    expect(Object.keys(problems)).toEqual([name]);
  });
});
