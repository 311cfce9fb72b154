// Tables: sorted by a click and by the keyboard; what is expected is computed from the records.
const PLAIN = /^-?[\d,]+(?:\.\d+)?$/;
const plain = (text) => text.replace(/[`*]/g, "").replace(/\u00a0/g, " ").replace(/−/g, "-").trim();

export const checkTables = async ({ open, expect, records }) => {
  const page = await open();
  let numeric = 0;
  for (const record of records) {
    await page.locator(`[role="tab"][href="#exercise-${record.exercise}"]`).click();
    const panel = page.locator(`#exercise-${record.exercise}`);
    // Folded tables are opened, as a reader would.
    await panel.evaluate((node) => node.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
    const shown = panel.locator(".table table");
    expect((await shown.count()) === record.tables.length, `exercise ${record.exercise}: ${await shown.count()} tables on the page, ${record.tables.length} in the record`);
    for (const [index, table] of record.tables.entries()) {
      if (table.rows.length < 2 || table.header.length === 0) continue;
      const element = shown.nth(index);
      const where = `exercise ${record.exercise}, table ${index + 1} (${table.title})`;
      const headers = element.locator("thead th");
      const read = () => element.evaluate((node) => [...node.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
      const before = await read();
      for (let at = 0; at < (await headers.count()); at += 1) {
        const header = headers.nth(at);
        const column = await header.evaluate((node) => node.cellIndex);
        const cells = table.rows.map((row) => plain(row[column] ?? ""));
        if (!cells.every((cell) => PLAIN.test(cell))) continue;
        numeric += 1;
        const numbers = cells.map((cell) => Number(cell.replaceAll(",", "")));
        const found = async () => (await read()).map((row) => Number(plain(row[column]).replaceAll(",", "")));
        const up = numbers.toSorted((a, b) => a - b);
        const button = header.locator("button");
        await button.click();
        expect(JSON.stringify(await found()) === JSON.stringify(up), `${where}, column ${column + 1}: a click does not sort it up`);
        expect((await header.getAttribute("aria-sort")) === "ascending", `${where}, column ${column + 1}: aria-sort does not say ascending`);
        await button.focus();
        await page.keyboard.press("Enter");
        expect(JSON.stringify(await found()) === JSON.stringify(up.toReversed()), `${where}, column ${column + 1}: Enter does not sort it down`);
        expect((await header.getAttribute("aria-sort")) === "descending", `${where}, column ${column + 1}: aria-sort does not say descending`);
        await page.keyboard.press("Space");
        expect(JSON.stringify(await read()) === JSON.stringify(before), `${where}, column ${column + 1}: the third time does not bring the order back`);
        expect((await element.locator("[aria-sort]").count()) === 0, `${where}: aria-sort stays`);
      }
    }
  }
  expect(numeric > 0, "no column of numbers was sorted");
  await units(page, expect);
  await page.context().close();
};

/** Units, powers of ten and what is missing, in a table of the page whose cells are replaced. */
const units = async (page, expect) => {
  const sorted = await page.evaluate(() => {
    const table = [...document.querySelectorAll(".table table")].find((node) => node.querySelector("thead button"));
    const cases = {
      times: ["3.2 s", "4.2 ms", "1 min 15 s", "–", "2 h 5 min", "800 µs"],
      sizes: ["8.03 KB", "12 B", "1.50 MB"],
      powers: ["1.2·10⁻⁴", "10⁻⁹", "0.5", "−3", "−2·10⁵"],
      shares: ["95.1 ± 0.6 %", "9.2 %", "100.0 %", "n/a"],
      words: ["sgd 10", "adam", "sgd 9"],
    };
    const body = table.tBodies[0];
    const kept = [...body.rows];
    const header = [...table.tHead.rows[0].cells].find((cell) => cell.querySelector("button"));
    const result = {};
    for (const [name, cells] of Object.entries(cases)) {
      body.replaceChildren(...cells.map((text, index) => {
        const row = document.createElement("tr");
        row.dataset.row = index;
        for (let n = 0; n <= header.cellIndex; n += 1) row.insertCell().textContent = text;
        return row;
      }));
      const read = () => [...body.rows].map((row) => row.cells[header.cellIndex].textContent);
      header.querySelector("button").click();
      result[name] = [read()];
      header.querySelector("button").click();
      result[name].push(read());
      header.querySelector("button").click();
    }
    body.replaceChildren(...kept);
    return result;
  });
  const expected = {
    times: [["800 µs", "4.2 ms", "3.2 s", "1 min 15 s", "2 h 5 min", "–"], ["2 h 5 min", "1 min 15 s", "3.2 s", "4.2 ms", "800 µs", "–"]],
    sizes: [["12 B", "8.03 KB", "1.50 MB"], ["1.50 MB", "8.03 KB", "12 B"]],
    powers: [["−2·10⁵", "−3", "10⁻⁹", "1.2·10⁻⁴", "0.5"], ["0.5", "1.2·10⁻⁴", "10⁻⁹", "−3", "−2·10⁵"]],
    shares: [["9.2 %", "95.1 ± 0.6 %", "100.0 %", "n/a"], ["100.0 %", "95.1 ± 0.6 %", "9.2 %", "n/a"]],
    words: [["adam", "sgd 9", "sgd 10"], ["sgd 10", "sgd 9", "adam"]],
  };
  for (const [name, orders] of Object.entries(expected)) {
    expect(JSON.stringify(sorted[name]) === JSON.stringify(orders), `sorting ${name}: ${JSON.stringify(sorted[name])}, expected ${JSON.stringify(orders)}`);
  }
};
