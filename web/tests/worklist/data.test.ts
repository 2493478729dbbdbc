import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WorklistData } from "../../src/worklist/data";
import { FakeSource } from "../support/event_source";

const JOB = {
  id: "a".repeat(32),
  slide_id: "b".repeat(32),
  state: "running",
  tiles: { done: 0, total: null },
};
const SLIDE = { id: JOB.slide_id, name: "one.tiff", state: "ready" };

/** A server with one slide and one job; what is deleted is gone, and the answer to that is slow. */
class FakeServer {
  readonly asked: string[] = [];
  gone = new Set<string>();
  refuses = false;

  readonly fetch = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const method = init.method ?? "GET";
    this.asked.push(`${method} ${path}`);
    const id = path.split("?")[0]?.split("/")[3];
    if (method === "DELETE" && id !== undefined) {
      if (!this.refuses) this.gone.add(id);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return this.refuses ? problem(409) : new Response(null, { status: 204 });
    }
    if (id !== undefined) {
      if (this.gone.has(id)) return problem(404);
      return json(id === JOB.id ? JOB : SLIDE);
    }
    if (path.startsWith("/v1/slides")) return json({ slides: [SLIDE], total: 1 });
    if (path.startsWith("/v1/jobs")) return json({ jobs: [JOB], total: 1 });
    return json({ models: [] });
  };
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { headers: { "Content-Type": "application/json" } });
}

function problem(status: number): Response {
  return new Response(JSON.stringify({ status, title: "No", detail: "No.", type: "about:blank" }), {
    status,
    headers: { "Content-Type": "application/problem+json" },
  });
}

describe("what the worklist knows", () => {
  let server: FakeServer;
  let data: WorklistData;

  beforeEach(async () => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", FakeSource);
    server = new FakeServer();
    vi.stubGlobal("fetch", server.fetch);
    data = new WorklistData(vi.fn());
    data.start();
    await vi.advanceTimersByTimeAsync(10);
    expect([...data.jobs.keys()]).toEqual([JOB.id]);
    server.asked.length = 0;
  });

  afterEach(() => {
    data.stop();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  function tell(): void {
    FakeSource.current.send("state", {
      job_id: JOB.id,
      state: "cancelled",
      attempts: 0,
      problem: null,
      result_id: null,
    });
  }

  it("reads a job that events told of", async () => {
    tell();
    expect(data.jobs.get(JOB.id)?.state).toBe("cancelled");
    await vi.advanceTimersByTimeAsync(300);
    expect(server.asked).toContain(`GET /v1/jobs/${JOB.id}`);
  });

  it("asks for nothing that is being deleted", async () => {
    tell();
    const deleted = data.deleteJob(JOB.id);
    await vi.advanceTimersByTimeAsync(500);
    tell();
    await vi.advanceTimersByTimeAsync(2000);
    await deleted;
    expect(server.asked).toEqual([`DELETE /v1/jobs/${JOB.id}`]);
    expect(data.jobs.size).toBe(0);
  });

  it("does not take a list from before the deletion for the truth", async () => {
    const loaded = data.load();
    const deleted = data.deleteSlide(SLIDE.id);
    await vi.advanceTimersByTimeAsync(2000);
    await Promise.all([loaded, deleted]);
    expect(data.slides.size).toBe(0);
  });

  it("goes on with what could not be deleted", async () => {
    server.refuses = true;
    const refused = expect(data.deleteJob(JOB.id)).rejects.toThrow("No.");
    await vi.advanceTimersByTimeAsync(2000);
    await refused;
    tell();
    await vi.advanceTimersByTimeAsync(300);
    expect(server.asked).toContain(`GET /v1/jobs/${JOB.id}`);
  });
});
