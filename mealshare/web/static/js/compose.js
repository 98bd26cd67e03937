/**
 * The compose box: many photos at once by button, drop or paste, with previews, words for each, removing and reordering.
 *
 * The server always gets the plain form it would get without scripts: `photo` and `photo_alt` repeated in order. The
 * chosen files live in the form's own file inputs, put there anew after each change; rows without a file are disabled.
 * Photos that the meal already has keep their fields `media_id`, `media_alt`, `media_remove` and `media_position`, the
 * last being the place among all photos; new photos fill the free places in order.
 */

import { icon } from "./icon.js";

const MEAL_HOURS = [["04:00", "breakfast"], ["10:30", "lunch"], ["14:30", "snack"], ["17:00", "dinner"], ["21:30", "late_night"]];

/** Takes over every form[data-compose] of the page. */
export function start() {
  for (const form of document.querySelectorAll("form[data-compose]")) {
    fillTimeZone(form);
    const relearn = guessMealType(form);
    echoMealType(form);
    if (form.dataset.suggestions) import("./habits.js").then((habits) => habits.start(form, relearn ?? (() => {})));
    if (form.querySelector("[data-photos]")) new PhotoPicker(form);
  }
}

function fillTimeZone(form) {
  const field = form.elements.time_zone;
  if (field && !field.value) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}

/** The meal that a local "HH:MM" belongs to; the night before 04:00 is still late_night. */
export function mealTypeAt(clock) {
  let found = "late_night";
  for (const [from, type] of MEAL_HOURS) if (clock >= from) found = type;
  return found;
}

/** Checks the radio of the hour, unless the server or the person has chosen; follows the "when" field until then. */
function guessMealType(form) {
  const radios = [...form.querySelectorAll("input[type=radio][name=meal_type]")];
  if (!radios.length || radios.some((radio) => radio.checked)) return;
  let touched = false;
  let learnt = null;
  const guess = () => {
    if (touched) return;
    const now = new Date();
    const clock = form.elements.eaten_at?.value.slice(11, 16)
      || `${String(now.getHours()).padStart(2, "0")}:${String(now.getMinutes()).padStart(2, "0")}`;
    const slot = Number(clock.slice(0, 2)) * 2 + (clock.slice(3) >= "30" ? 1 : 0);
    const radio = radios.find((one) => one.value === (learnt?.[slot] ?? mealTypeAt(clock)));
    if (radio) radio.checked = true;
    form.dispatchEvent(new CustomEvent("mealshare:guessed"));
  };
  for (const radio of radios) radio.addEventListener("change", () => { touched = true; });
  form.elements.eaten_at?.addEventListener("change", guess);
  guess();
  return (types) => {
    learnt = types;
    guess();
  };
}

