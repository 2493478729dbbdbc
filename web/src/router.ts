/** Which view an address shows, and moving between them without loading the page anew. */

import type { Shell } from "./ui/shell";

/** Takes a view away again: stops what it started and frees what it holds. */
export type Unmount = () => void;

const PAGES: ReadonlySet<string> = new Set(["/", "/images", "/on-this-computer"]);
const SLIDE = /^\/slides\/([0-9a-f]{32})$/;

export class Router {
  readonly #shell: Shell;
  #unmount: Unmount | null = null;
  /** Counts changes of view, so that one that loads slowly cannot overtake the next. */
  #turn = 0;
  #path: string | null = null;
  /** Whether the last first press followed a link: a second one then meets another view. */
  #followed = false;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Show what the address says, now and whenever it changes. */
  start(): void {
    window.addEventListener("popstate", () => {
      void this.#show();
    });
    document.addEventListener("click", (event) => {
      this.#follow(event);
    });
    // A double click on a link would select a word of the view that the first click opened.
    document.addEventListener("mousedown", (event) => {
      if (event.detail <= 1) this.#followed = false;
      else if (this.#followed) event.preventDefault();
    });
    // Nobody is signed in any more: a view that stayed would go on asking, and be refused.
    for (const end of ["wsi:signing-out", "wsi:signed-out"]) {
      window.addEventListener(end, () => {
        this.#leave();
      });
    }
    void this.#show();
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target.closest("a") : null;
    if (!target?.href || target.hasAttribute("download") || target.target === "_blank") return;
    const url = new URL(target.href);
    if (url.origin !== location.origin || !(PAGES.has(url.pathname) || SLIDE.test(url.pathname))) return;
    event.preventDefault();
    this.#followed = true;
    history.pushState(null, "", url.pathname + url.search);
    void this.#show();
  }

  async #show(): Promise<void> {
    // A view that changes its own query string stays.
    if (this.#path === location.pathname) return;
    this.#path = location.pathname;
    const turn = this.#leave();
    const root = this.#shell.clear();
    try {
      const mount = await this.#view(location.pathname);
      if (turn === this.#turn) this.#unmount = mount(root);
    } catch (error) {
      if (turn === this.#turn) this.#shell.fail(error);
    }
  }

  /** Take the view away, also one that is still loading; returns the turn that begins. */
  #leave(): number {
    this.#unmount?.();
    this.#unmount = null;
    return ++this.#turn;
  }

  async #view(path: string): Promise<(root: HTMLElement) => Unmount> {
    const slide = SLIDE.exec(path)?.[1];
    if (slide !== undefined) {
      const { mount } = await import("./viewer/viewer");
      return (root) => mount(root, slide);
    }
    if (path === "/") {
      const { mount } = await import("./worklist/worklist");
      return mount;
    }
    if (path === "/images") {
      const { mount } = await import("./images/page");
      return mount;
    }
    if (path === "/on-this-computer") {
      const { mount } = await import("./local/page");
      return mount;
    }
    const { mount } = await import("./ui/missing");
    return mount;
  }
}
