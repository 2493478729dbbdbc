import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PAGE, type StoredImage } from "../../src/api/images";
import { ImagesData } from "../../src/images/data";
import { imageOf } from "./support";

const JOB = { id: "1".repeat(32), name: "f", model: "cells", model_sha256: "a", failed: 0, review: 0, created_at: "" };
const MODELS = [
  { name: "cells", sha256: "a", output: "classes", classes: ["x", "y"] },
  { name: "maps", sha256: "b", output: "map", classes: ["x"] },
];

/** One job of more images than a page holds; the answers of its last ones come late. */
class FakeServer {
  readonly asked: string[] = [];
  images: StoredImage[] = Array.from({ length: PAGE + 3 }, (_, index) => imageOf(`f/${String(index).padStart(4, "0")}.png`));
  late = 3;
  /** What readings of pages wait for. */
  gate: Promise<void> = Promise.resolve();

  readonly fetch = async (path: string): Promise<Response> => {
    const url = new URL(path, "http://localhost");
    this.asked.push(url.pathname + (url.searchParams.has("offset") ? `?${url.searchParams.get("offset") ?? ""}` : ""));
    const total = this.images.length;
    const job = { ...JOB, total, answered: total - this.late, state: this.late > 0 ? "running" : "finished" };
    if (url.pathname === "/v1/models") return json({ models: MODELS });
    if (url.pathname === "/v1/images/jobs") return json({ jobs: [job] });
    if (url.pathname === `/v1/images/jobs/${JOB.id}`) return json(job);
    const one = this.images.find(({ id }) => url.pathname === `/v1/images/${id}`);
    if (one !== undefined) return json({ ...one, answer: null, state: null });
    const offset = Number(url.searchParams.get("offset"));
    const images = this.images.map((image, place) =>
      place < total - this.late ? image : { ...image, state: "queued", answer: null },
    );
    const answer = json({ images: images.slice(offset, offset + PAGE), total });
    await this.gate;
    return answer;
  };
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { headers: { "Content-Type": "application/json" } });
}

describe("what the page knows", () => {
  let server: FakeServer;
  let data: ImagesData;

  beforeEach(async () => {
    vi.useFakeTimers();
    server = new FakeServer();
    vi.stubGlobal("fetch", server.fetch);
    data = new ImagesData(vi.fn());
    await data.start(null);
    expect(data.images).toHaveLength(PAGE + 3);
    server.asked.length = 0;
  });

  afterEach(() => {
    data.stop();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("is of models that answer with classes", () => {
    expect(data.models.map(({ name }) => name)).toEqual(["cells"]);
    expect([data.isCurrent, data.classes]).toEqual([true, ["x", "y"]]);
  });

  it("comes page by page, and only pages without all answers are asked again", async () => {
    await vi.advanceTimersByTimeAsync(1100);
    expect(server.asked).toEqual([`/v1/images/jobs/${JOB.id}`, `/v1/images?${PAGE}`]);
    server.late = 0;
    await vi.advanceTimersByTimeAsync(1100);
    expect(data.images.every(({ answer }) => answer !== null)).toBe(true);
    server.asked.length = 0;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(server.asked).toEqual([]);
  });

  it("keeps a label that was set while an older reading was on its way", async () => {
    const [image] = data.images;
    if (image === undefined) throw new Error("no image");
    let open = (): void => undefined;
    server.gate = new Promise((resolve) => {
      open = resolve;
    });
    const reading = data.refresh();
    await vi.advanceTimersByTimeAsync(10);
    data.keepLabel(image.id, "y");
    open();
    await reading;
    expect(data.images[0]?.label).toBe("y");
    server.images = server.images.map((one) => ({ ...one, label: "x" }));
    await data.refresh();
    expect(data.images[0]?.label).toBe("x");
  });

  it("learns labels of others without losing the answer", async () => {
    const [image] = data.images;
    if (image === undefined) throw new Error("no image");
    const labels = [{ author: { key_id: "b", name: "Ben" }, label: "y", changed_at: "" }];
    server.images = server.images.map((one) => ({ ...one, labels }));
    await data.refreshLabels(image.id);
    expect([data.images[0]?.labels, data.images[0]?.answer]).toEqual([labels, image.answer]);
  });

  it("sorts names as people count", async () => {
    server.images = ["f/10.png", "f/9.png", "f/1.png"].map((name) => imageOf(name));
    server.late = 0;
    await data.start(JOB.id);
    expect(data.images.map(({ name }) => name)).toEqual(["f/1.png", "f/9.png", "f/10.png"]);
  });
});
