import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connection } from "../../src/api/connection";
import { JobEvents } from "../../src/api/events";

class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readyState = 0;

  constructor(readonly url: string) {
    super();
    FakeSource.made.push(this);
  }

  close(): void {
    this.readyState = FakeSource.CLOSED;
  }

  tell(name: string): void {
    this.dispatchEvent(new Event(name));
  }
}

function current(): FakeSource {
  const source = FakeSource.made.at(-1);
  if (source === undefined) throw new Error("nobody listens");
  return source;
}

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
      current().tell("error");
      vi.advanceTimersByTime(2000);
    }
    expect(connection.state).toBe("offline");
    current().tell("open");
    expect(connection.state).toBe("online");
  });

  it("says nothing of a line that is back at once", () => {
    current().tell("error");
    vi.advanceTimersByTime(2000);
    current().tell("open");
    vi.advanceTimersByTime(60_000);
    expect(connection.state).toBe("online");
  });

  it("opens a line anew that was refused", () => {
    current().readyState = FakeSource.CLOSED;
    current().tell("error");
    vi.advanceTimersByTime(6000);
    expect(FakeSource.made.length).toBe(2);
    expect(connection.state).toBe("online");
  });
});
