/** How the slide's picture is shown: sliders and the stain. */

import { isPlain, LOOK_LIMITS, PLAIN_LOOK, STAINS, stainName, type Look } from "../colour/look";
import { h, setText } from "../ui/dom";
import { range, setNumber } from "./inputs";

type Tone = keyof typeof LOOK_LIMITS;

const TONES: Record<Tone, { readonly name: string; readonly text: (value: number) => string }> = {
  brightness: { name: "Brightness", text: (value) => `${value > 0 ? "+" : ""}${value} %` },
  contrast: { name: "Contrast", text: (value) => `${value} %` },
  gamma: { name: "Gamma", text: (value) => value.toFixed(2) },
};

export class LookCard {
  readonly element: HTMLElement;
  readonly #sliders = new Map<Tone, { readonly input: HTMLInputElement; readonly text: HTMLElement }>();
  readonly #stain: HTMLSelectElement;
  readonly #reset = h("button", { class: "link", type: "button" }, "As scanned");

  constructor(onChange: (look: Partial<Look>) => void) {
    const rows = (Object.keys(TONES) as Tone[]).map((tone) => {
      const { least, most, step } = LOOK_LIMITS[tone];
      const id = `look-${tone}`;
      const input = range(id, tone, least, most, step, (value) => {
        onChange({ [tone]: value });
      });
      const text = h("output", { class: "numbers" });
      this.#sliders.set(tone, { input, text });
      const head = h("div", { class: "slider-head" }, h("label", { for: id }, TONES[tone].name), text);
      return h("div", { class: "slider" }, head, input);
    });
    this.#stain = h(
      "select",
      { class: "input", id: "look-stain" },
      ...STAINS.map((stain) => h("option", { value: stain }, stainName(stain))),
    );
    this.#stain.addEventListener("change", () => {
      const stain = STAINS.find((one) => one === this.#stain.value);
      if (stain !== undefined) onChange({ stain });
    });
    this.#reset.addEventListener("click", () => {
      onChange(PLAIN_LOOK);
    });
    this.element = h(
      "section",
      { class: "layer-look", "aria-label": "Picture of the slide" },
      h("header", {}, h("h3", { class: "layer-title" }, "Picture"), this.#reset),
      ...rows,
      h("div", { class: "layer-row" }, h("label", { for: "look-stain" }, "Stain"), this.#stain),
    );
  }

  update(look: Look): void {
    for (const [tone, { input, text }] of this.#sliders) {
      setNumber(input, look[tone]);
      setText(text, TONES[tone].text(look[tone]));
    }
    this.#stain.value = look.stain;
    this.#reset.hidden = isPlain(look);
  }
}
