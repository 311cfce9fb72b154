// Figures: what they say when they are pointed at or reached by keyboard are the numbers of the records; legends show and hide.

/** What a tooltip shows was rounded to four digits, or to the decimals that it has. */
const near = (shown, exact, decimals) => Math.abs(shown - exact) <= Math.max(6e-4 * Math.abs(exact), decimals === null ? 1e-12 : 0.51 * 10 ** -decimals);
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const numbers = (text) => {
  const plain = text.replace(/[\u00a0\u202f]/g, " ").replace(/−/g, "-").replace(/(\d),(?=\d{3}(?!\d))/g, "$1");
  const pattern = /(-?)(?:(\d+(?:\.\d+)?)·)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(-?\d+(?:\.(\d+))?)/g;
  return [...plain.matchAll(pattern)].map(([, sign, mantissa, power, digits, decimals]) => {
    if (digits) return { value: Number(digits), decimals: (decimals ?? "").length };
    const exponent = Number([...power].map((c) => (c === "⁻" ? "-" : RAISED.indexOf(c))).join(""));
    return { value: Number(`${sign}${mantissa ?? 1}e${exponent}`), decimals: null };
  });
};

/** Whether a mark's text shows one of the points: its coordinates, or its value (as it is or in percent). */
const shows = (text, figure, series) => {
  const said = text.slice(text.startsWith(`${series.name}: `) ? series.name.length + 2 : 0);
  const isPlot = /: \([^)]*, [^)]*\)$/.test(text);
  if (isPlot) {
    const [x, y] = numbers(said.slice(said.lastIndexOf("(")));
    return series.points.some((point) => point[0] !== null && point[1] !== null && near(x.value, point[0], null) && near(y.value, point[1], null));
  }
  const value = numbers(text.slice(text.lastIndexOf(": ") + 2))[0];
  if (!value) return false;
  const scale = text.includes("%") ? 100 : 1;
  const label = text.slice(0, text.lastIndexOf(": ")).replace(new RegExp(`, ${RegExp.escape?.(series.name) ?? series.name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`), "");
  const at = series.labels?.indexOf(label) ?? -1;
  const points = at >= 0 ? [series.points[at]] : series.points;
  return points.some((point) => point?.[0] !== null && near(value.value, point[0] * scale, value.decimals));
};

export const checkFigures = async ({ open, expect, records }) => {
  const page = await open();
  const counted = { hovered: 0, reached: 0, toggled: 0 };
  for (const record of records) {
    await page.locator(`[role="tab"][href="#exercise-${record.exercise}"]`).click();
    const panel = page.locator(`#exercise-${record.exercise}`);
    await panel.evaluate((node) => node.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
    const drawings = panel.locator(".drawing");
    expect((await drawings.count()) === record.figures.length, `exercise ${record.exercise}: ${await drawings.count()} figures on the page, ${record.figures.length} in the record`);
    for (const [index, figure] of record.figures.entries()) {
      const drawing = drawings.nth(index);
      const where = `exercise ${record.exercise}, figure ${index + 1} (${figure.title})`;
      const named = await drawing.locator("svg").first().evaluate((svg) => svg.getAttribute("aria-label") || document.getElementById(svg.getAttribute("aria-labelledby")?.split(" ")[0])?.textContent);
      expect(named, `${where}: the drawing has no name`);
      // Cells of matrices and pictures have names, but no series to be told apart; intervals are one series.
      if ((await drawing.locator("svg [data-series]").count()) === 0 && (figure.series.length !== 1 || figure.axes[0] === "not zero")) continue;
      await pointAt(page, drawing, figure, where, expect, counted);
      await walk(page, drawing, figure, where, expect, counted);
      if ((await drawing.locator("[data-legend]").count()) > 0) await toggle(page, drawing, where, expect, counted);
    }
    if (record.exercise === 6 && record.ok) await moving(page, panel, record, expect);
  }
  for (const [what, count] of Object.entries(counted)) expect(count > 0, `no mark or legend was ${what}`);
  await page.context().close();
};

/** The first, the middle and the last mark of each series that the pointer can reach. */
const pointAt = async (page, drawing, figure, where, expect, counted) => {
  await drawing.scrollIntoViewIfNeeded();
  const marks = await drawing.evaluate((node) => {
    const found = [];
    // Where a pointer can be: on whole pixels.
    const middle = (mark) => {
      const { left, top, width, height } = mark.getBoundingClientRect();
      return [Math.round(left + width / 2), Math.round(top + height / 2)];
    };
    const box = node.getBoundingClientRect();
    // In the middle of the window, clear of the bar with the tabs.
    scrollBy(0, box.top - Math.max(80, (innerHeight - box.height) / 2));
    const groups = [...node.querySelectorAll("[data-series]")];
    for (const group of groups.length ? groups : node.querySelectorAll(":scope > svg")) {
      const marks = [...group.querySelectorAll("circle, rect")].filter((mark) => {
        const [x, y] = middle(mark);
        return (mark.querySelector("title") || mark.classList.contains("mark")) && document.elementFromPoint(x, y) === mark;
      });
      for (const mark of new Set([marks[0], marks[marks.length >> 1], marks.at(-1)])) {
        if (!mark) continue;
        const [x, y] = middle(mark);
        found.push({ series: Number(group.dataset.series ?? 0), x, y });
      }
    }
    return found;
  });
  for (const { series, x, y } of marks) {
    await page.mouse.move(x, y);
    const tip = await page.evaluate(() => { const tip = document.querySelector(".tip"); return tip.hidden ? null : tip.textContent; });
    counted.hovered += 1;
    expect(tip !== null && shows(tip, figure, figure.series[series]), () => `${where}: the pointer is told “${tip}”, which is no point of ${JSON.stringify(figure.series[series].name)}`);
  }
  await page.mouse.move(2, 2);
  expect(await page.locator(".tip").isHidden(), `${where}: the tooltip stays`);
};

/** With the arrow keys through the marks; what has the focus has the name that the tooltip shows. */
const walk = async (page, drawing, figure, where, expect, counted) => {
  const first = drawing.locator('.mark[tabindex="0"]');
  if (!expect((await first.count()) === 1, `${where}: ${await first.count()} marks are in the order of the tabulator, expected 1`)) return;
  await first.focus();
  const seen = new Set();
  for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowUp", "ArrowDown"]) {
    await page.keyboard.press(key);
    const now = await page.evaluate(() => {
      const mark = document.activeElement;
      const tip = document.querySelector(".tip");
      return { series: Number(mark.closest("[data-series]")?.dataset.series ?? 0), name: mark.getAttribute("aria-label"), role: mark.getAttribute("role"), tip: tip.hidden ? null : tip.textContent };
    });
    seen.add(now.name);
    counted.reached += 1;
    expect(now.name !== null && now.name === now.tip && now.role === "img", `${where}: after ${key} the focus is on “${now.name}”, the tooltip says “${now.tip}”`);
    expect(shows(now.name ?? "", figure, figure.series[now.series] ?? { points: [] }), `${where}: after ${key} “${now.name}” is no point of the record`);
  }
  await page.keyboard.press("Escape");
  expect(await page.locator(".tip").isHidden(), `${where}: Escape does not hide the tooltip`);
};

