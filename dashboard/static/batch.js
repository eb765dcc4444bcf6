// Says before an upload that a file is too large, and shows that one is under way.
"use strict";
{
  const form = document.getElementById("upload"), file = document.getElementById("file");
  const warning = document.getElementById("too-large"), button = document.getElementById("send");
  const fits = () => !file.files.length || file.files[0].size <= Number(form.dataset.most);
  file.addEventListener("change", () => { warning.hidden = fits(); });
  form.addEventListener("submit", (event) => {
    warning.hidden = fits();
    if (!fits()) event.preventDefault();
    else button.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => button.removeAttribute("aria-busy"));
}
