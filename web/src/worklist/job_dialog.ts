/** Asking for analyses: which model, at which resolution, how fine, how urgent. */

import { createJobs, type Job, type JobOrder } from "../api/jobs";
import type { Model } from "../api/models";
import { problemText } from "../api/problem";
import type { Slide } from "../api/slides";
import { openDialog } from "../ui/dialog";
import { fill, h } from "../ui/dom";
import { count, plural } from "../ui/format";
import { icon } from "../ui/icons";
import { lacksSpacing, orderOf, readSettings, slideMppHint, type Problems, type RawSettings } from "./job_settings";

const PRIORITIES = [
  ["10", "Urgent: before all others"],
  ["0", "Normal"],
  ["-10", "Low: after all others"],
] as const;
const ORIENTATIONS =
  "Turned and mirrored. The result is the mean of the eight answers, and says how far they differ. It takes eight times as long.";
const LAST_MODEL = "wsi.model";

/** Ask how slides are to be analysed and queue them; `onQueued` gets the new jobs. */
export function openJobDialog(
  slides: readonly Slide[],
  models: readonly Model[],
  onQueued: (jobs: readonly Job[]) => void,
): void {
  const key = newKey();
  const kept = localStorage.getItem(LAST_MODEL);
  const model = h(
    "select",
    { class: "input", id: "job-model", name: "model" },
    ...models.map(({ name }) => h("option", { value: name, selected: name === kept }, name)),
  );
  const card = h("div", { class: "model-card" });
  const resolution = h("select", { class: "input", id: "job-resolution", name: "resolution" });
  const mpp = number("mpp", { min: 0.05, max: 64, step: "any" });
  const level = h("select", { class: "input", id: "job-level", name: "level" });
  const stride = number("stride", { min: 1, max: 4096, step: 1 });
  const threshold = number("threshold", { min: 0.001, max: 0.999, step: "any" });
  const slideMpp = number("slide-mpp", { min: 0.05, max: 250, step: "any" });
  const orientations = h("input", { type: "checkbox", id: "job-orientations", name: "orientations", "aria-describedby": "job-orientations-hint" });
  const unknown = slides.filter(lacksSpacing).length;
  const priority = h(
    "select",
    { class: "input", id: "job-priority", name: "priority" },
    ...PRIORITIES.map(([value, text]) => h("option", { value, selected: value === "0" }, text)),
  );
  const wrong = h("p", { class: "wrong", role: "alert" });
  const mppField = field("job-mpp", "µm per px", mpp, "Resolution of the analysis; a smaller number is finer.");
  const levelField = field("job-level", "Pyramid level", level, "Level of the slide file; 0 is the finest.");
  const strideField = field("job-stride", "Stride, px", stride, "Distance between tiles; smaller is finer and slower.");
  const thresholdField = field("job-threshold", "Threshold", threshold, "");
  const slideMppField = field("job-slide-mpp", "µm per px of the slide", slideMpp, slideMppHint(slides));
  fillLevels(level, slides);

  const chosen = (): Model | undefined => models.find(({ name }) => name === model.value);

  function showModel(): void {
    const found = chosen();
    if (found === undefined) return;
    fill(card, ...describe(found));
    const trained =
      found.mpp === null ? `level ${found.level ?? 0}` : `${found.mpp} µm per px`;
    const before = resolution.value;
    fill(
      resolution,
      h("option", { value: "model" }, `As in training: ${trained}`),
      h("option", { value: "mpp" }, "Another resolution, in µm per px"),
      h("option", { value: "level" }, "A pyramid level of the file"),
    );
    resolution.value = before || "model";
    stride.placeholder = `${found.patch_px}, the side of a patch`;
    threshold.placeholder = `${found.threshold}, the model's threshold`;
    const hint = thresholdField.querySelector(".hint");
    if (hint !== null) hint.textContent = thresholdText(found);
    thresholdField.hidden = found.task === "multiclass";
    showResolution();
  }

  function showResolution(): void {
    mppField.hidden = resolution.value !== "mpp";
    levelField.hidden = resolution.value !== "level";
  }

  function raw(): RawSettings {
    return {
      model: model.value,
      resolution: resolution.value,
      mpp: mpp.value,
      level: level.value,
      stride: stride.value,
      // A threshold decides nothing where the most likely class counts.
      threshold: thresholdField.hidden ? "" : threshold.value,
      slideMpp: slideMpp.value,
      slideMppNeeded: unknown > 0,
      orientations: orientations.checked,
      priority: priority.value,
    };
  }

  function showProblems(problems: Problems): void {
    const inputs = { mpp, slideMpp, stride, threshold };
    for (const [name, input] of Object.entries(inputs)) {
      const text = problems[name as keyof Problems];
      input.setAttribute("aria-invalid", text === undefined ? "false" : "true");
      const place = document.getElementById(`${input.id}-wrong`);
      if (place) place.textContent = text ?? "";
    }
    Object.entries(inputs).find(([name]) => problems[name as keyof Problems])?.[1].focus();
  }

  model.addEventListener("change", showModel);
  resolution.addEventListener("change", showResolution);
  showModel();

  const submit = h(
    "button",
    { class: "button primary", type: "submit", form: "job-form" },
    icon("play", 16),
    slides.length === 1 ? "Queue analysis" : `Queue ${plural(slides.length, "analysis", "analyses")}`,
  );
  const form = h(
    "form",
    {
      id: "job-form",
      class: "job-form",
      novalidate: true,
      on: {
        submit: (event) => {
          event.preventDefault();
          void queue();
        },
      },
    },
    h("p", { class: "quiet cut" }, slides.length === 1 ? (slides[0]?.name ?? "") : `${count(slides.length)} slides`),
    h("div", { class: "field" }, h("label", { for: "job-model" }, "Model"), model),
    card,
    h("div", { class: "field" }, h("label", { for: "job-resolution" }, "Resolution"), resolution),
    mppField,
    levelField,
    slideMppField,
    h("div", { class: "fields" }, strideField, thresholdField),
    h(
      "div",
      { class: "field" },
      h("label", { class: "tick" }, orientations, "Look at each tile in eight orientations"),
      h("p", { class: "hint", id: "job-orientations-hint" }, ORIENTATIONS),
    ),
    h("div", { class: "field" }, h("label", { for: "job-priority" }, "Priority"), priority),
    wrong,
  );
  const dialog = openDialog({
    title: slides.length === 1 ? "Analyse slide" : "Analyse slides",
    body: [form],
    buttons: [
      h("button", { class: "button", type: "button", on: { click: () => { dialog.close(); } } }, "Cancel"),
      submit,
    ],
  });

  async function queue(): Promise<void> {
    wrong.textContent = "";
    const settings = readSettings(raw());
    showProblems(settings.problems);
    if (settings.order === null) return;
    submit.disabled = true;
    const order = settings.order;
    const orders: JobOrder[] = slides.map((slide) => orderOf(slide, slides, order));
    try {
      const jobs = await createJobs(orders, key + JSON.stringify(order).replaceAll(/\s/g, ""));
      localStorage.setItem(LAST_MODEL, order.model);
      onQueued(jobs);
      dialog.close();
    } catch (error) {
      wrong.textContent = problemText(error);
    } finally {
      submit.disabled = false;
    }
  }
}

