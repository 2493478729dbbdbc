/**
 * What the table shows: slides with their analyses as groups of lines, the most suspicious first;
 * searched, filtered and sorted without looking at the page.
 */

import { besideSynthetic, fittedAnswer, SYNTHETIC, type Alarm, type Job, type SlideState } from "../api/jobs";
import type { Model } from "../api/models";
import type { Slide } from "../api/slides";

/** A slide and its analyses, the most telling first; without a slide where that was deleted. */
export interface Group {
  readonly id: string;
  readonly slide: Slide | null;
  readonly jobs: readonly Job[];
  /** Ids of the jobs whose model was trained on synthetic tissue: their scores do not count. */
  readonly synthetic: ReadonlySet<string>;
  /** What must be shown of a job's model, by the job's id; jobs of which nothing must are not in it. */
  readonly notices: ReadonlyMap<string, string>;
}

/** What lines need to know of a model. */
export type KnownModel = Pick<Model, "name" | "synthetic" | "notice">;

export const FILTERS = ["all", "suspicious", "look-again", "clear", "alarms", "active", "failed", "none"] as const;
export type Filter = (typeof FILTERS)[number];

export const SORTS = ["suspicion", "name", "area", "added"] as const;
export type Sort = (typeof SORTS)[number];

export interface Choice {
  readonly search: string;
  readonly filter: Filter;
  readonly sort: Sort;
  /** Against the natural direction of the sort. */
  readonly reversed: boolean;
}

export const FIRST_CHOICE: Choice = {
  search: "",
  filter: "all",
  sort: "suspicion",
  reversed: false,
};

/** Whether a job's model says that it was trained on synthetic tissue. */
export function isSynthetic(job: Job, synthetic: ReadonlySet<string>): boolean {
  return (
    synthetic.has(job.model) ||
    (job.findings?.alarms.some((alarm) => alarm.code === SYNTHETIC) ?? false)
  );
}

/** What a person has to look at before a result is believed, beside what its model is. */
export function alarmsOf(job: Job): readonly Alarm[] {
  return besideSynthetic(job.findings?.alarms ?? []);
}

