// Elements with data-refresh="ADDRESS" are asked for again once a second, and patched in place: what
// has not changed stays as it is, so nothing flickers, and focus, selection and scroll are kept.
"use strict";
{
  const SECOND = 1000;

  const patch = (old, fresh) => {
    const same = old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.id === fresh.id;
    if (!same) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeName === "TIME" && old.dateTime === fresh.dateTime) return; // times.js has put it into words
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const before = [...old.childNodes], after = [...fresh.childNodes];
    before.slice(after.length).forEach((node) => node.remove());
    after.forEach((node, i) => (i < before.length ? patch(before[i], node) : old.append(node)));
  };

  const follow = async (element) => {
    const lost = document.getElementById(element.dataset.lost);
    const answer = await fetch(element.dataset.refresh).catch(() => null);
    if (answer && answer.status === 401) return location.reload(); // the session is over: sign in
    if (lost) lost.hidden = Boolean(answer && answer.ok);
    if (answer && answer.ok) {
      const fresh = element.cloneNode(false);
      fresh.innerHTML = await answer.text();
      patch(element, fresh);
      element.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true, detail: { elt: element } }));
    }
    if (element.isConnected) setTimeout(follow, SECOND, element);
  };

  for (const element of document.querySelectorAll("[data-refresh]")) setTimeout(follow, SECOND, element);
}
