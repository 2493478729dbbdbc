/** The icons: strokes on a grid of 24 × 24, drawn for this page. */

import { svg } from "./dom";

const PATHS = {
  search: ["M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z", "M15.3 15.3 20 20"],
  upload: ["M12 16V4.5", "M7 9l5-5 5 5", "M4 15.5V19a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3.5"],
  download: ["M12 4v11.5", "M7 11l5 5 5-5", "M4 15.5V19a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3.5"],
  folder: ["M3.5 18V6a1 1 0 0 1 1-1h4.6l2 2.5h8.4a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1Z"],
  play: ["M7.5 4.8v14.4l11.5-7.2Z"],
  pause: ["M8 5v14", "M16 5v14"],
  stop: ["M6.5 6.5h11v11h-11Z"],
  retry: ["M19.5 12a7.5 7.5 0 1 1-2.4-5.5", "M19.5 3.5v4h-4"],
  trash: ["M4.5 6.5h15", "M9.5 6.5v-2h5v2", "M6.5 6.5l.9 13h9.2l.9-13", "M10.3 10.5v5.5", "M13.7 10.5v5.5"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  warning: ["M12 4 2.8 19.5h18.4Z", "M12 10v4.5", "M12 17.1v.2"],
  info: ["M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z", "M12 11v5.5", "M12 7.8v.2"],
  clock: ["M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z", "M12 7.5V12l3 2"],
  offline: ["M3 3l18 18", "M5 12.5a10 10 0 0 1 5-2.7", "M8.5 16a5 5 0 0 1 7-.1", "M19 12.5a10 10 0 0 0-4-2.4", "M2 8.8a15 15 0 0 1 4-2.5", "M22 8.8A15 15 0 0 0 11 5", "M12 19.4v.2"],
  key: ["M14.5 4a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z", "M10.5 13.4 4 20", "M6.5 17.4l2.3 2.3", "M15.8 8.3v.2"],
  sun: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z", "M12 2.5v2", "M12 19.5v2", "M2.5 12h2", "M19.5 12h2", "M5.3 5.3l1.4 1.4", "M17.3 17.3l1.4 1.4", "M5.3 18.7l1.4-1.4", "M17.3 6.7l1.4-1.4"],
  moon: ["M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z"],
  screen: ["M3.5 5h17v11h-17Z", "M9 20h6", "M12 16v4"],
  slide: ["M4 4.5h16v15H4Z", "M4 9h16", "M8.5 13.5c1.5-2 5-1.8 6 .2.7 1.6-.8 3-3 2.8-2.4-.2-4-1.4-3-3Z"],
  list: ["M8.5 6.5h12", "M8.5 12h12", "M8.5 17.5h12", "M4 6.5h.5", "M4 12h.5", "M4 17.5h.5"],
  more: ["M5.5 12h.1", "M12 12h.1", "M18.5 12h.1"],
  plus: ["M12 5v14", "M5 12h14"],
  minus: ["M5 12h14"],
  chevron: ["M9 5.5l6.5 6.5L9 18.5"],
  sortDown: ["M7 10l5 5 5-5"],
  sortUp: ["M7 14l5-5 5 5"],
  signOut: ["M10 4.5H5v15h5", "M10 12h10.5", "M16 7.5l4.5 4.5-4.5 4.5"],
  external: ["M13 4.5h6.5V11", "M19.5 4.5 11 13", "M16.5 13.5v6h-12v-12h6"],
  layers: ["M12 3.5 3 8.5l9 5 9-5Z", "M3.5 12.5l8.5 4.7 8.5-4.7", "M3.5 16.3 12 21l8.5-4.7"],
  rotate: ["M4.5 12a7.5 7.5 0 1 0 2.4-5.5", "M4.5 3.5v4h4"],
  fullscreen: ["M4 9V4h5", "M20 9V4h-5", "M4 15v5h5", "M20 15v5h-5"],
  ruler: ["M3.5 16.5l13-13 4 4-13 13Z", "M7 13l2 2", "M10 10l2.5 2.5", "M13 7l2 2"],
  eye: ["M2.5 12s3.5-6.5 9.5-6.5 9.5 6.5 9.5 6.5-3.5 6.5-9.5 6.5S2.5 12 2.5 12Z", "M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z"],
  link: ["M10 14a4 4 0 0 0 5.7 0l3.2-3.2a4 4 0 0 0-5.7-5.7l-1 1", "M14 10a4 4 0 0 0-5.7 0l-3.2 3.2a4 4 0 0 0 5.7 5.7l1-1"],
  comment: ["M4 5h16v11h-9l-4.5 4v-4H4Z"],
  pointer: ["M5.5 3.5l13 7.5-5.8 1.5-2.9 5.5Z"],
  polygon: ["M12 4l8 6-3 9.5H7L4 10Z"],
  rectangle: ["M4 6h16v12H4Z"],
  brush: ["M20 4 10.5 13.5", "M9 12.5c-2.2-.4-4 .9-4.2 3.2-.1 1.6-.6 2.6-1.8 3.3 3.4 1.2 7.3.4 7.8-3.2.1-.9 0-1.9-.4-2.5"],
  undo: ["M8.5 5 4 9.5 8.5 14", "M4 9.5h10a5.5 5.5 0 0 1 0 11H9"],
  redo: ["M15.5 5 20 9.5 15.5 14", "M20 9.5H10a5.5 5.5 0 0 0 0 11h5"],
  home: ["M4 11l8-7 8 7", "M6 9.5V20h12V9.5"],
} as const;

export type IconName = keyof typeof PATHS;

/** An icon beside words; the words say what it means, so screen readers pass it over. */
export function icon(name: IconName, size = 18): SVGSVGElement {
  return svg(
    "svg",
    {
      class: "icon",
      viewBox: "0 0 24 24",
      width: size,
      height: size,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": name === "more" ? 2.6 : 1.7,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
      focusable: "false",
    },
    ...PATHS[name].map((d) => svg("path", { d })),
  );
}
