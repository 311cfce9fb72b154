// The sections of the page as tabs (WAI-ARIA's pattern with automatic activation); without this script they follow each other.
(() => {
  const list = document.querySelector("nav ul.tabs");
  if (!list) return;
  const tabs = [...list.querySelectorAll("a")];
  const panelOf = (tab) => document.getElementById(tab.hash.slice(1));
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "Exercises");
  for (const tab of tabs) {
    const panel = panelOf(tab);
    tab.parentElement.setAttribute("role", "presentation");
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    panel.tabIndex = 0;
  }
  const select = (chosen) => {
    for (const tab of tabs) {
      const is = tab === chosen;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
      panelOf(tab).hidden = !is;
    }
    chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  // The address names a section, or something inside of one.
  const fromAddress = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { /* not an address of ours */ }
    const tab = target && tabs.find((tab) => panelOf(tab).contains(target));
    select(tab || tabs[0]);
    if (!target || target === panelOf(tabs[0])) return;
    for (let folded = target.closest("details"); folded; folded = folded.parentElement.closest("details")) folded.open = true;
    if (tab && target !== panelOf(tab)) target.scrollIntoView();
    else scrollToTop();
  };
  const scrollToTop = () => {
    const nav = list.closest("nav");
    const top = nav.parentElement.querySelector(".page-head").offsetHeight;
    if (scrollY > top) scrollTo({ top, behavior: "instant" });
  };
  const open = (tab) => {
    if (location.hash !== tab.hash) history.pushState(null, "", tab.hash);
    select(tab);
    scrollToTop();
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("a");
    if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target.closest("a"));
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (event.key === " ") { event.preventDefault(); open(tabs[at]); return; }
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    const tab = tabs[(next + tabs.length) % tabs.length];
    open(tab);
    tab.focus();
  });
  addEventListener("hashchange", fromAddress);
  addEventListener("popstate", fromAddress);
  fromAddress();
})();
