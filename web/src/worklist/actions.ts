/** What can be done with slides and analyses, and the buttons for it. */

import { cancelJob, retryJob, type Job } from "../api/jobs";
import { problemText } from "../api/problem";
import { maySubmit } from "../api/session";
import { shareMask } from "../api/sharing";
import type { Slide } from "../api/slides";
import { copyText } from "../ui/clipboard";
import { confirm } from "../ui/dialog";
import { h, type Child } from "../ui/dom";
import { plural } from "../ui/format";
import { icon, type IconName } from "../ui/icons";
import { menuItem, openPopover } from "../ui/popover";
import { toast } from "../ui/toast";
import { viewerLink } from "./cells";
import type { WorklistData } from "./data";
import { openJobDialog } from "./job_dialog";
import { isActive } from "./lines";

/** Text, format of the export, file, and what kind of file that is. */
const DOWNLOADS = [
  ["Outlines for QuPath", "geojson", "regions.geojson?notes=true", "GeoJSON"],
  ["Heatmap picture", "heatmap", "heatmap.png", "PNG"],
  ["Tile table", "csv", "tiles.csv", "CSV"],
  ["Mask as a pyramid", "tiff", "mask.tiff", "TIFF"],
  ["Whole result", "zip", "mask.zarr.zip", "Zarr"],
] as const;

export class Actions {
  readonly #data: WorklistData;

  constructor(data: WorklistData) {
    this.#data = data;
  }

  /** Ask for analyses of slides that can be analysed; `onQueued` is called once they are. */
  analyse(slides: readonly Slide[], onQueued?: () => void): void {
    const able = slides.filter(({ state }) => state !== "rejected");
    if (able.length === 0) return;
    if (this.#data.models.length === 0) {
      toast("No model package is installed on the server.", "wrong");
      return;
    }
    openJobDialog(able, this.#data.models, (jobs) => {
      this.#data.putJobs(jobs);
      onQueued?.();
      const reused = jobs.filter(({ state }) => state === "succeeded").length;
      if (reused > 0) toast(`${plural(reused, "analysis was", "analyses were")} done before: the existing result is shown.`);
    });
  }

  async cancel(job: Job): Promise<void> {
    await this.#try(async () => {
      this.#data.putJobs([await cancelJob(job.id)]);
    });
  }

  async retry(job: Job): Promise<void> {
    await this.#try(async () => {
      this.#data.putJobs([await retryJob(job.id)]);
    });
  }

  async deleteJob(job: Job): Promise<void> {
    const title = "Delete this analysis?";
    if (!(await confirm(title, "Its result can no longer be opened or downloaded.", "Delete"))) return;
    await this.#try(async () => {
      await this.#data.deleteJob(job.id);
    });
  }

  async deleteSlides(slides: readonly Slide[]): Promise<void> {
    const one = slides.length === 1;
    const title = one ? `Delete ${slides[0]?.name ?? ""}?` : `Delete ${plural(slides.length, "slide")}?`;
    const text = "The slide is removed from the server. Results of its analyses stay until they are deleted as well.";
    if (slides.length === 0 || !(await confirm(title, text, "Delete"))) return;
    for (const slide of slides) {
      await this.#try(async () => {
        await this.#data.deleteSlide(slide.id);
      });
    }
  }

  /** The likeliest thing to do with a line, and a menu of all. */
  buttons(slide: Slide | null, job: Job | null): Child[] {
    const name = slide?.name ?? "the deleted slide";
    const more = h(
      "button",
      {
        class: "button plain icon-only",
        type: "button",
        "aria-label": `More actions for ${name}`,
        "aria-expanded": "false",
        title: "More",
        on: {
          click: () => {
            openPopover(more, `Actions for ${name}`, ...this.#menu(slide, job));
          },
        },
      },
      icon("more"),
    );
    return [h("div", { class: "line-buttons" }, this.#first(slide, job, name), more)];
  }

  #first(slide: Slide | null, job: Job | null, name: string): HTMLElement | null {
    if (!maySubmit() && job?.state !== "succeeded") return null;
    if (job === null) {
      if (slide === null || slide.state === "rejected") return null;
      return small("Analyse", "play", `Analyse ${name}`, () => {
        this.analyse([slide]);
      });
    }
    if (isActive(job)) {
      if (job.cancel_requested) return null;
      return small("Cancel", "close", `Cancel the analysis of ${name}`, () => void this.cancel(job));
    }
    if (job.state !== "succeeded") {
      return small("Retry", "retry", `Try the analysis of ${name} again`, () => void this.retry(job));
    }
    const download = small("Download", "download", `Download results of ${name}`, () => {
      openPopover(download, `Downloads of ${name}`, ...downloads(job));
    });
    download.setAttribute("aria-expanded", "false");
    return download;
  }

  #menu(slide: Slide | null, job: Job | null): Child[] {
    const items: Child[] = [];
    if (slide?.state === "ready") {
      items.push(menuItem({ text: "Open in the viewer", href: viewerLink(slide.id, job) }));
    }
    if (!maySubmit()) return job?.state === "succeeded" ? [...items, ...downloads(job)] : items;
    if (slide !== null && slide.state !== "rejected") {
      const text = job === null ? "Analyse…" : "Analyse with other settings…";
      items.push(menuItem({ text, act: () => { this.analyse([slide]); } }));
    }
    if (job !== null && isActive(job) && !job.cancel_requested) {
      items.push(menuItem({ text: "Cancel the analysis", act: () => void this.cancel(job) }));
    }
    if (job?.state === "failed" || job?.state === "cancelled") {
      items.push(menuItem({ text: "Try again", act: () => void this.retry(job) }));
    }
    if (job?.state === "succeeded") items.push(h("hr", {}), ...downloads(job));
    items.push(h("hr", {}));
    if (job !== null && !isActive(job)) {
      items.push(menuItem({ text: "Delete the analysis…", danger: true, act: () => void this.deleteJob(job) }));
    }
    if (slide !== null) {
      items.push(menuItem({ text: "Delete the slide…", danger: true, act: () => void this.deleteSlides([slide]) }));
    }
    return items;
  }

  async #try(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      toast(problemText(error), "wrong");
      // What is shown was not what is there.
      void this.#data.load();
    }
  }
}

function downloads(job: Job): Child[] {
  const able = job.findings?.exports ?? DOWNLOADS.map(([, format]) => format);
  const items = DOWNLOADS.filter(([, format]) => able.includes(format)).map(([text, , file, hint]) =>
    menuItem({ text, hint, href: `/v1/jobs/${job.id}/${file}`, download: true }),
  );
  return [...items, menuItem({ text: "Copy the address of the Zarr store", act: () => void copyMask(job) })];
}

async function copyMask(job: Job): Promise<void> {
  try {
    const { url, told } = await shareMask(job.id);
    await copyText(url, told);
  } catch (error) {
    toast(problemText(error), "wrong");
  }
}

function small(text: string, name: IconName, label: string, act: () => void): HTMLButtonElement {
  return h(
    "button",
    { class: "button small", type: "button", "aria-label": label, title: label, on: { click: act } },
    icon(name, 15),
    h("span", {}, text),
  );
}
