/**
 * Completes what is typed into a field with data-suggest: "places" (the whole field), "tags" (its last word), or "note"
 * (@people and #tags at the caret). A list box below the field, after the combobox pattern of the ARIA authoring
 * practices: arrows choose, Enter or a click takes, Escape closes; without a choice all keys do what they always do.
 */

const WAIT = 200;
const SEPARATORS = /[\s,，、;；]/;
const attached = new WeakSet();
let lists = 0;

/** Takes over a field; harmless when it has been taken over before. */
export function attach(field) {
  if (attached.has(field)) return;
  attached.add(field);
  new Suggestions(field);
}

/** What is being typed at the caret: where it begins, its words, where they are completed, and what is put in place. */
export function typedAt(kind, text, caret) {
  if (kind === "places") return { from: 0, to: text.length, q: text.trim(), path: "/api/places", put: (item) => item.name };
  const before = text.slice(0, caret);
  if (kind === "tags") {
    const word = before.split(SEPARATORS).pop();
    return { from: caret - word.length, to: caret, q: word.replace(/^[#＃]/, ""), path: "/api/tags", put: (item) => `${item.name} ` };
  }
  const person = /(?:^|[^\w@/.])@(\w{1,30})$/.exec(before);
  if (person) {
    const from = caret - person[1].length - 1;
    return { from, to: caret, q: person[1], path: "/api/users", put: (item) => `@${item.username} ` };
  }
  const tag = /(?:^|[^\p{L}\p{N}&/=])[#＃]([\p{L}\p{M}\p{N}_]{1,50})$/u.exec(before);
  if (!tag) return null;
  return { from: caret - tag[1].length - 1, to: caret, q: tag[1], path: "/api/tags", put: (item) => `#${item.name} ` };
}

class Suggestions {
  constructor(field) {
    this.field = field;
    this.kind = field.dataset.suggest;
    this.known = new Map();
    this.items = [];
    this.active = -1;
    this.list = document.createElement("ul");
    this.list.className = "suggest";
    this.list.id = `suggest-${++lists}`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", field.form?.dataset.msgSuggestions ?? "");
    this.list.hidden = true;
    field.after(this.list);
    this.adoptOwnList();
    // A textarea has no such role; it is a text box that has suggestions all the same.
    if (field.matches("input")) field.setAttribute("role", "combobox");
    field.setAttribute("autocomplete", "off");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.list.id);
    this.show([]);
    field.addEventListener("input", (event) => { if (!event.isComposing) this.later(); });
    field.addEventListener("compositionend", () => this.later());
    field.addEventListener("keydown", (event) => this.key(event));
    field.addEventListener("blur", () => this.close());
    // The field keeps the focus: a press would end its typing otherwise.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(Number(option.dataset.index));
    });
    // This file is loaded when the field is entered: what was typed meanwhile is completed too.
    if (field.value !== field.defaultValue) this.later();
  }

  /** Names that the page itself proposes (a <datalist>) come first, and the browser does not show a second list. */
  adoptOwnList() {
    this.own = this.field.list;
    this.field.removeAttribute("list");
    if (this.own) this.field.addEventListener("focus", () => { if (!this.field.value) this.later(); });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT);
  }

  async ask() {
    this.typed = typedAt(this.kind, this.field.value, this.field.selectionEnd ?? this.field.value.length);
    this.request?.abort();
    if (!this.typed) return this.close();
    const own = this.ownNames(this.typed.q);
    if (!this.typed.q) return this.show(own);
    const address = `${this.typed.path}?${new URLSearchParams({ q: this.typed.q, limit: "8" })}`;
    try {
      if (!this.known.has(address)) {
        this.request = new AbortController();
        const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: this.request.signal });
        if (!answer.ok) return this.close();
        this.known.set(address, await answer.json());
      }
    } catch {
      return this.close();
    }
    const names = new Set(own.map((item) => item.name));
    this.show([...own, ...this.known.get(address).filter((item) => !names.has(item.name))].slice(0, 8));
  }

  ownNames(q) {
    const wanted = q.toLowerCase();
    return [...(this.own?.options ?? [])]
      .map((option) => ({ name: option.value }))
      .filter((item) => item.name.toLowerCase().includes(wanted) && item.name !== q)
      .slice(0, 5);
  }

  show(items) {
    const open = items.length > 0 && document.activeElement === this.field;
    this.items = open ? items : [];
    this.list.replaceChildren(...this.items.map((item, index) => this.option(item, index)));
    this.list.hidden = !open;
    if (this.field.matches("input")) this.field.setAttribute("aria-expanded", String(open));
    this.choose(-1);
  }

  close() {
    clearTimeout(this.timer);
    this.show([]);
  }

  option(item, index) {
    const option = document.createElement("li");
    option.id = `${this.list.id}-${index}`;
    option.className = "suggest__option";
    option.setAttribute("role", "option");
    option.dataset.index = String(index);
    const name = document.createElement("bdi");
    name.textContent = item.username ? item.display_name || item.username : item.meals_count === undefined ? item.name : `#${item.name}`;
    const more = document.createElement("bdi");
    more.className = "suggest__more";
    more.textContent = item.username ? `@${item.username}` : item.city || (item.meals_count ?? "");
    option.append(name, " ", more);
    return option;
  }

  choose(index) {
    this.active = index;
    for (const [number, option] of [...this.list.children].entries()) option.setAttribute("aria-selected", String(number === index));
    const chosen = this.list.children[index];
    if (chosen) {
      this.field.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    } else this.field.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (this.list.hidden || event.isComposing) return;
    const count = this.items.length;
    if (event.key === "ArrowDown") this.choose((this.active + 1) % count);
    else if (event.key === "ArrowUp") this.choose((this.active <= 0 ? count : this.active) - 1);
    else if (event.key === "Enter" && this.active >= 0) this.take(this.active);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  take(index) {
    const { from, to, put } = this.typed;
    this.field.setRangeText(put(this.items[index]), from, to, "end");
    this.close();
    this.field.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
