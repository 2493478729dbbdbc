/** An `EventSource` that the test speaks through. */

export class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readyState = 0;

  constructor(readonly url: string) {
    super();
    FakeSource.made.push(this);
  }

  /** The one that was opened last. */
  static get current(): FakeSource {
    const source = FakeSource.made.at(-1);
    if (source === undefined) throw new Error("nobody listens");
    return source;
  }

  close(): void {
    this.readyState = FakeSource.CLOSED;
  }

  tell(name: string): void {
    this.dispatchEvent(new Event(name));
  }

  send(name: string, news: unknown): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(news) }));
  }
}
