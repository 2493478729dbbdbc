/** Asking for a key, which begins a session. */

import { Unauthorised, problemText } from "../api/problem";
import { signIn } from "../api/session";
import { h } from "./dom";
import { icon } from "./icons";

export function signInForm(): HTMLElement {
  document.title = "Sign in · WSI Pipeline";
  const wrong = h("p", { class: "wrong", id: "key-wrong", role: "alert" });
  const input = h("input", {
    class: "input mono",
    id: "key",
    name: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    maxlength: 200,
    "aria-describedby": "key-hint key-wrong",
  });
  const submit = h("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = h(
    "form",
    {
      class: "sign-in",
      on: {
        submit: (event) => {
          event.preventDefault();
          void send();
        },
      },
    },
    h("div", { class: "message-icon" }, icon("key", 28)),
    h("h1", {}, "Sign in"),
    h(
      "div",
      { class: "field" },
      h("label", { for: "key" }, "Key"),
      input,
      h(
        "p",
        { class: "hint", id: "key-hint" },
        "The token that ",
        h("code", {}, "wsi serve"),
        " printed when it started or keeps in its data folder, or a key made with ",
        h("code", {}, "wsi keys create"),
        ".",
      ),
      wrong,
    ),
    submit,
  );

  async function send(): Promise<void> {
    submit.disabled = true;
    wrong.textContent = "";
    try {
      await signIn(input.value.trim());
      location.reload();
    } catch (error) {
      wrong.textContent =
        error instanceof Unauthorised
          ? "This key is unknown, expired or revoked."
          : problemText(error);
      input.setAttribute("aria-invalid", "true");
      input.focus();
    } finally {
      submit.disabled = false;
    }
  }
  queueMicrotask(() => {
    input.focus();
  });
  return form;
}
