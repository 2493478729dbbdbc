/** The cells of the table: what a slide and its analysis look like. */

import { askedOf, fittedAnswer, type Job, type JobFindings } from "../api/jobs";
import type { Slide } from "../api/slides";
import { mppText } from "../geometry/scale";
import { h, type Child } from "../ui/dom";
import { area, bytes, capital, count, duration, percent, when } from "../ui/format";
import { icon } from "../ui/icons";
import { openPopover } from "../ui/popover";
import { swatch } from "../ui/swatch";
import { fittedCell, scoreText, stateBadge } from "./answer_cell";
import { alarmsOf, isSuspicious, slideState } from "./lines";

const STAGES: Readonly<Record<string, string>> = {
  checking: "Checking the slide",
  classifying: "Classifying",
  writing: "Writing the mask",
  publishing: "Publishing",
};

/** Where the viewer shows a slide, with one result if it is said which. */
export function viewerLink(slideId: string, job: Job | null): string {
  const layer = job !== null && job.result_id !== null ? `?layer=${job.id}` : "";
  return `/slides/${slideId}${layer}`;
}

export function slideCell(slide: Slide | null, job: Job | null): Child[] {
  if (slide === null) {
    return [
      h("span", { class: "slide-name quiet", tabindex: -1, "data-line": true }, "Slide was deleted"),
      h("span", { class: "facts quiet" }, "Its results can still be downloaded"),
    ];
  }
  const name =
    slide.state === "ready"
      ? h("a", { class: "slide-name", href: viewerLink(slide.id, job), "data-line": true }, slide.name)
      : h("span", { class: "slide-name", tabindex: -1, "data-line": true }, slide.name);
  name.title = slide.name;
  return [name, h("span", { class: "facts quiet numbers" }, ...slideFacts(slide))];
}

/** Each breaks no line; the last ones give way where there is little room. */
function slideFacts(slide: Slide): Child[] {
  const facts: string[] = [];
  if (slide.info !== null) {
    const { dimensions, mpp } = slide.info;
    facts.push(`${count(dimensions.width)} × ${count(dimensions.height)} px`);
    facts.push(mpp === null ? "µm per px unknown" : mppText(mpp));
  }
  const needed = facts.length;
  if (slide.size_bytes !== null) facts.push(bytes(slide.size_bytes));
  facts.push(when(slide.created_at));
  return facts.flatMap((fact, index) => [
    index > 0 && " ",
    h("span", { class: index < needed || needed === 0 ? "fact" : "fact spare" }, fact),
  ]);
}

export function analysisCell(job: Job | null, slideId: string, first: boolean, notice: string): Child[] {
  if (job === null) return [h("span", { class: "quiet" }, "–")];
  const name =
    first || job.result_id === null
      ? h("span", { class: "model", tabindex: first ? null : -1, "data-line": !first }, job.model)
      : h("a", { class: "model", href: viewerLink(slideId, job), "data-line": true }, job.model);
  const options = settingsOf(job);
  return [
    name,
    notice !== "" && h("span", { class: "badge warning notice" }, notice),
    options !== "" && h("span", { class: "facts quiet numbers" }, options),
  ];
}

/** Settings that are not the model's own, in a few words. */
function settingsOf(job: Job): string {
  const told = askedOf(job);
  const threshold = job.config["threshold"];
  if (typeof threshold === "number") told.push(`threshold ${threshold}`);
  if (job.priority !== 0) told.push(`priority ${job.priority > 0 ? "+" : ""}${job.priority}`);
  return told.join(" · ");
}

/** Changes that need the cell to be made anew; progress within a state does not. */
export function stateKey(slide: Slide | null, job: Job | null): string {
  if (job === null) return `slide|${slide?.state ?? ""}`;
  return [job.state, job.cancel_requested, job.problem?.detail, job.finished_at, slide?.state].join("|");
}

