import { afterEach, describe, expect, it, vi } from "vitest";

import { NOT_CLASSIFIED, STEPS } from "../../src/colour/lut";
import { CellSource, decodeTile } from "../../src/viewer/cell_source";
import { marked } from "../../src/viewer/marks";
import type { CellsInfo } from "../../src/viewer/results";

const INFO: CellsInfo = {
  tileCells: 2,
  threshold: 0.5,
  thresholdStep: 32767,
  coverage: { empty: 0, classified: 1, glass: 2, unreadable: 3, rejected: 4 },
  tissueSteps: 254,
  tissueUnknown: 255,
  quality: [
    { bit: 1, key: "blur", text: "blurred patch", colour: "#00838f" },
    { bit: 2, key: "pen", text: "pen", colour: "#1565c0" },
  ],
  qualityUnknown: 255,
  numbers: [
    { name: "distance", step: 0.5, heldOut: 1.5 },
    { name: "spread", step: 0.001, heldOut: null },
  ],
  numberUnknown: 65535,
  task: "binary",
  classes: [
    { label: 0, name: "normal", colour: null },
    { label: 1, name: "tumour", colour: "#d50000" },
  ],
  positive: "tumour",
  attention: false,
  levels: [
    { columns: 3, rows: 2, cell: { x: 100, y: 100 } },
    { columns: 2, rows: 1, cell: { x: 200, y: 200 } },
  ],
};

/** As the service sends them: probabilities, coverage, tissue, quality, distance and spread. */
function bytes(steps: number[], coverage: number[], tissue: number[], quality: number[], ...numbers: number[][]): ArrayBuffer {
  const buffer = new ArrayBuffer(steps.length * (5 + 2 * numbers.length));
  const view = new DataView(buffer);
  steps.forEach((step, i) => { view.setUint16(2 * i, step, true); });
  coverage.forEach((value, i) => { view.setUint8(2 * steps.length + i, value); });
  tissue.forEach((value, i) => { view.setUint8(3 * steps.length + i, value); });
  quality.forEach((value, i) => { view.setUint8(4 * steps.length + i, value); });
  numbers.flat().forEach((value, i) => { view.setUint16(5 * steps.length + 2 * i, value, true); });
  return buffer;
}

const TILES: Record<string, ArrayBuffer> = {
  "0/0_0": bytes([0, STEPS, 100, NOT_CLASSIFIED], [1, 1, 1, 2], [127, 254, 0, 255], [0, 3, 2, 255], [1, 4, 2, 65535], [0, 125, 9, 65535]),
  "0/1_0": bytes([40_000, NOT_CLASSIFIED], [1, 3], [254, 255], [0, 255], [2, 65535], [9, 65535]),
};

function serve(): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    const name = path.split("/heatmap/")[1] ?? "";
    asked.push(name);
    const body = TILES[name];
    return Promise.resolve(body === undefined ? new Response("{}", { status: 404 }) : new Response(body.slice(0)));
  });
  return asked;
}

async function settled(source: CellSource): Promise<void> {
  await vi.waitFor(() => { expect(source.settled).toBe(true); });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the plane asked for", () => {
  it.each([
    [{ of: "tumour", label: null } as const, "0/0_0"],
    [{ of: "a b&c", label: null } as const, "0/0_0?class=a%20b%26c"],
    ["labels" as const, "0/0_0?labels=true"],
  ])("is in the address", async (plane, expected) => {
    const asked = serve();
    const source = new CellSource("job", INFO, plane, () => undefined);
    source.tile(0, 0, 0);
    await settled(source);
    expect(asked).toEqual([expected]);
    source.dispose();
  });
});

