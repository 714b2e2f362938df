// The Apple devices of the demo: every page of theirs in each look, and what a person asks of one by its forms.
import { open } from "./lib/chromium.mjs";
import { button, press, says, signIn } from "./lib/forms.mjs";
import { inEachLook, stateOf, visit } from "./pages.mjs";

const PAGES = ["", "/orders", "/orders/lost_mode_on", "/orders/locate", "/passcode-clearings", "/lost", "/secrets", "/inventory",
  "/messages", "/wipe"];

export async function checkApple({ browser, demo, faults, album }) {
  await demo.saw(/answered EraseDevice/, 180_000);
  const devices = await appleDevices({ browser, demo, faults });
  for (const javaScript of [true, false]) await asks({ browser, demo, faults, javaScript, device: devices.phone });
  const state = await stateOf(browser, demo, "owner", faults);
  await inEachLook(async (look) => {
    const it = await open(browser, { faults, state, ...look });
    for (const [name, path] of Object.entries(devices)) {
      for (const page of PAGES) {
        const status = page.includes("lost_mode") || page.includes("locate") || page.includes("passcode") ? (name === "mac" ? 404 : 200) : 200;
        await visit(it, demo.url + path + page, { ...look, album, as: name, status });
      }
    }
    await it.context.close();
  });
}

// By name: their ids are made by the server.
async function appleDevices({ browser, demo, faults }) {
  const { context, page } = await open(browser, { faults });
  await signIn(page, demo.url, demo.account("owner"));
  await page.goto(`${demo.url}/devices`);
  const path = async (name) => page.locator("a", { hasText: name }).first().getAttribute("href");
  const found = { phone: await path("iPhone of the studio"), mac: await path("MacBook of the studio") };
  await context.close();
  return found;
}

// Asks where the phone is, refused once without a reason, and ends lost mode.
async function asks({ browser, demo, faults, javaScript, device }) {
  const { context, page } = await open(browser, { faults, javaScript });
  await signIn(page, demo.url, demo.account("operator"));
  await page.goto(`${demo.url + device}/orders/locate`);
  await press(page, button(page, "Locate"), /Give a reason/);
  await page.getByLabel("Reason").fill("found at the station?");
  await press(page, button(page, "Locate"), /Locate queued/);
  await page.goto(`${demo.url + device}/orders/lost_mode_on`);
  await press(page, button(page, "Lost mode on"), /Say something to whoever finds it/);
  await page.getByLabel("Message on its screen").fill("Please call us");
  await press(page, button(page, "Lost mode on"), /Lost mode on queued/);
  await page.goto(`${demo.url + device}/lost`);
  await says(page, /Keep others out/);
  await context.close();
}
