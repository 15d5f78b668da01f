// What the pages do beyond htmx: everything here is a comfort, no page needs it.
"use strict";

// Menus close when one looks elsewhere, and by Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    const suggest = document.getElementById("suggest");
    if (suggest) suggest.replaceChildren();
  }
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    const quick = document.getElementById("quick");
    if (quick) {
      event.preventDefault();
      quick.focus();
    }
  }
});

// Errors of a part of a page are shown in its place: htmx leaves them out unless it is told.
document.addEventListener("htmx:beforeSwap", (event) => {
  const status = event.detail.xhr.status;
  if (status >= 400 && status !== 401) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// Copy a block of text; the button says that it was done.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.textContent);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});

// A scan's live updates: when they stop, the page says since when; the scan goes on. When the scan ends, focus stays with its page.
const timeNow = () => new Date().toTimeString().slice(0, 8);
const lostNote = () => document.getElementById("lost");
document.addEventListener("htmx:sseError", () => {
  const note = lostNote();
  if (note && note.hidden) {
    note.textContent = `Live updates stopped at ${timeNow()}; the scan goes on. `;
    const again = document.createElement("a");
    again.href = location.href;
    again.textContent = "Retry";
    note.append(again);
    note.hidden = false;
  }
});
document.addEventListener("htmx:sseOpen", () => {
  const note = lostNote();
  if (note) note.hidden = true;
});
let runReplaced = false;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "run") runReplaced = true;
});
document.addEventListener("htmx:afterSettle", () => {
  if (!runReplaced) return;
  runReplaced = false;
  if (document.activeElement === document.body) document.getElementById("run").focus({ preventScroll: true });
});
