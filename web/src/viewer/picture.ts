/** A view as a picture to save. */

import { applyLook, isPlain, type Look } from "../colour/look";

/** The slide in its look, on white, and over it what is not changed by the look. */
export function pictureOf(slide: HTMLCanvasElement, look: Look, over: HTMLCanvasElement): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = over.width;
  canvas.height = over.height;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser cannot draw pictures (canvas)");
  context.drawImage(slide, 0, 0);
  if (!isPlain(look)) {
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    applyLook(pixels.data, look);
    context.putImageData(pixels, 0, 0);
  }
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
  context.drawImage(over, 0, 0);
  return canvas;
}