export function stateCell(slide: Slide | null, job: Job | null): Child[] {
  if (job === null) return slideStateCell(slide);
  switch (job.state) {
    case "queued":
      return [h("span", { class: "badge" }, "Queued"), h("span", { class: "facts quiet numbers", "data-progress": true })];
    case "running":
      return [
        h("span", { class: "stage" }),
        h(
          "div",
          {
            class: "bar",
            role: "progressbar",
            "aria-label": `Analysis of ${slide?.name ?? "a deleted slide"}`,
            "aria-valuemin": 0,
            "aria-valuemax": 100,
          },
          h("span", {}),
        ),
        h("span", { class: "facts quiet numbers", "data-progress": true }),
      ];
    case "succeeded":
      return [h("span", { class: "done" }, "Finished"), h("span", { class: "facts quiet" }, job.finished_at ? when(job.finished_at) : "")];
    case "failed":
      return [h("span", { class: "badge danger" }, "Failed"), h("span", { class: "facts wrong" }, detailOf(job.problem?.detail))];
    case "cancelled":
      return [h("span", { class: "badge" }, "Cancelled")];
  }
}

function slideStateCell(slide: Slide | null): Child[] {
  if (slide?.state === "checking") {
    return [
      h("span", { class: "stage" }, "Checking the file"),
      h("div", { class: "bar unsure", role: "progressbar", "aria-label": `Check of ${slide.name}` }, h("span", {})),
    ];
  }
  if (slide?.state === "rejected") {
    return [h("span", { class: "badge danger" }, "Rejected"), h("span", { class: "facts wrong" }, detailOf(slide.problem?.detail))];
  }
  return [h("span", { class: "quiet" }, "Not analysed")];
}

/** Bring progress within a state up to date, without making the cell anew. */
export function updateProgress(cell: Element, slide: Slide | null, job: Job | null): void {
  const told = cell.querySelector("[data-progress]");
  if (told === null || job === null) return;
  if (job.state === "queued") {
    told.textContent = queueText(slide, job);
    return;
  }
  const { done, total } = job.tiles;
  const classifying = job.stage === "classifying" && total !== null && total > 0;
  const stage = cell.querySelector(".stage");
  if (stage) stage.textContent = job.cancel_requested ? "Cancelling…" : (STAGES[job.stage ?? ""] ?? "Starting");
  const bar = cell.querySelector<HTMLElement>(".bar");
  const inside = bar?.querySelector<HTMLElement>("span");
  if (bar && inside) {
    bar.classList.toggle("unsure", !classifying);
    inside.style.setProperty("width", classifying ? `${((100 * done) / total).toFixed(2)}%` : "");
    if (classifying) bar.setAttribute("aria-valuenow", String(Math.floor((100 * done) / total)));
    else bar.removeAttribute("aria-valuenow");
  }
  told.textContent = progressText(job);
}

/** `1,200 of 204,000 tiles · 3 min left`. */
export function progressText(job: Job, now: number = Date.now()): string {
  const { done, total } = job.tiles;
  if (total === null) return job.attempts > 0 ? `Attempt ${job.attempts + 1}` : "";
  const parts = [`${count(done)} of ${count(total)} tiles`];
  if (job.stage === "classifying" && job.expected_at !== null) {
    const left = (Date.parse(job.expected_at) - now) / 1000;
    if (left > 0) parts.push(`${duration(left)} left`);
  }
  if (job.attempts > 0) parts.push(`attempt ${job.attempts + 1}`);
  return parts.join(" · ");
}

/** `Place 3 in the queue · finished in 4 min`. */
export function queueText(slide: Slide | null, job: Job, now: number = Date.now()): string {
  const parts: string[] = [];
  if (slide?.state === "checking") parts.push("the file is being checked");
  else if (job.position !== null) parts.push(job.position === 1 ? "Next" : `Place ${count(job.position)} in the queue`);
  if (job.expected_at !== null) {
    const left = (Date.parse(job.expected_at) - now) / 1000;
    if (left > 0) parts.push(`finished in ${duration(left)}`);
  }
  if (job.attempts > 0) parts.push(`attempt ${job.attempts} failed`);
  return parts.join(" · ");
}

