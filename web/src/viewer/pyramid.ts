/** The slide's tiles, as the service names them and OpenSeadragon asks for them. */

import type OpenSeadragon from "openseadragon";

import { get } from "../api/client";
import type { Size } from "../geometry/view";

export interface Pyramid {
  readonly slideId: string;
  /** Level-0 px. */
  readonly dimensions: Size;
  /** µm per level-0 px; null where the slide states none. */
  readonly mpp: { readonly x: number; readonly y: number } | null;
  readonly tileSize: number;
  /** The finest zoom level: px of level 0. */
  readonly finest: number;
}

interface PyramidJson {
  readonly dimensions: Size;
  readonly mpp: { readonly x: number; readonly y: number } | null;
  readonly tile_size: number;
  readonly zoom_levels: readonly { readonly level: number }[];
}

export async function pyramidOf(slideId: string, signal: AbortSignal): Promise<Pyramid> {
  const told = await get<PyramidJson>(`/v1/slides/${slideId}/pyramid`, signal);
  return {
    slideId,
    dimensions: told.dimensions,
    mpp: told.mpp,
    tileSize: told.tile_size,
    finest: Math.max(...told.zoom_levels.map((level) => level.level)),
  };
}

/** The address of a tile; its frame is the zoom level's. */
export function tileUrl(slideId: string, level: number, column: number, row: number): string {
  return `/v1/slides/${slideId}_files/${level}/${column}_${row}.jpeg`;
}

type Source = OpenSeadragon.TileSourceOptions & {
  getTileUrl: (level: number, column: number, row: number) => string;
};

export function tileSource(pyramid: Pyramid): Source {
  const { slideId, dimensions, tileSize, finest } = pyramid;
  // Levels below one tile would be fetched first and seen for a moment only.
  const halvings = Math.ceil(Math.log2(Math.max(dimensions.width, dimensions.height) / tileSize));
  return {
    width: dimensions.width,
    height: dimensions.height,
    tileSize,
    tileOverlap: 0,
    minLevel: Math.max(0, finest - Math.max(0, halvings)),
    maxLevel: finest,
    getTileUrl: (level: number, column: number, row: number) => tileUrl(slideId, level, column, row),
  };
}
