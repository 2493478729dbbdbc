import { describe, expect, it } from "vitest";

import {
  distanceUm,
  lengthText,
  magnificationOf,
  magnificationText,
  roundLengthText,
  scaleBar,
  zoomOf,
} from "../../src/geometry/scale";

const MPP = { x: 0.25, y: 0.25 };

describe("magnification", () => {
  it("40× shows 0.25 µm per screen px", () => {
    expect(zoomOf(40, MPP)).toBe(1);
    expect(zoomOf(40, { x: 0.5, y: 0.5 })).toBe(2);
    expect(magnificationOf(0.5, MPP)).toBe(20);
  });

  it("is written short", () => {
    expect([40, 12.4, 1.25, 1, 0.318].map(magnificationText)).toEqual(["40×", "12×", "1.3×", "1×", "0.32×"]);
  });
});

describe("the scale bar", () => {
  it("is round and never too long", () => {
    for (let zoom = 0.001; zoom < 8; zoom *= 1.17) {
      const bar = scaleBar(zoom, 0.2431, 140);
      expect(bar.px).toBeLessThanOrEqual(140.0001);
      expect(bar.px).toBeGreaterThan(140 / 2.6);
      expect(bar.um / 10 ** Math.floor(Math.log10(bar.um) + 1e-9)).toSatisfy((lead: number) =>
        [1, 2, 5].some((round) => Math.abs(lead - round) < 1e-6),
      );
      // The bar is as long as it says.
      expect((bar.px / zoom) * 0.2431).toBeCloseTo(bar.um, 6);
    }
  });

  it("takes a bar that fits exactly", () => {
    expect(scaleBar(1, 1, 100)).toEqual({ px: 100, um: 100 });
  });
});

describe("lengths", () => {
  it("have the unit that keeps them short", () => {
    expect([3.14159, 250.4, 1234, 25_000].map(lengthText)).toEqual([
      "3.1 µm",
      "250 µm",
      "1.23 mm",
      "25.0 mm",
    ]);
    expect([0.5, 20, 1000, 5000].map(roundLengthText)).toEqual(["0.5 µm", "20 µm", "1 mm", "5 mm"]);
  });

  it("are measured with px that are not square", () => {
    expect(distanceUm({ x: 0, y: 0 }, { x: 30, y: 40 }, { x: 1, y: 0.5 })).toBeCloseTo(Math.hypot(30, 20));
  });
});
