// What a page does by itself: tabs and the address bar kept in step, events to the server, dialogs.
// Runs once, when the router (router.py) is there; `element`, `trigger`, `props`, `watch` are
// Gradio's. Text that comes from others is only ever set as textContent.

const given = /* given */ null;
const events = new Set(given.events);
let query = parse();
let clicking = false;
const last = {};

function parse() {
  const found = Object.fromEntries(new URLSearchParams(location.search));
  delete found.__theme;
  if (!given.tabs.includes(found.tab)) found.tab = given.tabs[0];
  return found;
}

function address(target) {
  const kept = new URLSearchParams(location.search).get("__theme");
  const params = new URLSearchParams(target);
  if (kept) params.set("__theme", kept);
  return `${location.pathname}?${params}`;
}

function send(name, data = {}) {
  if (events.has(name)) trigger(name, { ...data, query });
}

// What people do is told one after another: each may change what the next one is about. So is what
// a tab shall show, where only the last one counts. One that takes long holds the others of its lane
// up for so many milliseconds at most.
const PATIENCE = 15000;
const lanes = {};
let count = 0;

function tell(name, data, lane = "do") {
  if (!events.has(name)) return;
  lanes[lane] ??= { waiting: [], doing: null };
  if (lane !== "do") lanes[lane].waiting.length = 0;
  lanes[lane].waiting.push([name, data]);
  next(lanes[lane]);
}

function next(on) {
  if (on.doing || !on.waiting.length) return;
  const [name, data] = on.waiting.shift();
  const id = ++count;
  on.doing = { id, timer: setTimeout(() => done(id), PATIENCE) };
  send(name, { ...data, id });
}

function done(id) {
  const on = Object.values(lanes).find((one) => one.doing?.id === id);
  if (!on) return;
  clearTimeout(on.doing.timer);
  on.doing = null;
  // The components take over what came back before the next event reads them.
  setTimeout(() => next(on), 30);
}

function show(target, push) {
  if (!given.tabs.includes(target.tab)) return;
  const other = target.tab !== query.tab;
  query = target;
  if (push && address(query) !== location.pathname + location.search)
    history.pushState(null, "", address(query));
  const button = select();
  button?.scrollIntoView({ block: "nearest", inline: "center" });
  if (other) window.scrollTo(0, 0);
  document.title = `${button?.textContent.trim() ?? "llmops"} · llmops`;
  last[query.tab] = performance.now();
  tell(`show_${query.tab}`, {}, query.tab);
}

// Let the tab of the address be the selected one; while the page is built, a click may be lost.
function select() {
  const button = document.getElementById(`tab-${query.tab}-button`);
  if (button && button.getAttribute("aria-selected") !== "true") {
    clicking = true;
    button.click();
    clicking = false;
  }
  return button;
}

// A reason is asked for where `why` is its label; it may be left empty where it is `optional`.
// Resolves to null when it was not confirmed.
function confirm(question, why, label, danger, optional) {
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog");
    dialog.className = "ll-dialog";
    const form = document.createElement("form");
    form.method = "dialog";
    const text = document.createElement("p");
    text.textContent = question;
    text.id = "ll-dialog-text";
    dialog.setAttribute("aria-labelledby", text.id);
    form.append(text);
    let field = null;
    if (why) {
      const name = document.createElement("label");
      name.textContent = why;
      field = document.createElement("input");
      field.required = !optional;
      field.maxLength = 500;
      name.append(field);
      form.append(name);
    }
    const row = document.createElement("div");
    row.className = "ll-row";
    for (const [value, title, kind] of [["", "Cancel", "plain"], ["yes", label, danger ? "danger" : "primary"]]) {
      const button = document.createElement("button");
      button.textContent = title;
      button.value = value;
      button.className = `ll-button ll-${kind}`;
      if (!value) {
        button.type = "button"; // so that Enter in the field is no Cancel
        button.addEventListener("click", () => dialog.close(""));
      }
      row.append(button);
    }
    form.append(row);
    dialog.append(form);
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? (field?.value ?? "") : null);
      dialog.remove();
    });
    element.closest("main, .gradio-container").append(dialog);
    dialog.showModal();
    if (!field) row.firstChild.focus();
  });
}

