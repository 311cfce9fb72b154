// axe-core on every tab, light and dark: no serious finding.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SERIOUS = ["serious", "critical"];
/** The text of a page that everybody sees is checked as it is shown, folded parts open. */
const findings = (page, rules) =>
  page.evaluate(async (rules) => {
    document.querySelectorAll("details").forEach((folded) => { folded.open = true; });
    const result = await axe.run(document, { resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    return result.violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, count: nodes.length, first: nodes[0].html.slice(0, 160), why: nodes[0].failureSummary }));
  }, rules);

/** The serious findings on a page whose policy lets other scripts run, as sentences. */
export const seriousFindings = async (page, where) => {
  await page.evaluate(source);
  const found = await findings(page);
  return found.filter((finding) => SERIOUS.includes(finding.impact)).map((f) => `${where}: ${f.impact}: ${f.help} (${f.id}), ${f.count} times; first ${f.first}: ${f.why}`);
};

export const checkAccess = async ({ open, expect, records }) => {
  for (const colorScheme of ["light", "dark"]) {
    // The policy of the page lets no other script run; what is checked is the page, not the policy.
    const page = await open({ colorScheme, bypassCSP: true });
    await page.evaluate(source);
    for (const id of ["overview", ...records.map((record) => `exercise-${record.exercise}`)]) {
      await page.evaluate((id) => { location.hash = id; }, id);
      await page.locator(`#${id}`).waitFor({ state: "visible" });
      // In the dark nothing but the colours is another.
      const found = await findings(page, colorScheme === "dark" ? ["color-contrast"] : undefined);
      const serious = found.filter((finding) => SERIOUS.includes(finding.impact));
      expect(serious.length === 0, () => serious.map((f) => `${id}, ${colorScheme}: ${f.impact}: ${f.help} (${f.id}), ${f.count} times; first ${f.first}: ${f.why}`).join("\nbrowser: "));
      for (const { id: rule, impact, help, count } of found.filter((finding) => !serious.includes(finding))) console.log(`browser: ${id}, ${colorScheme}: ${impact}: ${help} (${rule}), ${count} times`);
    }
    // An axe that is asleep would find nothing here either.
    await page.evaluate(() => { const image = document.createElement("img"); image.src = "data:,"; document.querySelector("#overview").append(image); location.hash = "overview"; });
    expect((await findings(page)).some((finding) => finding.id === "image-alt"), "axe finds no fault in a picture without a text");
    await page.context().close();
  }
};
