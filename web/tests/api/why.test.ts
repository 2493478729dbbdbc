import { afterEach, expect, it, vi } from "vitest";

import { ApiProblem } from "../../src/api/problem";
import { fetchWhy } from "../../src/api/why";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const ASKED = { job: "1", column: 3, row: 4, of: "tumour & more" };

function serving(...answers: (() => Response)[]): string[] {
  const asked: string[] = [];
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    return Promise.resolve((answers[asked.length - 1] ?? answers.at(-1) ?? Response.error)());
  });
  return asked;
}

const later = () => new Response(null, { status: 202, headers: { "Retry-After": "3" } });

it("asks again as the server says, until the picture is there", async () => {
  const asked = serving(later, later, () => new Response("jpeg"));
  const picture = fetchWhy(ASKED, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(2900);
  expect(asked).toEqual(["/v1/jobs/1/why?column=3&row=4&class=tumour+%26+more"]);
  await vi.advanceTimersByTimeAsync(3200);
  expect(await (await picture).text()).toBe("jpeg");
  expect(asked).toHaveLength(3);
});

it("stops asking when nobody waits, and tells what is wrong", async () => {
  const stop = new AbortController();
  const asked = serving(later);
  const picture = fetchWhy(ASKED, stop.signal);
  const ended = expect(picture).rejects.toThrow("no longer wanted");
  await vi.advanceTimersByTimeAsync(100);
  stop.abort();
  await ended;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked).toHaveLength(1);
  serving(() => Response.json({ title: "Invalid", detail: "the cell was not classified" }, { status: 422 }));
  await expect(fetchWhy(ASKED, new AbortController().signal)).rejects.toThrow(ApiProblem);
});
