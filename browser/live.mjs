// The page of a training that runs: `cargo xtask browser` calls
//   node live.mjs LAB ARTEFACT-FOLDER CHROMIUM
// It starts `lab train --serve 0` on the digits, watches the curves grow, lets the training end, and prints every fault.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { seriousFindings } from "./access.mjs";
import { invalidMarkup } from "./markup.mjs";
import { closing, opener } from "./session.mjs";

const [program, artefacts, browserProgram] = process.argv.slice(2);
mkdirSync(artefacts, { recursive: true });
const { expect, faults, report } = closing();

/** Epochs that the training may take; it is interrupted long before. */
const EPOCHS = 100_000;
/** Epochs after which the curves are looked at. */
const ENOUGH = 4;

/** So small that an epoch takes a moment: after hundreds of them a curve has no marks any more that could be read here. */
const BATCH = 2;

/** A training that serves its page; `address` is where, `said` what it printed, `ended` its exit code. */
const training = async () => {
  const child = spawn(program, ["train", "--data", "digits", "--epochs", String(EPOCHS), "--batch-size", String(BATCH), "--serve", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  const said = [];
  const ended = new Promise((resolve) => { child.on("exit", resolve); });
  const address = await new Promise((resolve, reject) => {
    child.on("error", reject);
    createInterface({ input: child.stderr }).on("line", (line) => {
      said.push(line);
      const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(line);
      if (found) resolve(found[0]);
    });
    ended.then(() => reject(new Error(`lab train --serve ended before it served: ${said.join(" | ")}`)));
  });
  return { child, address, said, ended };
};

/** The points of a figure, series by series, as the marks say them. */
const points = (page, key) =>
  page.locator(`[data-figure="${key}"]`).evaluate((box) =>
    [...box.querySelectorAll("svg circle")].flatMap((mark) => {
      const [, series, x, y] = /^(.*): \(([^,]+), ([^)]+)\)$/.exec(mark.getAttribute("aria-label") ?? mark.textContent) ?? [];
      return series === undefined ? [] : [{ series, x: Number(x), y }];
    }));

const count = (all, series) => all.filter((point) => point.series === series).length;

/** Waits until the curve of a figure has so many points. */
const grown = (page, least, key = "loss") =>
  page.waitForFunction(([least, key]) => {
    const marks = document.querySelectorAll(`[data-figure="${key}"] svg circle`);
    return [...marks].filter((mark) => (mark.getAttribute("aria-label") ?? mark.textContent).startsWith(`${key}: (`)).length >= least;
  }, [least, key], { timeout: 60_000 });

const browser = await chromium.launch({ executablePath: browserProgram, args: ["--no-sandbox", "--disable-gpu"] });
let lab;
try {
  lab = await training();
  const open = opener(browser, lab.address, expect);
  const page = await open();
  await grown(page, ENOUGH);
  const first = await points(page, "loss");
  expect(count(first, "val_loss") >= ENOUGH - 1, () => `the loss of the validation samples is not drawn beside: ${JSON.stringify(first)}`);
  expect(first.filter(({ series }) => series === "loss").every(({ x }, index) => x === index + 1), () => `the epochs are not counted from 1: ${JSON.stringify(first)}`);
  expect((await points(page, "accuracy")).length > 0, "the accuracy has no points");
  expect(/^The (loss of every step|mean loss of every \d+ steps)$/.test(await page.locator('figure:has([data-figure="steps"]) figcaption').textContent()), "the losses of the steps are not drawn");
  const line = await page.locator(".live-state").textContent();
  expect(/^epoch \d+ of 100000, step \d+ of \d+: loss /.test(line), `the line at the top says '${line}'`);
  expect((await page.locator(".live progress").evaluate((bar) => bar.value)) > 0, "the bar stands still");
  // What was drawn stays as it was, and more is added.
  await grown(page, first.filter(({ series }) => series === "loss").length + 2);
  const later = await points(page, "loss");
  const losses = (all) => all.filter(({ series }) => series === "loss").map(({ y }) => y);
  expect(JSON.stringify(losses(later).slice(0, losses(first).length)) === JSON.stringify(losses(first)), () => `the curve changed behind its end: ${losses(first)} became ${losses(later)}`);

  // Who comes late gets what there is, in a window of a telephone and in the dark.
  for (const width of [1280, 400]) {
    for (const colorScheme of ["light", "dark"]) {
      const other = await open({ viewport: { width, height: width === 400 ? 800 : 900 }, colorScheme, bypassCSP: true });
      await grown(other, ENOUGH);
      const wide = await other.evaluate(() => document.documentElement.scrollWidth);
      expect(wide <= width, `the live page is ${wide} pixels wide in a window of ${width}`);
      for (const fault of await seriousFindings(other, `live, ${width} pixels, ${colorScheme}`)) expect(false, fault);
      await other.screenshot({ path: join(artefacts, `live-${width}-${colorScheme}.png`), fullPage: true });
      await other.context().close();
    }
  }
  const plain = await open({ javaScriptEnabled: false });
  expect(await plain.locator("noscript p, main p").last().isVisible(), "without JavaScript nothing says why there are no curves");
  await plain.context().close();
  const html = await (await fetch(lab.address)).text();
  const invalid = await invalidMarkup(html);
  expect(html.includes("</html>"), "the page is not whole");
  for (const fault of invalid) expect(false, `the live page is invalid HTML: ${fault}`);

  // A point that is read by keyboard stays while the curve grows.
  const reached = await page.evaluate(() => {
    const mark = document.querySelector('[data-figure="loss"] svg [tabindex="0"]');
    mark?.focus();
    return document.activeElement === mark ? document.querySelector('[data-figure="loss"]').querySelectorAll("circle").length : 0;
  });
  if (expect(reached > 0, "no point of the curve can be reached by keyboard")) {
    await grown(page, count(later, "loss") + 2, "accuracy");
    const kept = await page.evaluate(() => {
      const box = document.querySelector('[data-figure="loss"]');
      return box.contains(document.activeElement) && box.querySelectorAll("circle").length;
    });
    expect(kept === reached, `the drawing was replaced under the reader's finger: ${reached} points became ${kept}`);
    await page.evaluate(() => document.activeElement.blur());
    await grown(page, count(later, "loss") + 2);
  }

  lab.child.kill("SIGINT");
  const code = await lab.ended;
  expect(code === 1 && lab.said.some((text) => text.includes("interrupted in epoch")), () => `the training ended with ${code}: ${lab.said.at(-1)}`);
  await page.waitForFunction(() => document.querySelector(".live-state").textContent.startsWith("Interrupted after "), null, { timeout: 15_000 });
  expect(!(await page.locator(".live progress").isVisible()), "the bar is still there when the training has ended");
  expect((await points(page, "loss")).length > 0, "the curves went away with the training");
  await page.context().close();
} catch (error) {
  faults.push(String(error.stack ?? error));
} finally {
  lab?.child.kill("SIGKILL");
  await browser.close();
}
report("lab train --serve", artefacts);