/** Whether a job waits or runs. */
export function isActive(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

/** What is to be done with a slide; null where a result is older than states, or says nothing of real tissue. */
export function slideState(job: Job, synthetic: boolean): SlideState | null {
  return synthetic ? null : (job.findings?.slide_answer?.state ?? null);
}

/**
 * Whether a slide is suspicious, of a model that may say so of real tissue: by the fit of its
 * package; without one, if any cell is of the class that slides are ranked by.
 */
export function isSuspicious(job: Job, synthetic: boolean): boolean {
  const { findings } = job;
  if (synthetic || findings === null) return false;
  if (fittedAnswer(findings.slide_answer) !== null) return findings.slide_answer?.state === "suspicious";
  // Of classes that exclude one another the most likely one counts, not a threshold.
  if (findings.task === "multiclass") return findings.tumour_area_mm2 > 0;
  return (findings.slide_score ?? -1) >= findings.threshold;
}

/** Put slides and jobs together. */
export function groupsOf(
  slides: Iterable<Slide>,
  jobs: Iterable<Job>,
  models: readonly KnownModel[],
): Group[] {
  const synthetic = new Set(models.filter((model) => model.synthetic).map(({ name }) => name));
  const told = new Map(models.map(({ name, notice }) => [name, notice]));
  const bySlide = new Map<string, { slide: Slide | null; jobs: Job[] }>();
  for (const slide of slides) bySlide.set(slide.id, { slide, jobs: [] });
  for (const job of jobs) {
    const found = bySlide.get(job.slide_id);
    if (found) found.jobs.push(job);
    else bySlide.set(job.slide_id, { slide: null, jobs: [job] });
  }
  return [...bySlide].map(([id, { slide, jobs: own }]) => {
    const drawn = new Set(own.filter((job) => isSynthetic(job, synthetic)).map((job) => job.id));
    const rank = (job: Job): number => suspicionOfJob(job, drawn.has(job.id));
    // Results first, the highest score on top; then what is under way.
    own.sort((a, b) => rank(b) - rank(a) || compareText(b.created_at, a.created_at));
    const notices = new Map(
      own
        // Of a result what its own model said: the package of that name may be another one now.
        .map((job): [string, string] => [job.id, job.findings?.notice ?? told.get(job.model) ?? ""])
        .filter(([, notice]) => notice !== ""),
    );
    return { id, slide, jobs: own, synthetic: drawn, notices };
  });
}

const STATE_RANK = { running: -1, queued: -2, failed: -3, cancelled: -4, succeeded: -0.5 } as const;

/**
 * Score of a result, 0 to 1; below 0 for jobs without a score that counts, those under way before
 * the others.
 */
function suspicionOfJob(job: Job, synthetic: boolean): number {
  return (synthetic ? null : job.findings?.slide_score) ?? STATE_RANK[job.state];
}

/** Of its most suspicious analysis; slides that were not analysed come last. */
function suspicion(group: Group): number {
  const [first] = group.jobs;
  if (first !== undefined) return suspicionOfJob(first, group.synthetic.has(first.id));
  return group.slide?.state === "checking" ? -2.5 : -5;
}

function positiveArea(group: Group): number {
  const counted = group.jobs.filter((job) => !group.synthetic.has(job.id));
  return Math.max(-1, ...counted.map((job) => job.findings?.tumour_area_mm2 ?? -1));
}

/** Whether a group passes a filter. */
export function passes(group: Group, filter: Filter): boolean {
  switch (filter) {
    case "all":
      return true;
    case "suspicious":
      return group.jobs.some((job) => isSuspicious(job, group.synthetic.has(job.id)));
    case "look-again":
    case "clear":
      return group.jobs.some((job) => slideState(job, group.synthetic.has(job.id)) === filter);
    case "alarms":
      return group.jobs.some((job) => alarmsOf(job).length > 0);
    case "active":
      return group.slide?.state === "checking" || group.jobs.some(isActive);
    case "failed":
      return group.slide?.state === "rejected" || group.jobs.some((job) => job.state === "failed");
    case "none":
      return group.slide?.state === "ready" && group.jobs.length === 0;
  }
}

/** Whether every word of a search is in the slide's name or a model's. */
export function matches(group: Group, search: string): boolean {
  // Names are kept composed (NFC); one that is pasted from macOS comes in parts.
  const words = search.normalize("NFC").toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = [group.slide?.name ?? "", group.id, ...group.jobs.map((job) => job.model)]
    .join("\n")
    .toLocaleLowerCase();
  return words.every((word) => text.includes(word));
}

/** The groups a choice leaves, in its order. */
export function choose(groups: readonly Group[], choice: Choice): Group[] {
  const found = groups.filter(
    (group) => passes(group, choice.filter) && matches(group, choice.search),
  );
  const compare = COMPARE[choice.sort];
  const turn = choice.reversed ? -1 : 1;
  return found.sort((a, b) => turn * compare(a, b) || compareText(a.id, b.id));
}

const COMPARE: Record<Sort, (a: Group, b: Group) => number> = {
  suspicion: (a, b) => suspicion(b) - suspicion(a) || positiveArea(b) - positiveArea(a) || byAge(a, b),
  name: (a, b) => NAMES.compare(a.slide?.name ?? "\uffff", b.slide?.name ?? "\uffff"),
  area: (a, b) => positiveArea(b) - positiveArea(a) || suspicion(b) - suspicion(a) || byAge(a, b),
  added: byAge,
};

/** `slide 2` before `slide 10`. */
const NAMES = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function byAge(a: Group, b: Group): number {
  return compareText(ageOf(b), ageOf(a));
}

function ageOf(group: Group): string {
  return group.slide?.created_at ?? group.jobs[0]?.created_at ?? "";
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
