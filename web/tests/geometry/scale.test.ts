import { describe, expect, it } from "vitest";

import {
  distanceUm,
  isSquare,
  lengthText,
  magnificationOf,
  magnificationText,
  mppText,
  roundLengthText,
  scaleBar,
  umAcross,
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

describe("px that are not square", () => {
  const mpp = { x: 0.5, y: 0.25 };

  it("are those whose sides differ by 2 % or more", () => {
    expect([0.2549, 0.255, 0.245].map((y) => isSquare({ x: 0.25, y }))).toEqual([true, false, false]);
  });

  it("are as long from left to right as the slide is turned", () => {
    expect([0, 180].map((turn) => umAcross(mpp, turn))).toEqual([0.5, 0.5]);
    expect(umAcross(mpp, 90)).toBeCloseTo(0.25);
    expect(umAcross(mpp, 45)).toBeCloseTo(Math.hypot(0.5, 0.25) / Math.SQRT2);
    expect(umAcross(MPP, 30)).toBe(0.25);
  });

  it("are told by both sides", () => {
    expect(mppText(mpp)).toBe("0.500 × 0.250 µm/px");
    expect(mppText(MPP)).toBe("0.250 µm/px");
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
