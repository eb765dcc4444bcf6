// Times in the viewer's own zone and language, without the year if it is this one; the title keeps UTC.
"use strict";
{
  const language = document.documentElement.lang, now = new Date().getFullYear();
  const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const short = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" });
  const show = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.dateTime;
      const moment = new Date(time.dateTime);
      time.textContent = (moment.getFullYear() === now ? short : full).format(moment);
    }
  };
  show(document);
  document.body.addEventListener("htmx:load", (event) => show(event.detail.elt));
}
