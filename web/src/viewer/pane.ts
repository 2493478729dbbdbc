/** A slide in a part of the page: OpenSeadragon draws its tiles, the overlay what lies on it. */

import OpenSeadragon from "openseadragon";

import { PLAIN_LOOK, type Look } from "../colour/look";
import { apply, invert, type Affine, type Point } from "../geometry/affine";
import { levelToScreen, normalDegrees, viewOf, type Size, type View } from "../geometry/view";
import { Overlay, type Scene } from "./overlay";
import { pictureOf } from "./picture";
import { tileSource, type Pyramid } from "./pyramid";

export interface PaneEvents {
  /** What it shows has changed, by hand, by an animation or by its size. */
  readonly onView: (pane: Pane) => void;
  /** A short click, level-0 px. */
  readonly onClick: (place: Point) => void;
  /** The pointer is over a place, level-0 px, or over none. */
  readonly onHover: (place: Point | null) => void;
  /** A tile of the slide cannot be shown. */
  readonly onDamage: () => void;
}

/** Largest screen px per level-0 px. */
const MOST_ZOOM = 8;
/** Share of the pane that the whole slide fills. */
const HOME_SHARE = 0.94;

export class Pane {
  readonly element: HTMLElement;
  readonly #viewer: OpenSeadragon.Viewer;
  readonly #overlay = new Overlay();
  readonly #slide: Size;
  readonly #events: PaneEvents;
  readonly #stop = new AbortController();
  /** Whether the first heatmap of this page was told of. */
  static #told = false;
  #scene: Scene;
  #frame = 0;
  #open = false;
  #look: Look = PLAIN_LOOK;
  #filter = "";

