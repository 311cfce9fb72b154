// Figures that grow: the program that serves the page sends them as they are, drawn (server-sent events).
(() => {
  const state = document.querySelector(".live-state");
  const bar = document.querySelector(".live progress");
  const waiting = new Map();
  const draw = (box, svg) => {
    const drawing = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    if (drawing.localName !== "svg") return;
    box.replaceChildren(document.importNode(drawing, true));
    document.dispatchEvent(new Event("figures-changed"));
  };
  /** Whether a point of the drawing has the focus; the box itself, which scrolls, stays. */
  const reads = (box) => box !== document.activeElement && box.contains(document.activeElement);
  /** The place of a figure that comes for the first time. */
  const place = (key, caption) => {
    const figure = document.createElement("figure");
    const box = document.createElement("div");
    box.className = "scroll drawing";
    box.dataset.figure = key;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Figure: ${caption}`);
    const words = document.createElement("figcaption");
    words.textContent = caption;
    figure.append(box, words);
    document.querySelector("main").append(figure);
    return box;
  };
  const events = new EventSource("events");
  events.addEventListener("figure", (event) => {
    const { key, svg, caption } = JSON.parse(event.data);
    const box = document.querySelector(`[data-figure="${CSS.escape(key)}"]`) ?? place(key, caption);
    // Who reads a point by keyboard keeps it: the new drawing comes when the focus has left.
    if (reads(box)) waiting.set(box, svg);
    else draw(box, svg);
  });
  document.addEventListener("focusout", () => setTimeout(() => {
    for (const [box, svg] of waiting) {
      if (reads(box)) continue;
      waiting.delete(box);
      draw(box, svg);
    }
  }));
  events.addEventListener("state", (event) => {
    const { text, share } = JSON.parse(event.data);
    state.textContent = text;
    if (bar) bar.value = share;
  });
  events.addEventListener("end", (event) => {
    events.close();
    state.textContent = JSON.parse(event.data).text;
    if (bar) bar.hidden = true;
  });
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) state.textContent = "The program cannot be reached; trying again …";
  };
})();
