/** Labels by keys and buttons, for the images of the job that is looked at. */

import { writeLabel, type StoredImage } from "../api/images";
import { problemText } from "../api/problem";
import { maySubmit } from "../api/session";
import { toast } from "../ui/toast";
import type { ImagesData } from "./data";
import { classOf, joined, withClass } from "./keys";
import { Labels } from "./labels";

export class Labelling {
  readonly #data: ImagesData;
  readonly #labels: Labels;

  constructor(data: ImagesData, onChange: () => void) {
    this.#data = data;
    this.#labels = new Labels({
      write: writeLabel,
      onKept: (id, label) => {
        data.keepLabel(id, label);
      },
      onChange,
      onFailed: (_, error) => {
        toast(`Your label was not kept: ${problemText(error)}`, "wrong");
      },
    });
  }

  /** Have the browser ask before it leaves the page while labels are on their way; returns how to stop that. */
  guard(): () => void {
    const ask = (event: BeforeUnloadEvent): void => {
      if (this.#labels.open) event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
    };
  }

  /** An image with the label that is to be shown. */
  on(image: StoredImage): StoredImage {
    return this.#labels.on(image);
  }

  /** Take a key; says whether it meant something. */
  key(image: StoredImage, key: string): boolean {
    if (key === "Backspace") {
      this.set(image, null);
      return true;
    }
    const name = classOf(key, this.#data.classes);
    if (name === null) return false;
    this.choose(image, name);
    return true;
  }

  /** The label is this class; of a multilabel model it has this class, or has it no more. */
  choose(image: StoredImage, name: string): void {
    const { classes, model } = this.#data;
    this.set(image, withClass(model?.task ?? "multiclass", classes, this.#labels.of(image), name));
  }

  /** The label is what the model says. */
  accept(image: StoredImage): void {
    const label = joined(image.answer?.called ?? []);
    if (label !== null) this.set(image, label);
  }

  /** Set a label, or with null take it back. */
  set(image: StoredImage, label: string | null): void {
    if (maySubmit()) void this.#labels.set(image, label);
    else toast("Your key allows reading only: labels are not kept.", "wrong");
  }
}
