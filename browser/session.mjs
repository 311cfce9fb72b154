// What every test of a page shares: checks that are counted, and pages whose console and requests are watched.

/** Counts checks and keeps what does not hold; `report` prints all of it and sets the exit code. */
export const closing = () => {
  const faults = [];
  let checks = 0;
  const expect = (holds, fault) => {
    checks += 1;
    if (!holds) faults.push(typeof fault === "function" ? fault() : fault);
    return holds;
  };
  const report = (what, artefacts) => {
    for (const fault of faults) console.log(`browser: ${fault}`);
    console.log(`browser: ${what}: ${checks} checks, ${faults.length} faults; pictures in ${artefacts}`);
    process.exitCode = faults.length > 0 ? 1 : 0;
  };
  return { expect, faults, report, count: () => checks };
};

/** Opens pages at `address`; errors, warnings and requests to anywhere else are faults. */
export const opener = (browser, address, expect) => async (options = {}, hash = "") => {
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