async function act(button) {
  const { act: name, value, confirm: question, why, kind, optional } = button.dataset;
  let reason = "";
  if (question || why) {
    const label = button.textContent.trim().replace(/…$/, "");
    reason = await confirm(question ?? why, why, label, kind === "danger", optional === "");
    if (reason === null) return;
  }
  tell(`do_${name}`, { value: value ?? "", why: reason });
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const target = event.target instanceof Element ? event.target : null;
  const tab = target?.closest("[role=tab]");
  if (tab && tab.id.startsWith("tab-")) {
    if (!clicking) show({ tab: tab.id.slice(4, -7) }, true);
    return;
  }
  const inside = target?.closest('a[href^="?"]');
  if (inside && !inside.target) {
    event.preventDefault();
    show(Object.fromEntries(new URLSearchParams(inside.getAttribute("href"))), true);
    return;
  }
  const button = target?.closest("button[data-act]");
  if (button && !button.disabled) {
    event.preventDefault();
    act(button);
  }
});

document.addEventListener("change", (event) => {
  const field = event.target instanceof Element ? event.target.closest("[data-change]") : null;
  if (!field) return;
  const input = field.type === "checkbox" ? String(field.checked) : field.value;
  const { change, value, kind, clear } = field.dataset;
  if (clear) {
    if (!input) return;
    field.value = "";
  }
  tell(`do_${change}`, { value: value ?? "", kind: kind ?? "", input });
});

// What the server says of a checkbox or a choice holds, also after someone has used it.
new MutationObserver((changes) => {
  for (const { target, attributeName } of changes) {
    if (attributeName === "checked") target.checked = target.hasAttribute("checked");
    else if (target.hasAttribute("selected")) target.selected = true;
  }
}).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["checked", "selected"] });

// The values of a curve below the pointer, in place of its last ones.
document.addEventListener("pointermove", (event) => {
  const picture = event.target instanceof Element ? event.target.closest("svg[data-curve]") : null;
  for (const other of document.querySelectorAll("figure.ll-reading"))
    if (!picture || other !== picture.parentElement) read(other, null);
  if (!picture) return;
  const box = picture.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
  read(picture.parentElement, x);
});

function read(figure, x) {
  const picture = figure.querySelector("svg[data-curve]");
  const shown = figure.querySelector(".ll-last");
  const cross = figure.querySelector(".ll-cross");
  if (!picture || !shown || !cross) return;
  figure.classList.toggle("ll-reading", x !== null);
  if (x === null) {
    shown.textContent = figure.dataset.last ?? "";
    cross.setAttribute("x1", -9);
    cross.setAttribute("x2", -9);
    delete figure.dataset.last;
    return;
  }
  figure.dataset.last ??= shown.textContent;
  const near = JSON.parse(picture.dataset.curve)
    .filter((line) => line.length)
    .map((line) => line.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a)));
  if (!near.length) return;
  cross.setAttribute("x1", near[0][0]);
  cross.setAttribute("x2", near[0][0]);
  shown.textContent = `step ${near[0][2]}: ${near.map((point) => point[3]).join(" · ")}`;
}

// A session that is over leads to the login.
const fetched = window.fetch;
window.fetch = async (...asked) => {
  const answer = await fetched(...asked);
  if (answer.status === 401) location.reload();
  return answer;
};

// What was written and not saved is lost with the page.
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector("[data-unsaved]")) event.preventDefault();
});

window.addEventListener("popstate", () => show(parse(), false));

watch("value", () => {
  if (!props.value) return;
  const told = JSON.parse(props.value);
  if (told.query) show(told.query, true);
  if (told.done) done(told.done);
});

setInterval(() => {
  select();
  const seconds = given.ticks[query.tab];
  if (!seconds || document.hidden) return;
  if (performance.now() - (last[query.tab] ?? 0) < seconds * 1000) return;
  last[query.tab] = performance.now();
  send(`tick_${query.tab}`);
}, 100);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) last[query.tab] = 0;
});

show(query, false);
