// Tables that sort by a column: up, down, and back to the order in which they were written. Numbers sort as numbers, whatever
// their unit; what is missing stays at the end.
(() => {
  const UNITS = {
    ns: 1e-9, "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600,
    B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4,
  };
  const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = (text) => Number([...text].map((c) => (c === "⁻" ? "-" : String(RAISED.indexOf(c)))).join(""));
  const MISSING = /^(?:|[–—-]|n\/a|NaN)$/i;
  const plain = (text) => text.replace(/[\u00a0\u202f]/g, " ").replace(/−/g, "-").replace(/(\d),(?=\d{3}(?!\d))/g, "$1").trim();

  /** The number that a cell shows, in its smallest unit; NaN where it shows none. */
  const number = (text) => {
    const sign = text.startsWith("-") ? -1 : 1;
    if (/^-?∞/.test(text)) return sign * Infinity;
    const power = /^-?(?:([\d.]+)·)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/.exec(text);
    if (power) return sign * Number(power[1] ?? 1) * 10 ** raised(power[2]);
    const parts = [...text.matchAll(/([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-zµ]+)?/gi)];
    if (!parts.length || parts[0].index > 0) return NaN;
    const [, digits, unit] = parts[0];
    const value = Number(digits) * (UNITS[unit] ?? 1);
    // 1 min 15 s, 2 h 5 min
    const [, more, smaller] = parts[1] ?? [];
    return (unit === "min" && smaller === "s") || (unit === "h" && smaller === "min") ? value + Number(more) * UNITS[smaller] : value;
  };

  const cell = (row, column) => plain(row.cells[column]?.textContent ?? "");
  const compare = (rows, column) => {
    const shown = rows.map((row) => cell(row, column)).filter((text) => !MISSING.test(text));
    const numeric = shown.length > 0 && shown.every((text) => !Number.isNaN(number(text)));
    return numeric ? (a, b) => number(a) - number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
  };

  const sort = (table, header, direction) => {
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const rows = [...body.rows].sort((a, b) => a.dataset.row - b.dataset.row);
    if (direction !== "none") {
      const order = compare(rows, column);
      const missing = (row) => MISSING.test(cell(row, column));
      rows.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : order(cell(a, column), cell(b, column)) * (direction === "ascending" ? 1 : -1)));
    }
    body.append(...rows);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (direction !== "none") header.setAttribute("aria-sort", direction);
  };

  const NEXT = { null: "ascending", ascending: "descending", descending: "none" };
  for (const table of document.querySelectorAll(".table table")) {
    if (!table.tHead || table.tBodies[0].rows.length < 2) continue;
    [...table.tBodies[0].rows].forEach((row, index) => { row.dataset.row = index; });
    for (const header of table.tHead.rows[0].cells) {
      if (header.tagName !== "TH") continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, header, NEXT[header.getAttribute("aria-sort")]));
    }
  }
})();
