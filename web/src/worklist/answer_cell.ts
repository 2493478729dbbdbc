/** What the table says of a slide as a whole: score, interval, and what is to be done with it. */

import { SLIDE_STATES, STATE_BADGE, type JobFindings, type SlideAnswer } from "../api/jobs";
import { h, type Child } from "../ui/dom";
import { capital, probability } from "../ui/format";

/** The class that slides are ranked by, and its score: `necrosis 0.930`. */
export function scoreText({ positive, slide_score: score }: JobFindings): Child[] {
  return [h("span", { class: "class-of" }, positive), " ", probability(score ?? 0)];
}

/** The slide's probability with its interval, between the limits of the states. */
export function fittedCell(findings: JobFindings, answer: SlideAnswer, high: boolean): Child[] {
  const { low, high: upper, rule } = answer;
  const limits = [rule?.clear_below ?? null, rule?.suspicious_from ?? null].filter((limit) => limit !== null);
  const marks = limits.map((limit) => {
    const mark = h("i", {});
    mark.style.setProperty("left", `${limit * 100}%`);
    return mark;
  });
  const inside = h("span", {});
  inside.style.setProperty("width", `${(answer.probability ?? 0) * 100}%`);
  const bar = h("div", { class: high ? "score-bar high" : "score-bar" }, inside, ...marks);
  // An encoder has no classes of its cells; its slides are positive or not.
  bar.title = `Probability that the slide is ${findings.positive || "positive"}`;
  return [
    h("span", { class: high ? "score high" : "score" }, ...scoreText(findings)),
    bar,
    low !== null && upper !== null && h("span", { class: "facts quiet" }, `${probability(low)} to ${probability(upper)}`),
    stateBadge(answer),
  ];
}

/** What is to be done with the slide; why, when pointed at. */
export function stateBadge(answer: SlideAnswer | null): Child {
  if (answer === null) return null;
  return h("span", { class: STATE_BADGE[answer.state], "data-slide-state": answer.state, title: capital(answer.reason) }, SLIDE_STATES[answer.state]);
}
