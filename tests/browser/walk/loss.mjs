// "What would be lost?" has one answer on every page.
import { existsSync } from "node:fs";
import { button, says, until } from "../lib/forms.mjs";
import { damage } from "../lib/machine.mjs";
import { approveWipe, fillInWipe } from "../lib/wipe.mjs";

// The parts of "If we lost…", as the overview's tiles name their lists.
const PARTS = ["lose_all", "at_risk", "cannot_say", "restorable"];
const SAFE = /a wipe is safe|nothing would be lost/i;

export const LOSS = {
  async "a wipe of what is damaged is held, and both people accept its number"({ demo, base, operator, approver, look, javaScript }) {
    const name = javaScript ? "field-tablet-03" : "studio-desk-06";
    const device = demo.device(name);
    if (!javaScript) {
      damage(demo, name);
      await operator.goto(`${base}/devices/${device.id}`);
      await operator.getByText("More actions").click();
      await button(operator, "Prove now").click();
      await until(operator, /Restore test failed/, 60);
    }
    await operator.goto(`${base}/devices/${device.id}`);
    const bar = await operator.getByRole("alert").first().innerText();
    if (!/The backup store is damaged[^]*1 device[^]*Do not wipe/.test(bar)) throw new Error(`the bar says ${bar}`);
    await look(operator, "damaged device");
    await fillInWipe(operator, base, device);
    await says(operator, /1 file is damaged in the store, and no other restore point holds an intact copy/);
    await says(operator, /Damaged in the store, and in no other backup:\s+\S+/);
    await says(operator, /I accept losing 1 file, of which 1 is damaged in the store/);
    await look(operator, "damaged wipe page");
    await button(operator, "Request wipe").click();
    await says(operator, /Held[^]*1 file is damaged/);
    const request = operator.url();
    await look(operator, "damaged request held");

    await approver.goto(`${base}/approvals`);
    await look(approver, "approvals");
    await approver.getByRole("link", { name }).first().click();
    if ((await button(approver, "Approve wipe").count()) > 0) throw new Error("a held wipe can be approved");
    const box = approver.getByLabel(/I accept losing 1 file, of which 1 is damaged/);
    // Without the tick the browser sends nothing.
    await button(approver, "End the hold").click();
    if ((await box.count()) === 0 || (await box.isChecked())) throw new Error("the hold ends without a tick");
    await box.check();
    await look(approver, "damaged request to decide");
    await button(approver, "End the hold").click();
    await says(approver, /Requested[^]*Waiting for a second person/);
    if (!javaScript) {
      await approver.goto(request);
      await button(approver, "Stop, keep device").click();
      await says(approver, /Cancelled[^]*Nothing was erased/);
      return;
    }
    await approveWipe(approver);
    await look(approver, "damaged request approved");
  },

  async "four tiles are a partition, and every list counts as they do"({ base, owner, look }) {
    await owner.goto(base);
    await look(owner, "overview");
    // Devices live on while the pages are read: only pages of one moment must agree.
    const moment = async () => String((await csv(owner, `${base}/devices.csv`)).map((it) => [it.id, it.state, it.if_lost]));
    let [before, fault] = [await moment()];
    for (let tries = 1; ; tries++) {
      fault = await differs(owner, base);
      const after = await moment();
      if (after === before) break;
      if (tries === 5) throw new Error(`the devices do not stand still; the last difference: ${fault}`);
      before = after;
    }
    if (fault) throw new Error(fault);
    await owner.goto(`${base}/restore-tests`);
    await look(owner, "restore tests");
  },

  async "of a silent device nothing is known on any page"({ demo, base, operator, look }) {
    const { id, name } = demo.device("field-tablet-04");
    const at = `${base}/devices/${id}`;
    await operator.goto(at);
    await until(operator, /Not known since/, 90);
    await look(operator, "silent device");
    const since = (await operator.locator("main").innerText()).match(/Not known since [^.\n]+/)[0];
    await operator.goto(`${base}/devices?q=${name}`);
    await says(operator, new RegExp(since));
    await operator.goto(`${at}/wipe`);
    await says(operator, new RegExp(`${since}[^]*I accept losing an unknown number of files`));
    await look(operator, "silent device wipe page");
    await operator.goto(base);
    const row = await operator.locator("tr", { hasText: name }).innerText();
    if (!row.includes(since)) throw new Error(`the overview says ${row}`);
  },

  async "no page calls a wipe safe of what the list does not call proven"({ base, operator, owner }) {
    for (const it of await csv(owner, `${base}/devices.csv`)) {
      if (it.state !== "enrolled") continue;
      for (const page of ["", "/wipe"]) {
        const isSafe = async () => {
          await operator.goto(`${base}/devices/${it.id}${page}`);
          return SAFE.test(await operator.locator("main").innerText());
        };
        const isUnproven = async () =>
          (await csv(owner, `${base}/devices.csv`)).find(({ id }) => id === it.id).if_lost !== "restorable";
        if (!(await isSafe()) || it.if_lost === "restorable") continue;
        // A device may have moved on since the list was read: only what the list says before and after the page counts.
        if ((await isUnproven()) && (await isSafe()) && (await isUnproven())) {
          throw new Error(`${it.name}${page} is said to be safe, the list said ${it.if_wiped_now}`);
        }
      }
    }
  },
};

