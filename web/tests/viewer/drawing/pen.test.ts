import { describe, expect, it } from "vitest";

import { Pen } from "../../../src/viewer/drawing/pen";
import { apply, invert, type Point } from "../../../src/geometry/affine";
import { levelToScreen } from "../../../src/geometry/view";

const PANE = { width: 800, height: 600 };
const TO_SCREEN = levelToScreen({ x: 5000, y: 4000, zoom: 0.5, rotation: 37 }, PANE);
/** The level-0 place of a screen px. */
const at = (x: number, y: number): Point => apply(invert(TO_SCREEN), { x, y });

function pen(tool: Pen["tool"]): Pen {
  const made = new Pen();
  made.tool = tool;
  return made;
}

describe("a polygon", () => {
  const begun = (): Pen => {
    const made = pen("polygon");
    for (const [index, [x, y]] of ([[100, 100], [300, 110], [290, 400]] as const).entries()) {
      expect(made.press(at(x, y), TO_SCREEN, 1000 * index)).toBeNull();
    }
    return made;
  };

  it("is closed by a double click, which sets its last corner once", () => {
    const made = begun();
    expect(made.press(at(120, 380), TO_SCREEN, 5000)).toBeNull();
    const rings = made.press(at(122, 381), TO_SCREEN, 5200);
    expect(rings?.[0]).toHaveLength(4);
    expect(made.busy).toBe(false);
  });

  it("is closed by a press on its first corner, and by finishing", () => {
    expect(begun().press(at(103, 102), TO_SCREEN, 9000)?.[0]).toHaveLength(3);
    const [ring] = begun().finish(TO_SCREEN) ?? [];
    for (const [index, [x, y]] of ([[100, 100], [300, 110], [290, 400]] as const).entries()) {
      const corner = ring?.[index] ?? { x: 0, y: 0 };
      expect(Math.hypot(corner.x - at(x, y).x, corner.y - at(x, y).y)).toBeLessThan(0.01);
    }
  });

  it("loses its corners one by one, and of two is none", () => {
    const made = begun();
    expect([made.back(), made.finish(TO_SCREEN), made.back()]).toEqual([true, null, false]);
  });
});

describe("a rectangle", () => {
  it("is upright on a screen the slide is turned on, dragged or clicked", () => {
    const dragged = pen("rectangle");
    dragged.press(at(100, 100), TO_SCREEN, 0);
    dragged.move(at(300, 250), TO_SCREEN);
    const rings = dragged.release(TO_SCREEN);
    const seen = (rings?.[0] ?? []).map((corner) => apply(TO_SCREEN, corner)).map(({ x, y }) => [Math.round(x), Math.round(y)]);
    expect(seen).toEqual([[100, 100], [300, 100], [300, 250], [100, 250]]);
    const clicked = pen("rectangle");
    clicked.press(at(100, 100), TO_SCREEN, 0);
    expect(clicked.release(TO_SCREEN)).toBeNull();
    expect(clicked.press(at(300, 250), TO_SCREEN, 900)).toEqual(rings);
  });

  it("is none where it is a line", () => {
    const made = pen("rectangle");
    made.press(at(100, 100), TO_SCREEN, 0);
    made.move(at(300, 101), TO_SCREEN);
    expect([made.release(TO_SCREEN), made.busy]).toEqual([null, false]);
  });
});

describe("the brush", () => {
  it("is as wide on the screen as it says, whatever the zoom", () => {
    for (const zoom of [0.02, 0.5, 4]) {
      const toScreen = levelToScreen({ x: 5000, y: 4000, zoom, rotation: 90 }, PANE);
      const made = pen("brush");
      made.brushPx = 50;
      made.press({ x: 5000, y: 4000 }, toScreen, 0);
      const [outline = []] = made.release(toScreen) ?? [];
      const seen = outline.map((place) => Math.hypot(place.x - 5000, place.y - 4000) * zoom);
      expect(Math.max(...seen) - 25).toBeLessThan(0.2);
      expect(25 - Math.min(...seen)).toBeLessThan(0.2);
    }
  });
});
