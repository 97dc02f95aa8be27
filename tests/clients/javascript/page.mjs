// Opens the page of a `web` package, asks what a visitor would ask, and prints what it shows.
// Usage: node page.mjs PACKAGE FIELDS [SCREENSHOTS]; FIELDS is a JSON object, or null for a page that must fail

import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { inBrowser, serve } from "./serve.mjs";

const [, , folder, fields, screenshots] = process.argv;
const base = await serve({ package: folder });

async function visit(page, problems) {
  await page.goto(`${base}package/`);
  await page.waitForSelector("body[data-state]", { timeout: 120_000 });
  if (fields === "null") return { failure: await page.innerText("#failure") };
  await page.click("#submit");
  const refused = await page.innerText("#message");
  for (const [name, text] of Object.entries(JSON.parse(fields))) await page.fill(`#field-${name}`, text);
  await page.click("#submit");
  await page.waitForSelector("#result:not([hidden])", { timeout: 60_000 });
  const rows = await page.$$eval(".scores li", (items) => items.map((item) => item.innerText.split("\n")));
  const unlabelled = await page.$$eval("input, textarea", (inputs) => inputs.filter(
    (input) => input.labels.length === 0,
  ).length);
  const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  return { rows, refused, unlabelled, overflow: Math.max(0, width), problems };
}

const shown = await inBrowser(visit, { viewport: { width: 360, height: 780 } });
if (screenshots !== undefined) {
  await mkdir(screenshots, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1100]) {
      await inBrowser(async (page, problems) => {
        await visit(page, problems);
        const name = `${basename(folder)}-${colorScheme}-${width}.png`;
        await page.screenshot({ path: join(screenshots, name), fullPage: true });
      }, { colorScheme, viewport: { width, height: 800 } });
    }
  }
}
// A pipe takes the text in pieces, and an engine's threads would keep the process alive
process.stdout.write(JSON.stringify(shown), () => process.exit(0));
