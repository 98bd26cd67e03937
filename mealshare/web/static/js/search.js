/**
 * The search page while somebody types: the address keeps up with the form, so that coming back or passing it on leads to
 * the same results, and those who do not see them are told whether there are any.
 */

/** Listens for new results in the page. */
export function start() {
  const form = document.querySelector("form[data-search]");
  const status = document.querySelector("[data-search-status]");
  let shown = document.querySelector("#results");
  document.addEventListener("htmx:after:swap", () => {
    const results = document.querySelector("#results");
    if (!results || results === shown) return;
    shown = results;
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    window.history.replaceState(window.history.state, "", `?${new URLSearchParams(fields)}`);
    status.textContent = results.dataset.status;
  });
}
