// Times in the viewer's own zone and language; the title keeps UTC.
"use strict";
{
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
  const show = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.dateTime;
      time.textContent = format.format(new Date(time.dateTime));
    }
  };
  show(document);
  document.body.addEventListener("htmx:load", (event) => show(event.detail.elt));
}
