/**
 * The forms of a page of the API: sends what stands in them and shows the answer below.
 * With a pasted token only that counts and no cookie is sent; otherwise the session of this browser with its form token.
 */

const root = document.documentElement;
root.classList.add("js");

for (const form of document.querySelectorAll("form[data-try]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

// An address with the name of a method opens its form.
const named = location.hash && document.getElementById(location.hash.slice(1));
if (named instanceof HTMLDetailsElement) named.open = true;

/** Sends the form's request, and shows the answer. */
async function send(form) {
  const { method, path } = form.dataset;
  const answer = form.querySelector("[data-answer]");
  const button = form.querySelector("button[type=submit]");
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  show(answer, { status: form.dataset.msgSending });
  try {
    const response = await fetch(path, requestOf(form, method));
    const body = await response.text();
    show(answer, {
      status: `${response.status} ${response.statusText}`,
      good: response.ok,
      headers: [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n"),
      body,
    });
    // What was changed has a new tag: the next attempt goes by that.
    const etag = response.headers.get("ETag");
    const match = form.querySelector("[data-header='If-Match']");
    if (response.ok && etag && match) match.value = etag;
  } catch {
    show(answer, { status: form.dataset.msgFailed, good: false });
  } finally {
    button.removeAttribute("aria-busy");
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "nearest" });
  }
}

/** What `fetch` takes, from what stands in the form. */
function requestOf(form, method) {
  const headers = new Headers({ Accept: "application/json" });
  const token = document.getElementById("bearer").value.trim();
  const csrf = form.querySelector("[name=csrf_token]")?.value;
  if (token) headers.set("Authorization", `Bearer ${token.replace(/^bearer\s+/i, "")}`);
  else if (csrf) headers.set("X-CSRF-Token", csrf);
  for (const field of form.querySelectorAll("[data-header]")) {
    if (field.value.trim()) headers.set(field.dataset.header, field.value.trim());
  }
  const options = { method, headers, credentials: token ? "omit" : "same-origin", cache: "no-store" };
  const editor = form.querySelector("[data-body]");
  const parts = form.querySelectorAll("[data-part]");
  if (editor) {
    headers.set("Content-Type", form.dataset.type);
    options.body = editor.value;
  } else if (parts.length) {
    options.body = new FormData(); // The browser writes the Content-Type, with its boundary.
    for (const part of parts) {
      if (part.type === "file") for (const file of part.files) options.body.append(part.dataset.part, file);
      else if (part.value) options.body.append(part.dataset.part, part.value);
    }
  }
  return options;
}

/** Shows an answer; all of it is text, nothing is taken for markup. */
function show(answer, { status, good = null, headers = "", body = "" }) {
  const line = answer.querySelector("[data-status]");
  line.textContent = status;
  line.className = good === null ? "status" : `status status--${good ? "good" : "bad"}`;
  answer.querySelector("[data-headers]").textContent = headers;
  answer.querySelector("[data-result]").replaceChildren(...coloured(pretty(body)));
  answer.hidden = false;
}

function pretty(body) {
  try {
    return body && JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** The text as nodes, coloured as the server colours JSON. */
function coloured(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = found;
    const kind = string ? (colon ? "key" : "text") : number ? "number" : "word";
    const span = document.createElement("span");
    span.className = `json__${kind}`;
    span.textContent = string ?? whole;
    nodes.push(text.slice(at, found.index), span, colon ?? "");
    at = found.index + whole.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
