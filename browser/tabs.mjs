// The tabs: by mouse, by keyboard, by address; and everything at once without JavaScript.
const state = (page) =>
  page.evaluate(() => ({
    selected: [...document.querySelectorAll('[role="tab"][aria-selected="true"]')].map((tab) => tab.hash.slice(1)),
    inOrder: [...document.querySelectorAll('[role="tab"]')].filter((tab) => tab.tabIndex === 0).map((tab) => tab.hash.slice(1)),
    shown: [...document.querySelectorAll('[role="tabpanel"]')].filter((panel) => panel.checkVisibility()).map((panel) => panel.id),
    focus: document.activeElement.hash?.slice(1) ?? null,
    hash: location.hash.slice(1),
  }));

export const checkTabs = async ({ open, expect, records }) => {
  const page = await open();
  const tabs = ["overview", ...records.map((record) => `exercise-${record.exercise}`)];
  const holds = async (id, how, focus) => {
    const now = await state(page);
    const right = JSON.stringify([now.selected, now.inOrder, now.shown]) === JSON.stringify([[id], [id], [id]]);
    expect(right, `${how}: expected ${id} alone, found ${JSON.stringify(now)}`);
    if (focus) expect(now.focus === id && now.hash === id, `${how}: focus and address are ${now.focus}, ${now.hash}, expected ${id}`);
  };
  await holds("overview", "at the beginning");
  expect((await page.locator('[role="tab"]').count()) === tabs.length, "not one tab an exercise and one for the start");
  for (const id of tabs) {
    await page.locator(`[role="tab"][href="#${id}"]`).click();
    await holds(id, `a click on the tab ${id}`, true);
    const named = await page.locator(`#${id}`).evaluate((panel) => document.getElementById(panel.getAttribute("aria-labelledby"))?.textContent);
    expect(named, `the panel ${id} has no name`);
  }
  await page.locator('[role="tab"][href="#overview"]').focus();
  const keys = [["Home", 0], ["ArrowRight", 1], ["ArrowRight", 2], ["ArrowLeft", 1], ["End", tabs.length - 1], ["ArrowRight", 0], ["ArrowLeft", tabs.length - 1]];
  for (const [key, at] of keys) {
    await page.keyboard.press(key);
    await holds(tabs.at(at % tabs.length), `the key ${key}`, true);
  }
  await page.goBack();
  await holds("overview", "back to the start in the history");
  // The cards of the start page lead to the answers, and say what the records say.
  for (const record of records) {
    await page.locator('[role="tab"][href="#overview"]').click();
    const card = page.locator(".card", { has: page.locator(`a[href="#exercise-${record.exercise}"]`) });
    expect((await card.locator(record.ok ? ".ok" : ".failed").count()) === 1, `exercise ${record.exercise}: the card does not say how it went`);
    await card.locator("a").click();
    await holds(`exercise-${record.exercise}`, `the card of exercise ${record.exercise}`);
  }
  const deep = await page.evaluate(() => [...document.querySelectorAll("main [id]")].map((node) => [node.id, node.closest('[role="tabpanel"]').id]).at(-1));
  const other = await open({}, `#${deep[0]}`);
  const now = await state(other);
  expect(now.shown.join() === deep[1], `the address #${deep[0]} opens ${now.shown}, expected ${deep[1]}`);
  const visible = await other.locator(`[id="${deep[0]}"]`).evaluate((node) => node.checkVisibility() && node.getBoundingClientRect().top < innerHeight);
  expect(visible, `#${deep[0]} is not in sight`);

  const plain = await open({ javaScriptEnabled: false });
  for (const id of tabs) expect(await plain.locator(`#${id}`).isVisible(), `without JavaScript ${id} is hidden`);
  expect(!(await plain.locator("button.theme").isVisible()), "without JavaScript there is a button that does nothing");
  await plain.context().close();
  await other.context().close();
  await page.context().close();
};
