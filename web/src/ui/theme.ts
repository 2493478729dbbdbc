/** Light, dark, or as the system has it; remembered in this browser. */

import { fill, h } from "./dom";
import { icon, type IconName } from "./icons";

type Choice = "system" | "light" | "dark";

const KEY = "wsi.theme";
const ORDER: readonly Choice[] = ["system", "light", "dark"];
const ICONS: Record<Choice, IconName> = { system: "screen", light: "sun", dark: "moon" };
const NAMES: Record<Choice, string> = {
  system: "Theme: system",
  light: "Theme: light",
  dark: "Theme: dark",
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Which theme was chosen. */
export function chosenTheme(): Choice {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** Put the chosen theme on the page. */
export function applyTheme(choice: Choice = chosenTheme()): void {
  const theme = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
  document.documentElement.dataset["theme"] = theme;
}

/** A button that goes through the choices. */
export function themeButton(): HTMLElement {
  const button = h("button", { class: "button plain icon-only", type: "button" });
  const show = (choice: Choice) => {
    applyTheme(choice);
    button.title = NAMES[choice];
    button.setAttribute("aria-label", NAMES[choice]);
    fill(button, icon(ICONS[choice]));
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(chosenTheme()) + 1) % ORDER.length] ?? "system";
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
    show(next);
  });
  dark.addEventListener("change", () => {
    applyTheme();
  });
  show(chosenTheme());
  return button;
}
