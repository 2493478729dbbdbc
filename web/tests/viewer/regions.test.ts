import { describe, expect, it } from "vitest";

import { parseRegions, regionsWith } from "../../src/viewer/results";

const square = (x: number, y: number, side: number): [number, number][] => [
  [x, y],
  [x + side, y],
  [x + side, y + side],
  [x, y + side],
  [x, y],
];

const properties = (name: string) => ({
  name,
  objectType: "annotation",
  measurements: { "Area mm2": 1.5, "Max probability": 0.9, "Mean probability": 0.7 },
});

describe("regions of GeoJSON", () => {
  it("have the box around all their parts", () => {
    const [region] = parseRegions([
      {
        geometry: { type: "MultiPolygon", coordinates: [[square(10, 20, 5)], [square(100, 0, 8), square(102, 2, 2)]] },
        properties: properties("Tumor 3"),
      },
    ]);
    expect(region?.box).toEqual({ x: 10, y: 0, width: 98, height: 25 });
    expect(region?.rings).toHaveLength(3);
    expect(region).toMatchObject({ number: 3, areaMm2: 1.5, max: 0.9, mean: 0.7 });
  });

  it("are told apart by class, whose names QuPath has its own way of", () => {
    const geometry = { type: "Polygon" as const, coordinates: [square(0, 0, 1)] };
    const of = (name: string, number: number) => ({
      geometry,
      properties: { ...properties(`${name} ${String(number)}`), classification: { name } },
    });
    const regions = parseRegions([of("Tumor", 1), of("Tumor", 2), of("mucin", 1)]);
    expect(regionsWith(regions, "tumour").map((region) => region.number)).toEqual([1, 2]);
    expect(regionsWith(regions, "mucin").map((region) => region.number)).toEqual([1]);
    expect(regionsWith(regions, "necrosis")).toEqual([]);
  });

  it("leave out what is no region", () => {
    const geometry = { type: "Polygon" as const, coordinates: [square(0, 0, 1)] };
    expect(parseRegions([{ geometry, properties: { name: "", objectType: "tile" } }])).toEqual([]);
  });
});