describe("a tile of cells", () => {
  const place = { level: 0, firstColumn: 0, firstRow: 0, columns: 2, rows: 2 };

  it("is some planes", () => {
    const tile = decodeTile(TILES["0/0_0"] ?? new ArrayBuffer(0), place);
    expect([...tile.steps]).toEqual([0, STEPS, 100, NOT_CLASSIFIED]);
    expect([...tile.coverage]).toEqual([1, 1, 1, 2]);
    expect([...(tile.tissue ?? [])]).toEqual([127, 254, 0, 255]);
    expect([...(tile.quality ?? [])]).toEqual([0, 3, 2, 255]);
    expect(tile.numbers.map((plane) => [...plane])).toEqual([[1, 4, 2, 65535], [0, 125, 9, 65535]]);
  });

  it("is marked where quality control found a reason, not where it did not look", () => {
    const tile = decodeTile(TILES["0/0_0"] ?? new ArrayBuffer(0), place);
    const [blur, pen] = INFO.quality.map((reason) => marked(tile, reason, INFO));
    expect([0, 1, 2, 3].map((index) => blur?.(index))).toEqual([false, true, false, false]);
    expect([0, 1, 2, 3].map((index) => pen?.(index))).toEqual([false, true, true, false]);
  });

  it("that is cut short is refused", () => {
    expect(() => decodeTile(new ArrayBuffer(11), place)).toThrow();
  });
});

describe("a source of cells", () => {
  it("fetches each tile once", async () => {
    const asked = serve();
    const source = new CellSource("job", INFO, { of: "tumour", label: null }, () => undefined);
    expect(source.tile(0, 0, 0)).toBeNull();
    expect(source.tile(0, 0, 0)).toBeNull();
    await settled(source);
    expect(source.tile(0, 0, 0)).not.toBeNull();
    expect(asked).toEqual(["0/0_0"]);
  });

  it("knows what is at a level-0 place", async () => {
    serve();
    const source = new CellSource("job", INFO, { of: "tumour", label: null }, () => undefined);
    source.tile(0, 0, 0);
    source.tile(0, 1, 0);
    await settled(source);
    expect(source.at({ x: 199, y: 99 })).toEqual({
      column: 1,
      row: 0,
      value: STEPS,
      coverage: "classified",
      tissue: 1,
      quality: ["blurred patch", "pen"],
      numbers: { distance: 2, spread: 0.125 },
    });
    expect(source.at({ x: 150, y: 150 })).toMatchObject({ value: null, coverage: "glass", tissue: null, numbers: {} });
    expect(source.at({ x: 250, y: 150 })).toMatchObject({ column: 2, row: 1, coverage: "unreadable" });
    expect(source.at({ x: 300, y: 0 })).toBeNull();
  });

  it("counts cells from each step on, without those that were not classified", async () => {
    serve();
    const source = new CellSource("job", INFO, { of: "tumour", label: null }, () => undefined);
    expect(source.countsFrom()).toBeNull();
    await settled(source);
    const counts = source.countsFrom();
    expect([0, 1, 101, 40_001, STEPS, NOT_CLASSIFIED].map((step) => counts?.[step])).toEqual([4, 3, 2, 1, 1, 0]);
  });

  it("does not ask again for what the service has not", async () => {
    const asked = serve();
    const source = new CellSource("job", INFO, { of: "tumour", label: null }, () => undefined);
    source.tile(1, 0, 0);
    await settled(source);
    source.tile(1, 0, 0);
    expect(asked).toEqual(["1/0_0"]);
  });

  it("says which cells have the label of the class, where that is asked for", async () => {
    const asked = serve();
    TILES["0/0_0?labels=true"] = bytes([0, 1, 2, NOT_CLASSIFIED], [1, 1, 1, 2], [127, 254, 0, 255], [0, 0, 0, 255]);
    const source = new CellSource("job", INFO, { of: "tumour", label: 1 }, () => undefined);
    source.tile(0, 0, 0);
    await settled(source);
    expect(asked.sort()).toEqual(["0/0_0", "0/0_0?labels=true"]);
    const tile = source.peek(0, 0, 0);
    expect([...(tile?.steps ?? [])]).toEqual([0, STEPS, 100, NOT_CLASSIFIED]);
    expect([...(tile?.own ?? [])]).toEqual([0, 1, 0, NOT_CLASSIFIED]);
    source.dispose();
  });

  it("tells nobody anything once it is disposed of", async () => {
    serve();
    const changed = vi.fn();
    const source = new CellSource("job", INFO, { of: "tumour", label: null }, changed);
    source.tile(0, 0, 0);
    source.dispose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(changed).not.toHaveBeenCalled();
    expect(source.peek(0, 0, 0)).toBeNull();
  });
});
