import "fake-indexeddb/auto";
import { describe, expect, it } from "vitest";
import type { UploadView } from "../../src/uploads/entry";
import { Pace } from "../../src/uploads/pace";
import { sentence } from "../../src/uploads/panel";
import { fingerprintOf, Records, type UploadRecord } from "../../src/uploads/records";

describe("pace", () => {
  it("is what went in the last seconds", () => {
    const pace = new Pace();
    for (let second = 0; second <= 20; second++) {
      pace.add(second < 10 ? second * 1000 : 10_000 + (second - 10) * 3000, second * 1000);
    }
    expect(pace.speed).toBeCloseTo(3000);
    expect(pace.secondsFor(6000)).toBeCloseTo(2);
  });

  it("says nothing too early, nor when the server had less than was sent", () => {
    const pace = new Pace();
    expect(pace.speed).toBeNull();
    pace.add(0, 0);
    pace.add(100, 100);
    expect(pace.secondsFor(1)).toBeNull();
    pace.add(5000, 2000);
    pace.add(1000, 3000);
    expect(pace.speed).toBeNull();
  });
});

const RECORD: UploadRecord = {
  id: "a",
  fingerprint: "slide.svs|5|7",
  name: "slide.svs",
  size: 5,
  addedAt: 2,
  url: null,
  offset: 0,
  paused: false,
  slideId: null,
  model: "demo",
  handle: null,
};

describe("records", () => {
  it("survive the page, oldest first", async () => {
    const first = new Records();
    await first.put(RECORD);
    await first.put({ ...RECORD, id: "b", addedAt: 1 });
    await first.put({ ...RECORD, offset: 3, url: "/v1/uploads/x" });
    expect((await new Records().all()).map(({ id, offset }) => [id, offset])).toEqual([["b", 0], ["a", 3]]);
    await new Records().remove("b");
    await new Records().remove("a");
    expect(await first.all()).toEqual([]);
  });

  it("know a file again by name, size and time, not by its folder", () => {
    const file = (name: string, text: string, lastModified: number) =>
      new File([text], name, { lastModified });
    expect(fingerprintOf(file("slide.svs", "12345", 7))).toBe(RECORD.fingerprint);
    expect(fingerprintOf(file("slide.svs", "12345", 8))).not.toBe(RECORD.fingerprint);
    expect(fingerprintOf(file("slide.svs", "1234", 7))).not.toBe(RECORD.fingerprint);
  });
});

describe("what is said of an upload", () => {
  const view: UploadView = {
    id: "a",
    name: "slide.svs",
    size: 2e9,
    state: "sending",
    sent: 5e8,
    speed: 5e7,
    left: 30,
    problem: null,
    slideId: null,
  };

  it("is progress, speed and time left while it goes", () => {
    expect(sentence(view)).toBe("25 % of 2.0 GB · 50.0 MB/s · 30 s left");
    expect(sentence({ ...view, speed: null, left: null })).toBe("25 % of 2.0 GB");
  });

  it("is honest about what it waits for", () => {
    expect(sentence({ ...view, state: "waiting" })).toContain("no connection");
    expect(sentence({ ...view, state: "choose" })).toContain("choose the same file again");
    expect(sentence({ ...view, state: "refused", problem: "no room" })).toBe("Refused: no room");
  });
});