  constructor(
    element: HTMLElement,
    pyramid: Pyramid,
    start: View | null,
    events: PaneEvents,
    still: boolean,
  ) {
    this.element = element;
    this.#slide = pyramid.dimensions;
    this.#events = events;
    this.#scene = { slide: this.#slide, layers: [], region: null, painters: [] };
    this.#viewer = newViewer(element, pyramid, still);
    const viewer = this.#viewer;
    viewer.addOnceHandler("open", () => {
      viewer.world.getItemAt(0).addHandler("fully-loaded-change", () => {
        this.redraw();
      });
      // Tiles at their exact place and size; `sealEdges` keeps them from showing seams instead.
      Object.assign(viewer.drawer, { minimumOverlapRequired: () => false });
      viewer.drawer.canvas.after(this.#overlay.canvas);
      this.#open = true;
      viewer.drawer.canvas.style.filter = this.#filter;
      this.show(start ?? this.home(), true);
    });
    viewer.addHandler("update-viewport", () => {
      this.#draw();
    });
    viewer.addHandler("animation-finish", () => {
      this.redraw();
    });
    viewer.addHandler("viewport-change", () => {
      if (this.#open) events.onView(this);
    });
    viewer.addHandler("tile-drawing", sealEdges);
    viewer.addHandler("tile-load-failed", events.onDamage);
    viewer.addHandler("canvas-click", (event) => {
      if (event.quick) events.onClick(this.#levelOf(event.position));
    });
    this.#listen();
  }

  /** Screen px. */
  get size(): Size {
    const size = this.#viewer.viewport.getContainerSize();
    return { width: size.x, height: size.y };
  }

  /** What is on the screen now. */
  get view(): View {
    const viewport = this.#viewer.viewport;
    const centre = viewport.getCenter(true);
    return {
      x: centre.x * this.#slide.width,
      y: centre.y * this.#slide.width,
      zoom: (viewport.getZoom(true) * this.size.width) / this.#slide.width,
      rotation: normalDegrees(viewport.getRotation(true)),
    };
  }

  /** Where an animation is going. */
  get target(): View {
    if (!this.#open) return this.home();
    const viewport = this.#viewer.viewport;
    const centre = viewport.getCenter(false);
    return {
      x: centre.x * this.#slide.width,
      y: centre.y * this.#slide.width,
      zoom: (viewport.getZoom(false) * this.size.width) / this.#slide.width,
      rotation: normalDegrees(viewport.getRotation(false)),
    };
  }

  /** Whether it has a slide to show. */
  get ready(): boolean {
    return this.#open;
  }

  /** Whether nothing moves, and everything of this view is drawn: tiles of the slide, and cells. */
  get settled(): boolean {
    if (!isSame(this.view, this.target)) return false;
    const { layers } = this.#scene;
    const cells = layers.every((layer) => !layer.settings.visible || layer.settled);
    return cells && this.#open && this.#viewer.world.getItemAt(0).getFullyLoaded();
  }

  /** Level 0 to screen px of the pane, now. */
  get toScreen(): Affine {
    return levelToScreen(this.view, this.size);
  }

  /** The level-0 place under the pointer. */
  placeOf(event: MouseEvent): Point {
    const at = this.element.getBoundingClientRect();
    return this.#levelOf({ x: event.clientX - at.left, y: event.clientY - at.top });
  }

  /** The view of the whole slide, turned as it is. */
  home(): View {
    const rotation = this.#open ? this.#viewer.viewport.getRotation(false) : 0;
    const box = { x: 0, y: 0, ...this.#slide };
    return viewOf(box, this.size, normalDegrees(rotation), HOME_SHARE, MOST_ZOOM);
  }

  /** Go to a view. */
  show(view: View, immediately: boolean): void {
    if (!this.#open) return;
    const viewport = this.#viewer.viewport;
    const zoom = (Math.min(view.zoom, MOST_ZOOM) * this.#slide.width) / this.size.width;
    viewport.rotateTo(view.rotation, undefined, immediately);
    viewport.zoomTo(zoom, undefined, immediately);
    const { width } = this.#slide;
    viewport.panTo(new OpenSeadragon.Point(view.x / width, view.y / width), immediately);
  }

  /** Show other things over the slide. */
  set scene(scene: Omit<Scene, "slide">) {
    this.#scene = { slide: this.#slide, ...scene };
    this.redraw();
  }

  /** Show the slide's picture in a look, by a filter of this name; what lies over it stays. */
  dress(look: Look, filter: string): void {
    this.#look = look;
    this.#filter = filter;
    if (this.#open) this.#viewer.drawer.canvas.style.filter = filter;
  }

  /** Draw the overlay anew with the next frame. */
  redraw(): void {
    if (this.#frame !== 0 || !this.#open) return;
    this.#frame = requestAnimationFrame(() => {
      this.#draw();
    });
  }

  /** The slide and what is on it, as they are on the screen. */
  picture(): HTMLCanvasElement {
    return pictureOf(this.#viewer.drawer.canvas, this.#look, this.#overlay.canvas);
  }

  dispose(): void {
    this.#stop.abort();
    cancelAnimationFrame(this.#frame);
    this.#open = false;
    this.#viewer.destroy();
    this.#overlay.dispose();
  }

  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#open) return;
    const size = this.size;
    const ratio = this.#viewer.drawer.canvas.width / Math.max(1, size.width);
    const cells = this.#overlay.draw(this.#scene, this.view, size, ratio);
    if (cells && !Pane.#told) {
      // Seen in the browser's own tools, and by `benchmarks/viewer.py`.
      Pane.#told = true;
      performance.mark("first-heatmap");
    }
    this.element.dataset["settled"] = String(this.settled);
  }

  #levelOf(place: Point): Point {
    return apply(invert(this.toScreen), place);
  }

  #listen(): void {
    const { signal } = this.#stop;
    const { element } = this;
    const move = (event: PointerEvent) => {
      if (this.#open) this.#events.onHover(this.placeOf(event));
    };
    element.addEventListener("pointermove", move, { signal });
    element.addEventListener(
      "pointerleave",
      () => {
        this.#events.onHover(null);
      },
      { signal },
    );
  }
}

/** What OpenSeadragon looks for before it adds a style sheet that the page's policy forbids. */
const OWN_STYLE = "data-openseadragon-mobile-css";

/** An element of this name that is no style sheet; `viewer.css` holds the rule it stands for. */
function standInForStyle(): void {
  if (document.querySelector(`style[${OWN_STYLE}]`) !== null) return;
  const element = document.createElementNS("urn:wsi-pipeline", "style");
  element.setAttribute(OWN_STYLE, "");
  document.head.append(element);
}

/** Whether two views put every px of the slide on the same px of the screen, nearly. */
function isSame(one: View, other: View): boolean {
  const away = Math.hypot(one.x - other.x, one.y - other.y) * one.zoom;
  const larger = Math.abs(one.zoom / other.zoom - 1);
  return away < 0.01 && larger < 1e-6 && Math.abs(one.rotation - other.rotation) < 1e-3;
}

/** OpenSeadragon warns of tiles that arrive after their viewer was left, which is no news. */
function tellLess(): void {
  const loud = window.console;
  const warn = (text: string, ...more: unknown[]): void => {
    if (!text.startsWith("Ignoring tile")) loud.warn(text, ...more);
  };
  Object.assign(OpenSeadragon, { console: { ...loud, warn } });
}

function newViewer(element: HTMLElement, pyramid: Pyramid, still: boolean): OpenSeadragon.Viewer {
  standInForStyle();
  tellLess();
  return new OpenSeadragon.Viewer({
    element,
    // Draws on a plain canvas, exactly and everywhere, and is read out for pictures of the view.
    drawer: "canvas",
    tileSources: tileSource(pyramid),
    showNavigationControl: false,
    showNavigator: false,
    keyboardNavEnabled: false,
    tabIndex: -1,
    animationTime: still ? 0 : 0.6,
    springStiffness: 9,
    blendTime: 0,
    imageLoaderLimit: 6,
    maxImageCacheCount: 160,
    maxZoomLevel: Infinity,
    maxZoomPixelRatio: MOST_ZOOM,
    minZoomImageRatio: 0.4,
    visibilityRatio: 0.15,
    preserveImageSizeOnResize: true,
    smoothTileEdgesMinZoom: Infinity,
    zoomPerScroll: 1.3,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false, pinchRotate: false },
    gestureSettingsPen: { clickToZoom: false, dblClickToZoom: false },
  });
}

/**
 * Draw a tile's last column and row once more beyond its edge, under the tiles that follow.
 *
 * Two tiles that share an edge inside a px both cover it partly, and what is behind would shine
 * through. Stretching tiles by a px, as OpenSeadragon does, moves their tissue instead.
 */
function sealEdges(event: OpenSeadragon.TileDrawingEvent): void {
  const { context, tile, rendered } = event;
  if (tile.position === null || tile.size === null) return;
  const ratio = OpenSeadragon.pixelDensityRatio;
  const [x, y] = [tile.position.x * ratio, tile.position.y * ratio];
  const [width, height] = [tile.size.x * ratio, tile.size.y * ratio];
  const { canvas } = rendered;
  const [across, down] = [canvas.width, canvas.height];
  if (!tile.isRightMost) context.drawImage(canvas, across - 1, 0, 1, down, x + width - 1, y, 2, height);
  if (!tile.isBottomMost) context.drawImage(canvas, 0, down - 1, across, 1, x, y + height - 1, width, 2);
}
