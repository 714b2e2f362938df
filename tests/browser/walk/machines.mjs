// Whose machine it is: two of one identity, two of one serial number, and those that are gone.
import { button, says, until } from "../lib/forms.mjs";
import { change, clone, enrollAgain, runAgent } from "../lib/machine.mjs";
import { fillInWipe } from "../lib/wipe.mjs";

export const MACHINES = {
  async "two machines with one identity are shown, and enrolling again separates them"({ demo, base, program, owner, operator, approver, look, javaScript }) {
    const device = demo.device(javaScript ? "field-laptop-01" : "field-laptop-11");
    const at = `${base}/devices/${device.id}`;
    const state = clone(demo, device.name);
    const second = runAgent(program, state);
    await operator.goto(at);
    await until(operator, /Two machines use this device’s identity/, 90).finally(() => second.stop());
    await says(operator, /Machines that spoke for this device[^]*From[^]*From/);
    await says(operator, /Not known/);
    await look(operator, "two machines");
    await operator.goto(base);
    await says(operator, /\d device(s)? may be two machines with one identity/);
    await operator.getByRole("link", { name: /may be two machines/ }).click();
    await says(operator, new RegExp(device.name));
    await look(operator, "devices in doubt");
    await fillInWipe(operator, base, device);
    await says(operator, /Two machines use this device’s identity[^]*every machine with this identity may be erased/);
    await look(operator, "wipe page of two machines");
    await button(operator, "Request wipe").click();
    await says(operator, /Held/);
    await look(operator, "wipe of two machines held");
    await approver.goto(operator.url());
    await says(approver, /Either machine may be erased/);
    await look(approver, "wipe of two machines to decide");
    await button(approver, "Stop, keep device").click();
    await says(approver, /Cancelled/);

    await owner.goto(at);
    await owner.getByText("More actions").click();
    await button(owner, "Enroll again…").click();
    await says(owner, /Only this one device can enroll again with it, once/);
    const token = await owner.locator("#made-token").innerText();
    enrollAgain(program, demo, { state, token, folder: device.files });
    const meant = runAgent(program, state);
    await owner.goto(at);
    await until(owner, /Checked in/, 60).finally(() => meant.stop());
    const text = await owner.locator("main").innerText();
    if (/Two machines|older state/.test(text)) throw new Error(`doubt stands after the new enrolment:\n${text}`);
  },

  async "two devices with one serial number name each other, and the number alone is not enough"({ demo, base, operator, look, javaScript }) {
    const [one, other] = ["spare-laptop-09", "spare-laptop-10"].map(demo.device);
    if (javaScript) change(demo, "UPDATE devices SET serial = ? WHERE id = ?", [one.serial, other.id]);
    for (const [it, twin] of [[one, other], [other, one]]) {
      for (const page of ["", "/wipe"]) {
        await operator.goto(`${base}/devices/${it.id}${page}`);
        await says(operator, new RegExp(`Another enrolled device has the same serial number: ${twin.name}`));
      }
    }
    await look(operator, "wipe page of one serial twice");
    await fillInWipe(operator, base, { id: one.id, serial: one.serial });
    await button(operator, "Request wipe").click();
    await says(operator, /Nothing was changed[^]*name/);
    await look(operator, "serial alone refused");
  },

  async "a search finds what was removed or wiped, and marks it"({ demo, base, operator, look }) {
    const device = demo.device("contractor-07");
    for (const [word, mark] of [[device.serial, /Removed/], [device.name, /Removed/], ["7H2XN04", /Wiped/]]) {
      await operator.goto(base);
      await operator.getByRole("searchbox").first().fill(word);
      await operator.keyboard.press("Enter");
      await operator.waitForURL(/q=/);
      const row = await operator.locator("tbody tr").first().innerText();
      if (!mark.test(row)) throw new Error(`${word} finds ${row}`);
      if ((await operator.locator("tbody input[name=id]").count()) > 0) throw new Error(`${word} finds what can be ticked for a command`);
    }
    await look(operator, "search finds a wiped device");
  },
};
