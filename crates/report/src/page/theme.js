// Light or dark: as the system says, until the reader says otherwise.
(() => {
  const root = document.documentElement;
  const button = document.querySelector("button.theme");
  if (!button) return;
  const system = matchMedia("(prefers-color-scheme: dark)");
  // A page opened from a file may have no storage; then the choice lasts as long as the page.
  const remember = (theme) => { try { localStorage.setItem("candle-lab-theme", theme); } catch { /* nothing is kept */ } };
  const remembered = () => { try { return localStorage.getItem("candle-lab-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  const chosen = remembered();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  button.hidden = false;
  show();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
})();
