// The file itself: valid HTML, in one piece, small enough to be sent by mail.
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileSystemConfigLoader, HtmlValidate } from "html-validate";

const MOST_BYTES = 5_000_000;

const here = dirname(fileURLToPath(import.meta.url));
const validator = new HtmlValidate(new FileSystemConfigLoader());

/** What is wrong with a page, each kind of fault once. */
export const invalidMarkup = async (html) => {
  const report = await validator.validateString(html, join(here, "page.html"));
  const messages = report.results.flatMap((result) => result.messages).filter((message) => message.severity === 2);
  const seen = new Map();
  for (const message of messages) {
    const key = `${message.ruleId}: ${message.message}`;
    seen.set(key, { count: (seen.get(key)?.count ?? 0) + 1, at: seen.get(key)?.at ?? `${message.line}:${message.column}` });
  }
  return [...seen].map(([key, { count, at }]) => `${count} times, first at ${at}: ${key}`);
};

export const checkMarkup = async ({ expect, file }) => {
  const size = statSync(file).size;
  expect(size < MOST_BYTES, `the page has ${size} bytes, more than ${MOST_BYTES}`);
  const config = await validator.getConfigFor(join(here, "page.html"));
  expect(Object.keys(config.getConfigData().rules ?? {}).length + (config.getConfigData().extends ?? []).length > 0, "the validator has no rules");
  for (const fault of await invalidMarkup(readFileSync(file, "utf8"))) expect(false, `invalid HTML, ${fault}`);
  // A validator that is asleep would find nothing here either.
  const broken = await invalidMarkup("<!DOCTYPE html><html lang=\"en\"><head><title>t</title></head><body><p><div></div></p></body></html>");
  expect(broken.length > 0, "the validator finds no fault in a <div> inside of a <p>");
};