/** What the model answers for. */
function classesText({ task, classes, positive }: Model): string {
  if (classes.length === 0) return "Answers for whole slides, and shows where it looks.";
  if (task === "binary") return `Finds ${positive}.`;
  const all = classes.join(", ");
  const rule = task === "multiclass" ? "one of them for each cell" : "any of them for each cell";
  return `Classes: ${all} (${rule}). Slides are ranked by ${positive}.`;
}

function thresholdText({ task, positive }: Model): string {
  return `Probability from which a cell is ${task === "binary" ? positive : "of a class"}.`;
}

/** What its package says of it, beside what is shown at once. */
function cardOf(model: Model): [string, string][] {
  const figures = Object.entries(model.metrics).map(([name, value]) => `${name.replaceAll("_", " ")} ${Number(value.toPrecision(4))}`);
  return [
    ["Network", model.architecture],
    ["Trained on", model.training_data],
    ["Author's figures", figures.join(", ") || "none"],
    ["Threshold", `${model.threshold} (${model.threshold_chosen})`],
    ["Calibration", model.calibration],
    ["SHA-256", model.sha256],
  ];
}

function describe(model: Model): Node[] {
  return [
    h(
      "div",
      { class: "model-facts" },
      h("span", { class: "numbers" }, `Version ${model.version}`),
      model.notice === "" ? null : h("span", { class: "badge warning notice" }, model.notice),
    ),
    h("p", { class: "quiet" }, classesText(model)),
    h("p", { class: "quiet" }, model.intended_use),
    h("p", { class: "quiet" }, `Licence: ${model.licence}`),
    h(
      "details",
      { class: "model-more" },
      h("summary", {}, "Model card"),
      h(
        "dl",
        {},
        ...cardOf(model).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
    ),
    model.card
      ? h(
          "details",
          { class: "maker-card" },
          h("summary", {}, "Card by its maker"),
          h("pre", {}, model.card),
        )
      : null,
  ].filter((node) => node instanceof Node);
}

function number(
  name: string,
  limits: { readonly min: number; readonly max: number; readonly step: number | "any" },
): HTMLInputElement {
  return h("input", {
    class: "input numbers",
    id: `job-${name}`,
    name,
    type: "number",
    inputmode: "decimal",
    "aria-describedby": `job-${name}-hint job-${name}-wrong`,
    ...limits,
  });
}

function field(id: string, label: string, input: HTMLElement, hint: string): HTMLElement {
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    h("p", { class: "hint", id: `${id}-hint` }, hint),
    h("p", { class: "wrong", id: `${id}-wrong` }),
  );
}

/** Levels all slides have; what each is only where there is one slide. */
function fillLevels(level: HTMLSelectElement, slides: readonly Slide[]): void {
  const least = Math.min(...slides.map((slide) => slide.info?.levels.length ?? 1));
  const only = slides.length === 1 ? slides[0]?.info?.levels : undefined;
  const options = Array.from({ length: least }, (_, index) => {
    const found = only?.[index];
    const size = found ? ` · ${count(found.width)} × ${count(found.height)} px` : "";
    return h("option", { value: index }, `Level ${index}${size}`);
  });
  fill(level, ...options);
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
