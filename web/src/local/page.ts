/** "On this computer": images are classified in the browser, and none of their px leaves it. */

import "./local.css";
import { listModels, readBrowserModel, type BrowserModel, type Model } from "../api/models";
import { problemText } from "../api/problem";
import { fill, h, setText } from "../ui/dom";
import { icon } from "../ui/icons";
import { message } from "../ui/message";
import { plural } from "../ui/format";
import { Engine } from "./engine";
import { Unusable } from "./file";
import { Rows, type Sorting } from "./rows";

export function mount(root: HTMLElement): () => void {
  const page = new LocalPage(root);
  void page.start();
  return () => {
    page.close();
  };
}

class LocalPage {
  readonly #root: HTMLElement;
  readonly #stop = new AbortController();
  readonly #rows = new Rows();
  readonly #state = h("p", { class: "local-state", role: "status" });
  readonly #about = h("p", { class: "quiet local-about" });
  readonly #choice = h("select", { class: "input", id: "local-model" });
  readonly #files = h("input", { type: "file", multiple: true, hidden: true, id: "local-files" });
  readonly #choose = h("button", { class: "button primary", type: "button", disabled: true }, icon("plus"), "Choose images…");
  readonly #save = h("button", { class: "button", type: "button", disabled: true }, icon("download"), "Save as CSV");
  readonly #clear = h("button", { class: "button", type: "button", disabled: true }, icon("trash"), "Clear");
  readonly #sorting = h(
    "select",
    { class: "input", id: "local-sorting" },
    h("option", { value: "order" }, "Order of adding"),
    h("option", { value: "doubt" }, "Most doubtful first"),
    h("option", { value: "name" }, "Name"),
  );
  #engine: Engine | null = null;
  #model: BrowserModel | null = null;
  #computes = "";

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  async start(): Promise<void> {
    const models = (await listModels(this.#stop.signal)).filter((model) => model.in_browser);
    if (this.#stop.signal.aborted) return;
    if (models.length === 0) {
      fill(
        this.#root,
        message({
          icon: "info",
          title: "No model can run on this computer yet",
          text: "An administrator makes one ready with: wsi models export MODEL --to onnx",
        }),
      );
      return;
    }
    this.#show(models);
    await this.#load();
  }

  close(): void {
    this.#stop.abort();
    this.#engine?.close();
    this.#rows.clear();
  }

  #show(models: readonly Model[]): void {
    fill(this.#choice, ...models.map((model) => h("option", { value: model.name }, model.name)));
    this.#choice.addEventListener("change", () => void this.#load());
    this.#choose.addEventListener("click", () => {
      this.#files.click();
    });
    this.#files.addEventListener("change", () => {
      this.#take([...(this.#files.files ?? [])]);
      this.#files.value = "";
    });
    this.#save.addEventListener("click", () => {
      this.#download();
    });
    this.#clear.addEventListener("click", () => {
      this.#rows.clear();
      this.#tell();
    });
    this.#sorting.addEventListener("change", () => {
      this.#rows.sort(this.#sorting.value as Sorting);
    });
    const signal = this.#stop.signal;
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
    }, { signal });
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#take([...(event.dataTransfer?.files ?? [])]);
    }, { signal });
    fill(
      this.#root,
      h(
        "div",
        { class: "local" },
        h("h1", {}, "On this computer"),
        h(
          "p",
          {},
          "The model runs in this browser. No px of your images is sent anywhere: once the model is loaded, you can disconnect the network.",
        ),
        h(
          "div",
          { class: "local-tools" },
          h("label", { for: "local-model" }, "Model"),
          this.#choice,
          this.#choose,
          this.#files,
          h("label", { for: "local-sorting" }, "Sort by"),
          this.#sorting,
          this.#save,
          this.#clear,
        ),
        this.#about,
        this.#state,
        this.#rows.element,
      ),
    );
  }

  async #load(): Promise<void> {
    const name = this.#choice.value;
    this.#engine?.close();
    this.#rows.clear();
    this.#choose.disabled = true;
    const engine = new Engine();
    this.#engine = engine;
    setText(this.#state, "Loading the model…");
    setText(this.#about, "");
    try {
      const model = await readBrowserModel(name, this.#stop.signal);
      setText(this.#about, about(model));
      const computes = await engine.load(model, this.#stop.signal);
      if (this.#engine !== engine) return;
      this.#model = model;
      this.#computes = computes;
      this.#choose.disabled = false;
      this.#tell();
    } catch (error) {
      if (this.#engine !== engine || this.#stop.signal.aborted) return;
      setText(this.#state, `The model could not be loaded: ${problemText(error)}`);
    }
  }

  #take(files: readonly File[]): void {
    const model = this.#model;
    const engine = this.#engine;
    if (model === null || engine === null || this.#choose.disabled) return;
    for (const file of files) {
      const row = this.#rows.add(file);
      engine.classify(file).then(
        (probabilities) => {
          row.show(model, probabilities);
          this.#tell();
        },
        (error: unknown) => {
          row.refuse(error instanceof Unusable ? error.message : problemText(error));
          this.#tell();
        },
      );
    }
    this.#tell();
  }

  #tell(): void {
    const { all, done, review, unusable } = this.#rows.counts();
    this.#save.disabled = done === 0;
    this.#clear.disabled = all === 0;
    if (all === 0) {
      setText(this.#state, `Ready, with ${this.#computes}. Drop images on this page.`);
      return;
    }
    const parts = [`${done + unusable} of ${plural(all, "image")} done`];
    if (review > 0) parts.push(`${review} to look at again`);
    if (unusable > 0) parts.push(`${unusable} not judged`);
    setText(this.#state, parts.join(", "));
  }

  #download(): void {
    if (this.#model === null) return;
    const url = URL.createObjectURL(new Blob([this.#rows.csv(this.#model)], { type: "text/csv" }));
    const link = h("a", { href: url, download: `${this.#model.name}.csv` });
    link.click();
    URL.revokeObjectURL(url);
  }
}

function about(model: BrowserModel): string {
  const sets =
    model.set_limit === null
      ? "It holds nothing to say which images to look at again."
      : `An image is marked "Look again" where its prediction set (coverage ${(model.coverage * 100).toFixed(0)} %) holds no class, or several.`;
  const notice = model.notice === "" ? "" : `${model.notice}. `;
  return `${notice}${model.intended_use} ${sets} It knows ${model.classes.map((one) => one.name).join(", ")} and nothing else: an image of something else gets one of these names too.`;
}
