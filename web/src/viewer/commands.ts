/** What keys do in the viewer. */

import { problemText } from "../api/problem";
import { drawingCommands } from "./drawing/commands";
import { MAGNIFICATIONS } from "../geometry/scale";
import type { LayerSettings } from "../state/viewer_state";
import { toast } from "../ui/toast";
import type { Controls } from "./controls";
import type { Command } from "./keys";
import type { Verdict } from "./notes";
import { shownOf } from "./shown";
import { takesNotes } from "./session";

/** Share of the pane one press of an arrow moves. */
const PAN = 0.15;
const ZOOM = 1.5;

function complain(error: unknown): void {
  toast(problemText(error), "wrong");
}

export function commandsOf(controls: Controls): readonly Command[] {
  const { session } = controls;
  const state = () => session.state.value;
  const change = (make: (settings: LayerSettings) => Partial<LayerSettings>) => {
    const settings = session.activeSettings;
    if (settings !== null) session.change(state().active, make(settings));
  };
  const threshold = (by: number) => {
    change((settings) => {
      const now = settings.threshold ?? session.active?.layer?.threshold ?? 0.5;
      return { threshold: Math.min(1, Math.max(0, Number((now + by).toFixed(3)))) };
    });
  };
  const opacity = (by: number) => {
    change(({ opacity: now }) => ({ opacity: Math.min(1, Math.max(0, Number((now + by).toFixed(2)))) }));
  };
  const classes = () => {
    const info = session.active?.layer?.info;
    return info === undefined ? [] : shownOf(info);
  };
  const nextClass = (by: number) => {
    const [all, layer] = [classes(), session.active?.layer];
    if (!layer || all.length < 2) return;
    const at = all.findIndex((one) => one.name === layer.of.name);
    const name = all[(at + by + all.length) % all.length]?.name ?? layer.info.positive;
    change(() => ({ of: name === layer.info.positive ? null : name }));
  };
  const say = (verdict: Verdict) => {
    const result = session.active;
    const notes = result !== null && takesNotes(result) ? result.notes : undefined;
    const { region } = state();
    if (notes === undefined || region === null) return;
    const mine = notes.mine(region);
    const next = mine?.verdict === verdict ? null : verdict;
    notes.write(region, next, mine?.comment ?? "").catch(complain);
  };
  const centre = () => {
    const { view, toScreen } = controls.stage.pane;
    if (!controls.desk.enter(toScreen)) controls.act({ x: view.x, y: view.y });
  };
  const escape = () => {
    if (controls.desk.escape()) return;
    if (!controls.measure.empty) controls.measure.clear();
    else if (controls.measure.on) controls.toggleMeasure();
    else session.state.set({ region: null });
  };
  return [
    { keys: ["ArrowLeft"], shown: "← → ↑ ↓", text: "Move", run: () => { controls.panBy(-PAN, 0); } },
    { keys: ["ArrowRight"], run: () => { controls.panBy(PAN, 0); } },
    { keys: ["ArrowUp"], run: () => { controls.panBy(0, -PAN); } },
    { keys: ["ArrowDown"], run: () => { controls.panBy(0, PAN); } },
    { keys: ["+", "="], shown: "+ −", text: "Zoom", run: () => { controls.zoomBy(ZOOM); } },
    { keys: ["-", "_"], run: () => { controls.zoomBy(1 / ZOOM); } },
    { keys: ["0"], shown: "0", text: "Whole slide", run: () => { controls.goHome(); } },
    ...MAGNIFICATIONS.map((magnification, index): Command => ({
      keys: [String(index + 1)],
      ...(index === 0 ? { shown: `1 … ${MAGNIFICATIONS.length}`, text: "Magnification 1× to 40×" } : {}),
      run: () => { controls.magnify(magnification); },
    })),
    { keys: ["r"], shown: "r R", text: "Rotate by 90°; by 15° in the other direction", run: () => { controls.rotateBy(90); } },
    { keys: ["R"], run: () => { controls.rotateBy(-15); } },
    { keys: ["n"], shown: "n p", text: "Next region, previous region", run: () => { controls.step(1); } },
    { keys: ["p"], run: () => { controls.step(-1); } },
    { keys: ["a"], shown: "a d", text: "Agree or disagree with the region", run: () => { say("agree"); } },
    { keys: ["d"], run: () => { say("disagree"); } },
    { keys: ["["], shown: "[ ]", text: "Threshold down, up", run: () => { threshold(-0.01); } },
    { keys: ["]"], run: () => { threshold(0.01); } },
    { keys: [","], shown: ", .", text: "Opacity down, up", run: () => { opacity(-0.05); } },
    { keys: ["."], run: () => { opacity(0.05); } },
    { keys: ["h"], shown: "h", text: "Hide or show the heatmap", run: () => { change(({ visible }) => ({ visible: !visible })); } },
    { keys: ["o"], shown: "o", text: "Outline on, off", run: () => { change(({ outline }) => ({ outline: !outline })); } },
    { keys: ["c"], shown: "c", text: "Coverage on, off", run: () => { change(({ coverage }) => ({ coverage: !coverage })); } },
    { keys: ["k"], shown: "k K", text: "Next class, previous class", run: () => { nextClass(1); } },
    { keys: ["K"], run: () => { nextClass(-1); } },
    {
      keys: ["t"],
      shown: "t",
      text: "Most likely class on, off",
      run: () => { if (classes().length > 1) change(({ labels }) => ({ labels: !labels })); },
    },
    {
      keys: ["s"],
      shown: "s",
      text: "Results side by side, or as layers",
      run: () => { session.state.set({ mode: state().mode === "side" ? "stack" : "side" }); },
    },
    { keys: ["m"], shown: "m", text: "Measure", run: () => { controls.toggleMeasure(); } },
    { keys: ["Enter", " "], shown: "Enter", text: "At the cross: show the patch, or set a point of a measurement", run: centre },
    ...drawingCommands(controls.desk, controls.stage),
    { keys: ["f"], shown: "f", text: "Full screen", run: () => { void controls.toggleFullScreen(); } },
    { keys: ["l"], shown: "l", text: "Copy a link to this view", run: () => { controls.exports.copyLink().catch(complain); } },
    { keys: ["Escape"], shown: "Esc", text: "Clear measurements, end measuring, deselect the region", run: escape },
    { keys: ["?"], shown: "?", text: "Show this list", run: () => { controls.showKeys(); } },
  ];
}
