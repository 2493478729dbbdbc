/**
 * How the slide's picture is shown: brightness, contrast, gamma, and one stain by itself.
 *
 * It changes what is on the screen and nothing else. The same tables are used by the browser's
 * filter, which shows the slide, and by `applyLook`, which makes the picture that is saved
 * (the filter keeps densities in bytes: near white, a step of them is 2 % of the light).
 *
 * A stain is told from the others by optical densities (Ruifrok and Johnston 2001): three directions
 * in the densities of red, green and blue; the share of the other two is left out.
 */

export type Stain = "all" | "haematoxylin" | "eosin" | "dab";

export interface Look {
  /** Added to every channel, percent of white: -100 to 100. */
  readonly brightness: number;
  /** Distances from middle grey, percent: 25 to 400. */
  readonly contrast: number;
  /** 0.2 to 5; above 1 dark parts become lighter. */
  readonly gamma: number;
  /** Which stain is shown by itself. */
  readonly stain: Stain;
}

export const PLAIN_LOOK: Look = { brightness: 0, contrast: 100, gamma: 1, stain: "all" };
export const LOOK_LIMITS = {
  brightness: { least: -100, most: 100, step: 1 },
  contrast: { least: 25, most: 400, step: 1 },
  gamma: { least: 0.2, most: 5, step: 0.05 },
} as const;

const STAIN_NAMES = {
  all: "All stains",
  haematoxylin: "Haematoxylin",
  eosin: "Eosin",
  dab: "DAB",
} as const satisfies Record<Stain, string>;
export const STAINS = Object.keys(STAIN_NAMES) as Stain[];

type Triple = readonly [number, number, number];

/** Densities of red, green and blue, as in scikit-image's `rgb_from_hed`. */
const HAEMATOXYLIN: Triple = [0.65, 0.7, 0.29];
const EOSIN: Triple = [0.07, 0.99, 0.11];
const DAB: Triple = [0.27, 0.57, 0.78];
const DIRECTIONS: Record<Exclude<Stain, "all">, Triple> = {
  haematoxylin: HAEMATOXYLIN,
  eosin: EOSIN,
  dab: DAB,
};
/** Density that a table's last entry stands for: what is darker is black. */
const DARKEST = Math.log10(255);
const STEPS = 256;

export function stainName(stain: Stain): string {
  return STAIN_NAMES[stain];
}

export function isPlain(look: Look): boolean {
  return look.stain === "all" && !changesTone(look);
}

export function changesTone(look: Look): boolean {
  return look.brightness !== 0 || look.contrast !== 100 || look.gamma !== 1;
}

/** Shares of `DARKEST` by light, 0 to 1 in equal steps. */
export function densityTable(): number[] {
  return table((light) => (light * 255 < 1 ? 1 : -Math.log10(light) / DARKEST));
}

/** The way back: light by the share of `DARKEST`. */
export function lightTable(): number[] {
  return table((density) => 10 ** (-density * DARKEST));
}

/** What brightness, contrast and gamma make of a channel. */
export function toneTable({ brightness, contrast, gamma }: Look): number[] {
  return table((light) => {
    const lighter = light ** (1 / gamma);
    return Math.min(1, Math.max(0, (lighter - 0.5) * (contrast / 100) + 0.5 + brightness / 100));
  });
}

/** What leaves one stain of densities, three rows of three. */
export function stainMatrix(stain: Exclude<Stain, "all">): readonly [Triple, Triple, Triple] {
  const others = ([HAEMATOXYLIN, EOSIN, DAB] as const).filter((one) => one !== DIRECTIONS[stain]);
  const [first = EOSIN, second = DAB] = others;
  const direction = DIRECTIONS[stain];
  // The amount of a stain is a plane's distance: of the plane that the other two span.
  const normal = cross(first, second);
  const length = direction[0] * normal[0] + direction[1] * normal[1] + direction[2] * normal[2];
  const row = (share: number): Triple => [
    (share * normal[0]) / length,
    (share * normal[1]) / length,
    (share * normal[2]) / length,
  ];
  return [row(direction[0]), row(direction[1]), row(direction[2])];
}

/** Change px, red, green, blue and alpha one after the other, as the screen's filter does. */
export function applyLook(pixels: Uint8ClampedArray, look: Look): void {
  const density = densityTable();
  const tone = toneTable(look);
  const matrix = look.stain === "all" ? null : stainMatrix(look.stain);
  for (let at = 0; at < pixels.length; at += 4) {
    let light: Triple = [at, at + 1, at + 2].map((index) => (pixels[index] ?? 0) / 255) as unknown as Triple;
    if (matrix !== null) {
      const dense = light.map((one) => density[Math.round(one * 255)] ?? 0);
      light = matrix.map((row) => {
        const left = row[0] * (dense[0] ?? 0) + row[1] * (dense[1] ?? 0) + row[2] * (dense[2] ?? 0);
        return 10 ** (-Math.min(1, Math.max(0, left)) * DARKEST);
      }) as unknown as Triple;
    }
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.round((light[channel] ?? 0) * 255);
      pixels[at + channel] = 255 * (tone[value] ?? 0);
    }
  }
}

function table(of: (value: number) => number): number[] {
  return Array.from({ length: STEPS }, (_, index) => of(index / (STEPS - 1)));
}

function cross(one: Triple, other: Triple): Triple {
  return [
    one[1] * other[2] - one[2] * other[1],
    one[2] * other[0] - one[0] * other[2],
    one[0] * other[1] - one[1] * other[0],
  ];
}