/** Entries of the legend are buttons: by mouse, by keyboard, and twice for one series alone. */
const toggle = async (page, drawing, where, expect, counted) => {
  const state = () => drawing.evaluate((node) => {
    const entries = [...node.querySelectorAll("[data-legend]")];
    return entries.map((entry) => {
      const parts = [...node.querySelectorAll(`[data-series="${entry.dataset.legend}"]`)];
      return [entry.getAttribute("role"), entry.getAttribute("aria-pressed"), parts.every((part) => getComputedStyle(part).display !== "none")];
    });
  });
  const is = async (shown, how) => {
    const now = await state();
    const expected = now.map((_, index) => ["button", String(shown(index)), shown(index)]);
    counted.toggled += 1;
    expect(JSON.stringify(now) === JSON.stringify(expected), () => `${where}: ${how}: ${JSON.stringify(now)}`);
  };
  const last = drawing.locator("[data-legend]").last();
  const at = (await drawing.locator("[data-legend]").count()) - 1;
  await is(() => true, "at the beginning");
  await last.click();
  await is((index) => index !== at, "after a click");
  await last.focus();
  await page.keyboard.press("Enter");
  await is(() => true, "after Enter");
  await page.keyboard.press("Space");
  await is((index) => index !== at, "after the space bar");
  await page.keyboard.press("Space");
  await last.dblclick();
  await is((index) => index === at, "after a double click");
  await last.dblclick();
  await is(() => true, "after another double click");
};

/** The network of exercise 6: the script computed what the program computed, and a slider moves it. */
const moving = async (page, panel, record, expect) => {
  const figure = panel.locator(".backprop-live").first();
  const read = (name, kind) => figure.locator(`output[data-quantity="${name}"][data-${kind}]`).evaluateAll((nodes, kind) => nodes.map((node) => Number(node.dataset[kind])), kind);
  expect((await figure.getAttribute("data-live")) === "yes", "exercise 6: the script of the figure did not run");
  for (const name of ["z", "v"]) {
    const found = await read(name, "gradient");
    const exact = record.numbers.sample.gradients[name];
    expect(found.length === exact.length && found.every((value, index) => Math.abs(value - exact[index]) < 1e-12), `exercise 6: ∂L/∂${name} is ${found} on the page, ${exact} in the record`);
  }
  const before = await read("p", "value");
  const slider = figure.locator('input[data-quantity="x"]').first();
  await slider.focus();
  await page.keyboard.press("ArrowRight");
  const after = await read("p", "value");
  expect(after.length > 0 && JSON.stringify(before) !== JSON.stringify(after), "exercise 6: the slider moves nothing");
  expect(Math.abs(after.reduce((sum, p) => sum + p, 0) - 1) < 1e-12, `exercise 6: the probabilities are ${after}`);
};