// What the tiles, the lists and the exports do not agree on; nothing if they do.
async function differs(owner, base) {
  await owner.goto(base);
  const tiles = await owner.locator(".tiles .card").evaluateAll((all) =>
    all.map((it) => [new URL(it.querySelector("a").href).searchParams.get("view"), parseInt(it.querySelector(".big").textContent, 10)]));
  if (String(tiles.map(([view]) => view)) !== String(PARTS)) return `the tiles are ${tiles}`;
  const rows = await csv(owner, `${base}/devices.csv`);
  const enrolled = rows.filter((it) => it.state === "enrolled");
  const seen = new Set();
  for (const [view, count] of tiles) {
    await owner.goto(`${base}/devices?view=${view}`);
    const listed = await owner.locator("tbody input[name=id]").evaluateAll((all) => all.map((it) => it.value));
    const told = enrolled.filter((it) => it.if_lost === view).map((it) => it.id);
    const exported = (await csv(owner, `${base}/devices.csv?view=${view}`)).map((it) => it.id);
    for (const [what, ids] of Object.entries({ list: listed, "CSV column": told, "CSV of the view": exported })) {
      if (String([...ids].sort()) !== String([...listed].sort()) || ids.length !== count) {
        return `${view}: the tile has ${count}, the ${what} ${ids.length}`;
      }
    }
    listed.forEach((it) => seen.add(it));
  }
  const sum = tiles.reduce((total, [, count]) => total + count, 0);
  if (sum !== enrolled.length || seen.size !== sum) return `${sum} in tiles, ${seen.size} listed, ${enrolled.length} enrolled`;
  await owner.goto(`${base}/restore-tests`);
  const [, proven, of] = (await owner.locator("main .big").innerText()).match(/([\d,]+) of ([\d,]+) devices/);
  return Number(proven) === tiles.at(-1)[1] && Number(of) === sum ? undefined : `restore tests count ${proven} of ${of}`;
}

// When the hold has passed.
export const LOSS_AFTERWARDS = {
  async "a wiped device says what became of it, and what was lost is counted"({ demo, base, owner, operator, look, javaScript }) {
    if (!javaScript) return;
    const device = demo.device("field-tablet-03");
    await operator.goto(`${base}/devices/${device.id}`);
    await until(operator, /Wiped/, 200);
    for (const name of [/^Back up/, "Lock", "Prove now"]) {
      if ((await button(operator, name).count()) > 0) throw new Error(`a wiped device offers ${name}`);
    }
    if ((await operator.getByRole("link", { name: /Wipe…/ }).count()) > 0) throw new Error("a wiped device offers a wipe");
    await look(operator, "wiped device");
    if (existsSync(`${device.files}/photos`)) throw new Error("its files are still there");
    await operator.goto(`${base}/devices/${device.id}/wipe`);
    await says(operator, /there is nothing to wipe/);
    await look(operator, "wiped device wipe page");
    await owner.goto(base);
    await says(owner, /1 file lost in wipes on 1 device/);
    if (/The backup store is damaged/.test(await owner.locator("body").innerText())) throw new Error("the bar still speaks of the wiped device");
    await look(owner, "overview after the loss");
    await owner.getByRole("link", { name: "See the wiped devices" }).click();
    await says(owner, new RegExp(device.name));
    await look(owner, "wiped devices");
  },
};

// The rows of a CSV file by their headings.
export async function csv(page, address) {
  const answer = await page.request.get(address);
  if (!answer.ok()) throw new Error(`${address} answered ${answer.status()}`);
  const [head, ...rows] = (await answer.text()).trim().split(/\r?\n/).map(cells);
  return rows.map((row) => Object.fromEntries(head.map((name, at) => [name, row[at]])));
}

function cells(line) {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((it) => (it[1] ?? it[2]).replaceAll('""', '"'));
}
