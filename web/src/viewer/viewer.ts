/** The viewer of one slide: fetches it and its results at once, and puts the viewer on the page. */

import "./viewer.css";
import "./drawing/drawing.css";
import { listModels } from "../api/models";
import { Unauthorised, problemText } from "../api/problem";
import { getSlide } from "../api/slides";
import { fromQuery } from "../state/viewer_state";
import { fill, h, setText } from "../ui/dom";
import { icon } from "../ui/icons";
import { message } from "../ui/message";
import { pyramidOf } from "./pyramid";
import { jobsOf } from "./results";
import { Session } from "./session";
import { Workspace } from "./workspace";

/** Show a slide in `root`; returns what takes it away again. */
export function mount(root: HTMLElement, slideId: string): () => void {
  const stop = new AbortController();
  let workspace: Workspace | null = null;
  document.documentElement.classList.add("viewing");
  fill(root, h("p", { class: "viewer-loading", role: "status" }, "Opening the slide…"));
  const open = async (): Promise<void> => {
    const { signal } = stop;
    const jobs = jobsOf(slideId, signal);
    const models = listModels(signal);
    // What fails first is told; the others must not be left without somebody who listens.
    jobs.catch(() => null);
    models.catch(() => null);
    const [slide, pyramid] = await Promise.all([getSlide(slideId, signal), pyramidOf(slideId, signal)]);
    if (signal.aborted) return;
    document.title = `${slide.name} · WSI Pipeline`;
    const session = new Session(slide, pyramid, fromQuery(location.search));
    workspace = new Workspace(session);
    fill(root, workspace.element);
    const badge = h("span", { class: "badge warning notice", hidden: true });
    const slot = document.querySelector(".shell-slot");
    if (slot !== null) {
      const back = h("a", { class: "button plain", href: "/" }, icon("list", 16), "Worklist");
      fill(slot, back, h("h1", { class: "viewer-name cut", title: slide.name }, slide.name), badge);
    }
    session.listen(() => {
      const { notices } = session;
      badge.hidden = notices.length === 0;
      setText(badge, notices.join(" · "));
    });
    workspace.begin();
    await session.begin(jobs);
    session.learn(await models);
  };
  open().catch((error: unknown) => {
    if (stop.signal.aborted || error instanceof Unauthorised) return;
    fill(
      root,
      message({
        icon: "warning",
        title: "This slide cannot be shown",
        text: problemText(error),
        urgent: true,
        actions: [h("a", { class: "button", href: "/" }, "To the worklist")],
      }),
    );
  });
  return () => {
    stop.abort();
    workspace?.dispose();
    root.replaceChildren();
    document.documentElement.classList.remove("viewing");
  };
}
