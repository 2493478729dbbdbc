/**
 * Colours in Oklab, where equal distances look equally far apart, and their way to sRGB and back.
 * The matrices are those of Björn Ottosson's definition of the space.
 */

/** L is 0 (black) to 1 (white); a runs green to red, b blue to yellow. */
export interface Lab {
  readonly l: number;
  readonly a: number;
  readonly b: number;
}

/** sRGB, 0 to 1 each. */
export type Rgb = readonly [number, number, number];

/** From lightness, chroma and hue in degrees. */
export function lch(l: number, chroma: number, hue: number): Lab {
  const angle = (hue * Math.PI) / 180;
  return { l, a: chroma * Math.cos(angle), b: chroma * Math.sin(angle) };
}

function linear(lab: Lab): [number, number, number] {
  const long = (lab.l + 0.3963377774 * lab.a + 0.2158037573 * lab.b) ** 3;
  const middle = (lab.l - 0.1055613458 * lab.a - 0.0638541728 * lab.b) ** 3;
  const short = (lab.l - 0.0894841775 * lab.a - 1.291485548 * lab.b) ** 3;
  return [
    4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short,
  ];
}

function encode(value: number): number {
  return value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
}

/** The linear light of an sRGB value. */
export function decode(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Whether a screen can show a colour. */
export function inGamut(lab: Lab): boolean {
  return linear(lab).every((value) => value >= -1e-6 && value <= 1 + 1e-6);
}

/** The most colourful colour of the same lightness and hue that a screen can show. */
export function fitted(lab: Lab): Lab {
  if (inGamut(lab)) return lab;
  let low = 0;
  let high = 1;
  for (let step = 0; step < 24; step++) {
    const middle = (low + high) / 2;
    if (inGamut({ l: lab.l, a: lab.a * middle, b: lab.b * middle })) low = middle;
    else high = middle;
  }
  return { l: lab.l, a: lab.a * low, b: lab.b * low };
}

export function toRgb(lab: Lab): Rgb {
  const [red, green, blue] = linear(lab);
  const clamp = (value: number) => Math.min(1, Math.max(0, encode(value)));
  return [clamp(red), clamp(green), clamp(blue)];
}

export function fromRgb(rgb: Rgb): Lab {
  const [red, green, blue] = rgb.map(decode) as [number, number, number];
  const long = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
  const middle = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
  const short = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
  return {
    l: 0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
    a: 1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
    b: 0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
  };
}

export function distance(one: Lab, other: Lab): number {
  return Math.hypot(one.l - other.l, one.a - other.a, one.b - other.b);
}
