import { describe, expect, it } from "vitest";
import type { Job, JobFindings, SlideAnswer, SlideState } from "../../src/api/jobs";
import type { Slide } from "../../src/api/slides";
import { alarmsOf, choose, FIRST_CHOICE, groupsOf, isSuspicious, isSynthetic, passes } from "../../src/worklist/lines";

const PLAIN_FINDINGS: JobFindings = {
  slide_score: 0.5,
  slide_answer: null,
  threshold: 0.5,
  positive: "tumour",
  task: "binary",
  classes: [],
  class_areas_mm2: {},
  exports: null,
  tumour_area_mm2: 1,
  tumour_percent: 10,
  regions: 1,
  alarms: [],
  notice: "",
};

let made = 0;

function slide(name: string, more: Partial<Slide> = {}): Slide {
  made += 1;
  return {
    id: `s${made}`,
    name,
    state: "ready",
    size_bytes: 1,
    sha256: null,
    info: null,
    problem: null,
    created_at: new Date(1_700_000_000_000 + made * 1000).toISOString(),
    ...more,
  };
}

function job(of: Slide, more: Partial<Job> = {}): Job {
  made += 1;
  return {
    id: `j${made}`,
    slide_id: of.id,
    model: "demo",
    config: {},
    priority: 0,
    state: "queued",
    stage: null,
    tiles: { done: 0, total: null },
    tiles_per_second: null,
    position: 1,
    expected_at: null,
    attempts: 0,
    cancel_requested: false,
    problem: null,
    result_id: null,
    findings: null,
    created_at: new Date(1_700_000_000_000 + made * 1000).toISOString(),
    started_at: null,
    finished_at: null,
    ...more,
  };
}

function result(of: Slide, score: number | null, findings: Partial<JobFindings> = {}): Job {
  return job(of, {
    state: "succeeded",
    result_id: "r",
    findings: { ...PLAIN_FINDINGS, slide_score: score, ...findings },
  });
}

function names(slides: Slide[], jobs: Job[], choice = {}): (string | undefined)[] {
  return choose(groupsOf(slides, jobs, []), { ...FIRST_CHOICE, ...choice }).map(
    (group) => group.slide?.name,
  );
}

describe("the order of the list", () => {
  it("puts the most suspicious first, then what is under way, then the rest", () => {
    const [low, high, running, queued, failed, fresh, empty] = [
      "low", "high", "running", "queued", "failed", "fresh", "empty",
    ].map((name) => slide(name)) as [Slide, Slide, Slide, Slide, Slide, Slide, Slide];
    const jobs = [
      result(low, 0.1),
      result(high, 0.99),
      job(running, { state: "running" }),
      job(queued),
      job(failed, { state: "failed" }),
      result(empty, null),
    ];
    expect(names([fresh, failed, queued, running, empty, low, high], jobs)).toEqual([
      "high", "low", "empty", "running", "queued", "failed", "fresh",
    ]);
  });

  it("ranks a slide by its most suspicious analysis, and shows that one first", () => {
    const [one, two] = [slide("one"), slide("two")];
    const jobs = [result(one, 0.2), job(one), result(one, 0.9), result(two, 0.5)];
    const [first] = choose(groupsOf([two, one], jobs, []), FIRST_CHOICE);
    expect(first?.slide?.name).toBe("one");
    expect(first?.jobs.map(({ findings }) => findings?.slide_score)).toEqual([0.9, 0.2, undefined]);
  });

  it("sorts names as people do, both ways", () => {
    const slides = [slide("slide 10"), slide("Slide 2"), slide("slide 1")];
    expect(names(slides, [], { sort: "name" })).toEqual(["slide 1", "Slide 2", "slide 10"]);
    expect(names(slides, [], { sort: "name", reversed: true })).toEqual([
      "slide 10", "Slide 2", "slide 1",
    ]);
  });

  it("keeps results whose slide was deleted", () => {
    const gone = slide("gone");
    const groups = groupsOf([], [result(gone, 0.9)], []);
    expect(groups).toHaveLength(1);
    expect(groups[0]?.slide).toBeNull();
  });
});

describe("search and filters", () => {
  const [one, two, three] = [slide("Liver A1.svs"), slide("liver b2.svs"), slide("node.tiff")];
  const jobs = [result(one, 0.9), result(two, 0.1), job(three, { model: "other" })];

  it("wants every word, in names and models, whatever the case", () => {
    expect(names([one, two, three], jobs, { search: "LIVER" })).toEqual(["Liver A1.svs", "liver b2.svs"]);
    expect(names([one, two, three], jobs, { search: "svs b2" })).toEqual(["liver b2.svs"]);
    expect(names([one, two, three], jobs, { search: "other" })).toEqual(["node.tiff"]);
    expect(names([one, two, three], jobs, { search: "(" })).toEqual([]);
  });

  it("counts a score at the threshold as suspicious", () => {
    const at = slide("at");
    const [group] = groupsOf([at], [result(at, 0.5, { threshold: 0.5 })], []);
    const [below] = groupsOf([at], [result(at, 0.4999, { threshold: 0.5 })], []);
    expect(group && passes(group, "suspicious")).toBe(true);
    expect(below && passes(below, "suspicious")).toBe(false);
  });

  it("tells slides that wait, failed and were not analysed apart", () => {
    const checking = slide("checking", { state: "checking" });
    const rejected = slide("rejected", { state: "rejected" });
    const fresh = slide("fresh");
    const all = [checking, rejected, fresh];
    expect(names(all, [], { filter: "active" })).toEqual(["checking"]);
    expect(names(all, [], { filter: "failed" })).toEqual(["rejected"]);
    expect(names(all, [], { filter: "none" })).toEqual(["fresh"]);
  });
});

