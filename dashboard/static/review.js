// Keys are buttons: each presses the one that names it, so that a mouse, a finger and a key do the same.
"use strict";
{
  const typing = (element) => element.closest("input:not([type=hidden]), textarea, select, [contenteditable]") !== null;
  const busy = () => document.querySelector("#desk .htmx-request, #desk.htmx-request") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
    if (typing(event.target) || document.querySelector("dialog[open]") || busy()) return;
    const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  // The second half of a double click would judge a case that nobody has seen.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest(".acts button")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-opens]");
    if (button) document.getElementById(button.dataset.opens).showModal();
  });

  // Who has pressed a button that is gone now stands before the new case, and hears of it.
  document.body.addEventListener("htmx:afterSwap", (event) => {
    document.getElementById("lost").hidden = true;
    if (event.detail.target.id !== "desk" || (document.activeElement && document.activeElement !== document.body)) return;
    const title = document.getElementById("case-title");
    if (title) title.focus({ preventScroll: true });
  });
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
    document.body.addEventListener(failure, () => { document.getElementById("lost").hidden = false; });
}
