// The pipeline as its heartbeats tell it, asked for once a second.
"use strict";
const by = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");

function element(name, text, classes) {
  const node = document.createElement(name);
  node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

function stage(state) {
  const good = state.partitions > 0 && state.served === state.partitions;
  const card = element("div", "", `stage ${good ? "ok" : "bad"}`);
  const title = element("b", "");
  title.append(element("span", "", "dot"), state.name);
  card.append(title, element("small", `${state.served} of ${state.partitions} partition${state.partitions === 1 ? "" : "s"}`), element("small", `lag ${whole.format(state.lag)}`));
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
  if (answer && answer.status === 401) location.reload(); // the session is over: sign in
  const good = answer && answer.ok;
  const state = good ? await answer.json() : { stages: [], processes: [], missing: [], ready: false };
  if (good) {
    by("stages").replaceChildren(...state.stages.map(stage));
    by("processes").replaceChildren(...state.processes.map(process));
    by("missing").replaceChildren(...state.missing.map((text) => element("li", text)));
    by("empty").hidden = state.processes.length > 0;
  }
  by("health").className = `state ${!good ? "bad" : state.ready ? "ok" : "warn"}`;
  by("health-text").textContent = !good ? "The dashboard does not answer" : state.ready ? "All stages are running" : `${state.missing.length} missing`;
  setTimeout(ask, 1000);
}
ask();
