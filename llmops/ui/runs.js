// A run's graph is wider than a phone: the chosen stage is brought into view when it is another one
// than before; where somebody scrolled to stays. `element` and `watch` are Gradio's.

let shown = "";

function reveal() {
  const chosen = element.querySelector(".ll-graph .ll-chosen");
  const address = chosen?.getAttribute("href") ?? "";
  const graph = chosen?.closest(".ll-graph");
  if (address === shown || (graph && !graph.clientWidth)) return;
  shown = address;
  if (!chosen) return;
  const [box, frame] = [chosen.getBoundingClientRect(), graph.getBoundingClientRect()];
  graph.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
}

watch("value", reveal);
