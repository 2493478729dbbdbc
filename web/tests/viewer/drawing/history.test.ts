import { describe, expect, it } from "vitest";

import { sizeOf } from "../../../src/viewer/drawing/area";
import { Composition } from "../../../src/viewer/drawing/composition";
import type { Drawing } from "../../../src/viewer/drawing/drawing";
import { History, applied, type Step } from "../../../src/viewer/drawing/history";

const drawing = (id: string, more: Partial<Drawing> = {}): Drawing => ({
  id,
  effect: "add",
  tool: "polygon",
  className: "tumour",
  comment: "",
  rings: [[{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }, { x: 0, y: 10 }]],
  ...more,
});

describe("the history", () => {
  it("undoes and redoes in order, and a deleted drawing comes back to its place", () => {
    const [a, b] = [drawing("a"), drawing("b")];
    const history = new History();
    let now: readonly Drawing[] = [];
    const go = (step: Step): void => {
      now = applied(now, step);
    };
    const act = (step: Step): void => {
      history.add(step);
      go(step);
    };
    act([{ before: null, after: a, at: 0 }]);
    act([{ before: null, after: b, at: 1 }]);
    act([{ before: a, after: { ...a, comment: "seen" }, at: 0 }]);
    act([{ before: { ...a, comment: "seen" }, after: null, at: 0 }]);
    expect(now).toEqual([b]);
    go(history.undo());
    expect(now).toEqual([{ ...a, comment: "seen" }, b]);
    go(history.undo());
    go(history.undo());
    expect(now).toEqual([a]);
    go(history.redo());
    expect(now).toEqual([a, b]);
    act([{ before: b, after: null, at: 1 }]);
    expect([history.canUndo, history.canRedo]).toEqual([true, false]);
    expect(history.redo()).toEqual([]);
  });

  it("undoes together what was done together", () => {
    const history = new History();
    const step: Step = ["a", "b"].map((id, at) => ({ before: null, after: drawing(id), at }));
    history.add(step);
    expect(applied(applied([], step), history.undo())).toEqual([]);
    expect(history.undo()).toEqual([]);
  });
});

describe("what drawings come to", () => {
  const right = [[{ x: 5, y: 0 }, { x: 20, y: 0 }, { x: 20, y: 10 }, { x: 5, y: 10 }]];
  const sizes = (composition: Composition, drawings: readonly Drawing[]) =>
    Object.fromEntries([...composition.of(drawings)].map(([name, area]) => [name, Math.round(sizeOf(area))]));

  it("an erasure takes from its class, or from every class, what came before", () => {
    const all = [drawing("a"), drawing("b", { className: "necrosis" })];
    const composition = new Composition();
    const one = drawing("c", { effect: "erase", className: "necrosis", rings: right });
    expect(sizes(composition, [...all, one])).toEqual({ tumour: 100, necrosis: 50 });
    const every = { ...one, className: "" };
    expect(sizes(composition, [...all, every])).toEqual({ tumour: 50, necrosis: 50 });
    expect(sizes(composition, [every, ...all])).toEqual({ tumour: 100, necrosis: 100 });
  });

  it("is the same whether it grew, shrank or began anew", () => {
    const all = Array.from({ length: 150 }, (_, index) =>
      drawing(String(index), {
        effect: index % 5 === 4 ? "erase" : "add",
        rings: [[{ x: index, y: 0 }, { x: index + 7, y: 0 }, { x: index + 7, y: 7 }, { x: index, y: 7 }]],
      }),
    );
    const composition = new Composition();
    for (const length of [30, 150, 149, 90, 10, 150]) {
      const some = all.slice(0, length);
      expect(sizes(composition, some)).toEqual(sizes(new Composition(), some));
    }
    const changed = all.map((one, index) => (index === 100 ? { ...one, className: "necrosis" } : one));
    expect(sizes(composition, changed)).toEqual(sizes(new Composition(), changed));
  });
});
