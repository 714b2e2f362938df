// The ground below: a store that is away, room on the disks, and the host's last word.
import { button, follow, says, until } from "../lib/forms.mjs";
import { admin, takeStore } from "../lib/machine.mjs";
import { fillInWipe } from "../lib/wipe.mjs";

const EVERYWHERE = ["/", "/devices", "/restore-points", "/restore-tests", "/restores", "/stores", "/incident", "/policies", "/commands", "/approvals", "/wipe-requests", "/activity", "/settings", "/users", "/account", "/enrollment"];

export const GROUND = {
  async "room on the disks stands on the overview"({ base, owner }) {
    await owner.goto(base);
    await says(owner, /Room on the server[^]*Database: [\d.]+ [kMGT]?B free of[^]*Backups: [\d.]+ [kMGT]?B free of/);
  },

  async "a store that is away is on every page, never green, stops wipes, and comes back"({ demo, base, owner, operator, approver, look }) {
    const device = demo.device("field-laptop-02");
    const bar = /The backup store (cannot be read|has been unreadable) since[^]*no device counts as proven, and no wipe goes ahead/;
    const everything = (page) => page.locator("body").innerText();
    await fillInWipe(operator, base, device);
    await button(operator, "Request wipe").click();
    await says(operator, /Waiting for a second person/);
    const request = operator.url();
    await approver.goto(request);
    const putBack = takeStore(demo);
    try {
      await owner.goto(base);
      await seen(owner, bar, 40);
      for (const path of EVERYWHERE) {
        await owner.goto(base + path);
        if (!bar.test(await everything(owner))) throw new Error(`${path} has no bar`);
      }
      // Green is a proof here, and nothing else.
      await owner.goto(base);
      if ((await owner.locator(".tiles .t-proven").count()) > 0) throw new Error("the overview is green");
      await says(owner, /0 devices\s+Restored and compared/);
      await look(owner, "overview with the store away");
      await owner.goto(`${base}/devices`);
      if ((await owner.locator("tbody .st.proven, tbody .t-proven").count()) > 0) throw new Error("the list is green");
      await look(owner, "devices with the store away");
      await owner.goto(`${base}/restore-tests`);
      await says(owner, /0 of \d+ devices proven/);
      await look(owner, "restore tests with the store away");
      await operator.goto(`${base}/devices/${device.id}`);
      if ((await operator.locator("#a2 + .t-proven, #a3 + .t-proven, #points ~ * .st.proven").count()) > 0) throw new Error("the device is green");
      if ((await operator.locator(".strip .c-proven").count()) > 0) throw new Error("the strip of restore points is green");
      await look(operator, "device with the store away");
      await follow(approver, button(approver, "Approve wipe"));
      const text = await approver.locator("main").innerText();
      if (!/backup store (cannot be read|has been unreadable)|Held|Worse/.test(text)) throw new Error(`a wipe was approved without a store:\n${text}`);
      await look(approver, "approval with the store away");
      await operator.goto(request);
      await look(operator, "request with the store away");
      await operator.goto(`${base}/devices/${demo.device("studio-desk-05").id}/wipe`);
      await says(operator, /No wipe can be requested while the backup store cannot be read/);
      if ((await button(operator, "Request wipe").count()) > 0) throw new Error("a wipe can be requested without a store");
      await look(operator, "wipe page with the store away");
      const health = await (await owner.request.get(`${base}/health`)).text();
      if (!/^degraded: .*store/.test(health)) throw new Error(`/health says ${health}`);
    } finally {
      putBack();
    }
    await owner.goto(base);
    await gone(owner, bar, 40);
    await owner.goto(`${base}/devices`);
    await until(owner, /Proven\n/, 60);
    await approver.goto(request);
    await button(approver, "Stop, keep device").click();
    await says(approver, /Cancelled/);
  },

  async "a freeze is on every page, and stops what one session could do"({ demo, base, program, owner, operator, look }) {
    const device = demo.device("field-laptop-02");
    const bar = /Frozen since[^]*holdfast admin unfreeze/;
    await fillInWipe(operator, base, device);
    admin(program, demo, "freeze");
    try {
      const answer = await follow(operator, button(operator, "Request wipe"));
      if (answer.status() !== 409) throw new Error(`a wipe under a freeze was answered ${answer.status()}`);
      await says(operator, /frozen[^]*holdfast admin unfreeze/);
      await look(operator, "wipe refused by a freeze");
      for (const path of EVERYWHERE) {
        await owner.goto(base + path);
        if (!bar.test(await owner.locator("body").innerText())) throw new Error(`${path} does not say that all is frozen`);
      }
      await look(owner, "frozen");
      await owner.goto(`${base}/devices/${device.id}/edit`);
      await owner.getByLabel(/^Type the name/).fill(device.name);
      await button(owner, "Remove device").click();
      await says(owner, /frozen[^]*holdfast admin unfreeze/);
      await look(owner, "removal refused by a freeze");
    } finally {
      admin(program, demo, "unfreeze");
    }
    await owner.goto(base);
    if (bar.test(await owner.locator("body").innerText())) throw new Error("the bar outlives the freeze");
  },
};

async function seen(page, pattern, seconds) {
  const deadline = Date.now() + seconds * 1000;
  while (!pattern.test(await page.locator("body").innerText())) {
    if (Date.now() > deadline) throw new Error(`${page.url()} does not say ${pattern} after ${seconds} s`);
    await new Promise((done) => setTimeout(done, 1000));
    await page.reload();
  }
}

async function gone(page, pattern, seconds) {
  const deadline = Date.now() + seconds * 1000;
  while (pattern.test(await page.locator("body").innerText())) {
    if (Date.now() > deadline) throw new Error(`${page.url()} still says ${pattern} after ${seconds} s`);
    await new Promise((done) => setTimeout(done, 1000));
    await page.reload();
  }
}
