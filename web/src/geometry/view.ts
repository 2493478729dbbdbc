/**
 * What a pane shows: which level-0 px is in its middle, how large, and which way up.
 *
 * Frames: *level 0* is px of the slide's finest level, px edges at whole numbers; *screen* is CSS px
 * of the pane from its top left corner.
 */

import { boundsOf, invert, type Affine } from "./affine";

export interface View {
  /** Level-0 px in the middle of the pane. */
  readonly x: number;
  readonly y: number;
  /** Screen px per level-0 px. */
  readonly zoom: number;
  /** Degrees the slide is turned clockwise, 0 to 360. */
  readonly rotation: number;
}

/** A width and height; the frame is said where it is used. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A box: top left corner and size. */
export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

/** Level 0 to screen. */
export function levelToScreen(view: View, pane: Size): Affine {
  const angle = (view.rotation * Math.PI) / 180;
  // Right angles exactly: a sine of 1e-16 would soften every edge of the overlay.
  const quarter = view.rotation % 90 === 0;
  const cos = (quarter ? Math.round(Math.cos(angle)) : Math.cos(angle)) * view.zoom;
  const sin = (quarter ? Math.round(Math.sin(angle)) : Math.sin(angle)) * view.zoom;
  return {
    a: cos,
    b: sin,
    c: -sin,
    d: cos,
    e: pane.width / 2 - cos * view.x + sin * view.y,
    f: pane.height / 2 - sin * view.x - cos * view.y,
  };
}

/** The level-0 box that holds everything a pane shows. */
export function shownBox(view: View, pane: Size): Box {
  const back = invert(levelToScreen(view, pane));
  const box = boundsOf(back, { x: 0, y: 0, ...pane });
  return { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
}

/**
 * The view that shows a level-0 box whole.
 *
 * `share` is how much of the pane the box may fill; `most` the largest zoom to go to.
 */
export function viewOf(box: Box, pane: Size, rotation: number, share = 1, most = Infinity): View {
  const turned = boundsOf(levelToScreen({ x: 0, y: 0, zoom: 1, rotation }, pane), box);
  const across = (pane.width * share) / Math.max(turned.right - turned.left, 1e-9);
  const down = (pane.height * share) / Math.max(turned.bottom - turned.top, 1e-9);
  return {
    x: box.x + box.width / 2,
    y: box.y + box.height / 2,
    zoom: Math.min(across, down, most),
    rotation,
  };
}

/** An angle as 0 to 360 degrees. */
export function normalDegrees(degrees: number): number {
  const rest = degrees % 360;
  return rest < 0 ? rest + 360 : rest === 0 ? 0 : rest;
}
