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

const faults = [];
let checks = 0;
/** Counts a check; what does not hold is a fault. */
const expect = (holds, fault) => {
  checks += 1;
  if (!holds) faults.push(typeof fault === "function" ? fault() : fault);
  return holds;
};

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu"] });
/** A page whose console and requests are watched. */
const open = async (options = {}, hash = "") => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => expect(false, `script error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) expect(false, `console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    expect(url.startsWith(address) || url.startsWith("data:"), `a request: ${url.slice(0, 120)}`);
  });
  await page.goto(address + hash);
  return page;
};

const job = { open, expect, records, artefacts, file };
try {
  expect(records.length > 0, `no exercise-N.json in ${folder}`);
  for (const [name, check] of Object.entries({ checkMarkup, checkTabs, checkTables, checkFigures, checkLooks, checkAccess })) {
    const [before, started] = [checks, Date.now()];
    await check(job);
    expect(checks > before, `${name} checked nothing`);
    console.log(`browser: ${name}: ${checks - before} checks in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
} catch (error) {
  faults.push(String(error.stack ?? error));
} finally {
  await browser.close();
}
for (const fault of faults) console.log(`browser: ${fault}`);
console.log(`browser: ${file}: ${checks} checks, ${faults.length} faults; pictures in ${artefacts}`);
process.exitCode = faults.length > 0 ? 1 : 0;
