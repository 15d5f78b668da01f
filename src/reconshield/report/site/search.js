// The search of the static site: filters search.json in the browser. Nothing leaves the page.
"use strict";

const form = document.getElementById("find");
const query = document.getElementById("query");
const found = document.getElementById("found");
const status = document.getElementById("status");
const terms = document.getElementById("terms");
const MOST = 60;
let data = null;

async function load() {
  if (data) return;
  try {
    data = await (await fetch("search.json")).json();
  } catch {
    data = { documented: [], registered: [], partial: true }; // opened as a file: only the names on the page can be searched
  }
}

function add(port, label, note, rating) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `port/${port}.html`;
  link.textContent = label;
  item.append(link, ` ${note}`);
  if (rating) item.className = rating;
  found.append(item);
}

function matches(text, words) {
  return words.every((word) => text.includes(word));
}

function hits(words) {
  const rows = data.documented
    .map((row) => {
      const text = `${row.port} ${row.transport} ${row.name.toLowerCase()} ${row.rating} ${row.words}`;
      const exact = words.filter((word) => word === String(row.port) || word === row.name.toLowerCase()).length;
      return { row, exact, fits: matches(text, words) };
    })
    .filter((hit) => hit.fits);
  rows.sort((a, b) => b.exact - a.exact || b.row.score - a.row.score || a.row.port - b.row.port);
  return rows.map((hit) => hit.row);
}

function filterTerms(words) {
  let shown = 0;
  for (const item of terms.querySelectorAll("li")) {
    item.hidden = words.length > 0 && !matches(item.textContent.toLowerCase(), words);
    shown += item.hidden ? 0 : 1;
  }
  return shown;
}

async function search() {
  await load();
  const words = query.value.toLowerCase().replace(/[/@]/g, " ").split(/\s+/).filter(Boolean);
  found.replaceChildren();
  const names = filterTerms(words);
  if (words.length === 0) {
    status.textContent = "";
    return;
  }
  const number = words.length === 1 && /^\d{1,5}$/.test(words[0]) && Number(words[0]) <= 65535 ? Number(words[0]) : null;
  if (number !== null) add(number, `Port ${number}`, "go to its page", "");
  const documented = hits(words);
  for (const row of documented.slice(0, MOST)) {
    const rating = `${row.rating[0].toUpperCase()}${row.rating.slice(1)} ${row.score}`;
    add(row.port, `${row.port}/${row.transport} ${row.name}`, rating, row.rating);
  }
  const registered = data.registered.filter((row) => matches(`${row[0]} ${row[2]} ${row[3]}`.toLowerCase(), words));
  for (const row of registered.slice(0, Math.max(0, MOST - documented.length))) {
    add(row[0], `${row[0]}${row[1] ? `/${row[1]}` : ""} ${row[2].toLowerCase()}`, `registered${row[3] ? `: ${row[3]}` : ""}`, "");
  }
  if (data.partial) status.textContent = `${names} names below; the rest is searched when the site is read over HTTP`;
  else if (documented.length + registered.length + names === 0) status.textContent = `Nothing matches ${query.value}.`;
  else status.textContent = `${documented.length} documented, ${registered.length} registered, ${names} names below`;
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", search);
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  query.value = asked;
  search();
}
