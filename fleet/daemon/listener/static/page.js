// Keeps the page as it is on the server. Events tell that something changed; what changed is taken from the page itself,
// fetched anew, so that everything is rendered in one place. Focus, scrolling and what is unfolded stay as they are.
"use strict";

(() => {
  const LEAST = 1000; // milliseconds between two looks
  const TICK = 5000; // ages grow
  const RETRY = 5000; // without events
  const live = document.getElementById("live");

  let events = null;
  let asked = null; // the timer of the next look
  let looked = 0;
  let looking = false;
  let again = false;
  let lost = null;
  let behind = 0; // of this machine's clock, in milliseconds
  let polling = null;

  // Ages

  function age(seconds) {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
      if (seconds >= 2 * length) return Math.floor(seconds / length) + unit;
    }
    return Math.floor(Math.max(seconds, 0)) + "s";
  }

  function grow() {
    const now = Date.now() + behind;
    for (const time of document.querySelectorAll("time[data-age]")) {
      const seconds = (Date.parse(time.dateTime) - now) / 1000;
      let text;
      if (time.dataset.age === "ago") text = age(-seconds) + " ago";
      else if (time.dataset.age === "for") text = age(-seconds);
      else if (seconds > 3650 * 86400) text = "for ever";
      else text = seconds < 1 ? "now" : "in " + age(seconds);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function say(state, text) {
    if (live.textContent !== text) live.textContent = text;
    live.dataset.state = state;
  }

  // Looks

  function want() {
    if (asked !== null || document.hidden) return;
    if (looking) {
      again = true;
      return;
    }
    asked = setTimeout(look, Math.max(0, looked + LEAST - Date.now()));
  }

  async function look() {
    asked = null;
    looking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok && answer.status !== 404) throw new Error("status " + answer.status);
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      found();
    } catch {
      lose();
    } finally {
      looking = false;
      looked = Date.now();
      if (again) {
        again = false;
        want();
      }
    }
  }

  function take(newer) {
    const now = Date.parse(newer.body.dataset.now);
    if (now) behind = now - Date.now();
    document.title = newer.title;
    const focused = document.activeElement && document.activeElement.id;
    for (const section of document.querySelectorAll("[data-live]")) {
      const other = newer.getElementById(section.id);
      if (other) bring(section, other);
    }
    grow();
    if (focused && document.activeElement.id !== focused) {
      const same = document.getElementById(focused);
      if (same) same.focus({ preventScroll: true });
    }
    const summary = document.getElementById("summary");
    const told = newer.getElementById("summary");
    if (told && summary.textContent !== told.textContent) summary.textContent = told.textContent;
  }

  // Makes `old` the same as `other`, and touches nothing in it that is the same already.
  function bring(old, other) {
    for (const fold of old.querySelectorAll("details[id]")) {
      const same = other.querySelector("#" + CSS.escape(fold.id));
      if (same) same.open = fold.open;
    }
    if (old.isEqualNode(other)) return;
    const folded = old.querySelector("pre") && old.querySelector("pre").scrollTop;
    merge(old, other);
    if (folded && old.querySelector("pre")) old.querySelector("pre").scrollTop = folded;
  }

  function merge(old, other) {
    for (const { name } of [...old.attributes]) if (!other.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of other.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (other.hasAttribute("data-keyed")) return keyed(old, other);
    const ours = [...old.childNodes];
    const theirs = [...other.childNodes];
    for (let place = 0; place < Math.max(ours.length, theirs.length); place += 1) {
      const mine = ours[place];
      const newer = theirs[place];
      if (!newer) mine.remove();
      else if (!mine) old.append(document.importNode(newer, true));
      else if (!mine.isEqualNode(newer)) {
        if (mine.nodeType === Node.ELEMENT_NODE && mine.nodeName === newer.nodeName && mine.id === newer.id) merge(mine, newer);
        else mine.replaceWith(document.importNode(newer, true));
      }
    }
  }

  // Rows are moved and not rewritten: somebody may be at one of them.
  function keyed(old, other) {
    const ours = new Map([...old.children].map((row) => [row.id, row]));
    let place = old.firstElementChild;
    for (const newer of [...other.children]) {
      let row = ours.get(newer.id);
      if (row) {
        ours.delete(newer.id);
        if (!row.isEqualNode(newer)) merge(row, newer);
      } else row = document.importNode(newer, true);
      if (row === place) place = place.nextElementSibling;
      else old.insertBefore(row, place);
    }
    for (const row of ours.values()) row.remove();
  }

  // Events

  function found() {
    lost = null;
    say("live", "up to date");
  }

  function lose() {
    if (lost === null) lost = new Date();
    const at = String(lost.getHours()).padStart(2, "0") + ":" + String(lost.getMinutes()).padStart(2, "0");
    say("lost", "not up to date: no answer since " + at);
  }

  function open() {
    close();
    events = new EventSource("/api/events?items=no");
    for (const kind of ["status", "gone", "fleet"]) events.addEventListener(kind, want);
    events.onopen = () => {
      stopPolling();
      want();
    };
    events.onerror = () => {
      // Refused, for there are too many: then without them. Else the browser tries again by itself.
      if (events && events.readyState === EventSource.CLOSED) {
        want();
        if (polling === null) polling = setInterval(poll, RETRY);
      } else lose();
    };
  }

  function poll() {
    want();
    if (!document.hidden && Math.random() < 0.2) open();
  }

  function stopPolling() {
    clearInterval(polling);
    polling = null;
  }

  function close() {
    if (events) events.close();
    events = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      stopPolling();
    } else open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });

  const now = Date.parse(document.body.dataset.now);
  if (now) behind = now - Date.now();
  say("live", "up to date");
  setInterval(grow, TICK);
  open();
})();
