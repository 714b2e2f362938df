// The first start: the printed link makes the owner, once.
import { open } from "./lib/chromium.mjs";
import { signIn } from "./lib/forms.mjs";
import { check } from "./pages.mjs";

const OWNER = { email: "owner@example.org", password: "lantern gravel oboe tuesday" };

export async function checkSetUp({ browser, server, faults, javaScript }) {
  const { context, page, note } = await open(browser, { faults, javaScript });
  const look = () => (javaScript ? check(page, note, 1360) : undefined);
  await page.goto(server.link);
  await look();
  await page.getByLabel("E-mail address").fill(OWNER.email);
  await page.getByLabel("Name", { exact: true }).fill("Ada Owner");
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByLabel("Password again").fill("short");
  await page.getByRole("button", { name: "Make account" }).click();
  await page.getByText("Nothing was changed.").waitFor();
  await look();
  await page.getByLabel("Password", { exact: true }).fill(OWNER.password);
  await page.getByLabel("Password again").fill(OWNER.password);
  await page.getByRole("button", { name: "Make account" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/set-up"));
  await look();
  const again = await page.goto(server.link);
  if (again.ok()) note("the set-up link works twice");
  await context.close();

  const later = await open(browser, { faults, javaScript });
  await signIn(later.page, server.url, OWNER);
  await later.context.close();
}
