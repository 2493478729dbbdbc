/** What keys do for drawing. */

import type { Command } from "../keys";
import type { Stage } from "../stage";
import type { Desk } from "./desk";
import type { ToolName } from "./pen";

export function drawingCommands(desk: Desk, stage: Stage): readonly Command[] {
  const take = (tool: ToolName) => () => { desk.take(tool); };
  const corner = () => {
    const { view, toScreen } = stage.pane;
    desk.corner({ x: view.x, y: view.y }, toScreen);
  };
  return [
    { keys: ["v"], shown: "v", text: "Drawings: select by a click", run: take("select") },
    { keys: ["g"], shown: "g u b", text: "Draw a polygon, a rectangle, with the brush", run: take("polygon") },
    { keys: ["u"], run: take("rectangle") },
    { keys: ["b"], run: take("brush") },
    { keys: ["e"], shown: "e", text: "Erase, or draw again", run: () => { if (desk.on) desk.effect = desk.effect === "add" ? "erase" : "add"; } },
    { keys: ["w"], shown: "w W", text: "Brush wider, narrower", run: () => { desk.widen(true); } },
    { keys: ["W"], run: () => { desk.widen(false); } },
    { keys: ["x"], shown: "x", text: "Set a corner at the cross; Enter closes, Escape takes back", run: corner },
    { keys: ["i"], shown: "i", text: "Correct the marked region of the model", run: () => { desk.takeRegion(); } },
    { keys: ["Delete", "Backspace"], shown: "Delete", text: "Delete the selected drawing", run: () => { desk.removeSelected(); } },
    { keys: ["Ctrl+z"], shown: "Ctrl+Z", text: "Undo a drawing", run: () => { desk.undo(); } },
    { keys: ["Ctrl+Z", "Ctrl+y"], shown: "Ctrl+Shift+Z", text: "Redo it", run: () => { desk.redo(); } },
  ];
}
