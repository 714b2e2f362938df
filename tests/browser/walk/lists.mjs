// Lists, filters, menus and paper.
import { button, says } from "../lib/forms.mjs";
import { change } from "../lib/machine.mjs";
import { csv } from "./loss.mjs";

export const LISTS = {
  async "activity is found by serial, person, act and hour, and its CSV too"({ demo, base, owner, look }) {
    const device = demo.device("field-tablet-04");
    const rows = () => owner.locator("tbody tr");
    await owner.goto(`${base}/activity`);
    await look(owner, "activity");
    for (const [label, word, expected] of [
      ["Device or serial", device.serial, device.name],
      ["Act, object, serial, person or reason", device.serial, device.name],
      ["Act, object, serial, person or reason", "Oskar Lindqvist", device.name],
      ["Act, object, serial, person or reason", "device enrolled", "device enrolled"],
      ["Actor", "Sofie", "Sofie Maes"],
    ]) {
      await owner.goto(`${base}/activity`);
      await owner.getByText("Filter and search").click();
      await owner.getByLabel(label).fill(word);
      await button(owner, "Filter").click();
      await owner.waitForURL(/\?/);
      const texts = await rows().allInnerTexts();
      // What was exported before names the filter.
      const other = texts.find((it) => !it.includes(expected) && !it.includes("exported"));
      if (texts.length === 0 || other) {
        throw new Error(`${label} ${word} finds ${texts.length}: ${other}`);
      }
    }
    await owner.goto(`${base}/activity?device=${device.serial}`);
    await look(owner, "activity of a serial");
    const exported = await csv(owner, `${base}/activity.csv?device=${device.serial}`);
    if (exported.some((it) => it.device_serial !== device.serial || it.device_name !== device.name)) throw new Error("the CSV names no device");
    const now = new Date();
    const minute = (shift) => new Date(now.getTime() + shift * 60_000).toISOString().slice(0, 16);
    await owner.goto(`${base}/activity?from=${minute(60)}`);
    await says(owner, /No entry matches/);
    await owner.goto(`${base}/activity?from=${minute(-60)}&until=${minute(60)}`);
    if ((await rows().count()) < 20) throw new Error("an hour before and after now has nothing");
  },

  async "a wipe's whole story is behind one link"({ base, owner, look }) {
    await owner.goto(`${base}/wipe-requests`);
    await look(owner, "wipe log");
    await owner.locator("tbody a").first().click();
    await owner.getByRole("link", { name: "Its whole story in Activity" }).click();
    await says(owner, /Everything that happened in one wipe[^]*wipe requested/);
    await look(owner, "story of a wipe");
    for (const list of ["wipe-requests", "restore-tests", "commands"]) {
      if ((await csv(owner, `${base}/${list}.csv`)).length === 0) throw new Error(`${list}.csv is empty`);
    }
  },

  async "a policy's counts are links, and the list shows just those who fail"({ demo, base, owner, look }) {
    await owner.goto(`${base}/policies`);
    await look(owner, "policies");
    const row = owner.locator("tr", { hasText: "Every device" });
    const count = parseInt(await row.getByRole("link", { name: /not compliant/ }).innerText(), 10);
    await row.getByRole("link", { name: /not compliant/ }).click();
    const listed = await owner.locator("tbody tr").count();
    if (listed !== count) throw new Error(`${count} do not comply, ${listed} are listed`);
    await says(owner, /field-tablet-04/);
    await look(owner, "devices that fail a policy");
    await owner.goto(`${base}/policies`);
    await row.getByRole("link", { name: "Every device" }).click();
    const said = await owner.locator("main").innerText();
    const [, fail] = said.match(/Storage encrypted: (\d+) devices? do(?:es)? not meet this/) ?? [];
    await says(owner, new RegExp(`${demo.device("field-laptop-02").name}[^]*Goran Kovács[^]*Not encrypted`));
    await look(owner, "policy");
    await owner.getByRole("link", { name: /do(es)? not meet this/ }).first().click();
    await says(owner, /field-laptop-02/);
    const failing = await owner.locator("tbody tr").count();
    if (failing !== Number(fail)) throw new Error(`${fail} fail the requirement, ${failing} are listed`);
    await look(owner, "devices that fail a requirement");
  },

  async "the list sorts by each column, says where it stands, and cuts long names"({ demo, base, owner, look, javaScript }) {
    const long = `Reception-desk-terminal-of-the-branch-office-in-${"Llanfairpwllgwyngyll".repeat(4)}`;
    const id = demo.device("field-laptop-11").id;
    if (javaScript) change(demo, "UPDATE devices SET name = ?, person = ? WHERE id = ?", [long, `Dr. ${"Wolfeschlegelstein".repeat(5)}`, id]);
    try {
      await owner.goto(`${base}/devices`);
      await says(owner, /1 to (\d+) of \1 · as of/);
      await look(owner, "devices with a long name");
      const table = await owner.locator(".wrap").evaluate((it) => it.scrollWidth - it.clientWidth);
      if (table > 0) throw new Error(`a long name makes the table ${table} px wider than its place`);
      if (javaScript) {
        const title = await owner.locator(`td.name:has(a[href="/devices/${id}"])`).getAttribute("title");
        if (title !== long) throw new Error(`the whole name is not in the title: ${title}`);
        await owner.goto(`${base}/devices/${id}`);
        await look(owner, "device with a long name");
        await owner.goto(`${base}/devices/${id}/wipe`);
        await look(owner, "wipe page with a long name");
        await owner.goto(`${base}/devices`);
      }
      const heads = await owner.locator("thead th a").allInnerTexts();
      if (heads.length < 8) throw new Error(`only ${heads} can be sorted by`);
      for (const head of heads.map((it) => it.replace(/[↑↓]/g, "").trim())) {
        const orders = [];
        for (const _ of [1, 2]) {
          await owner.locator("thead th a", { hasText: head }).click();
          await owner.waitForURL(/sort=/);
          const sorted = await owner.locator("thead th[aria-sort]").innerText();
          if (!sorted.includes(head)) throw new Error(`a click on ${head} sorts by ${sorted}`);
          orders.push(await owner.locator("tbody td:nth-child(2) a").allInnerTexts());
        }
        if (String(orders[0]) === String(orders[1])) throw new Error(`${head} sorts in one direction only`);
      }
    } finally {
      if (javaScript) change(demo, "UPDATE devices SET name = ?, person = ? WHERE id = ?", ["field-laptop-11", "Field engineer 11", id]);
    }
  },

  async "columns are kept per person"({ base, owner, operator, look }) {
    await owner.goto(`${base}/devices`);
    await owner.locator("summary", { hasText: "Columns" }).click();
    await look(owner, "choice of columns");
    await owner.getByRole("checkbox", { name: "Newest backup", exact: true }).uncheck();
    await button(owner, "Keep these columns").click();
    await owner.goto(`${base}/devices`);
    await operator.goto(`${base}/devices`);
    const has = (page) => page.locator("thead th", { hasText: "Newest backup" }).count();
    if ((await has(owner)) !== 0 || (await has(operator)) !== 1) throw new Error("columns are not kept for the one who chose them");
    await owner.locator("summary", { hasText: "Columns" }).click();
    await owner.getByRole("checkbox", { name: "Newest backup", exact: true }).check();
    await button(owner, "Keep these columns").click();
  },

  async "menus close by Esc and by a click elsewhere"({ demo, base, owner, javaScript }) {
    if (!javaScript) return;
    await owner.goto(`${base}/devices/${demo.device("studio-desk-05").id}`);
    for (const summary of [owner.locator("summary", { hasText: "More actions" }), owner.locator("header.top summary")]) {
      const isOpen = () => summary.evaluate((it) => it.parentElement.open);
      for (const close of [() => owner.keyboard.press("Escape"), () => owner.getByRole("heading", { level: 1 }).click()]) {
        await summary.click();
        if (!(await isOpen())) throw new Error("a menu does not open");
        await close();
        if (await isOpen()) throw new Error("a menu stays open");
      }
    }
  },

  async "a page that cannot refresh says since when it is old"({ base, person, javaScript, look }) {
    if (!javaScript) return;
    const page = await person("owner", { breaks: true });
    await page.clock.install();
    await page.goto(base);
    await page.route("**/*", (route) => (route.request().headers()["x-refresh"] ? route.fulfill({ status: 503 }) : route.continue()));
    await page.clock.runFor(31_000);
    await page.locator("#stale").waitFor();
    const text = await page.locator("#stale").innerText();
    if (!/Not updated since \d\d:\d\d\. The server answered 503\./.test(text)) throw new Error(`the page says ${text}`);
    await page.clock.resume();
    await look(page, "not updated");
    await page.context().close();
  },

  async "paper has no bars, and times with year and zone"({ demo, base, operator }) {
    await operator.goto(`${base}/wipe-requests`);
    const request = await operator.locator("tbody a").first().getAttribute("href");
    for (const path of ["/", "/restore-tests", request, `/devices/${demo.device("studio-desk-05").id}/wipe`]) {
      await operator.goto(base + path);
      await operator.emulateMedia({ media: "print" });
      for (const it of [".side", ".top", ".banner", ".btn", ".pills"]) {
        if ((await operator.locator(`${it}:visible`).count()) > 0) throw new Error(`${path} prints ${it}`);
      }
      const times = await operator.locator("main time:visible").evaluateAll((all) => all.map((it) => getComputedStyle(it, "::after").content));
      const bare = times.find((it) => !/\d{4} \d\d:\d\d UTC/.test(it));
      if (bare !== undefined) throw new Error(`${path} prints a time as ${bare}`);
      await operator.emulateMedia({ media: "screen" });
    }
  },
};
