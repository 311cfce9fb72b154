// How it looks: light, dark, on paper, on a telephone. The pictures are kept for people to look at.
import { join } from "node:path";

/** Pixels of a sheet of A4 between its margins of 14 mm: (210 - 28) mm at 96 pixels an inch. */
const SHEET = Math.floor(((210 - 28) / 25.4) * 96);

export const checkLooks = async ({ open, expect, records, artefacts }) => {
  const tabs = ["overview", ...records.map((record) => `exercise-${record.exercise}`)];
  for (const width of [1280, 400]) {
    for (const theme of ["light", "dark"]) {
      const page = await open({ viewport: { width, height: width === 400 ? 800 : 900 }, colorScheme: theme });
      for (const id of tabs) {
        await page.evaluate((id) => { location.hash = id; }, id);
        await page.locator(`#${id}`).waitFor({ state: "visible" });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide <= width, `${id}: ${wide} pixels wide in a window of ${width}`);
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: join(artefacts, `${id}-${width}-${theme}.png`), fullPage: true });
      }
      await page.context().close();
    }
  }

  const page = await open({ colorScheme: "light" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  const button = page.locator("button.theme");
  expect((await button.getAttribute("aria-pressed")) === "false", "the switch says dark in the light");
  await button.click();
  const dark = await paper();
  expect(dark !== light && (await button.getAttribute("aria-pressed")) === "true", "the switch does not make it dark");
  await page.reload();
  expect((await paper()) === dark, "the choice is forgotten when the page is loaded again");
  await page.emulateMedia({ media: "print" });
  for (const id of tabs) expect(await page.locator(`#${id}`).isVisible(), `on paper ${id} is missing`);
  for (const control of ["nav.sections", "button.theme", ".parts", ".back"]) {
    expect((await page.locator(control).count()) > 0 && !(await page.locator(control).first().isVisible()), `on paper there is ${control}`);
  }
  expect((await paper()) === "rgb(255, 255, 255)", "the paper is not white in the dark");
  // What is wider than the sheet makes a browser print all of the document smaller.
  await page.evaluate(() => document.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
  await page.setViewportSize({ width: SHEET, height: 1000 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide <= SHEET, `on paper the document is ${wide} pixels wide, a sheet has ${SHEET}`);
  await page.emulateMedia({ media: null });
  await page.pdf({ path: join(artefacts, "report.pdf"), format: "A4", printBackground: true });
  await page.context().close();
};
