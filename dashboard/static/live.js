// The live table: history by pages, news by server-sent events. Text only ever becomes text (textContent).
"use strict";
const by = (id) => document.getElementById(id);
const body = by("rows");
const shape = { account: body.dataset.account === "1", others: +body.dataset.others, money: body.dataset.money === "1" };
const LIVE_ROWS = 60;
const say = by("texts").dataset, language = document.documentElement.lang;
const fill = (text, name, value) => text.replace(`{${name}}`, value);
const shown = new Set();
let held = []; // news that wait until nobody reads the table
let decision = new URLSearchParams(location.search).get("decision") || "";
let cursor = null, paused = false, paging = false, source = null, generation = 0;

function cell(text, classes) {
  const td = document.createElement("td");
  td.textContent = text;
  if (classes) td.className = classes;
  return td;
}

function scoreCell(row) {
  const td = cell("", row.decision);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "meter");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("width", `${Math.max(1, 100 * row.score)}%`);
  rect.setAttribute("height", "100%");
  rect.setAttribute("rx", "3");
  svg.append(rect);
  td.append(svg, row.score.toFixed(3));
  return td;
}

function line(row) {
  const tr = document.createElement("tr");
  const when = new Date(row.ingested_us / 1000);
  const id = document.createElement("td");
  const link = document.createElement("a");
  link.href = `/transactions/${encodeURIComponent(row.id)}`;
  link.textContent = row.id;
  link.className = "mono";
  id.append(link);
  const badge = document.createElement("span");
  badge.className = `badge ${row.decision}`;
  badge.textContent = say[row.decision];
  const decided = document.createElement("td");
  decided.append(badge);
  const time = cell(when.toLocaleTimeString([], { hour12: false }), "soft");
  time.title = when.toISOString();
  tr.append(time, id);
  if (shape.account) tr.append(cell(row.account));
  for (let i = 0; i < shape.others; i++) tr.append(cell(row.others[i] ?? "", "wide"));
  if (shape.money) tr.append(cell(row.amount, "right"));
  tr.append(decided, scoreCell(row), cell(row.reason || "", "wide soft"));
  tr.dataset.id = row.id;
  return tr;
}

function prepend(rows) {
  for (const row of rows) {
    if (shown.has(row.id)) continue;
    shown.add(row.id);
    const tr = line(row);
    tr.classList.add("new");
    body.prepend(tr);
  }
  // While somebody reads older pages nothing is dropped from under them.
  while (!paging && body.rows.length > LIVE_ROWS) {
    const last = body.rows[body.rows.length - 1];
    shown.delete(last.dataset.id);
    last.remove();
    by("older").hidden = false;
    cursor = undefined; // the page after the rows shown is no longer the one we were told
  }
  by("empty").hidden = body.rows.length > 0;
}

// While the pointer or the keyboard is in the table, or the page is scrolled, nothing moves.
function reading() {
  const table = by("table");
  return scrollY > 0 || table.matches(":hover") || table.contains(document.activeElement);
}

function take(rows) {
  held = [...held, ...rows].slice(-LIVE_ROWS);
  if (!paused && !reading()) release();
  by("held").hidden = held.length === 0;
  by("held").textContent = fill(say.held, "count", `${whole.format(held.length)}${held.length === LIVE_ROWS ? "+" : ""}`);
}

function release() {
  prepend(held);
  held = [];
  by("held").hidden = true;
}

by("held").addEventListener("click", () => {
  release();
  scrollTo({ top: 0 });
});

async function page(fresh) {
  const mine = generation;
  const query = new URLSearchParams();
  if (decision) query.set("decision", decision);
  if (!fresh && cursor) query.set("cursor", cursor);
  const answer = await fetch(`/rows?${query}`).catch(() => null);
  if (answer && answer.status === 401) location.reload(); // the session is over: sign in
  if (mine !== generation) return;
  by("note").textContent = answer && answer.ok ? "" : say.away;
  if (answer && answer.ok) {
    const found = await answer.json();
    if (mine !== generation) return;
    for (const row of found.rows) {
      if (shown.has(row.id)) continue;
      shown.add(row.id);
      body.append(line(row));
    }
    cursor = found.next;
    by("older").hidden = !cursor;
  }
  by("empty").hidden = body.rows.length > 0;
}

by("older").addEventListener("click", async () => {
  paging = true;
  if (cursor === undefined) { // rows have passed by since: hold the news, and read the history from its newest row
    pause(true);
    clear();
    await page(true);
  }
  await page(false);
});

function clear() {
  generation++;
  cursor = null;
  shown.clear();
  held = [];
  by("held").hidden = true;
  body.replaceChildren();
}

function pause(on) {
  paused = on;
  by("pause").setAttribute("aria-pressed", String(on));
  by("pause").textContent = on ? say.resume : say.pause;
}

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const count = (n) => (n < 100000 ? whole.format(n) : short.format(n));

function counters(tick) {
  const total = Object.values(tick.decisions).reduce((a, b) => a + b, 0);
  by("rate").textContent = tick.rate < 10 && tick.rate > 0 ? tick.rate.toFixed(1) : whole.format(tick.rate);
  for (const [name, n] of Object.entries(tick.decisions)) {
    by(`count-${name}`).textContent = count(n);
    const share = by(`share-${name}`);
    if (share && total) share.textContent = fill(say.share, "share", percent.format(n / total));
  }
  by("since").textContent = new Date(tick.since_us / 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  const span = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(0)} ms`);
  if (tick.delay_p50_ms !== null) {
    by("delay").textContent = span(tick.delay_p50_ms);
    by("delay-late").textContent = fill(say.late, "span", span(tick.delay_p99_ms));
  }
  const most = Math.max(1, ...tick.rates);
  const points = tick.rates.map((n, i) => `${(60 * i) / (tick.rates.length - 1)},${(38 - (33 * n) / most).toFixed(2)}`);
  by("curve").setAttribute("points", points.join(" "));
  by("area").setAttribute("points", `0,40 ${points.join(" ")} 60,40`);
  const state = by("health");
  state.className = `state ${tick.ready ? "ok" : "warn"}`;
  state.title = tick.missing.join("\n");
  by("health-text").textContent = tick.ready ? say.running : fill(say.waiting, "what", tick.missing[0].split(":", 1)[0]);
}

async function again() {
  const answer = await fetch("/rows", { method: "HEAD" }).catch(() => null);
  if (answer && answer.status === 401) location.reload();
  else listen();
}

function listen() {
  if (source) source.close();
  source = new EventSource(decision ? `/events?decision=${decision}` : "/events");
  source.onmessage = (event) => {
    const tick = JSON.parse(event.data);
    counters(tick);
    take(tick.rows);
  };
  source.onerror = () => {
    by("health").className = "state bad";
    by("health-text").textContent = say.lost;
    if (source.readyState === EventSource.CLOSED) setTimeout(again, 5000);
  };
}

function choose(next) {
  decision = next;
  paging = false;
  clear();
  for (const button of document.querySelectorAll("[data-decision]"))
    button.setAttribute("aria-pressed", String(button.dataset.decision === decision));
  history.replaceState(null, "", decision ? `?decision=${decision}` : location.pathname);
  listen();
  page(true);
}

for (const button of document.querySelectorAll("[data-decision]"))
  button.addEventListener("click", () => choose(button.dataset.decision));
by("pause").addEventListener("click", () => {
  pause(!paused);
  if (!paused && paging) choose(decision);
  else take([]);
});
addEventListener("pagehide", () => source && source.close());
choose(decision);
