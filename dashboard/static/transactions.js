// Times of the search in the viewer's zone; the address keeps UTC, and the form works without this.
"use strict";
{
  const two = (number) => String(number).padStart(2, "0");
  const local = (moment) =>
    `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  const utc = (text) => new Date(text).toISOString().slice(0, 19);

  const form = document.getElementById("search");
  for (const input of form.querySelectorAll("input[type='datetime-local']")) {
    const kept = document.createElement("input");
    kept.type = "hidden";
    kept.name = input.name;
    kept.value = input.value;
    input.removeAttribute("name");
    input.after(kept);
    if (input.value) input.value = local(new Date(`${input.value}Z`));
    input.addEventListener("change", () => { kept.value = input.value ? utc(input.value) : ""; });
    const zone = form.querySelector(`label[for='${input.id}'] [data-zone]`);
    zone.textContent = zone.dataset.zone;
  }
}
