// The list of devices: the box that ticks all, what stays in sight, the columns that a person keeps, and paper.
import { open } from "./lib/chromium.mjs";
import { button, signIn } from "./lib/forms.mjs";

const TICK_ALL = { name: "Tick all on this page" };

export async function checkLists({ browser, demo, faults }) {
  const { context, page } = await open(browser, { faults });
  await signIn(page, demo.url, demo.account("owner"));
  const state = await context.storageState();
  await context.close();
  for (const width of [1360, 390]) await ticks(await open(browser, { faults, state, width }), demo.url);
  for (const javaScript of [true, false]) await columns(await open(browser, { faults, state, javaScript }), demo.url);
  await paper(await open(browser, { faults, state, theme: "dark" }), demo);
}

async function ticks({ context, page, note }, url) {
  await page.goto(`${url}/devices`);
  const [all, rows] = [page.getByRole("checkbox", TICK_ALL), page.locator("tbody input[name=id]")];
  const ticked = () => rows.evaluateAll((boxes) => boxes.filter((it) => it.checked).length);
  const count = await rows.count();
  await all.check();
  if ((await ticked()) !== count) note(`${await ticked()} of ${count} rows are ticked by one box`);
  if (!(await page.locator("#bulk").innerText()).includes(`(${count})`)) note("the bar does not say how many are ticked");
  await page.setViewportSize({ ...page.viewportSize(), height: 500 });
  await page.evaluate(() => scrollTo(0, document.querySelector("tbody").getBoundingClientRect().top + scrollY + 120));
  const bar = await page.locator("#bulk").boundingBox();
  if (!bar || bar.y >= 500 || bar.y + bar.height > 501) note(`the bar is out of sight: ${JSON.stringify(bar)}`);
  const head = await page.locator("thead th").last().boundingBox();
  if (page.viewportSize().width > 1000 && Math.abs(head.y) > 1) note(`the head is out of sight at ${head.y}`);
  await page.evaluate(() => scrollTo(0, 0));
  await rows.first().uncheck();
  if (!(await all.evaluate((it) => it.indeterminate))) note("the box above does not follow the rows");
  await all.check();
  await all.uncheck();
  if ((await ticked()) !== 0) note("the box unticks no rows");
  await context.close();
}

async function columns({ context, page, note }, url) {
  await page.goto(`${url}/devices?sort=name`);
  const boxes = await page.getByRole("checkbox", TICK_ALL).count();
  const scripts = await page.evaluate(() => document.documentElement.classList.contains("js")).catch(() => false);
  if (boxes !== (scripts ? 1 : 0)) note(`${boxes} boxes tick all, ${scripts ? "with" : "without"} scripts`);
  const heads = () => page.locator("thead th a").count();
  for (const [isShown, expected] of [[false, 7], [true, 8]]) {
    await page.locator("summary", { hasText: "Columns" }).click();
    await page.getByRole("checkbox", { name: "Encrypted", exact: true }).setChecked(isShown);
    await button(page, "Keep these columns").click();
    await page.waitForURL(/sort=name/);
    if ((await heads()) !== expected) note(`${await heads()} headings, not ${expected}`);
  }
  await context.close();
}

// What is printed has no bars, and its times have year and zone.
async function paper({ context, page, note }, demo) {
  for (const path of ["/devices", `/devices/${demo.device("field-laptop-01").id}`, "/wipe-requests"]) {
    await page.goto(demo.url + path);
    await page.emulateMedia({ media: "print" });
    for (const it of [".side", ".top", ".banner", "#bulk", "form", ".btn", ".pills"]) {
      if ((await page.locator(`${it}:visible`).count()) > 0) note(`${it} is printed`);
    }
    const times = await page.locator("main time").evaluateAll((all) => all.map((it) => getComputedStyle(it, "::after").content));
    const bare = times.find((it) => !/\d{4} \d\d:\d\d UTC/.test(it));
    if (bare !== undefined) note(`a time is printed as ${bare}`);
    if (!(await page.locator(".as-of").innerText()).includes("Times are in")) note("paper does not name the zone");
    await page.emulateMedia({ media: "screen" });
  }
  await context.close();
}
