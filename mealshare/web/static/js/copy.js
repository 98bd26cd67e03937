/** A button with data-copy copies the value of the field with that id, and says so with the words in data-copied. */

import { icon } from "./icon.js";

export function start() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      field.select();
      // Without HTTPS there is no clipboard: what is selected can still be copied by hand.
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        return;
      }
      button.replaceChildren(icon("check"), button.dataset.copied);
    });
  }
}
