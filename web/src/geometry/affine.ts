/** Affine maps of the plane, in the order of numbers canvases use: x' = a·x + c·y + e. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Affine {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

export function apply(map: Affine, point: Point): Point {
  return {
    x: map.a * point.x + map.c * point.y + map.e,
    y: map.b * point.x + map.d * point.y + map.f,
  };
}

/** First `inner`, then `outer`. */
export function compose(outer: Affine, inner: Affine): Affine {
  return {
    a: outer.a * inner.a + outer.c * inner.b,
    b: outer.b * inner.a + outer.d * inner.b,
    c: outer.a * inner.c + outer.c * inner.d,
    d: outer.b * inner.c + outer.d * inner.d,
    e: outer.a * inner.e + outer.c * inner.f + outer.e,
    f: outer.b * inner.e + outer.d * inner.f + outer.f,
  };
}

/** The way back; the map must not flatten the plane. */
export function invert(map: Affine): Affine {
  const det = map.a * map.d - map.b * map.c;
  if (det === 0) throw new RangeError("this map has no inverse");
  return {
    a: map.d / det,
    b: -map.b / det,
    c: -map.c / det,
    d: map.a / det,
    e: (map.c * map.f - map.d * map.e) / det,
    f: (map.b * map.e - map.a * map.f) / det,
  };
}

export function scaling(x: number, y = x): Affine {
  return { a: x, b: 0, c: 0, d: y, e: 0, f: 0 };
}

/** The smallest upright box around a box's four mapped corners. */
export function boundsOf(
  map: Affine,
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): { left: number; top: number; right: number; bottom: number } {
  const corners = [
    apply(map, { x: box.x, y: box.y }),
    apply(map, { x: box.x + box.width, y: box.y }),
    apply(map, { x: box.x, y: box.y + box.height }),
    apply(map, { x: box.x + box.width, y: box.y + box.height }),
  ];
  const xs = corners.map((corner) => corner.x);
  const ys = corners.map((corner) => corner.y);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}
