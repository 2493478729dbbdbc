/** Results as `/v1/jobs/{id}/…` has them, for the viewer. */

import { get } from "../api/client";
import type { Alarm, ClassLabel, Job, SlideAnswer, Task } from "../api/jobs";
import type { CellLevel } from "../geometry/cells";
import type { Box } from "../geometry/view";

/** What the viewer shows of where a result comes from; the rest is shown as it is. */
export interface Provenance {
  readonly slide: Readonly<Record<string, unknown>> & { readonly sha256?: string };
  readonly model: {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
    readonly mpp: number | null;
    readonly intended_use: string;
  };
  readonly grid: {
    readonly columns: number;
    readonly rows: number;
    readonly patch_px: number;
    readonly stride_px: number;
    readonly cell_px_0: number;
    readonly patch_px_0: number;
    /** Missing in older results: patches are square there. */
    readonly patch_height_px_0?: number;
    readonly mpp: { readonly x: number; readonly y: number };
  };
  /** Missing in results without quality control; null where it was off. */
  readonly quality?: {
    readonly tiles: number;
    readonly marked: number;
    readonly rejected: number;
    readonly reasons: Readonly<Record<string, number>>;
  } | null;
  readonly [name: string]: unknown;
}

export interface Findings {
  readonly slide_score: number | null;
  readonly slide_score_rule: string;
  /** Of the slide as a whole; null in older results. */
  readonly slide_answer: SlideAnswer | null;
  readonly threshold: number;
  readonly tumour_area_mm2: number;
  readonly tissue_area_mm2: number;
  readonly tumour_percent: number | null;
  readonly tiles: number;
  readonly regions: number;
  /** Cells per coverage class. */
  readonly coverage: Readonly<Record<string, number>>;
  /** Cells per probability, bins of equal width from 0 to 1. */
  readonly histogram: readonly number[];
  readonly task: Task;
  readonly classes: readonly ClassLabel[];
  /** The class that score, area, regions and histogram are of. */
  readonly positive: string;
  /** Area of every label by its name; empty in older results. */
  readonly class_areas_mm2: Readonly<Record<string, number>>;
  readonly alarms: readonly Alarm[];
  readonly warnings: readonly string[];
  /** What must be shown of the model; empty: nothing. */
  readonly notice: string;
  readonly provenance: Provenance;
}

/** Why a cell cannot be judged well. */
export interface QualityReason {
  /** Of the numbers of cells. */
  readonly bit: number;
  readonly key: string;
  readonly text: string;
  /** #rrggbb of its marks. */
  readonly colour: string;
}

/** Numbers that a result may keep of its tiles beside probability and tissue. */
export type NumberName = "distance" | "nearest" | "spread";

export interface TileNumber {
  readonly name: NumberName;
  /** What a step of the cells stands for. */
  readonly step: number;
  /** Of tiles held out in training: the distance 99 % of them are within, the median of the nearest; null: not kept. */
  readonly heldOut: number | null;
}

export interface CellsInfo {
  readonly tileCells: number;
  /** The result's own threshold, and the least step of a cell at or above it. */
  readonly threshold: number;
  readonly thresholdStep: number;
  readonly coverage: Readonly<Record<string, number>>;
  /** What stands for a cell that is all tissue. */
  readonly tissueSteps: number;
  /** What stands for a cell no patch covers. */
  readonly tissueUnknown: number;
  /** What quality control looks for; empty where it did not look at this result. */
  readonly quality: readonly QualityReason[];
  /** What stands for a cell that quality control did not look at. */
  readonly qualityUnknown: number;
  /** In the order of their planes. */
  readonly numbers: readonly TileNumber[];
  /** What stands for a number that is not known. */
  readonly numberUnknown: number;
  /** Finest first. */
  readonly levels: readonly CellLevel[];
  readonly task: Task;
  readonly classes: readonly ClassLabel[];
  /** The class shown where none is named. */
  readonly positive: string;
  /** Whether the result has where the networks of the slide's answer look. */
  readonly attention: boolean;
}

/** The reasons that a number of a cell holds. */
export function reasonsOf(info: Pick<CellsInfo, "quality" | "qualityUnknown">, value: number): readonly QualityReason[] {
  return value === info.qualityUnknown ? [] : info.quality.filter((one) => (value & one.bit) !== 0);
}

/** A reason, and the tiles of a result that have it. */
export interface Fault {
  readonly reason: QualityReason;
  readonly tiles: number;
}

/** What quality control found on the slide, the most frequent first. */
export function faultsOf(result: { readonly layer: { readonly info: CellsInfo } | null; readonly findings: Findings | null } | null): Fault[] {
  const counts = result?.findings?.provenance.quality?.reasons ?? {};
  return (result?.layer?.info.quality ?? [])
    .map((reason) => ({ reason, tiles: counts[reason.key] ?? 0 }))
    .filter(({ tiles }) => tiles > 0)
    .sort((one, other) => other.tiles - one.tiles);
}

