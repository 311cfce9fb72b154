// What is wider than the page scrolls, also by keyboard; what fits is no stop for the tabulator.
(() => {
  const update = (box) => {
    if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const observer = new ResizeObserver((entries) => { for (const entry of entries) update(entry.target); });
  const watch = () => { for (const box of document.querySelectorAll(".scroll, pre")) observer.observe(box); };
  watch();
  // On a page that grows, drawings come later.
  document.addEventListener("figures-changed", watch);
})();
