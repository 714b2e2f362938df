// The README's pictures: the real pages of a running demo.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { open } from "./lib/chromium.mjs";
import { signIn, until } from "./lib/forms.mjs";

export async function takeScreenshots({ browser, demo, folder }) {
  mkdirSync(folder, { recursive: true });
  const id = (name) => demo.device(name).id;
  const pages = [
    ["overview", "/"],
    ["devices", "/devices"],
    ["device", `/devices/${id("studio-desk-05")}`],
    ["failed", `/devices/${id("field-tablet-03")}`],
    ["wipe", `/devices/${id("studio-desk-05")}/wipe`],
    ["restore-tests", "/restore-tests"],
  ];
  for (const [suffix, theme, width] of [["light", "light", 1360], ["dark", "dark", 1360], ["phone", "light", 390]]) {
    const { context, page } = await open(browser, { faults: [], theme, width });
    await signIn(page, demo.url, demo.account("owner"));
    // Its story continues at its next check-in.
    await page.goto(`${demo.url}/devices/${id("studio-desk-05")}`);
    await until(page, /files lost/, 60);
    for (const [name, path] of pages) {
      await page.goto(`${demo.url}${path}`);
      await page.screenshot({ path: join(folder, `${name}-${suffix}.png`) });
    }
    await context.close();
  }
}
