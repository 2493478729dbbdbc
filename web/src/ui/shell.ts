/** The frame around every view: name, notice, theme, session, connection, passing notes. */

import { connection } from "../api/connection";
import { problemText, Unauthorised } from "../api/problem";
import { signOut, type Session } from "../api/session";
import { fill, h, setText } from "./dom";
import { icon } from "./icons";
import { message } from "./message";
import { signInForm } from "./sign_in";
import { themeButton } from "./theme";

/** Always in sight. */
const NOTICE = "Research use, not a diagnosis";

const LINKS = [
  ["/images", "Images", "Classify single images, look at them again, label them"],
  ["/on-this-computer", "On this computer", "Classify single images in this browser"],
] as const;

export class Shell {
  readonly #slot = h("div", { class: "shell-slot" });
  readonly #main = h("main", { class: "shell-main", id: "main", tabindex: -1 });
  readonly #line = h("div", { class: "shell-line", role: "status", hidden: true });
  readonly #links = LINKS.map(([href, text, title]) => h("a", { class: "shell-link", href, title }, text));
  readonly #workspace = h("span", { class: "shell-workspace quiet cut" });
  readonly #signOut = h(
    "button",
    {
      class: "button plain icon-only",
      type: "button",
      title: "Sign out",
      "aria-label": "Sign out",
      on: { click: () => void this.#leave() },
    },
    icon("signOut"),
  );

  constructor(place: HTMLElement) {
    fill(
      place,
      h("a", { class: "button shell-skip", href: "#main" }, "Skip to content"),
      h(
        "header",
        { class: "shell-head" },
        h("a", { class: "shell-name", href: "/" }, icon("slide", 20), "WSI Pipeline"),
        this.#slot,
        h("nav", { class: "shell-links", "aria-label": "Pages" }, ...this.#links),
        this.#workspace,
        h("span", { class: "badge shell-notice" }, NOTICE),
        h("div", { class: "shell-tools" }, themeButton(), this.#signOut),
      ),
      this.#line,
      this.#main,
    );
    connection.listen((state) => {
      this.#line.hidden = state === "online";
      setText(
        this.#line,
        state === "online"
          ? ""
          : "The server does not answer. The page may be out of date; trying again…",
      );
    });
    window.addEventListener("wsi:signed-out", () => {
      this.#askForKey();
    });
  }

  /** Say who is signed in; ask for a key if nobody is. */
  showSession(session: Session): void {
    if (!session.signed_in) {
      this.#askForKey();
      return;
    }
    const reading = session.scope === "view" ? " · reading only" : "";
    setText(this.#workspace, `${session.workspace ?? ""}${reading}`);
    this.#workspace.title = `Workspace ${session.workspace ?? ""}, key ${session.key_name ?? ""}`;
  }

  /** Empty the frame for the next view; returns where it goes. */
  clear(): HTMLElement {
    this.#slot.replaceChildren();
    this.#main.replaceChildren();
    for (const link of this.#links) {
      if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const root = h("div", { class: "shell-main" });
    this.#main.append(root);
    return root;
  }

  /** A view could not be shown at all, or what was asked for instead of it failed. */
  fail(error: unknown, title = "This page could not be loaded"): void {
    if (error instanceof Unauthorised) return;
    fill(
      this.#main,
      message({
        icon: "warning",
        title,
        text: problemText(error),
        urgent: true,
        actions: [
          h("button", { class: "button", type: "button", on: { click: () => { location.reload(); } } }, "Reload"),
        ],
      }),
    );
  }

  #askForKey(): void {
    this.#signOut.hidden = true;
    setText(this.#workspace, "");
    if (this.#main.querySelector(".sign-in") !== null) return;
    this.#slot.replaceChildren();
    fill(this.#main, signInForm());
  }

  async #leave(): Promise<void> {
    try {
      await signOut();
      location.assign("/");
    } catch (error) {
      this.fail(error, "You are still signed in");
    }
  }
}
