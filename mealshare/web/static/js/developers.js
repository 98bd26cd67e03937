/** Comforts for the page of developers: a button on each example that copies it, and a choice of language that lasts. */

import { icon } from "./icon.js";

const page = document.querySelector(".developers");
const KEPT = "mealshare-examples";

for (const sample of page.querySelectorAll(".sample")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button--small sample__copy";
  button.textContent = page.dataset.msgCopy;
  button.addEventListener("click", () => copy(sample, button));
  sample.querySelector(".sample__head").append(button);
}

async function copy(sample, button) {
  const code = sample.querySelector("code");
  try {
    await navigator.clipboard.writeText(`${code.textContent}\n`);
  } catch {
    // Without leave to write to the clipboard it is at least marked, ready for the keyboard.
    window.getSelection().selectAllChildren(code);
    return;
  }
  button.replaceChildren(icon("check"), page.dataset.msgCopied);
  setTimeout(() => button.replaceChildren(page.dataset.msgCopy), 2000);
}

const choices = [...page.querySelectorAll("[name=language]")];
for (const choice of choices) choice.addEventListener("change", () => keep(choice.value));
const wanted = choices.find((choice) => choice.value === kept());
if (wanted) wanted.checked = true;

/** A browser may forbid storage altogether; then nothing is kept, and nothing is lost. */
function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keep(language) {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // See above.
  }
}
