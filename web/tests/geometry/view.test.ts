import { describe, expect, it } from "vitest";

import { apply, boundsOf, compose, invert, scaling } from "../../src/geometry/affine";
import { levelToScreen, normalDegrees, shownBox, viewOf } from "../../src/geometry/view";

const PANE = { width: 800, height: 500 };

describe("level 0 to screen", () => {
  it("puts the view's centre into the middle", () => {
    for (const rotation of [0, 30, 90, 200]) {
      const map = levelToScreen({ x: 1234.5, y: 987.25, zoom: 0.37, rotation }, PANE);
      const middle = apply(map, { x: 1234.5, y: 987.25 });
      expect(middle.x).toBeCloseTo(400, 9);
      expect(middle.y).toBeCloseTo(250, 9);
    }
  });

  it("turns clockwise: what was to the right is below", () => {
    const map = levelToScreen({ x: 0, y: 0, zoom: 2, rotation: 90 }, PANE);
    expect(apply(map, { x: 10, y: 0 })).toEqual({ x: 400, y: 270 });
  });

  it("is exact at right angles", () => {
    const map = levelToScreen({ x: 0, y: 0, zoom: 1, rotation: 270 }, PANE);
    expect([map.a, map.b, map.c, map.d].map((value) => value + 0)).toEqual([0, -1, 1, 0]);
  });

  it("keeps level-0 corners of a 200,000 px slide to a thousandth of a screen px", () => {
    const map = levelToScreen({ x: 199_990, y: 199_990, zoom: 4, rotation: 30 }, PANE);
    const back = invert(map);
    const there = apply(map, { x: 199_999, y: 199_998 });
    expect(apply(back, there).x).toBeCloseTo(199_999, 6);
    expect(apply(back, there).y).toBeCloseTo(199_998, 6);
  });
});

describe("affine maps", () => {
  it("compose from right to left", () => {
    const view = levelToScreen({ x: 50, y: 60, zoom: 0.5, rotation: 30 }, PANE);
    const cells = compose(view, scaling(128));
    const direct = apply(view, { x: 3 * 128, y: 4 * 128 });
    expect(apply(cells, { x: 3, y: 4 }).x).toBeCloseTo(direct.x, 9);
    expect(apply(cells, { x: 3, y: 4 }).y).toBeCloseTo(direct.y, 9);
  });

  it("refuse to invert what is flat", () => {
    expect(() => invert(scaling(0))).toThrow(RangeError);
  });

  it("bound a turned box", () => {
    const turned = boundsOf(levelToScreen({ x: 0, y: 0, zoom: 1, rotation: 90 }, PANE), {
      x: 0,
      y: 0,
      width: 10,
      height: 20,
    });
    expect(turned).toEqual({ left: 380, top: 250, right: 400, bottom: 260 });
  });
});

describe("views of boxes", () => {
  const box = { x: 1000, y: 2000, width: 400, height: 100 };

  it.each([0, 30, 90, 137])("show the box whole, turned by %i°", (rotation) => {
    const view = viewOf(box, PANE, rotation, 0.8);
    const shown = boundsOf(levelToScreen(view, PANE), box);
    expect(shown.left).toBeGreaterThanOrEqual(0);
    expect(shown.right).toBeLessThanOrEqual(PANE.width);
    expect(shown.top).toBeGreaterThanOrEqual(0);
    expect(shown.bottom).toBeLessThanOrEqual(PANE.height);
  });

  it("stop at the largest zoom", () => {
    expect(viewOf({ x: 0, y: 0, width: 1, height: 1 }, PANE, 0, 1, 2).zoom).toBe(2);
  });

  it("know what a pane shows", () => {
    const shown = shownBox({ x: 100, y: 50, zoom: 2, rotation: 0 }, PANE);
    expect(shown).toEqual({ x: -100, y: -75, width: 400, height: 250 });
  });
});

it("normalises angles", () => {
  expect([-90, 0, 360, 450, -720].map(normalDegrees)).toEqual([270, 0, 0, 90, 0]);
});
