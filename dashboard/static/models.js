// The models page, asked for every two seconds.
"use strict";
const by = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const FAR = 0.25, NEAR = 0.1;

function count(number, noun) {
  return `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function element(name, text, classes) {
  const node = document.createElement(name);
  node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

function meter(share, kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 6");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", `meter ${kind}`);
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  bar.setAttribute("width", Math.min(100, 100 * share));
  bar.setAttribute("height", 6);
  svg.append(bar);
  return svg;
}

function column(drifted) {
  const row = document.createElement("tr"), psi = element("td", "");
  row.dataset.name = drifted.name;
  psi.append(meter(drifted.psi, level(drifted)), drifted.psi.toFixed(3));
  if (drifted.left_us) psi.append(element("span", `, full in ${span(drifted.left_us)}`, "soft"));
  row.append(element("td", drifted.name), element("td", drifted.kind, "soft"), psi, element("td", drifted.ks.toFixed(3), "right"));
  return row;
}

function level(drifted) {
  if (drifted.left_us) return "filling";
  return drifted.psi > FAR ? "block" : drifted.psi > NEAR ? "review" : "approve";
}

function span(us) {
  const minutes = Math.ceil(us / 60e6);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.ceil(minutes / 60)} h` : `${Math.ceil(minutes / 1440)} days`;
}

function drift(state) {
  by("drift").replaceChildren(...[...state.moved, ...state.filling].map(column));
  by("drift-text").textContent = drift_text(state);
}

function drift_text(state) {
  if (state.trouble) return `Not known: ${state.trouble}`;
  if (!state.bundle) return "Too few rows of this model yet";
  const text = `${whole.format(state.rows)} newest rows against the training of ${state.bundle}`;
  if (!state.filling.length) return text;
  const last = Math.max(...state.filling.map((drifted) => drifted.left_us));
  return `${text}. Windows are still filling, the last of them for ${span(last)}: what they hold is less than in training`;
}

function online(weights) {
  const pairs = weights ? [["learnt", count(weights.learnt, "label")], ["labels offset", weights.labels],
    ["published", new Date(weights.published_us / 1000).toISOString().replace("T", " ").slice(0, 19)],
    ["state", weights.frozen ? "frozen: worse than the trained one" : "learning"]] : [["state", "nothing learnt yet"]];
  by("online").replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function metric(value) {
  return element("td", value === undefined ? "–" : value.toFixed(3), "right");
}

function bundle(entry) {
  const row = document.createElement("tr"), note = element("td", "");
  if (entry.champion) note.append(element("span", "Champion", "badge approve"));
  else note.append(entry.fault || (entry.this_profile ? "" : "another profile"));
  row.append(element("td", entry.bundle, "mono"),
    element("td", entry.created_us ? new Date(entry.created_us / 1000).toISOString().replace("T", " ").slice(0, 16) : "–"),
    metric(entry.metrics.average_precision), metric(entry.metrics.auc), note);
  return row;
}

async function ask() {
  const answer = await fetch("/models.json").catch(() => null);
  if (answer && answer.status === 401) location.reload(); // the session is over: sign in
  const good = answer && answer.ok, state = good ? await answer.json() : null;
  if (good) {
    drift(state.drift);
    online(state.online);
    by("bundles").replaceChildren(...state.bundles.map(bundle));
    by("empty").hidden = state.bundles.length > 0;
    const name = state.champion && state.champion.bundle;
    const refusals = state.scorers.filter((scorer) => scorer.refused).length;
    const follow = state.scorers.filter((scorer) => scorer.bundle === name).length;
    by("champion").className = `state ${name && follow === state.scorers.length ? "ok" : "warn"}`;
    by("champion-text").textContent = name ? `${name}, used by ${follow} of ${count(state.scorers.length, "scorer")}${refusals ? `, refused by ${refusals}: see tidegate status` : ""}` : "No champion yet";
  } else {
    by("champion").className = "state bad";
    by("champion-text").textContent = "The dashboard does not answer";
  }
  setTimeout(ask, 2000);
}
ask();
