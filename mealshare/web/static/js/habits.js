/**
 * What somebody's own last meals suggest: which meal it probably is at an hour, and their places and tags as buttons.
 *
 * Asked for once, when the compose box is first used; without an answer the box is as it was.
 */

/** Learns for a form with data-suggestions; `relearn(types)` is told the 48 guesses of a day when they are there. */
export function start(form, relearn) {
  form.addEventListener("focusin", () => load(form, relearn), { once: true });
}

async function load(form, relearn) {
  try {
    const answer = await fetch(form.dataset.suggestions, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const found = await answer.json();
    relearn(found.meal_types);
    offer(form, "place", found.places, (field, text) => { field.value = text; });
    offer(form, "tags", found.tags, addTag);
  } catch {
    // No network: nothing is suggested.
  }
}

function offer(form, name, words, take) {
  const field = form.elements[name];
  if (!field || !words.length) return;
  const row = document.createElement("p");
  row.className = "suggestions";
  for (const text of words) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "pill", textContent: text, dir: "auto" });
    button.addEventListener("click", () => {
      take(field, text);
      field.dispatchEvent(new Event("change", { bubbles: true }));
      field.focus();
    });
    row.append(button);
  }
  field.closest(".field").append(row);
}

function addTag(field, text) {
  const there = field.value.split(/[\s,，、;；]+/).filter(Boolean);
  if (!there.includes(text)) field.value = [...there, text].join(" ");
}
