// One kind of files goes back in place of what is there, and an undo brings that back.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { button, says, until } from "../lib/forms.mjs";

const CHANGED = "BEGIN:VCARD\nFN:Changed since the backup\nEND:VCARD\n";

// Who looked at many pages before has to enter it again.
async function password(page, account) {
  const field = page.getByLabel("Your password");
  if ((await field.count()) > 0) await field.fill(account.password);
}

function contact(folder) {
  const found = readdirSync(folder, { recursive: true }).find((it) => it.endsWith(".vcf") && !it.includes(".holdfast"));
  if (!found) throw new Error(`no contact is in ${folder}`);
  return join(folder, found);
}

const hash = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

export const RESTORE = {
  async "one kind of files replaces what changed since, and an undo brings that back"({ demo, base, operator, look }) {
    const device = demo.device("studio-desk-05");
    const file = contact(device.files);
    const [original, had] = [readFileSync(file), hash(file)];
    writeFileSync(file, CHANGED);

    await operator.goto(`${base}/devices/${device.id}/restore`);
    await operator.locator("a[id^=choose-]").first().click();
    await operator.locator("#what-class").check();
    await operator.locator("#class").selectOption("contacts");
    await look(operator, "restore one kind of files");
    await button(operator, /Next: where to/).click();
    await operator.locator("#target-same").check();
    await operator.locator("#conflict-replace").check();
    await look(operator, "restore in place of what is there");
    await button(operator, /Next: preview/).click();
    await says(operator, /give way to older ones[^]*can open/);
    await says(operator, /Contacts/);
    await look(operator, "preview of replacing");
    const unproven = operator.locator("#unproven");
    if ((await unproven.count()) > 0) await unproven.check();
    await password(operator, demo.account("operator"));
    await button(operator, /^Restore \d/).click();
    await operator.waitForURL(/\/restores\/[0-9a-f-]{36}$/);
    await until(operator, /files? came back equal/, 120);
    if (hash(file) !== had) throw new Error("the contact did not come back as it was");
    await look(operator, "replaced, and can be undone");

    await password(operator, demo.account("operator"));
    await button(operator, "Undo this restore").click();
    await says(operator, /Undo/);
    await until(operator, /reported by/, 120);
    if (readFileSync(file, "utf8") !== CHANGED) throw new Error("the undo did not bring back what was replaced");
    await look(operator, "undone");
    // For who walks here next.
    writeFileSync(file, original);
  },
};
