// Keeps the page fresh without moving the reader: only parts marked `data-live` are replaced, only when they
// changed on the server, and never while something in them is being typed or selected.
"use strict";
(() => {
  const EVERY_MS = 3000;
  const opened = new Set();
  const served = new Map();
  let unansweredSince = null;

  function show(button, visible) {
    const target = document.getElementById(button.getAttribute("aria-controls"));
    if (!target) return;
    button.setAttribute("aria-expanded", String(visible));
    button.textContent = visible ? button.dataset.conceal : button.dataset.reveal;
    if (target.classList.contains("text")) {
      target.classList.toggle("blurred", !visible);
      target.inert = !visible;
      target.toggleAttribute("aria-hidden", false);
      if (!visible) target.setAttribute("aria-hidden", "true");
      target.tabIndex = visible ? 0 : -1;
    } else {
      target.hidden = !visible;
    }
  }

  // What was revealed stays revealed only for the same text: other content under the same id starts concealed.
  function keyOf(button) {
    const target = document.getElementById(button.getAttribute("aria-controls"));
    return `${button.id}\n${target ? target.textContent : ""}`;
  }

  // Who uncovers what is written down first; without that it stays covered.
  async function isWrittenDown(button) {
    const said = (name) => document.querySelector(`meta[name=${name}]`).content;
    const what = button.getAttribute("aria-controls");
    const body = new URLSearchParams({ csrf: said("csrf"), about: said("about"), what });
    try {
      const signal = AbortSignal.timeout(15000);
      return (await fetch("/reveal", { method: "POST", body, signal })).ok;
    } catch {
      return false;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.reveal");
    if (!button) return;
    const key = keyOf(button);
    if (button.getAttribute("aria-expanded") === "true") {
      opened.delete(key);
      return show(button, false);
    }
    const written = await isWrittenDown(button);
    const present = document.getElementById(button.id);
    if (!present || keyOf(present) !== key) return;
    if (written) {
      opened.add(key);
      show(present, true);
    } else {
      present.textContent = "Not shown: the audit log cannot be written. Try again";
    }
  });

  function busy(part) {
    const active = document.activeElement;
    if (part.contains(active) && active.matches("input, textarea, select")) return true;
    const selection = document.getSelection();
    return !selection.isCollapsed && (part.contains(selection.anchorNode) || part.contains(selection.focusNode));
  }

  function replace(part, fresh) {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = new Map();
    for (const text of part.querySelectorAll(".text")) scrolled.set(text.id, text.scrollTop);
    const node = document.importNode(fresh, true);
    part.replaceWith(node);
    for (const button of node.querySelectorAll("button.reveal")) {
      if (opened.has(keyOf(button))) show(button, true);
    }
    for (const [id, top] of scrolled) {
      const text = document.getElementById(id);
      if (text) text.scrollTop = top;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function refresh(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const parts = [...document.querySelectorAll("[data-live]")];
    // Another page now stands at this address: the login form, or what was missing has come.
    if (!parts.some((part) => fresh.getElementById(part.id))) return location.reload();
    document.title = fresh.title;
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (!next || next.outerHTML === served.get(part.id) || busy(part)) continue;
      served.set(part.id, next.outerHTML);
      replace(part, next);
    }
  }

  function unreachable(isSo) {
    const banner = document.getElementById("unreachable");
    if (isSo && !unansweredSince) {
      unansweredSince = new Date();
      banner.querySelector("[data-since]").textContent = unansweredSince.toISOString().slice(11, 19) + " UTC";
    }
    if (!isSo) unansweredSince = null;
    if (banner.hidden === isSo) banner.hidden = !isSo;
  }

  async function turn() {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      const ours = answer.status < 500 || document.getElementById("message") !== null;
      unreachable(!ours);
      if (ours) refresh(await answer.text());
    } catch {
      unreachable(true);
    }
    setTimeout(turn, EVERY_MS);
  }

  if (document.querySelector("[data-live]")) {
    for (const part of document.querySelectorAll("[data-live]")) served.set(part.id, part.outerHTML);
    setTimeout(turn, EVERY_MS);
  }
})();
