/**
 * The one script a page names. It marks the page as scripted, adds small comforts,
 * and loads the larger ones only where the page has something for them.
 * Everything here is an addition: each page works without it.
 */

import { icon } from "./icon.js";

const root = document.documentElement;
root.classList.add("js");

if (document.querySelector("[data-relative]")) import("./time.js").then((time) => time.start());
if (document.querySelector("form[data-compose]")) import("./compose.js").then((compose) => compose.start());
if (document.querySelector("form[data-search]")) import("./search.js").then((search) => search.start());
const news = document.querySelector("[data-live]");
if (news) import("./live.js").then((live) => live.start(news));
if (document.querySelector("[data-copy]")) import("./copy.js").then((copy) => copy.start());
document.addEventListener("focusin", ({ target }) => {
  if (target.matches("[data-suggest]")) import("./suggest.js").then((suggest) => suggest.attach(target));
});

tellTimeZone();
closeMenus();
makeFlashesDismissable();
submitOnce();
keepPlaceWhenPaging();
goWhereNothingFits();
showWhereOneIs();

// A form that came back with errors is read from its summary on.
document.querySelector(".error-summary")?.focus();

/** A form with a hidden input[data-time-zone] learns the time zone of the browser. */
function tellTimeZone() {
  for (const input of document.querySelectorAll("input[data-time-zone]")) {
    input.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  }
}

/** A menu is a <details data-menu>: Escape closes it and gives the focus back, a click elsewhere closes it. */
function closeMenus() {
  const openMenus = () => document.querySelectorAll("details[data-menu][open]");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  });
}

/** Each .flash with data-msg-dismiss gets a button with that name which takes it away. */
function makeFlashesDismissable() {
  for (const flash of document.querySelectorAll(".flash[data-msg-dismiss]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "iconbutton flash__close";
    button.setAttribute("aria-label", flash.dataset.msgDismiss);
    button.append(icon("x"));
    button.addEventListener("click", () => {
      flash.remove();
      document.querySelector("main")?.focus();
    });
    flash.append(button);
  }
}

/** A row of links that is pushed along begins where the one of this page can be seen. */
function showWhereOneIs() {
  for (const link of document.querySelectorAll(".strip [aria-current=page], .sidenav [aria-current]")) {
    const row = link.closest(".strip, ul");
    const before = link.getBoundingClientRect().left - row.getBoundingClientRect().left;
    row.scrollLeft += before - (row.clientWidth - link.offsetWidth) / 2;
  }
}

/** A form with data-once (and every compose box) is sent once, however often its button is pressed. */
function submitOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-once], form[data-compose]")) return;
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    form.dataset.sending = "yes";
    for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-busy", "true");
  });
  // Coming back with the browser's back button shows the page as it was left: make its forms usable again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sending]")) {
      delete form.dataset.sending;
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  });
}

/** htmx replaces the pager by older meals: whoever pressed it goes on reading at the first of them. */
function keepPlaceWhenPaging() {
  let last = null;
  document.addEventListener("htmx:before:request", (event) => {
    last = event.target.closest?.(".pager")?.previousElementSibling ?? null;
  });
  document.addEventListener("htmx:after:swap", () => {
    const link = last?.nextElementSibling?.querySelector("h2 a, h3 a");
    last = null;
    link?.focus({ preventScroll: true });
  });
}

/**
 * An answer without the part that was asked for (the session has ended, the meal is gone) would leave a hole in the page:
 * the browser then does what it would have done without htmx, and shows the login page or the error as a page.
 */
function goWhereNothingFits() {
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx, tasks } = event.detail;
    if (!ctx.select || tasks.some((task) => task.fragment?.childElementCount)) return;
    event.preventDefault();
    if (ctx.response.raw.redirected) window.location.assign(ctx.response.raw.url);
    else if (event.target.matches("form")) event.target.submit();
    else window.location.assign(event.target.href);
  });
}
