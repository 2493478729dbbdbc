/**
 * All of what the viewer shows, as values, and the same as a query string: a link shows a colleague
 * the same thing.
 *
 * ```
 * ?x=31000&y=27000&z=0.0183&r=30&mode=side&layer=JOB_reef_60_0.5_voc&active=0&region=3&panel=regions
 * ```
 *
 * `x`, `y` are level-0 px, `z` screen px per level-0 px, `r` degrees. A layer is a job, a palette, an
 * opacity in percent, a threshold, and letters: `v` visible, `o` outline, `c` coverage, `l` the most
 * likely class, `n` without the marks of quality control; then the name of a class, where it is not the positive one. `look=0_120_1_eosin` is how
 * the slide's picture is shown: brightness, contrast, gamma and stain.
 */

import { LOOK_LIMITS, PLAIN_LOOK, STAINS, isPlain, type Look } from "../colour/look";
import { DEFAULT_PALETTE, isPaletteName, type PaletteName } from "../colour/palette";
import { normalDegrees, type View } from "../geometry/view";

export interface LayerSettings {
  /** Id of the job whose result this is. */
  readonly job: string;
  readonly palette: PaletteName;
  /** 0 to 1. */
  readonly opacity: number;
  /** Probability from which a cell is shown as of the class; null: the result decides. */
  readonly threshold: number | null;
  readonly visible: boolean;
  readonly outline: boolean;
  /** Whether places that were not looked at are marked. */
  readonly coverage: boolean;
  /** Whether places that quality control found fault with are marked. */
  readonly quality: boolean;
  /** Name of the class that is shown; null: the positive one. */
  readonly of: string | null;
  /** Whether cells have the colour of their class, not of a probability. */
  readonly labels: boolean;
}

/** Layers on top of each other, or each in a pane of its own. */
export type Mode = "stack" | "side";

export const PANELS = ["layers", "regions", "drawings", "figures"] as const;
export type PanelName = (typeof PANELS)[number];

export interface ViewerState {
  /** Null: the whole slide. */
  readonly view: View | null;
  readonly mode: Mode;
  readonly layers: readonly LayerSettings[];
  /** Index of the layer whose regions and figures are shown. */
  readonly active: number;
  /** Number of the region that is marked. */
  readonly region: number | null;
  readonly panel: PanelName;
  /** How the slide's picture is shown. */
  readonly look: Look;
}

export const EMPTY_STATE: ViewerState = {
  view: null,
  mode: "stack",
  layers: [],
  active: 0,
  region: null,
  panel: "layers",
  look: PLAIN_LOOK,
};

/** Layers one link may name. */
const MOST_LAYERS = 8;
const JOB = /^[0-9a-f]{32}$/;

/** How a result is shown at first. */
export function newLayer(job: string): LayerSettings {
  return {
    job,
    palette: DEFAULT_PALETTE,
    opacity: 0.6,
    threshold: null,
    visible: true,
    outline: true,
    coverage: true,
    quality: true,
    of: null,
    labels: false,
  };
}

/** The query string of a state, without `?`. */
export function toQuery(state: ViewerState): string {
  const query = new URLSearchParams();
  if (state.view !== null) {
    query.set("x", trimmed(state.view.x, 2));
    query.set("y", trimmed(state.view.y, 2));
    query.set("z", String(Number(state.view.zoom.toPrecision(7))));
    if (state.view.rotation !== 0) query.set("r", trimmed(state.view.rotation, 2));
  }
  if (state.mode !== EMPTY_STATE.mode) query.set("mode", state.mode);
  for (const layer of state.layers) query.append("layer", layerText(layer));
  if (state.active !== 0) query.set("active", String(state.active));
  if (state.region !== null) query.set("region", String(state.region));
  if (state.panel !== EMPTY_STATE.panel) query.set("panel", state.panel);
  if (!isPlain(state.look)) query.set("look", lookText(state.look));
  return query.toString();
}

/** The state of a query string; what makes no sense in it is as if it were not there. */
export function fromQuery(text: string): ViewerState {
  const query = new URLSearchParams(text);
  const layers = query
    .getAll("layer")
    .slice(0, MOST_LAYERS)
    .map(parseLayer)
    .filter((layer) => layer !== null);
  const active = whole(query.get("active")) ?? 0;
  const region = whole(query.get("region"));
  const panel = PANELS.find((name) => name === query.get("panel"));
  return {
    view: parseView(query),
    mode: query.get("mode") === "side" ? "side" : "stack",
    layers,
    active: active < layers.length ? active : 0,
    region: region === 0 ? null : region,
    panel: panel ?? EMPTY_STATE.panel,
    look: parseLook(query.get("look")),
  };
}

function parseView(query: URLSearchParams): View | null {
  const x = number(query.get("x"));
  const y = number(query.get("y"));
  const zoom = number(query.get("z"));
  if (x === null || y === null || zoom === null || zoom <= 0) return null;
  return { x, y, zoom, rotation: normalDegrees(number(query.get("r")) ?? 0) };
}

function layerText(layer: LayerSettings): string {
  const flags =
    (layer.visible ? "v" : "") +
    (layer.outline ? "o" : "") +
    (layer.coverage ? "c" : "") +
    (layer.labels ? "l" : "") +
    (layer.quality ? "" : "n");
  const threshold = layer.threshold === null ? "" : String(layer.threshold);
  const parts = [layer.job, layer.palette, trimmed(layer.opacity * 100, 1), threshold, flags];
  return [...parts, ...(layer.of === null ? [] : [layer.of])].join("_");
}

function parseLayer(text: string): LayerSettings | null {
  const [job = "", name = "", percent = "", threshold = "", flags = "voc", ...named] = text.split("_");
  if (!JOB.test(job)) return null;
  const plain = newLayer(job);
  const opacity = number(percent);
  const chosen = number(threshold);
  return {
    job,
    palette: isPaletteName(name) ? name : plain.palette,
    opacity: opacity === null ? plain.opacity : between(opacity / 100, 0, 1),
    threshold: chosen === null ? null : between(chosen, 0, 1),
    visible: flags.includes("v"),
    outline: flags.includes("o"),
    coverage: flags.includes("c"),
    quality: !flags.includes("n"),
    // Names may hold what divides the parts.
    of: named.length === 0 ? null : named.join("_"),
    labels: flags.includes("l"),
  };
}

function lookText({ brightness, contrast, gamma, stain }: Look): string {
  return [trimmed(brightness, 1), trimmed(contrast, 1), trimmed(gamma, 3), stain].join("_");
}

function parseLook(text: string | null): Look {
  if (text === null) return PLAIN_LOOK;
  const [brightness = "", contrast = "", gamma = "", named = ""] = text.split("_");
  const within = (value: string, of: keyof typeof LOOK_LIMITS): number => {
    const { least, most } = LOOK_LIMITS[of];
    return between(number(value) ?? PLAIN_LOOK[of], least, most);
  };
  return {
    brightness: within(brightness, "brightness"),
    contrast: within(contrast, "contrast"),
    gamma: within(gamma, "gamma"),
    stain: STAINS.find((one) => one === named) ?? PLAIN_LOOK.stain,
  };
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

function number(text: string | null): number | null {
  if (text === null || text.trim() === "") return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

function whole(text: string | null): number | null {
  const value = number(text);
  return value !== null && Number.isInteger(value) && value >= 0 ? value : null;
}

function between(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
