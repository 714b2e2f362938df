// What axe says about a page. It runs in the page itself: a separate page for each run, as its wrapper for Playwright
// opens, takes four times as long.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// The violations, each in one line.
export async function violations(page) {
  // Not by a script of the page: its policy would refuse it.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(SOURCE);
  return page.evaluate(async () => {
    const found = await window.axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map((it) => {
      const where = it.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ");
      return `axe ${it.id}: ${it.help}: ${where}`;
    });
  });
}
