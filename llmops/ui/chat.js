// What a conversation does in the page: it stays at its end while an answer grows, unless one has
// scrolled away, and a button that was pressed keeps the focus when it is drawn anew. `element` and
// `watch` are Gradio's.

const page = document.documentElement;
let atEnd = true;
let turns = 0;
let pressed = null;

window.addEventListener(
  "scroll",
  () => {
    atEnd = window.innerHeight + window.scrollY > page.scrollHeight - 200;
  },
  { passive: true },
);

element.addEventListener("focusin", (event) => {
  const { act, value } = event.target.dataset;
  pressed = act ? { act, value: value ?? "" } : null;
});

watch("value", () => {
  const last = element.querySelector(".ll-turn")?.getAttribute("aria-label");
  const busy = element.querySelector("[aria-busy]");
  if (busy && (atEnd || last !== turns)) window.scrollTo(0, page.scrollHeight);
  turns = last;
  if (pressed && document.activeElement === document.body) {
    const again = [...element.querySelectorAll("button[data-act]")].find(
      (one) => one.dataset.act === pressed.act && (one.dataset.value ?? "") === pressed.value,
    );
    again?.focus({ preventScroll: true });
  }
});
