// The models page, asked for every two seconds.
"use strict";
const by = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const FAR = 0.25, NEAR = 0.1;

function element(name, text, classes) {
  const made = document.createElement(name);
  made.textContent = text;
  if (classes) made.className = classes;
  return made;
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

function moved(one) {
  const row = document.createElement("tr"), psi = element("td", "");
  row.dataset.name = one.name;
  psi.append(meter(one.psi, one.psi > FAR ? "block" : one.psi > NEAR ? "review" : "approve"), one.psi.toFixed(3));
  row.append(element("td", one.name), element("td", one.kind, "soft"), psi, element("td", one.ks.toFixed(3), "right"));
  return row;
}

function drift(found) {
  by("drift").replaceChildren(...(found ? found.moved.map(moved) : []));
  by("drift-text").textContent = found
    ? `${whole.format(found.rows)} newest rows against the training of ${found.bundle}`
    : "Too few rows of this model yet";
}

function online(found) {
  const pairs = found ? [["learnt", `${whole.format(found.learnt)} labels`], ["labels offset", found.labels],
    ["published", new Date(found.published_us / 1000).toISOString().replace("T", " ").slice(0, 19)],
    ["state", found.frozen ? "frozen: worse than the trained one" : "learning"]] : [["state", "nothing learnt yet"]];
  by("online").replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function metric(value) {
  return element("td", value === undefined ? "–" : value.toFixed(3), "right");
}

function bundle(one) {
  const row = document.createElement("tr"), note = element("td", "");
  if (one.champion) note.append(element("span", "Champion", "badge approve"));
  else note.append(one.fault || (one.this_profile ? "" : "another profile"));
  row.append(element("td", one.bundle, "mono"),
    element("td", one.created_us ? new Date(one.created_us / 1000).toISOString().replace("T", " ").slice(0, 16) : "–"),
    metric(one.metrics.average_precision), metric(one.metrics.auc), note);
  return row;
}

async function ask() {
  const answer = await fetch("/models.json").catch(() => null);
  const good = answer && answer.ok, found = good ? await answer.json() : null;
  if (good) {
    drift(found.drift);
    online(found.online);
    by("bundles").replaceChildren(...found.bundles.map(bundle));
    by("empty").hidden = found.bundles.length > 0;
    const name = found.champion && found.champion.bundle;
    const follow = found.scorers.filter((one) => one.bundle === name).length;
    by("champion").className = `state ${name && follow === found.scorers.length ? "ok" : "warn"}`;
    by("champion-text").textContent = name ? `${name}, used by ${follow} of ${found.scorers.length} scorers` : "No champion yet";
  } else {
    by("champion").className = "state bad";
    by("champion-text").textContent = "The dashboard does not answer";
  }
  setTimeout(ask, 2000);
}
ask();
