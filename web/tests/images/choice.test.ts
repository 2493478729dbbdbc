import { describe, expect, it } from "vitest";
import { choose, countClasses, FIRST_CHOICE, isIn, readChoice, writeChoice, type Choice } from "../../src/images/choice";
import { columnsIn, rowsInSight } from "../../src/images/rows";
import { answerOf, imageOf } from "./support";

const ANN = { author: { key_id: "a", name: "Ann" }, label: "x", changed_at: "2026-01-01T00:00:00Z" };
const IMAGES = [
  imageOf("blood/sure.png", { created_at: "2026-01-03T00:00:00Z", label: "eosinophil" }),
  imageOf("blood/torn.png", {
    answer: answerOf({ probabilities: { basophil: 0.51, eosinophil: 0.49 }, called: ["basophil"], review: true }),
  }),
  imageOf("blood/unsure.png", {
    answer: answerOf({ probabilities: { basophil: 0.4, eosinophil: 0.3 }, called: ["basophil"] }),
    created_at: "2026-01-02T00:00:00Z",
    labels: [ANN],
  }),
  imageOf("other/broken.png", { state: "failed", answer: null }),
];

function shown(change: Partial<Choice>): string[] {
  return choose(IMAGES, { ...FIRST_CHOICE, ...change }).map(({ name }) => name.replace(/^.*\/|\.png/g, ""));
}

describe("the images that are shown", () => {
  it("come by doubt: those to look at again first, those without an answer last", () => {
    expect(shown({})).toEqual(["torn", "unsure", "sure", "broken"]);
  });

  it("come by name, or the newest first", () => {
    expect(shown({ sort: "name" })).toEqual(["sure", "torn", "unsure", "broken"]);
    expect(shown({ sort: "newest" })).toEqual(["sure", "unsure", "torn", "broken"]);
  });

  it("are those that filter, search and class leave in", () => {
    expect(shown({ filter: "review" })).toEqual(["torn"]);
    expect(shown({ filter: "labelled", sort: "name" })).toEqual(["sure", "unsure"]);
    expect(shown({ filter: "failed" })).toEqual(["broken"]);
    expect(shown({ search: " OTHER/ " })).toEqual(["broken"]);
    expect(shown({ called: "basophil" })).toEqual(["torn", "unsure"]);
    expect(shown({ called: "basophil", filter: "labelled" })).toEqual(["unsure"]);
  });

  it("are counted by class whatever class is chosen", () => {
    const choice = { ...FIRST_CHOICE, called: "basophil", search: "blood" };
    expect([...countClasses(IMAGES, choice)]).toEqual([["eosinophil", 1], ["basophil", 2]]);
    expect(IMAGES.filter((image) => isIn(image, choice))).toHaveLength(3);
  });
});

describe("the address", () => {
  it("holds job, image, search, filter, class and sorting", () => {
    const choice = { job: "1".repeat(32), image: "a".repeat(32), search: "a & b", filter: "failed", sort: "name", called: "c=d" } as const;
    expect(readChoice(writeChoice(choice))).toEqual(choice);
    expect(writeChoice(FIRST_CHOICE)).toBe("");
  });

  it("passes over what makes no sense", () => {
    expect(readChoice("?job=../x&image=1&show=none&sort=size")).toEqual(FIRST_CHOICE);
  });
});

describe("rows in sight", () => {
  it("are few, however many there are", () => {
    expect(rowsInSight(200, 800, 100, 1000)).toEqual({ first: 0, end: 8 });
    expect(rowsInSight(-50_000, 800, 100, 1000)).toEqual({ first: 498, end: 510 });
    expect(rowsInSight(-99_900, 800, 100, 1000)).toEqual({ first: 997, end: 1000 });
    expect(rowsInSight(5000, 800, 100, 1000)).toEqual({ first: 0, end: 0 });
    expect(rowsInSight(-5000, 800, 100, 2)).toEqual({ first: 2, end: 2 });
  });

  it("have as many columns as fit", () => {
    expect([100, 164, 337, 338, 1248].map(columnsIn)).toEqual([1, 1, 1, 2, 7]);
  });
});
