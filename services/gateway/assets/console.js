// The little that pages do by themselves. Everything can be read without it.
"use strict";

// A part of the page that changes by itself: <div data-live="/path/of/fragment"
// data-every="2000">. The fragment replaces what is inside. A fragment with an element
// that carries data-next="/path" ends it and leads on to that page; one with data-done
// only ends it.
function live(element) {
  const every = Number(element.dataset.every) || 2000;
  const url = element.dataset.live;
  let failures = 0;
  const later = (wait) => setTimeout(() => (document.hidden ? later(wait) : step()), wait);
  async function step() {
    try {
      const answer = await fetch(url, { headers: { "x-fragment": "1" }, redirect: "manual" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      failures = 0;
      element.classList.remove("stale");
      const text = await answer.text();
      const focused = element.contains(document.activeElement);
      if (!focused && element.innerHTML !== text) element.innerHTML = text;
      const next = new DOMParser().parseFromString(text, "text/html").querySelector("[data-next]");
      if (next) return location.replace(next.dataset.next);
      if (element.querySelector("[data-done]")) return;
      later(every);
    } catch {
      failures += 1;
      element.classList.add("stale");
      later(Math.min(every * 2 ** failures, 60000));
    }
  }
  later(every);
}

// Times as the reader's own clock shows them, on pointing at them.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.title = moment.toLocaleString();
  }
}

// A form is sent once: a second press of its button does nothing.
function once(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
}

// <button data-confirm="TEXT"> is disabled until the field of its form that carries
// data-typed holds that text.
function typed(field) {
  const button = field.form.querySelector("[data-confirm]");
  if (!button) return;
  const check = () => (button.disabled = field.value.trim() !== button.dataset.confirm);
  field.addEventListener("input", check);
  check();
}

// <input type="checkbox" data-all="NAME"> sets all check boxes of the form with that name.
function all(box) {
  box.addEventListener("change", () => {
    for (const other of box.form.querySelectorAll(`input[type=checkbox][name="${box.dataset.all}"]`)) {
      if (!other.disabled) other.checked = box.checked;
    }
  });
}

document.querySelectorAll("[data-live]").forEach(live);
document.querySelectorAll("form[method=post]").forEach(once);
document.querySelectorAll("[data-typed]").forEach(typed);
document.querySelectorAll("[data-all]").forEach(all);
document.querySelectorAll("form[data-send-on-change]").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
});
localTimes(document);
