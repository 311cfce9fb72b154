// Figures that answer: a mark tells its values when it is pointed at or reached with the arrow keys, and an entry of the legend
// shows and hides its series. Everything is found when it is needed, so that figures may come and go (live pages).
(() => {
  const NEAR = 18;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  // What it says is the name of the mark as well.
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);

  const texts = new WeakMap();
  const SHAPES = "circle, rect, image, path";
  const drawingOf = (node) => (node instanceof Element ? node.closest(".drawing") : null);
  /** What a mark says; the browser's own tooltip goes, for it would be the second one. */
  const textOf = (mark) => {
    const title = mark.querySelector(":scope > title");
    if (title) {
      texts.set(mark, title.textContent);
      title.remove();
    }
    return texts.get(mark) ?? "";
  };
  const marksOf = (svg) => [...svg.querySelectorAll(SHAPES)].filter((mark) => textOf(mark) && !mark.closest(".off"));
  const middle = (mark) => {
    const box = mark.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };

  let active = null;
  const hide = () => {
    active?.classList.remove("active-mark");
    active = null;
    tip.hidden = true;
  };
  const show = (mark) => {
    if (active !== mark) hide();
    active = mark;
    mark.classList.add("active-mark");
    tip.textContent = textOf(mark);
    tip.hidden = false;
    const [x, y] = middle(mark);
    const size = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(innerWidth - size.width - 4, x - size.width / 2))}px`;
    const above = mark.getBoundingClientRect().top - size.height - 8;
    tip.style.top = `${above < 4 ? y + 16 : above}px`;
  };

  /** The mark under the pointer, or the nearest point of a line. */
  const under = (event) => {
    const direct = event.target.closest?.(SHAPES);
    if (direct && textOf(direct)) return direct;
    const svg = event.target.closest?.(".drawing > svg");
    let best = null;
    let least = NEAR ** 2;
    for (const mark of svg?.querySelectorAll("circle") ?? []) {
      const [x, y] = middle(mark);
      const distance = (x - event.clientX) ** 2 + (y - event.clientY) ** 2;
      if (distance < least && textOf(mark) && !mark.closest(".off")) [best, least] = [mark, distance];
    }
    return best;
  };

  // One mark of a figure is in the order of the tabulator, the others are reached from it.
  const reach = (mark) => {
    const svg = mark.closest(".drawing > svg");
    for (const other of svg.querySelectorAll("[tabindex].mark")) other.setAttribute("tabindex", "-1");
    mark.classList.add("mark");
    mark.setAttribute("tabindex", "0");
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", textOf(mark));
  };
  const beside = (mark, marks, key) => {
    const group = mark.closest("[data-series]");
    const line = marks.filter((other) => other.closest("[data-series]") === group);
    const at = line.indexOf(mark);
    if (key === "ArrowRight") return line[at + 1];
    if (key === "ArrowLeft") return line[at - 1];
    if (key === "Home") return line[0];
    if (key === "End") return line.at(-1);
    // Up and down: what stands there, straight above or below before anything else.
    const [x, y] = middle(mark);
    const away = key === "ArrowUp" ? -1 : 1;
    let best;
    let least = Infinity;
    for (const other of marks) {
      const [ox, oy] = middle(other);
      const ahead = (oy - y) * away;
      const cost = ahead + 8 * Math.abs(ox - x);
      if (ahead > 0.5 && cost < least) [best, least] = [other, cost];
    }
    return best;
  };

  const toggle = (entry, off) => {
    const svg = entry.closest("svg");
    const index = entry.dataset.legend;
    for (const part of svg.querySelectorAll(`[data-series="${index}"]`)) part.classList.toggle("off", off);
    entry.setAttribute("aria-pressed", String(!off));
    const drawing = drawingOf(svg);
    const all = [...svg.querySelectorAll("[data-legend]")];
    drawing.dataset.off = all.filter((other) => other.getAttribute("aria-pressed") === "false").map((other) => other.dataset.legend).join(" ");
    const marks = marksOf(svg);
    if (marks.length && !marks.some((mark) => mark.getAttribute("tabindex") === "0")) reach(marks[0]);
    hide();
  };
  const isOff = (entry) => entry.getAttribute("aria-pressed") === "false";

  const prepare = (svg) => {
    // A label names it as its title does, and is not shown wherever no mark is.
    const title = svg.querySelector(":scope > title:not([id])");
    if (title && !svg.hasAttribute("aria-label")) svg.setAttribute("aria-label", title.textContent);
    title?.remove();
    const entries = [...svg.querySelectorAll("[data-legend]")];
    const hidden = (drawingOf(svg).dataset.off ?? "").split(" ");
    const first = [...svg.querySelectorAll(SHAPES)].find((mark) => textOf(mark));
    if (!first && !entries.length) return;
    svg.setAttribute("role", "group");
    for (const entry of entries) {
      entry.setAttribute("role", "button");
      entry.setAttribute("tabindex", "0");
      entry.setAttribute("aria-label", entry.textContent.trim());
      entry.setAttribute("aria-pressed", "true");
      if (hidden.includes(entry.dataset.legend)) toggle(entry, true);
    }
    if (first) reach(first);
  };
  const prepareAll = () => {
    for (const svg of document.querySelectorAll('.drawing > svg[role="img"]')) prepare(svg);
  };

  document.addEventListener("pointermove", (event) => {
    if (!drawingOf(event.target)) { if (active && document.activeElement !== active) hide(); return; }
    const mark = under(event);
    if (mark) show(mark);
    else if (active && document.activeElement !== active) hide();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(".mark")) show(event.target);
  });
  document.addEventListener("focusout", (event) => { if (event.target === active) hide(); });
  addEventListener("scroll", () => { if (active) show(active); }, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const entry = event.target.closest?.("[data-legend]");
    if (entry && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      toggle(entry, !isOff(entry));
    }
    const mark = event.target.closest?.(".mark");
    if (!mark || !["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const next = beside(mark, marksOf(mark.closest(".drawing > svg")), event.key);
    if (!next) return;
    reach(next);
    next.focus();
  });
  document.addEventListener("click", (event) => {
    const entry = event.target.closest?.("[data-legend]");
    if (entry) toggle(entry, !isOff(entry));
  });
  // Twice: this series alone, or all of them again.
  document.addEventListener("dblclick", (event) => {
    const entry = event.target.closest?.("[data-legend]");
    if (!entry) return;
    event.preventDefault();
    const others = [...entry.closest("svg").querySelectorAll("[data-legend]")].filter((other) => other !== entry);
    const alone = others.every(isOff) && !isOff(entry);
    toggle(entry, false);
    for (const other of others) toggle(other, !alone);
  });
  document.addEventListener("figures-changed", prepareAll);
  prepareAll();
})();
