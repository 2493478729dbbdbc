import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connection } from "../../src/api/connection";
import { JobEvents } from "../../src/api/events";
import { FakeSource } from "../support/event_source";

describe("the line of news", () => {
  let events: JobEvents;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("EventSource", FakeSource);
    FakeSource.made = [];
    connection.tell("online");
    events = new JobEvents({ onStart: vi.fn(), onState: vi.fn(), onProgress: vi.fn() });
    events.start();
  });

  afterEach(() => {
    events.stop();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it("tells of a server that stays away although the browser tries again and again", () => {
    for (let second = 0; second < 6; second += 2) {
      FakeSource.current.tell("error");
      vi.advanceTimersByTime(2000);
    }
    expect(connection.state).toBe("offline");
    FakeSource.current.tell("open");
    expect(connection.state).toBe("online");
  });

  it("says nothing of a line that is back at once", () => {
    FakeSource.current.tell("error");
    vi.advanceTimersByTime(2000);
    FakeSource.current.tell("open");
    vi.advanceTimersByTime(60_000);
    expect(connection.state).toBe("online");
  });

  it("opens a line anew that was refused", () => {
    FakeSource.current.readyState = FakeSource.CLOSED;
    FakeSource.current.tell("error");
    vi.advanceTimersByTime(6000);
    expect(FakeSource.made.length).toBe(2);
    expect(connection.state).toBe("online");
  });
});
