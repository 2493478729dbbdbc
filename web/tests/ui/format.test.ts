import { describe, expect, it } from "vitest";
import { area, bytes, duration, percent, plural } from "../../src/ui/format";

describe("numbers for people", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [999_949, "1.0 MB"],
    [1_234_567, "1.2 MB"],
    [123_456_789, "123 MB"],
    [5_000_000_000_000, "5.0 TB"],
  ])("%d bytes", (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it.each([
    [0, "1 s"],
    [4.4, "4 s"],
    [42, "40 s"],
    [59, "1 min"],
    [150, "3 min"],
    [3600, "1 h"],
    [4800, "1 h 20 min"],
  ])("%d seconds", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("never shows something as nothing, or not all as all", () => {
    expect(area(0)).toBe("0 mm²");
    expect(area(0.004)).toBe("< 0.01 mm²");
    expect(area(3.456)).toBe("3.46 mm²");
    expect(area(345.6)).toBe("346 mm²");
    expect(percent(0)).toBe("0.0 %");
    expect(percent(0.04)).toBe("< 0.1 %");
    expect(percent(99.95)).toBe("> 99.9 %");
    expect(percent(100)).toBe("100 %");
  });

  it("counts", () => {
    expect(plural(1, "slide")).toBe("1 slide");
    expect(plural(1200, "slide")).toBe("1,200 slides");
    expect(plural(2, "analysis", "analyses")).toBe("2 analyses");
  });
});