/** Says the chosen meal beside the title of the folded part, so that a wrong guess is seen without unfolding it. */
function echoMealType(form) {
  const echo = form.querySelector("[data-meal-type-echo]");
  if (!echo) return;
  const say = () => {
    const chosen = form.querySelector("input[type=radio][name=meal_type]:checked");
    echo.textContent = chosen ? chosen.labels[0].textContent.trim() : "";
  };
  form.addEventListener("change", say);
  form.addEventListener("mealshare:guessed", say);
  say();
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

class PhotoPicker {
  constructor(form) {
    this.form = form;
    this.box = form.querySelector("[data-photos]");
    this.rows = [...this.box.querySelectorAll("[data-photo-row]")];
    this.max = Number(form.dataset.maxPhotos) || this.rows.length;
    this.maxBytes = Number(form.dataset.maxBytes) || Infinity;
    this.maxPixels = Number(form.dataset.maxPixels) || Infinity;
    this.accept = this.rows[0]?.querySelector("input[type=file]").accept ?? "image/*";
    this.list = form.querySelector("[data-media-list]");
    const given = this.list ? [...this.list.querySelectorAll("[data-media-tile]")] : [];
    this.list ??= element("ol", { className: "tiles" });
    /** In the order of the page; file is null for a photo that the meal already has. */
    this.tiles = [];
    this.build();
    for (const node of given) this.adopt(node);
    this.watch();
    this.adoptRows();
    this.update();
  }

  /** A sentence of the form's data-msg-* attributes, its {name}s filled in. */
  message(key, values = {}) {
    const text = this.form.dataset[`msg${key[0].toUpperCase()}${key.slice(1)}`] ?? "";
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  build() {
    this.chooser = element("input", { type: "file", multiple: true, accept: this.accept, hidden: true });
    this.add = element("button", { type: "button", className: "button photo-add" }, icon("camera"), this.message("add"));
    this.error = element("p", { className: "photo-error" });
    this.error.setAttribute("role", "alert");
    this.live = element("p", { className: "visually-hidden" });
    this.live.setAttribute("role", "status");
    this.box.append(this.list, this.add, this.chooser, this.error, this.live);
    for (const plain of this.box.querySelectorAll("[data-photo-plain]")) plain.hidden = true;
  }

  watch() {
    this.add.addEventListener("click", () => this.chooser.click());
    this.chooser.addEventListener("change", () => {
      this.take(this.chooser.files);
      this.chooser.value = "";
    });
    this.form.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) {
        event.preventDefault();
        this.take(event.clipboardData.files);
      }
    });
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    this.form.addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.form.dataset.dropping = "";
    });
    this.form.addEventListener("dragleave", (event) => {
      if (!this.form.contains(event.relatedTarget)) delete this.form.dataset.dropping;
    });
    this.form.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      delete this.form.dataset.dropping;
      this.take(event.dataTransfer.files);
    });
  }

  /** Files that the browser kept in the rows (back button, or chosen before this script ran) become tiles too. */
  adoptRows() {
    for (const row of this.rows) {
      const [file, alt] = row.querySelectorAll("input");
      for (const one of file.files) this.append(one, alt.value);
    }
  }

  take(files) {
    const problems = new Set();
    let added = 0;
    for (const file of files) {
      const problem = this.problemWith(file);
      if (problem) {
        problems.add(problem);
      } else {
        this.append(file, "");
        added += 1;
      }
    }
    this.error.textContent = [...problems].join(" ");
    this.update();
    if (added) this.live.textContent = this.message("added", { count: this.tiles.length });
  }

  problemWith(file) {
    const fresh = this.tiles.filter((tile) => tile.file).length;
    if (this.tiles.length >= this.max || fresh >= this.rows.length) return this.message("count", { count: this.max });
    if (!this.accepts(file)) return this.message("type", { name: file.name });
    if (file.size > this.maxBytes) {
      return this.message("size", { name: file.name, limit: `${Math.floor(this.maxBytes / 1_000_000)} MB` });
    }
    return null;
  }

  /** As the browser reads an accept list: types, type/*, .endings. Some systems know no type for HEIC, hence the endings. */
  accepts(file) {
    const name = file.name.toLowerCase();
    return this.accept.split(",").map((part) => part.trim().toLowerCase()).some((part) => {
      if (part.startsWith(".")) return name.endsWith(part);
      return part.endsWith("/*") ? file.type.startsWith(part.slice(0, -1)) : file.type === part;
    });
  }

  append(file, words) {
    const image = element("img", { className: "tile__img", alt: "", src: URL.createObjectURL(file) });
    const alt = element("input", { type: "text", className: "tile__alt", dir: "auto", maxLength: 1500, value: words });
    alt.addEventListener("input", () => this.fillRows());
    const label = element("label", {}, element("span", { className: "tile__label", textContent: this.message("alt") }), alt);
    const node = element("li", { className: "tile" }, image, label);
    this.list.append(node);
    const tile = { node, image, alt, file };
    this.dress(tile);
    image.addEventListener("load", () => this.refuseLarge(tile), { once: true });
  }

  /** Only a decoded picture tells its pixels, so that limit is looked at when the preview is there. */
  refuseLarge(tile) {
    const { naturalWidth, naturalHeight } = tile.image;
    if (naturalWidth * naturalHeight <= this.maxPixels || !this.tiles.includes(tile)) return;
    this.remove(tile);
    this.error.textContent = this.message("pixels", { name: tile.file.name, limit: this.maxPixels / 1_000_000 });
  }

  /** A photo that the meal already has, as the server wrote it. */
  adopt(node) {
    for (const plain of node.querySelectorAll("[data-photo-plain]")) plain.hidden = true;
    if (node.querySelector("input[name=media_remove]").checked) {
      node.hidden = true;
      return;
    }
    this.dress({ node, image: node.querySelector("img"), alt: node.querySelector("input[name=media_alt]"), file: null });
  }

  dress(tile) {
    tile.left = this.tool("chevron-left", () => this.move(tile, -1));
    tile.right = this.tool("chevron-right", () => this.move(tile, 1));
    tile.away = this.tool("trash-2", () => this.remove(tile));
    tile.node.append(element("div", { className: "tile__tools" }, tile.left, tile.right, tile.away));
    this.letDrag(tile);
    this.tiles.push(tile);
  }

  tool(name, act) {
    const button = element("button", { type: "button", className: "iconbutton" }, icon(name));
    button.addEventListener("click", act);
    return button;
  }

  letDrag(tile) {
    if (!tile.image) return;
    tile.image.draggable = true;
    tile.image.addEventListener("dragstart", (event) => {
      this.dragged = tile;
      tile.node.dataset.dragged = "";
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", "");
    });
    tile.image.addEventListener("dragend", () => {
      delete tile.node.dataset.dragged;
      this.dragged = null;
    });
    tile.node.addEventListener("dragover", (event) => {
      if (!this.dragged) return;
      event.preventDefault();
      if (this.dragged !== tile) this.place(this.dragged, this.tiles.indexOf(tile));
    });
    tile.node.addEventListener("drop", (event) => {
      if (this.dragged) event.preventDefault();
    });
  }

  move(tile, step) {
    this.place(tile, this.tiles.indexOf(tile) + step);
    const button = step < 0 ? tile.left : tile.right;
    (button.disabled ? (step < 0 ? tile.right : tile.left) : button).focus();
    this.live.textContent = this.message("moved", { number: this.tiles.indexOf(tile) + 1 });
  }

  place(tile, index) {
    this.tiles.splice(this.tiles.indexOf(tile), 1);
    this.tiles.splice(index, 0, tile);
    this.list.append(...this.tiles.map((one) => one.node));
    this.update();
  }

  remove(tile) {
    const index = this.tiles.indexOf(tile);
    this.tiles.splice(index, 1);
    if (tile.file) {
      URL.revokeObjectURL(tile.image.src);
      tile.node.remove();
    } else {
      tile.node.querySelector("input[name=media_remove]").checked = true;
      tile.node.hidden = true;
    }
    this.error.textContent = "";
    this.update();
    this.live.textContent = this.message("removed");
    (this.tiles[index]?.away ?? this.tiles.at(-1)?.away ?? this.add).focus();
  }

  /** Names the buttons by place, shows or hides "Add photos", and writes the form's real fields. */
  update() {
    this.tiles.forEach((tile, index) => {
      const number = index + 1;
      const label = { left: tile.left, right: tile.right, remove: tile.away };
      for (const [key, button] of Object.entries(label)) button.setAttribute("aria-label", this.message(key, { number }));
      tile.left.disabled = index === 0;
      tile.right.disabled = index === this.tiles.length - 1;
      const position = tile.node.querySelector("input[name=media_position]");
      if (position) position.value = number;
    });
    this.list.hidden = this.tiles.length === 0;
    this.add.hidden = this.tiles.length >= this.max;
    this.fillRows();
  }

  fillRows() {
    const fresh = this.tiles.filter((tile) => tile.file);
    this.rows.forEach((row, index) => {
      const [file, alt] = row.querySelectorAll("input");
      const tile = fresh[index];
      const parcel = new DataTransfer();
      if (tile) parcel.items.add(tile.file);
      file.files = parcel.files;
      alt.value = tile ? tile.alt.value : "";
      file.disabled = alt.disabled = !tile;
    });
  }
}
