// The slider with two thumbs: figures and lines follow it, the fields of the forms as well.
"use strict";
{
  const by = (id) => document.getElementById(id), text = by("document");
  if (text) {
    const table = JSON.parse(text.textContent), last = table.threshold.length - 1;
    const language = document.documentElement.lang, names = ["review", "block"];
    const format = (value, node) => {
      if (value === null || value === undefined) return "–";
      if ("percent" in node.dataset) return `${(100 * value).toFixed(1)} %`;
      const places = Number(node.dataset.places || (value < 100 ? 1 : 0));
      return value.toLocaleString(language, { minimumFractionDigits: places, maximumFractionDigits: places });
    };
    const place = (threshold) => {
      let found = 0;
      for (let i = 0; i <= last; i += 1) if (table.threshold[i] <= threshold + 1e-9) found = i;
      return found;
    };
    const show = () => {
      for (const name of names) {
        const at = place(Number(by(name).value));
        by(`line-${name}`).setAttribute("x1", 100 * at / last);
        by(`line-${name}`).setAttribute("x2", 100 * at / last);
        by(`range-${name}`).value = at;
        by(`range-${name}`).setAttribute("aria-valuetext", by(name).value);
        if (by(`apply-${name}`)) by(`apply-${name}`).value = by(name).value;
        for (const node of document.querySelectorAll(`[data-at="${name}"]`)) {
          const value = table[node.dataset.figure][at];
          node.textContent = format(value, node);
          if (node.nextElementSibling && "percent" in node.dataset && node.nextElementSibling.tagName === "SMALL") node.nextElementSibling.hidden = value === null;
        }
      }
    };
    const set = (review, block) => {
      by("review").value = review;
      by("block").value = block;
      show();
    };
    for (const name of names) {
      by(`range-${name}`).addEventListener("input", (event) => {
        const value = table.threshold[Math.max(1, Number(event.target.value))], other = Number(by(name === "review" ? "block" : "review").value);
        if (name === "review") set(value, Math.max(value, other));
        else set(Math.min(value, other), value);
      });
      by(name).addEventListener("input", show);
    }
    for (const link of document.querySelectorAll("[data-review]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        set(link.dataset.review, link.dataset.block);
      });
    }
    document.querySelector(".thumbs").hidden = false;
  }
}
