// The first start: the printed link makes the owner, once, and the first mails arrive.
import { open } from "./lib/chromium.mjs";
import { button, press, signIn } from "./lib/forms.mjs";
import { check } from "./pages.mjs";

export const OWNER = { email: "owner@example.org", password: "lantern gravel oboe tuesday" };

export async function checkSetUp({ browser, server, mail, faults, javaScript }) {
  const { context, page, note } = await open(browser, { faults, javaScript });
  const look = () => (javaScript ? check(page, note, 1360) : undefined);
  await page.goto(server.link);
  await look();
  await page.getByLabel("E-mail address").fill(OWNER.email);
  await page.getByLabel("Name", { exact: true }).fill("Ada Owner");
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByLabel("Password again").fill("short");
  if (!(await page.getByLabel("Add a baseline policy for all devices").isChecked())) note("the baseline is not ticked");
  await page.getByRole("button", { name: "Make account" }).click();
  await page.getByText("Nothing was changed.").waitFor();
  await look();
  await page.getByLabel("Password", { exact: true }).fill(OWNER.password);
  await page.getByLabel("Password again").fill(OWNER.password);
  await page.getByRole("button", { name: "Make account" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/set-up"));
  await look();
  await page.goto(new URL("/policies", server.link).href);
  await page.getByText("Baseline", { exact: true }).first().waitFor();
  const again = await page.goto(server.link);
  if (again.ok()) note("the set-up link works twice");
  await context.close();

  const later = await open(browser, { faults, javaScript });
  await signIn(later.page, server.url, OWNER);
  await checkMail({ page: later.page, base: server.url, mail });
  await later.context.close();
}

async function checkMail({ page, base, mail }) {
  await page.goto(`${base}/settings`);
  await press(page, button(page, "Send me a test mail"), /A test mail to owner@example.org is on its way/);
  // Mails go out every 30 s.
  await mail.got(/This is the test mail that Ada Owner asked for/, 90);

  await page.goto(`${base}/users/new`);
  await page.getByLabel("E-mail address").fill("bob@example.org");
  await page.getByLabel("Name", { exact: true }).fill("Bob");
  await page.locator("#observer-organisation").check();
  await press(page, button(page, "Invite"), /A mail tells them that you have it/);
  const invitation = await mail.got(/made an account in Holdfast for you/, 90);
  if (invitation.includes("/invite/")) throw new Error("the mail has the link");
}
