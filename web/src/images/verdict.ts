/** What a model says of an image, as rows that are also the buttons for labelling it. */

import type { StoredImage } from "../api/images";
import type { Model } from "../api/models";
import { maySubmit } from "../api/session";
import { fill, h } from "../ui/dom";
import { bytes, capital, count, probability } from "../ui/format";
import { icon } from "../ui/icons";
import { swatch } from "../ui/swatch";
import { joined, keyOf, partsOf } from "./keys";
import { labelLines, setMeaning, waitText } from "./words";

export interface VerdictEvents {
  /** A class was chosen as label. */
  readonly onClass: (name: string) => void;
  /** Another text was given as label. */
  readonly onLabel: (label: string) => void;
  readonly onClear: () => void;
}

export class Verdict {
  readonly element = h("div", { class: "image-verdict" });
  readonly #events: VerdictEvents;
  readonly #answer = h("section", { "aria-label": "Answer" });
  readonly #label = h("section", { class: "image-label", "aria-label": "Labels" });
  readonly #facts = h("section", { class: "quiet image-facts", "aria-label": "Facts" });
  readonly #other: HTMLInputElement;
  readonly #form: HTMLElement;

  constructor(events: VerdictEvents) {
    this.#events = events;
    this.#other = h("input", { class: "input", id: "other-label", maxlength: 200, autocomplete: "off" });
    this.#form = h(
      "form",
      {
        class: "image-other",
        hidden: !maySubmit(),
        on: {
          submit: (event) => {
            event.preventDefault();
            const label = this.#other.value.trim();
            this.#other.value = "";
            if (label !== "") events.onLabel(label);
          },
        },
      },
      h("label", { for: "other-label" }, "None of these? Another label"),
      h("div", {}, this.#other, h("button", { class: "button", type: "submit" }, "Set")),
    );
    this.element.append(this.#answer, this.#label, this.#form, this.#facts);
  }

  show(image: StoredImage, model: Model | null, classes: readonly string[]): void {
    const wait = waitText(image);
    fill(
      this.#answer,
      wait !== null && h("p", { class: image.state === "failed" ? "wrong" : "quiet" }, wait),
      this.#classes(image, model, classes),
      image.answer !== null && h("p", { class: "image-set" }, setMeaning(image.answer, model)),
      ...(image.answer?.warnings ?? []).map((text) => h("p", { class: "image-warning" }, icon("warning", 14), capital(text))),
    );
    const others = labelLines(image.labels);
    fill(
      this.#label,
      h(
        "p",
        {},
        "Your label: ",
        image.label === null ? h("span", { class: "quiet" }, this.#hint(image)) : h("b", {}, image.label),
        image.label !== null && maySubmit() &&
          h("button", { class: "button plain small", type: "button", on: { click: this.#events.onClear } }, "Take back", h("kbd", {}, "⌫")),
      ),
      others.length > 0 && h("p", { class: "quiet" }, "All labels: ", others.join("; ")),
    );
    const { answer } = image;
    fill(
      this.#facts,
      [answer === null ? null : `${count(answer.width)} × ${count(answer.height)} px`, bytes(image.size_bytes), image.name]
        .filter((part) => part !== null)
        .join(" · "),
    );
  }

  /** Where there is no label yet. */
  #hint({ answer }: StoredImage): string {
    const label = joined(answer?.called ?? []);
    return label === null || !maySubmit() ? "none" : `none; Enter accepts ${label}`;
  }

  /** The most likely class first; their keys are in the model's order and stay. */
  #classes(image: StoredImage, model: Model | null, classes: readonly string[]): HTMLElement {
    const { answer, label } = image;
    const labelled = partsOf(model?.task ?? "multiclass", label);
    const of = (name: string): number => answer?.probabilities[name] ?? 0;
    const ranked = [...classes].sort((a, b) => of(b) - of(a));
    return h("div", { class: "image-classes", role: "group", "aria-label": "Classes: choose one as your label" }, ...ranked.map((name) => {
      const inSet = answer?.set?.includes(name) ?? false;
      const isLabel = labelled.includes(name);
      const key = keyOf(classes.indexOf(name));
      const share = h("span", {});
      share.style.setProperty("width", `${(100 * of(name)).toFixed(1)}%`);
      return h(
        "button",
        {
          class: ["image-class", inSet && "in-set"].filter(Boolean).join(" "),
          type: "button",
          "aria-pressed": String(isLabel),
          "data-class": name,
          disabled: !maySubmit(),
          on: { click: () => { this.#events.onClass(name); } },
        },
        h("kbd", {}, key ?? ""),
        swatch(model?.class_colours[name] ?? null),
        h("span", { class: "cut" }, name, inSet && h("span", { class: "unseen" }, ", in the prediction set,")),
        isLabel ? icon("check", 15) : h("span", {}),
        answer === null ? null : h("span", { class: "bar" }, share),
        answer === null ? null : h("span", { class: "numbers" }, probability(of(name))),
      );
    }));
  }
}

