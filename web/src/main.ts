/** The page: what the address says is shown inside one frame that stays. */

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import { readSession } from "./api/session";
import { Router } from "./router";
import { Shell } from "./ui/shell";

const place = document.getElementById("app");
if (place === null) throw new Error("index.html has no #app");
const shell = new Shell(place);

async function start(): Promise<void> {
  try {
    const session = await readSession();
    shell.showSession(session);
    if (session.signed_in) new Router(shell).start();
  } catch (error) {
    shell.fail(error);
  }
}

void start();
