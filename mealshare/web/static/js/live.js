/**
 * Says above a feed how many meals have been posted since the page was made, with a link that shows them. It listens to
 * the server's stream, but only while somebody can see the page and after they have stayed for a moment: there are only so
 * many streams. Without it nothing is lost, the feed is as it was when the page was opened.
 */

const STAYED = 3000;
/** When the site has no stream to give, it is asked again after a while. */
const LATER = 60_000;

/** Starts listening for the element with data-live (the name of the feed) and data-msg-new (the words, with {n}). */
export function start(box) {
  const newest = document.querySelector("article.card[id^=meal-]")?.id.slice(5);
  const state = { box, source: null, timer: 0, last: newest ?? "", count: 0, over: false };
  const wake = () => {
    clearTimeout(state.timer);
    if (document.visibilityState === "visible") state.timer = setTimeout(listen, STAYED, state);
    else hush(state);
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("pagehide", () => hush(state));
  wake();
}

function listen(state) {
  if (state.source || state.over) return;
  const parameters = new URLSearchParams({ feed: state.box.dataset.live });
  if (state.last) parameters.set("last_event_id", state.last);
  const source = (state.source = new EventSource(`/api/feed/stream?${parameters}`));
  source.addEventListener("meal", (event) => {
    state.last = event.lastEventId;
    if (!JSON.parse(event.data).viewer.own) show(state, state.count + 1);
  });
  source.addEventListener("end", (event) => {
    state.over = JSON.parse(event.data).reason === "signed_out";
    if (state.over) hush(state);
  });
  source.addEventListener("error", () => {
    // A connection that broke is made again by the browser; an answer that is no stream is the end of it.
    if (source.readyState !== EventSource.CLOSED || state.source !== source) return;
    hush(state);
    state.timer = setTimeout(listen, LATER, state);
  });
}

function hush(state) {
  clearTimeout(state.timer);
  state.source?.close();
  state.source = null;
}

function show(state, count) {
  state.count = count;
  let link = state.box.querySelector("a");
  if (!link) {
    link = document.createElement("a");
    link.className = "button";
    link.href = location.pathname;
    state.box.append(link);
  }
  link.textContent = state.box.dataset.msgNew.replace("{n}", count);
}