describe("answers for whole slides", () => {
  const rule = { alpha: 0.05, delta: 0.1, false_alarms: 0.2, slides: 90, positives: 20, clear_below: 0.2, suspicious_from: 0.7 };
  const answer = (state: SlideState, probability: number | null): SlideAnswer => ({
    method: probability === null ? "max" : "regions-logistic",
    probability,
    low: probability,
    high: probability,
    probabilities: {},
    state,
    reason: "…",
    rule: probability === null ? null : rule,
  });

  it("decide by their state, not by the threshold of cells", () => {
    const of = slide("s");
    const seen = result(of, 0.4, { slide_answer: answer("suspicious", 0.4), threshold: 0.5 });
    const between = result(of, 0.6, { slide_answer: answer("look-again", 0.6), threshold: 0.5 });
    const unfitted = result(of, 0.6, { slide_answer: answer("look-again", null), threshold: 0.5 });
    expect([seen, between, unfitted].map((one) => isSuspicious(one, false))).toEqual([true, false, true]);
    expect(isSuspicious(seen, true)).toBe(false);
  });

  it("are filtered by the three states, which models of drawings do not have", () => {
    const states = ["clear", "suspicious", "look-again"] as const;
    const slides = states.map((state) => slide(state));
    const jobs = slides.map((of, place) => result(of, 0.5, { slide_answer: answer(states[place] ?? "clear", 0.5) }));
    for (const state of states) expect(names(slides, jobs, { filter: state })).toEqual([state]);
    const [group] = groupsOf(slides.slice(0, 1), jobs.slice(0, 1), [{ name: "demo", synthetic: true, notice: "" }]);
    expect(group && passes(group, "clear")).toBe(false);
  });
});

describe("classes that exclude one another", () => {
  it("make a slide suspicious where the positive one is the most likely anywhere", () => {
    const of = slide("s");
    const seen = result(of, 0.4, { task: "multiclass", tumour_area_mm2: 0.2 });
    const unseen = result(of, 0.6, { task: "multiclass", tumour_area_mm2: 0, threshold: 0.5 });
    expect([seen, unseen].map((one) => isSuspicious(one, false))).toEqual([true, false]);
    expect(isSuspicious(seen, true)).toBe(false);
  });
});

describe("models trained on synthetic tissue", () => {
  const of = slide("s");
  const alarm = { code: "synthetic-model", message: "…" };

  it("are told by the result, or by the package while there is none", () => {
    expect(isSynthetic(result(of, 0.5, { alarms: [alarm] }), new Set())).toBe(true);
    expect(isSynthetic(job(of), new Set(["demo"]))).toBe(true);
    expect(isSynthetic(job(of), new Set(["other"]))).toBe(false);
  });

  it("count neither as suspicious nor in the order, whoever says that they are", () => {
    const [real, drawn, named] = [slide("real"), slide("drawn"), slide("named")];
    const jobs = [
      result(real, 0.1, { tumour_area_mm2: 0.1 }),
      result(drawn, 0.99, { alarms: [alarm], tumour_area_mm2: 9 }),
      { ...result(named, 0.98, { tumour_area_mm2: 8 }), model: "drawings" },
    ];
    const groups = groupsOf([drawn, named, real], jobs, [{ name: "drawings", synthetic: true, notice: "Trained on synthetic tissue" }]);
    expect(groups.filter((group) => passes(group, "suspicious"))).toEqual([]);
    for (const sort of ["suspicion", "area"] as const) {
      const order = choose(groups, { ...FIRST_CHOICE, sort }).map((group) => group.slide?.name);
      expect(order).toEqual(["real", "named", "drawn"]);
    }
  });

  it("come after a model of real tissue on the same slide", () => {
    const both = slide("both");
    const jobs = [result(both, 0.99, { alarms: [alarm] }), result(both, 0.6)];
    const [group] = groupsOf([both], jobs, []);
    expect(group?.jobs.map(({ findings }) => findings?.slide_score)).toEqual([0.6, 0.99]);
    expect(group && passes(group, "suspicious")).toBe(true);
  });

  it("show the notice of the result, before there is one that of the package", () => {
    const models = [{ name: "demo", synthetic: false, notice: "Research preview" }];
    const [old, fresh, queued] = [result(of, 0.5, { notice: "Draft" }), result(of, 0.5), job(of)];
    const [group] = groupsOf([of], [old, fresh, queued], models);
    expect(group && [...group.notices.entries()].sort()).toEqual(
      [[old.id, "Draft"], [queued.id, "Research preview"]].sort(),
    );
    expect(group?.synthetic.size).toBe(0);
  });

  it("have a badge, not one alarm more", () => {
    const other = { code: "one-valued", message: "…" };
    expect(alarmsOf(result(of, 0.5, { alarms: [alarm, other] }))).toEqual([other]);
  });
});
