/** Regions by suspicion, and what people say of them. */

import { fill, h, setText } from "../ui/dom";
import { icon } from "../ui/icons";
import { area, plural, probability } from "../ui/format";
import { message } from "../ui/message";
import { toast } from "../ui/toast";
import { problemText } from "../api/problem";
import type { Verdict } from "./notes";
import type { Region } from "./results";
import { attends, planesOf } from "./shown";
import { takesNotes, type Loaded, type Session } from "./session";

/** Rows made at a time: thousands of them would make the page slow. */
const PAGE = 100;

export class RegionsPanel {
  readonly element = h("div", { class: "panel-body regions" });
  readonly #session: Session;
  readonly #go: (region: Region) => void;
  readonly #head = h("p", { class: "regions-head quiet" });
  readonly #list = h("ol", { class: "region-list" });
  readonly #rows = new Map<number, HTMLElement>();
  readonly #note: NoteForm;
  #of: readonly Region[] | null = null;
  #shown = 0;
  #marked: number | null = null;

  constructor(session: Session, go: (region: Region) => void) {
    this.#session = session;
    this.#go = go;
    this.#note = new NoteForm(session);
    fill(this.element, this.#head, this.#list);
  }

  update(): void {
    const result = this.#session.active;
    const regions = result?.regions ?? null;
    if (regions !== this.#of || this.#list.childElementCount === 0) this.#build(result, regions);
    const { region } = this.#session.state.value;
    if (region !== this.#marked) this.#mark(region);
    this.#note.update(result, this.#marked);
    if (result === null || !takesNotes(result)) return;
    for (const [number, row] of this.#rows) {
      const note = result.notes.mine(number);
      const others = result.notes.others(number).length;
      const text = verdictText(note?.verdict ?? null, (note?.comment ?? "") !== "" || others > 0);
      const place = row.querySelector(".region-said");
      if (place !== null) setText(place, text);
      row.dataset["verdict"] = note?.verdict ?? "";
    }
  }

  #build(result: Loaded | null, regions: readonly Region[] | null): void {
    this.#of = regions;
    this.#rows.clear();
    this.#marked = null;
    this.#shown = 0;
    this.#list.replaceChildren();
    if (regions === null || regions.length === 0) {
      this.#head.hidden = true;
      fill(this.#list, h("li", {}, this.#empty(result, regions)));
      return;
    }
    this.#head.hidden = false;
    const at = decisionText(result);
    fill(
      this.#head,
      `${plural(regions.length, "region")}${at}, the most suspicious first. `,
      h("kbd", {}, "n"),
      " and ",
      h("kbd", {}, "p"),
      " go to the next and the previous region.",
    );
    this.#more(regions);
  }

  #more(regions: readonly Region[]): void {
    this.#list.querySelector(".region-more")?.remove();
    for (const region of regions.slice(this.#shown, this.#shown + PAGE)) {
      const row = this.#row(region);
      this.#rows.set(region.number, row);
      this.#list.append(row);
    }
    this.#shown = Math.min(regions.length, this.#shown + PAGE);
    if (this.#shown >= regions.length) return;
    const more = h("button", { class: "button", type: "button" }, `Show more of ${regions.length}`);
    more.addEventListener("click", () => {
      this.#more(regions);
      this.update();
    });
    this.#list.append(h("li", { class: "region-more" }, more));
  }

  #row(region: Region): HTMLElement {
    const button = h(
      "button",
      { class: "region-row", type: "button", "data-region": region.number },
      h("span", { class: "region-number numbers" }, region.number),
      h("span", { class: "region-score numbers", title: "Largest probability" }, probability(region.max)),
      h("span", { class: "region-area numbers" }, area(region.areaMm2)),
      h("span", { class: "region-said" }),
    );
    button.addEventListener("click", () => {
      this.#go(region);
    });
    return h("li", {}, button);
  }

  #mark(region: number | null): void {
    this.#rows.get(this.#marked ?? 0)?.querySelector("button")?.removeAttribute("aria-current");
    this.#marked = region;
    while (region !== null && !this.#rows.has(region) && this.#of !== null && this.#shown < this.#of.length) {
      this.#more(this.#of);
    }
    const row = this.#rows.get(region ?? 0);
    if (row === undefined) {
      this.#note.element.remove();
      return;
    }
    row.querySelector("button")?.setAttribute("aria-current", "true");
    const result = this.#session.active;
    if (result !== null && takesNotes(result)) row.append(this.#note.element);
    row.scrollIntoView({ block: "nearest" });
  }

  #empty(result: Loaded | null, regions: readonly Region[] | null): HTMLElement {
    const layer = result?.layer ?? null;
    if (layer !== null && attends(layer.info, layer.settings)) {
      return message({
        icon: "info",
        title: "Attention has no regions",
        text: "Regions are of classes: choose one of them in Layers.",
      });
    }
    if (result?.nothing) {
      return message({
        icon: "info",
        title: "No regions",
        text: "Regions are of classes, and this model has none. Its answer for the slide is in Figures.",
      });
    }
    if (regions !== null && layer !== null && planesOf(layer.info).length > 1) {
      return message({
        icon: "check",
        title: `No region of ${layer.of.name}`,
        text: "This is the output of the model, not a diagnosis.",
      });
    }
    if (regions !== null) {
      return message({
        icon: "check",
        title: "No region reaches the threshold",
        text: "This is the output of the model, not a diagnosis. A lower threshold in Layers shows the cells with the next highest probabilities.",
      });
    }
    if (result?.problem) return message({ icon: "warning", title: "No regions", text: result.problem, urgent: true });
    if (result === null) return message({ icon: "list", title: "No result, no regions" });
    return h("p", { class: "loading", role: "status" }, "Loading regions…");
  }
}

/** How the result decided where its regions are. */
function decisionText(result: Loaded | null): string {
  const layer = result?.layer ?? null;
  if (layer !== null && layer.info.task === "multiclass") return ` where ${layer.of.name} is the most likely class`;
  const threshold = result?.findings?.threshold ?? layer?.info.threshold;
  if (threshold === undefined) return "";
  const of = layer !== null && planesOf(layer.info).length > 1 ? ` of ${layer.of.name}` : "";
  return `${of} at the result's threshold ${probability(threshold)}`;
}

function verdictText(verdict: Verdict | null, said: boolean): string {
  const text = verdict === "agree" ? "Agreed" : verdict === "disagree" ? "Disagreed" : "";
  return text !== "" ? text : said ? "Note" : "";
}

/** My verdict and comment on the marked region, and my colleagues'. */
class NoteForm {
  readonly element = h("div", { class: "note" });
  readonly #session: Session;
  readonly #agree = h("button", { class: "button", type: "button" }, icon("check", 16), "Agree");
  readonly #disagree = h("button", { class: "button", type: "button" }, icon("close", 16), "Disagree");
  readonly #comment = h("textarea", {
    class: "input",
    rows: 2,
    maxlength: 2000,
    placeholder: "Comment",
    "aria-label": "Comment on this region",
  });
  readonly #save = h("button", { class: "button", type: "button", hidden: true }, "Save comment");
  readonly #others = h("ul", { class: "note-others" });
  #region: number | null = null;
  #of: Loaded | null = null;
  #kept = "";

