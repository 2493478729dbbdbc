/**
 * Pillow's resampling: what a network is given here must be what the server gives it.
 *
 * Two passes with weights in fixed point, each rounded to 8 bits; where the image becomes smaller
 * the filter is as much wider (Pillow, libImaging/Resample.c, which its documentation describes as
 * antialiased resampling). Rows come first here; newer Pillows begin with the columns where the axes
 * are scaled differently and that is less work, by which single values differ by a little.
 */

export type Filter = "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Interleaved 8-bit px without padding. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGB, row by row. */
  readonly data: Uint8Array;
}

const BITS = 22;
const HALF = 2 ** (BITS - 1);

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

const FILTERS: Readonly<Record<Filter, { support: number; at: (x: number) => number }>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x))),
  },
  bicubic: {
    support: 2,
    at: (x) => {
      const a = -0.5;
      const d = Math.abs(x);
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
      return 0;
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

interface Weights {
  /** First input px of each output px. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `most` for each output px, in fixed point. */
  readonly values: Int32Array;
  readonly most: number;
}

function weights(before: number, after: number, filter: Filter): Weights {
  const { support: usual, at } = FILTERS[filter];
  const scale = before / after;
  const wider = Math.max(scale, 1);
  const support = usual * wider;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(after);
  const count = new Int32Array(after);
  const values = new Int32Array(after * most);
  for (let out = 0; out < after; out += 1) {
    const centre = (out + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(before, Math.trunc(centre + support + 0.5));
    const found: number[] = [];
    let sum = 0;
    for (let x = low; x < high; x += 1) {
      const value = at((x - centre + 0.5) * (1 / wider));
      found.push(value);
      sum += value;
    }
    first[out] = low;
    count[out] = high - low;
    found.forEach((value, index) => {
      const share = sum === 0 ? value : value / sum;
      const fixed = share * 2 ** BITS;
      values[out * most + index] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
  }
  return { first, count, values, most };
}

function clipped(sum: number): number {
  return Math.min(255, Math.max(0, sum >> BITS));
}

function alongRows(image: Pixels, width: number, filter: Filter): Pixels {
  const { first, count, values, most } = weights(image.width, width, filter);
  const data = new Uint8Array(width * image.height * 3);
  for (let y = 0; y < image.height; y += 1) {
    const row = y * image.width * 3;
    for (let x = 0; x < width; x += 1) {
      let [red, green, blue] = [HALF, HALF, HALF];
      for (let k = 0; k < (count[x] ?? 0); k += 1) {
        const weight = values[x * most + k] ?? 0;
        const place = row + ((first[x] ?? 0) + k) * 3;
        red += (image.data[place] ?? 0) * weight;
        green += (image.data[place + 1] ?? 0) * weight;
        blue += (image.data[place + 2] ?? 0) * weight;
      }
      const place = (y * width + x) * 3;
      data[place] = clipped(red);
      data[place + 1] = clipped(green);
      data[place + 2] = clipped(blue);
    }
  }
  return { width, height: image.height, data };
}

function alongColumns(image: Pixels, height: number, filter: Filter): Pixels {
  const { first, count, values, most } = weights(image.height, height, filter);
  const row = image.width * 3;
  const data = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) {
    for (let place = 0; place < row; place += 1) {
      let sum = HALF;
      for (let k = 0; k < (count[y] ?? 0); k += 1) {
        sum += (image.data[((first[y] ?? 0) + k) * row + place] ?? 0) * (values[y * most + k] ?? 0);
      }
      data[y * row + place] = clipped(sum);
    }
  }
  return { width: image.width, height, data };
}

/** An image in another size. */
export function resample(image: Pixels, width: number, height: number, filter: Filter): Pixels {
  const wide = width === image.width ? image : alongRows(image, width, filter);
  return height === image.height ? wide : alongColumns(wide, height, filter);
}
