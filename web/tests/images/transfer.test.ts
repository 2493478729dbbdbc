import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pick } from "../../src/images/picking";
import { Transfer } from "../../src/images/transfer";
import { sentence } from "../../src/images/transfer_panel";
import { imageOf, MODEL } from "./support";

function file(path: string, text = "px") {
  return { file: new File([text], path.slice(path.lastIndexOf("/") + 1)), path };
}

describe("picking", () => {
  it("takes images, with their folders in their names", () => {
    const picking = pick([file("blood/a.png"), file("blood/sub/B.TIFF"), file("blood/notes.txt"), file("blood/.x.png"), file("__MACOSX/a.png")]);
    expect(picking.images.map(({ path }) => path)).toEqual(["blood/a.png", "blood/sub/B.TIFF"]);
    expect([picking.leftOut, picking.name]).toEqual([1, "blood"]);
  });

  it("names the job after what was chosen", () => {
    expect(pick([file("a.png")]).name).toBe("a.png");
    expect(pick([file("a.png"), file("b.png")]).name).toBe("2 images");
    expect(pick([file("x/a.png"), file("y/a.png")]).name).toBe("x, y");
    expect(pick(["a", "b", "c", "d", "e"].map((folder) => file(`${folder}/1.png`))).name).toBe("a, b and 3 more folders");
    expect(pick([file("notes.txt")])).toEqual({ images: [], leftOut: 1, name: "" });
  });

  it("spells names as the server does", () => {
    expect(pick([file("u\u0308/a.png")]).images[0]?.path).toBe("\u00fc/a.png");
  });
});

/** Keeps images by name; some names are refused, and the line breaks for a while. */
class FakeServer {
  readonly puts: string[] = [];
  readonly jobs: { readonly name: string; readonly image_ids: string[]; readonly key: string }[] = [];
  there: { name: string; sha256: string }[] = [];
  broken = 0;
  busy = 0;
  full = false;

  readonly fetch = async (path: string, init: RequestInit = {}): Promise<Response> => {
    await Promise.resolve();
    const url = new URL(path, "http://localhost");
    if (this.broken > 0) {
      this.broken -= 1;
      throw new TypeError("no line");
    }
    if (url.pathname === "/v1/images/jobs") {
      const key = new Headers(init.headers).get("Idempotency-Key") ?? "";
      this.jobs.push({ ...(JSON.parse(init.body as string) as { name: string; image_ids: string[] }), key });
      return json({ id: "j", state: "running" }, 201);
    }
    if (init.method !== "PUT") return json({ images: this.there.map(({ name, sha256 }) => imageOf(name, { id: `old ${name}`, sha256, size_bytes: 2 })) });
    const name = url.searchParams.get("name") ?? "";
    if (this.busy > 0) {
      this.busy -= 1;
      return problem(503, "busy");
    }
    if (this.full) return problem(413, "the workspace is full");
    if (name.includes("bad")) return problem(422, `${name} is damaged`);
    this.puts.push(name);
    return json(imageOf(name, { id: `new ${name}` }), 201);
  };
}

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json" } });
}

function problem(status: number, detail: string): Response {
  return new Response(JSON.stringify({ type: "about:blank", title: "No", status, detail }), { status });
}

describe("sending images", () => {
  let server: FakeServer;

  beforeEach(() => {
    server = new FakeServer();
    vi.stubGlobal("fetch", server.fetch);
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  function transferOf(...paths: string[]): Transfer {
    return new Transfer(pick(paths.map((path) => file(path))), MODEL, () => undefined);
  }

  it("tells what was refused, and asks for the others in their order", async () => {
    const transfer = transferOf("f/1.png", "f/bad.png", "f/2.png", "f/3.png");
    await transfer.run();
    expect(server.jobs.map(({ name, image_ids: ids }) => [name, ids])).toEqual([["f", ["new f/1.png", "new f/2.png", "new f/3.png"]]]);
    expect(transfer.failures).toEqual([{ name: "f/bad.png", text: "f/bad.png is damaged" }]);
    expect(sentence(transfer)).toBe("3 of 4 images sent · 1 not sent");
  });

  it("goes on where the line was bad", async () => {
    vi.useFakeTimers();
    server.broken = 2;
    server.busy = 3;
    const transfer = transferOf("f/1.png", "f/2.png", "f/3.png");
    const run = transfer.run();
    await vi.advanceTimersByTimeAsync(10);
    expect(sentence(transfer)).toMatch(/^0 of 3 images sent · no connection/);
    await vi.advanceTimersByTimeAsync(60_000);
    await run;
    expect([transfer.sent, transfer.failures, transfer.state]).toEqual([3, [], "done"]);
    expect(server.puts.sort()).toEqual(["f/1.png", "f/2.png", "f/3.png"]);
  });

  it("does not send what the server has", async () => {
    const sha256 = Array.from(
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("px"))),
      (value) => value.toString(16).padStart(2, "0"),
    ).join("");
    server.there = [{ name: "f/1.png", sha256 }, { name: "f/2.png", sha256: "0".repeat(64) }];
    const transfer = transferOf("f/1.png", "f/2.png");
    await transfer.run();
    expect(server.puts).toEqual(["f/2.png"]);
    expect(transfer.known).toBe(1);
    await transferOf("f/1.png", "f/2.png").run();
    // The same images with the same model: the server finds the same job by its key.
    expect(new Set(server.jobs.map(({ key }) => key)).size).toBe(1);
    await new Transfer(pick([file("f/1.png"), file("f/2.png")]), { ...MODEL, sha256: "b" }, () => undefined).run();
    expect(new Set(server.jobs.map(({ key }) => key)).size).toBe(2);
  });

  it("ends where there is no room, and says so", async () => {
    server.full = true;
    const transfer = transferOf("f/1.png", "f/2.png", "f/3.png", "f/4.png", "f/5.png");
    await transfer.run();
    expect([transfer.problem, transfer.jobs, server.puts]).toEqual(["The workspace is full.", [], []]);
  });

  it("can be stopped", async () => {
    vi.useFakeTimers();
    server.broken = Infinity;
    const transfer = transferOf("f/1.png");
    const run = transfer.run();
    await vi.advanceTimersByTimeAsync(100);
    transfer.stop();
    await run;
    expect([transfer.state, server.jobs]).toEqual(["stopped", []]);
  });
});