  constructor(session: Session) {
    this.#session = session;
    this.#agree.addEventListener("click", () => { void this.#say("agree"); });
    this.#disagree.addEventListener("click", () => { void this.#say("disagree"); });
    this.#save.addEventListener("click", () => { void this.#write(this.#verdict(), this.#comment.value); });
    this.#comment.addEventListener("input", () => { this.#save.hidden = this.#comment.value === this.#kept; });
    fill(
      this.element,
      h("div", { class: "note-verdict", role: "group", "aria-label": "Do you agree with the model?" }, this.#agree, this.#disagree),
      this.#comment,
      this.#save,
      this.#others,
    );
  }

  update(result: Loaded | null, region: number | null): void {
    const other = region !== this.#region || result !== this.#of;
    this.#of = result;
    this.#region = region;
    if (result === null || region === null) return;
    const note = result.notes.mine(region);
    this.#agree.setAttribute("aria-pressed", String(note?.verdict === "agree"));
    this.#disagree.setAttribute("aria-pressed", String(note?.verdict === "disagree"));
    const kept = note?.comment ?? "";
    // What is being written is not overwritten by what arrives.
    if (other || this.#comment.value === this.#kept) this.#comment.value = kept;
    this.#kept = kept;
    this.#save.hidden = this.#comment.value === kept;
    const others = result.notes.others(region).map((one) =>
      h(
        "li",
        {},
        h("strong", {}, one.author.name),
        one.verdict === null ? "" : one.verdict === "agree" ? " agrees" : " disagrees",
        one.comment !== "" && h("p", {}, one.comment),
      ),
    );
    fill(this.#others, ...others);
  }

  #verdict(): Verdict | null {
    return this.#of?.notes.mine(this.#region ?? 0)?.verdict ?? null;
  }

  #say(verdict: Verdict): Promise<void> {
    return this.#write(this.#verdict() === verdict ? null : verdict, this.#kept);
  }

  async #write(verdict: Verdict | null, comment: string): Promise<void> {
    if (this.#region === null) return;
    try {
      await this.#session.active?.notes.write(this.#region, verdict, comment);
    } catch (error) {
      toast(`The note was not saved. ${problemText(error)}`, "wrong");
    }
  }
}
