import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { ApiProblem, Offline, Unauthorised } from "../../../src/api/problem";
import type { Drawing } from "../../../src/viewer/drawing/drawing";
import { Outbox } from "../../../src/viewer/drawing/outbox";

const drawing = (id: string, comment = ""): Drawing => ({ id, effect: "add", tool: "brush", className: "tumour", comment, rings: [] });

describe("the outbox", () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => { vi.useRealTimers(); });

  function service() {
    const stored = new Map<string, Drawing>();
    const calls: string[] = [];
    const state: { problem: Error | null } = { problem: null };
    const answer = (): Promise<void> => (state.problem === null ? Promise.resolve() : Promise.reject(state.problem));
    const outbox = new Outbox({
      put: async (one) => {
        calls.push(`put ${one.id}${one.comment}`);
        await answer();
        stored.set(one.id, one);
        return { id: "key", name: "Ann" };
      },
      remove: async (id) => {
        calls.push(`remove ${id}`);
        await answer();
        stored.delete(id);
      },
    });
    return { outbox, stored, calls, state };
  }

  it("sends in order, one at a time, and only the last of several changes that wait", async () => {
    const { outbox, calls, stored } = service();
    for (const one of [drawing("a"), drawing("b"), drawing("b", "1"), drawing("c"), drawing("b", "2")]) outbox.put(one);
    expect(outbox.unsaved).toBe(3);
    await vi.runAllTimersAsync();
    expect(calls).toEqual(["put a", "put b2", "put c"]);
    expect([outbox.unsaved, outbox.author?.name, stored.size]).toEqual([0, "Ann", 3]);
  });

  it("loses nothing on a bad line, and tells of it", async () => {
    const { outbox, calls, stored, state } = service();
    state.problem = new Offline();
    outbox.put(drawing("a"));
    outbox.put(drawing("b"));
    await vi.advanceTimersByTimeAsync(10_000);
    expect([outbox.unsaved, outbox.trouble, stored.size]).toEqual([2, "The server does not answer.", 0]);
    expect(calls.length).toBeGreaterThan(3);
    outbox.remove("b");
    expect(outbox.over([drawing("b"), drawing("z")]).map((one) => one.id)).toEqual(["z", "a"]);
    state.problem = null;
    await vi.advanceTimersByTimeAsync(20_000);
    expect([outbox.unsaved, outbox.trouble, [...stored.keys()]]).toEqual([0, null, ["a"]]);
  });

  it("goes on past what the service refuses, and keeps that until it is taken", async () => {
    const { outbox, stored, state } = service();
    state.problem = new ApiProblem(409, "Conflict", "one key has at most 2,000 drawings on one slide", "conflict");
    outbox.put(drawing("a"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([outbox.unsaved, outbox.isUnsaved("a")]).toEqual([1, true]);
    expect(outbox.trouble).toContain("at most 2,000");
    state.problem = null;
    outbox.put(drawing("b"));
    await vi.runAllTimersAsync();
    expect([...stored.keys()]).toEqual(["b"]);
    outbox.retry();
    await vi.runAllTimersAsync();
    expect([outbox.unsaved, [...stored.keys()]]).toEqual([0, ["b", "a"]]);
  });

  it("asks no more once nobody is signed in, until somebody is again", async () => {
    const { outbox, calls, state } = service();
    state.problem = new Unauthorised(401, "", "", "");
    outbox.put(drawing("a"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([calls.length, outbox.unsaved]).toEqual([1, 1]);
    state.problem = null;
    outbox.retry();
    await vi.runAllTimersAsync();
    expect(outbox.unsaved).toBe(0);
  });
});
