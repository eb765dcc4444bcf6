// The pipeline as its heartbeats tell it, asked for once a second.
"use strict";
const by = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");

function element(name, text, classes) {
  const made = document.createElement(name);
  made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function stage(found) {
  const good = found.partitions > 0 && found.served === found.partitions;
  const card = element("div", "", `stage ${good ? "ok" : "bad"}`);
  const title = element("b", "");
  title.append(element("span", "", "dot"), found.name);
  card.append(title, element("small", `${found.served} of ${found.partitions} partitions`), element("small", `lag ${whole.format(found.lag)}`));
  return card;
}

function process(beat) {
  const row = document.createElement("tr");
  const late = beat.age_us > 5e6;
  const state = element("td", "");
  const name = element("span", "", `state ${late ? "bad" : beat.stopping || !beat.restored ? "warn" : "ok"}`);
  name.append(element("span", "", "dot"), element("span", beat.process));
  state.append(name);
  state.title = `pid ${beat.pid} on ${beat.host}, metrics on port ${beat.metrics_port}`;
  row.append(state, element("td", beat.stage), element("td", beat.partitions.join(", ") || "–"),
    element("td", whole.format(beat.lag), "right"), element("td", whole.format(beat.processed), "right"),
    element("td", whole.format(beat.rejected), "right"), element("td", beat.restarts, "right"),
    element("td", beat.bundle || "–", "mono"), element("td", `${Math.max(0, beat.age_us / 1e6).toFixed(0)} s ago`, "right soft"));
  return row;
}

async function ask() {
  const answer = await fetch("/pipeline.json").catch(() => null);
  const good = answer && answer.ok;
  const found = good ? await answer.json() : { stages: [], processes: [], missing: [], ready: false };
  if (good) {
    by("stages").replaceChildren(...found.stages.map(stage));
    by("processes").replaceChildren(...found.processes.map(process));
    by("missing").replaceChildren(...found.missing.map((text) => element("li", text)));
    by("empty").hidden = found.processes.length > 0;
  }
  by("health").className = `state ${!good ? "bad" : found.ready ? "ok" : "warn"}`;
  by("health-text").textContent = !good ? "The dashboard does not answer" : found.ready ? "All stages are running" : `${found.missing.length} missing`;
  setTimeout(ask, 1000);
}
ask();