/** Most other classes whose areas a line has; the viewer has them all. */
const MOST_AREAS = 3;
/** What is said of figures of a model that was trained on synthetic tissue. */
const DRAWINGS = "drawings only";
const DRAWINGS_TITLE =
  "The model was trained on drawings of tissue. Its score says nothing of real tissue: " +
  "the slide is neither sorted by it nor counted as suspicious.";

export function scoreCell(job: Job | null, synthetic: boolean): Child[] {
  const findings = job?.findings ?? null;
  if (job === null || findings === null) return [h("span", { class: "quiet" }, "–")];
  if (findings.slide_score === null) return [h("span", { class: "quiet" }, "no tissue")];
  if (synthetic) {
    return [
      h("span", { class: "score quiet" }, ...scoreText(findings)),
      h("span", { class: "facts quiet", title: DRAWINGS_TITLE }, DRAWINGS),
    ];
  }
  const high = isSuspicious(job, synthetic);
  const answer = fittedAnswer(findings.slide_answer);
  if (answer !== null) return fittedCell(findings, answer, high);
  // A threshold decides nothing where the most likely class counts.
  const divided = findings.task !== "multiclass";
  const bar = h("div", { class: high ? "score-bar high" : "score-bar" }, h("span", {}), divided && h("i", {}));
  const inside = bar.querySelector("span");
  inside?.style.setProperty("width", `${findings.slide_score * 100}%`);
  bar.querySelector("i")?.style.setProperty("left", `${findings.threshold * 100}%`);
  bar.title = `Largest probability of ${findings.positive}${divided ? `, threshold ${findings.threshold}` : ""}`;
  return [
    h("span", { class: high ? "score high" : "score" }, ...scoreText(findings)),
    bar,
    slideState(job, synthetic) !== null && stateBadge(findings.slide_answer),
  ];
}

export function areaCell(job: Job | null, synthetic: boolean): Child[] {
  const findings = job?.findings ?? null;
  // An encoder has no classes that could have an area.
  if (findings === null || findings.positive === "") return [h("span", { class: "quiet" }, "–")];
  return [
    h("span", { class: synthetic ? "quiet" : null }, area(findings.tumour_area_mm2)),
    findings.tumour_percent !== null &&
      h("span", { class: "facts quiet" }, `${percent(findings.tumour_percent)} of tissue`),
    ...otherAreas(findings),
  ];
}

/** Areas of the other classes, the largest first; of a model with one class there are none. */
function otherAreas({ task, classes, positive, class_areas_mm2: areas }: JobFindings): Child[] {
  if (task === "binary") return [];
  const others = classes.filter(({ name, colour }) => colour !== null && name !== positive && (areas[name] ?? 0) > 0);
  others.sort((a, b) => (areas[b.name] ?? 0) - (areas[a.name] ?? 0));
  const texts = others.map(({ name }) => `${name} ${area(areas[name] ?? 0)}`);
  const shown = others.slice(0, MOST_AREAS).map(({ name, colour }) =>
    h(
      "span",
      { class: "facts quiet class-area", title: name },
      swatch(colour),
      h("span", { class: "cut" }, name),
      h("span", { class: "class-mm2" }, area(areas[name] ?? 0)),
    ),
  );
  const more = others.length - shown.length;
  return more > 0 ? [...shown, h("span", { class: "facts quiet", title: texts.join(", ") }, `and ${more} more`)] : shown;
}

export function alarmCell(job: Job | null): Child[] {
  if (!job?.findings) return [h("span", { class: "quiet" }, "–")];
  const alarms = alarmsOf(job);
  if (alarms.length === 0) return [h("span", { class: "quiet" }, "none")];
  const text = alarms.length === 1 ? "1 alarm" : `${alarms.length} alarms`;
  const button = h(
    "button",
    { class: "badge warning alarm", type: "button", "aria-expanded": "false" },
    icon("warning", 14),
    text,
  );
  button.addEventListener("click", () => {
    openPopover(
      button,
      "Alarms",
      h("ul", { class: "alarm-list" }, ...alarms.map((alarm) => h("li", {}, detailOf(alarm.message)))),
    );
  });
  return [button];
}

function detailOf(text: string | undefined): string {
  if (!text) return "No reason was given.";
  const sentence = capital(text);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
