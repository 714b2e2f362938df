// A wipe by two people, and the restore to a replacement: the files of the wiped
// device are gone, and those of the replacement are equal to what it had.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { open } from "./lib/chromium.mjs";
import { signIn, until } from "./lib/forms.mjs";
import { MARK, approveWipe, requestWipe } from "./lib/wipe.mjs";

const DEVICES = {
  true: { lost: "studio-desk-06", replacement: "spare-laptop-09" },
  false: { lost: "field-laptop-01", replacement: "spare-laptop-10" },
};

export async function checkFlows({ browser, demo, faults, javaScript }) {
  const names = DEVICES[javaScript];
  const lost = demo.device(names.lost);
  const replacement = demo.device(names.replacement);
  const had = hashes(lost.files);
  if (had.size < 300) throw new Error(`${names.lost} has only ${had.size} files`);

  const operator = await open(browser, { faults, javaScript });
  await signIn(operator.page, demo.url, demo.account("operator"));
  await requestWipe(operator.page, demo.url, lost);
  const request = operator.page.url();

  const approver = await open(browser, { faults, javaScript });
  await signIn(approver.page, demo.url, demo.account("approver"));
  await approver.page.goto(`${demo.url}/approvals`);
  await approver.page.getByRole("link", { name: names.lost }).first().click();
  await approveWipe(approver.page);
  await approver.context.close();

  await operator.page.goto(request);
  await until(operator.page, /Confirmed/, 240);
  const left = existsSync(lost.files) ? hashes(lost.files).size : 0;
  if (left > 0) faults.push(`${names.lost}: ${left} files are left after the wipe`);

  await askToRestore(operator.page, demo.url, lost, replacement);
  const second = await open(browser, { faults, javaScript });
  await signIn(second.page, demo.url, demo.account("approver"));
  await second.page.goto(operator.page.url());
  await second.page.getByRole("button", { name: "Approve restore" }).click();
  await second.page.getByText("Approved. It begins when the device checks in.").waitFor();
  await second.context.close();
  await until(operator.page, /files? came back equal/, 120);
  await operator.context.close();
  compare(had, hashes(replacement.files), `${names.lost} to ${names.replacement}`, faults);
}

// It leaves its device: a reason, and a second person.
async function askToRestore(page, base, from, to) {
  await page.goto(`${base}/devices/${from.id}/restore`);
  await page.locator("a[id^=choose-]").first().click();
  await page.locator("#what-all").check();
  await page.getByRole("button", { name: /Next: where to/ }).click();
  await page.locator("label", { hasText: to.name }).locator("input[name=target]").check();
  await page.getByRole("button", { name: /Next: preview/ }).click();
  await page.getByLabel("Why does it go to another device?").fill("the old one was wiped");
  await page.getByRole("button", { name: /^Ask to restore \d/ }).click();
  await page.waitForURL(/\/restores\/[0-9a-f-]{36}$/);
}

function hashes(folder) {
  const found = new Map();
  const visit = (place) => {
    for (const entry of readdirSync(place, { withFileTypes: true })) {
      const path = join(place, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.name !== MARK) {
        found.set(relative(folder, path), createHash("sha256").update(readFileSync(path)).digest("hex"));
      }
    }
  };
  visit(folder);
  return found;
}

// Byte for byte, wherever below the replacement's folder the files were put.
function compare(had, has, what, faults) {
  for (const [path, hash] of had) {
    const place = [...has.keys()].find((it) => it === path || it.endsWith(`/${path}`));
    if (!place) faults.push(`${what}: ${path} is missing`);
    else if (has.get(place) !== hash) faults.push(`${what}: ${path} differs`);
  }
  if (has.size !== had.size) faults.push(`${what}: ${had.size} files went, ${has.size} came`);
}
