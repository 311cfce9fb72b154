// Opens a report in Chromium and uses it as a reader would: `cargo xtask browser` calls
//   node check.mjs REPORT-FOLDER ARTEFACT-FOLDER CHROMIUM
// Prints every fault; exits with 1 where there is one.
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { checkAccess } from "./access.mjs";
import { checkFigures } from "./figures.mjs";
import { checkLooks } from "./looks.mjs";
import { checkMarkup } from "./markup.mjs";
import { closing, opener } from "./session.mjs";
import { checkTables } from "./tables.mjs";
import { checkTabs } from "./tabs.mjs";

const [folder, artefacts, program] = process.argv.slice(2);
mkdirSync(artefacts, { recursive: true });
const file = resolve(folder, "index.html");
const address = pathToFileURL(file).href;
const records = readdirSync(folder)
  .filter((name) => /^exercise-\d+\.json$/.test(name))
  .sort()
  .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));

const { expect, faults, report, count } = closing();
const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu"] });
const open = opener(browser, address, expect);

const job = { open, expect, records, artefacts, file };
try {
  expect(records.length > 0, `no exercise-N.json in ${folder}`);
  for (const [name, check] of Object.entries({ checkMarkup, checkTabs, checkTables, checkFigures, checkLooks, checkAccess })) {
    const [before, started] = [count(), Date.now()];
    await check(job);
    expect(count() > before, `${name} checked nothing`);
    console.log(`browser: ${name}: ${count() - before} checks in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
} catch (error) {
  faults.push(String(error.stack ?? error));
} finally {
  await browser.close();
}
report(file, artefacts);