/** A region of a class, as the result decides by itself. */
export interface Region {
  /** Its class, as the GeoJSON names it. */
  readonly of: string;
  /** Its place among all of the class; the most suspicious is 1. */
  readonly number: number;
  readonly areaMm2: number;
  readonly max: number;
  readonly mean: number;
  /** Level-0 px. */
  readonly box: Box;
  /** Closed rings in level-0 px, x and y in turn; shells and holes. */
  readonly rings: readonly Float64Array[];
}

/** Jobs of a slide, newest first. */
export async function jobsOf(slideId: string, signal: AbortSignal): Promise<Job[]> {
  return (await get<{ jobs: Job[] }>(`/v1/jobs?slide_id=${slideId}&limit=200`, signal)).jobs;
}

export async function findingsOf(job: string, signal: AbortSignal): Promise<Findings> {
  return (await get<{ findings: Findings }>(`/v1/jobs/${job}/result`, signal)).findings;
}

interface CellsJson {
  readonly tile_cells: number;
  readonly threshold: number;
  readonly threshold_step: number;
  readonly coverage: Readonly<Record<string, number>>;
  readonly tissue_steps: number;
  readonly tissue_unknown: number;
  readonly quality: readonly QualityReason[];
  readonly quality_unknown: number;
  readonly numbers: readonly { name: NumberName; step: number; held_out: number | null }[];
  readonly number_unknown: number;
  readonly task: Task;
  readonly classes: readonly ClassLabel[];
  readonly positive: string;
  readonly attention: boolean;
  readonly levels: readonly { columns: number; rows: number; cell_px: number; cell_height_px: number }[];
}

export async function cellsOf(job: string, signal: AbortSignal): Promise<CellsInfo> {
  const told = await get<CellsJson>(`/v1/jobs/${job}/heatmap`, signal);
  return {
    tileCells: told.tile_cells,
    threshold: told.threshold,
    thresholdStep: told.threshold_step,
    coverage: told.coverage,
    tissueSteps: told.tissue_steps,
    tissueUnknown: told.tissue_unknown,
    quality: told.quality,
    qualityUnknown: told.quality_unknown,
    numbers: told.numbers.map(({ held_out: heldOut, ...rest }) => ({ ...rest, heldOut })),
    numberUnknown: told.number_unknown,
    task: told.task,
    classes: told.classes,
    positive: told.positive,
    attention: told.attention,
    levels: told.levels.map(({ columns, rows, cell_px: x, cell_height_px: y }) => ({
      columns,
      rows,
      cell: { x, y },
    })),
  };
}

type Ring = readonly (readonly [number, number])[];

interface RegionFeature {
  readonly geometry:
    | { readonly type: "Polygon"; readonly coordinates: readonly Ring[] }
    | { readonly type: "MultiPolygon"; readonly coordinates: readonly (readonly Ring[])[] };
  readonly properties: {
    readonly name: string;
    readonly objectType: string;
    readonly classification?: { readonly name: string };
    readonly measurements?: Readonly<Record<string, number>>;
  };
}

/** QuPath's own name of a class, which the GeoJSON has. */
const QUPATH_NAMES: Readonly<Record<string, string>> = { tumour: "Tumor" };

/** Regions of one class. */
export function regionsWith(regions: readonly Region[], name: string): readonly Region[] {
  const of = QUPATH_NAMES[name] ?? name;
  return regions.filter((region) => region.of === of);
}

/** All regions of all classes, the most suspicious of each first. */
export async function regionsOf(job: string, signal: AbortSignal): Promise<Region[]> {
  const told = await get<{ features: RegionFeature[] }>(`/v1/jobs/${job}/regions.geojson`, signal);
  return parseRegions(told.features);
}

export function parseRegions(features: readonly RegionFeature[]): Region[] {
  return features
    .filter((feature) => feature.properties.objectType === "annotation")
    .map((feature, index) => {
      const { geometry, properties } = feature;
      const rings =
        geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat();
      const flat = rings.map((ring) => Float64Array.from(ring.flat()));
      // Of an encoder, which has no classes, regions are where its networks look most.
      const measured = (which: string): number =>
        properties.measurements?.[`${which} probability`] ?? properties.measurements?.[`${which} attention rank`] ?? 0;
      const named = /(\d+)$/.exec(properties.name)?.[1];
      return {
        of: properties.classification?.name ?? "",
        number: named === undefined ? index + 1 : Number(named),
        areaMm2: properties.measurements?.["Area mm2"] ?? 0,
        max: measured("Max"),
        mean: measured("Mean"),
        box: around(flat),
        rings: flat,
      };
    });
}

function around(rings: readonly Float64Array[]): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let index = 0; index + 1 < ring.length; index += 2) {
      const x = ring[index] ?? 0;
      const y = ring[index + 1] ?? 0;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}
