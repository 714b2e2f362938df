// What two people do with a wipe.
import { says } from "./forms.mjs";

// The file in a protected folder without which nothing in it is erased.
export const MARK = ".holdfast-protected";

// Everything on the form of a wipe but its button.
export async function fillInWipe(page, base, { id, serial }) {
  await page.goto(`${base}/devices/${id}/wipe`);
  await page.getByLabel("Reason").selectOption({ index: 1 });
  const consent = page.locator("#consent");
  if ((await consent.count()) > 0) await consent.check();
  await page.locator("#serial").fill(serial);
}

// Asks for a wipe; gives the address of the request.
export async function requestWipe(page, base, device) {
  await fillInWipe(page, base, device);
  await page.getByRole("button", { name: /^(Request wipe|Remove company data)$/ }).click();
  await page.waitForURL(/\/wipe-requests\/[0-9a-f-]{36}$/);
  return page.url();
}

// Approves the request that the page shows.
export async function approveWipe(page) {
  const approve = page.getByRole("button", { name: /^Approve (wipe|removal)$/ });
  if ((await approve.count()) === 0) throw new Error(`it cannot be approved: ${await page.locator("main").innerText()}`);
  await approve.click();
  await page.waitForLoadState();
  await says(page, /Waiting[^]*Released at/);
}
