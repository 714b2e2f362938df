// Every form of the console that is not in `setup.mjs` or `flows.mjs`, sent as a person does, with the page that
// comes looked at, and the way back in the browser taken after each.
import { open } from "./lib/chromium.mjs";
import { button, press, says, signIn, until } from "./lib/forms.mjs";
import { fillInWipe } from "./lib/wipe.mjs";

const ACTS = {
  async "an enrolment token is made, shown once, and withdrawn"({ page, base, tag }) {
    const name = `Sales ${tag}`;
    await page.goto(`${base}/enrollment`);
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Devices that may enroll with it").fill("3");
    await press(page, button(page, "Make token"), /This is shown once/, async () => {
      await says(page, /holdfast agent enroll --server \S+ --token hf_enroll_\S+/);
      const width = await page.locator("img.qr").evaluate((it) => it.naturalWidth);
      if (width === 0) throw new Error("the QR code is not drawn");
      const copy = button(page, "Copy token");
      if ((await copy.isVisible()) !== (tag === "with")) throw new Error("a button to copy shows only where it works");
      if (tag === "with") {
        await copy.click();
        await page.getByRole("status").filter({ hasText: "Copied" }).waitFor({ state: "attached" });
      }
    });
    await page.goto(`${base}/enrollment`);
    await press(page, button(page, `Revoke ${name}`), /The token was revoked/, () => inRow(page, name, /Revoked/));
  },

  async "a device is renamed and moved to a team"({ page, base, device, tag }) {
    const { id, name } = device("field-laptop-02");
    for (const [to, team] of [[`renamed ${tag}`, "Studio"], [name, "Field engineers"]]) {
      await page.goto(`${base}/devices/${id}/edit`);
      await page.getByLabel("Name", { exact: true }).fill(to);
      await page.getByLabel("Team").selectOption({ label: team });
      await press(page, button(page, "Save"), /Changed\./, () => says(page, new RegExp(`^[^]*${to}[^]*${team}`)));
    }
    await page.getByLabel("Name", { exact: true }).fill("");
    await press(page, button(page, "Save"), /Nothing was changed/);
  },

  async "a token of an own client is made and revoked"({ page, base, device, tag }) {
    const name = `NAS ${tag}`;
    await page.goto(`${base}/devices/${device("field-laptop-02").id}`);
    await page.getByLabel("Where will you use it?").first().fill(name);
    await press(page, button(page, "Make a token that appends"), /RESTIC_PASSWORD='\S+'/);
    await page.reload();
    await press(page, button(page, `Revoke ${name}`), /The token was revoked/, () => inRow(page, name, /Revoked/));
  },

  async "a device is backed up, proven and locked now"({ page, base, device }) {
    await page.goto(`${base}/devices/${device("field-laptop-02").id}`);
    await press(page, button(page, /^Back up and prove/), /Backup queued/);
    await until(page, /Done Back up now/, 60);
    await page.getByText("More actions").click();
    await press(page, button(page, "Prove now"), /Restore test of the newest backup queued/);
    await press(page, button(page, "Lock"), /Lock queued/);
    await until(page, /Done Lock|Failed Lock/, 60);
  },

  async "a command that no device has got is cancelled"({ page, base, device }) {
    await page.goto(`${base}/devices/${device("field-tablet-04").id}`);
    await press(page, button(page, "Lock"), /Lock queued/, () => says(page, /Queued Lock/));
    await page.reload();
    await press(page, button(page, "Cancel"), /The command was cancelled/, () => says(page, /Cancelled\s+Lock/));
    await page.reload();
    await says(page, /Cancelled Lock/);
  },

  async "ticked devices are backed up, proven and locked at once"({ page, base }) {
    for (const [name, sure, said] of [
      ["Back up now", "Back up 3 devices", /Back up now queued for 3 devices/],
      ["Prove now", "Prove 3 devices", /Restore test queued for 3 devices/],
      ["Lock", "Lock 3 devices", /Lock queued for 3 devices/],
    ]) {
      await page.goto(`${base}/devices?q=field-laptop`);
      for (const box of await page.locator("input[name=id]").all()) await box.check();
      await button(page, name).click();
      await says(page, new RegExp(`${sure}\\?`));
      await button(page, sure).click();
      await says(page, said);
    }
    await page.goto(`${base}/devices`);
    await press(page, button(page, "Lock"), /Tick at least one device/);
    await button(page, "Lock").click();
    await page.getByRole("link", { name: "Back to the page" }).click();
    await says(page, /With the devices/);
  },

  async "a policy is made, edited and removed"({ page, base, tag }) {
    const name = `Basics ${tag}`;
    await page.goto(`${base}/policies/new`);
    await page.getByLabel("Name", { exact: true }).fill(name);
    await press(page, button(page, "Save policy"), /Nothing was changed/);
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Storage is encrypted").check();
    await press(page, button(page, "Save policy"), /Saved\./, () => says(page, /Storage encrypted/));
    await page.goto(`${base}/policies`);
    await page.getByRole("link", { name }).click();
    const at = page.url();
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("A passcode or screen lock is set").check();
    await press(page, button(page, "Save policy"), /Saved\./, () => says(page, /version 2[^]*Passcode set/));
    await page.goto(at);
    await press(page, button(page, "Remove policy"), /Type the policy’s name/);
    await page.getByLabel(`Type the name: ${name}`).fill(name);
    await button(page, "Remove policy").click();
    await says(page, /The policy was removed/);
    await page.goBack();
    await says(page, /There is no such policy/);
  },

  async "a wipe is requested and stopped by somebody else, one and all"({ page, base, device, other }) {
    const operator = await other("operator");
    const { id, serial } = device("field-tablet-04");
    for (const stop of ["Stop, keep device", "Stop all wipes"]) {
      await fillInWipe(operator, base, { id, serial });
      let request;
      await press(operator, button(operator, "Request wipe"), /Waiting for a second person to approve/, async () => {
        request = operator.url();
      });
      await says(operator, /A wipe of this device is under way/);
      await page.goto(stop === "Stop all wipes" ? `${base}/approvals` : request);
      await press(page, button(page, stop), /Stopped\.|1 wipe stopped/);
      await page.goto(request);
      await says(page, /Cancelled[^]*Stopped by/);
    }
    await operator.context().close();
  },

  async "a person is invited, gets other roles, and is disabled and enabled"({ page, base, tag, visitor }) {
    const account = { email: `guest.${tag}@example.org`, password: "lantern gravel oboe tuesday" };
    await page.goto(`${base}/users/new`);
    await page.getByLabel("E-mail address").fill(account.email);
    await page.getByLabel("Name", { exact: true }).fill(`Guest ${tag}`);
    await page.locator("#observer-organisation").check();
    let link;
    await press(page, button(page, "Invite"), /is not shown again/, async () => {
      link = await page.locator(".secret").innerText();
    });
    const guest = await visitor();
    await guest.goto(link);
    await guest.getByLabel("Password", { exact: true }).fill(account.password);
    await guest.getByLabel("Password again").fill(account.password);
    await guest.locator("main button").click();
    await guest.waitForURL((url) => !url.pathname.startsWith("/invite"));

    await page.goto(`${base}/users`);
    await page.getByRole("link", { name: `Guest ${tag}` }).click();
    await page.locator("#operator-organisation").check();
    await press(page, button(page, "Set roles"), /The roles were set/);
    await guest.goto(`${base}/account`);
    if (!guest.url().includes("/sign-in")) throw new Error("changed roles did not end the session");
    await signIn(guest, base, account);

    await guest.goto(`${base}/account`);
    await button(guest, "Sign out everywhere").click();
    await says(guest, /You are signed out everywhere/);
    await guest.goBack();
    if (!guest.url().includes("/sign-in")) throw new Error(`back after signing out leads to ${guest.url()}`);

    await page.reload();
    await press(page, button(page, "New one-time link"), /is not shown again/);
    await press(page, button(page, "Disable account"), /The account was disabled/, () => says(page, /Disabled/));
    await page.reload();
    await press(page, button(page, "Enable account"), /is not shown again/);
    await guest.context().close();
  },

  async "an API token is made, reads a list, and is revoked"({ page, base, tag }) {
    const name = `script ${tag}`;
    await page.goto(`${base}/api-tokens`);
    await page.getByLabel("Name", { exact: true }).fill(name);
    let secret;
    await press(page, button(page, "Make token"), /Your token is ready/, async () => {
      secret = await page.locator(".secret").innerText();
    });
    const read = () => fetch(`${base}/devices.json`, { headers: { Authorization: `Bearer ${secret}` } });
    if (!(await read()).ok) throw new Error("the token reads no list");
    await page.goto(`${base}/api-tokens`);
    await press(page, button(page, `Revoke ${name}`), /The token was revoked/, () => inRow(page, name, /Revoked/));
    if ((await read()).ok) throw new Error("a revoked token reads a list");
  },

  async "a team is added and a setting changed"({ page, base, tag }) {
    await page.goto(`${base}/teams`);
    await page.getByLabel("Name", { exact: true }).fill(`Team ${tag}`);
    await press(page, button(page, "Add team"), /was added/);
    for (const number of ["999", "1000"]) {
      await page.goto(`${base}/settings`);
      await page.getByLabel("Backup space per device (GB)").fill(number);
      await press(page, button(page, "Change settings"), /The settings were changed/);
      await page.reload();
      const is = await page.getByLabel("Backup space per device (GB)").inputValue();
      if (is !== number) throw new Error(`the setting is ${is}`);
    }
    await page.getByLabel("Most wipes per hour").fill("41");
    await press(page, button(page, "Change settings"), /In force from/);
    await page.reload();
    await press(page, button(page, "Take back"), /Taken back/);
    await page.reload();
    await page.getByLabel("Most wipes per hour").fill("-1");
    await press(page, button(page, "Change settings"), /Nothing was changed/);
  },

  async "theme and density are kept"({ page, base }) {
    for (const [theme, density, shown] of [["dark", "compact", ["dark", "compact"]], ["", "", [null, null]]]) {
      await page.goto(`${base}/account`);
      await page.getByLabel("Theme").selectOption(theme);
      await page.getByLabel("Density").selectOption(density);
      await press(page, button(page, "Change appearance"), /The appearance was changed/, async () => {
        const html = page.locator("html");
        const is = [await html.getAttribute("data-theme"), await html.getAttribute("data-density")];
        if (String(is) !== String(shown)) throw new Error(`the page has ${is}`);
      });
    }
  },

  async "name and time zone are changed"({ page, base }) {
    for (const zone of ["Europe/Paris", "UTC"]) {
      await page.goto(`${base}/account`);
      await page.getByLabel("Time zone").selectOption(zone);
      await press(page, button(page, "Change name and time zone"), /Your account was changed/, async () => {
        if (!(await page.locator(".zone").innerText()).includes(zone)) throw new Error("times are in another zone");
      });
    }
  },

  async "lists are filtered, sorted, paged and exported"({ page, base }) {
    await page.goto(`${base}/devices`);
    await page.getByText("Filter and search").click();
    await page.getByLabel("Encryption").selectOption({ label: "Not encrypted" });
    await press(page, button(page, "Show"), /field-laptop-02/, async () => {
      if ((await page.locator("tbody tr").count()) !== 1) throw new Error("the filter shows other devices too");
      await exported(page, "CSV", /\.csv$/);
      await exported(page, "JSON", /\.json$/);
    });
    await page.getByRole("link", { name: "Device", exact: true }).click();
    const names = await page.locator("tbody td:nth-child(2) a").allInnerTexts();
    if (String(names) !== String([...names].sort())) throw new Error(`sorted by name: ${names}`);
    await page.getByRole("navigation", { name: "Saved views" }).getByRole("link", { name: /^Never proven/ }).click();
    await says(page, /contractor-07/);
    await page.goBack();
    await says(page, /studio-desk-05/);

    await page.goto(`${base}/activity`);
    const first = await page.locator("tbody tr td:first-child").first().innerText();
    await page.getByRole("link", { name: "Next" }).click();
    if ((await page.locator("tbody tr td:first-child").first().innerText()) === first) throw new Error("Next shows the same");
    await page.goBack();
    await page.getByText("Filter and search").click();
    await page.getByLabel("Action").selectOption({ label: "device enrolled" });
    await press(page, button(page, "Filter"), /device enrolled/, async () => {
      if (/signed in\n/.test(await page.locator("tbody").innerText())) throw new Error("the filter shows other acts too");
      await exported(page, "CSV", /\.csv$/);
    });
    await page.goto(`${base}/commands`);
    await page.getByLabel("Command", { exact: true }).selectOption({ label: "Lock" });
    await press(page, button(page, "Show"), /Lock/);
  },

  async "a device enrolls again with its own token"({ page, base, device }) {
    await page.goto(`${base}/devices/${device("field-laptop-02").id}`);
    await page.getByText("More actions").click();
    await press(page, button(page, "Enroll again…"), /holdfast agent enroll --again/);
  },

  async "chosen files stay chosen through the steps of a restore, forth and back"({ page, base, device }) {
    await page.goto(`${base}/devices/${device("studio-desk-06").id}/restore`);
    await page.locator("a[id^=choose-]").first().click();
    await page.getByLabel("Search files").fill(".vcf");
    await button(page, "Search").click();
    const boxes = page.locator("input[name=path]");
    await boxes.nth(0).check();
    await boxes.nth(1).check();
    await page.getByLabel("Search files").fill("no such file");
    await button(page, "Search").click();
    await says(page, /No file has/);
    const kept = async (count) => {
      const is = await page.locator("input[name=path]:checked, form.card input[type=hidden][name=path]").count();
      if (is !== count) throw new Error(`${page.url()} has ${is} of ${count} chosen files`);
    };
    await kept(2);
    await button(page, /Next: where to/).click();
    await kept(2);
    await button(page, /Next: preview/).click();
    await says(page, /2 files/);
    await page.goBack();
    await says(page, /If a different file is there/);
    await kept(2);
    await page.goForward();
    await says(page, /2 files/);
    await button(page, "Back").click();
    await kept(2);
    await button(page, "Back").click();
    await kept(2);
    await page.goBack();
    await kept(2);
    if (page.url().includes("vcf")) throw new Error("the address names files");
  },
};

export async function checkActs({ browser, demo, faults, javaScript }) {
  const owner = await open(browser, { faults, javaScript });
  await signIn(owner.page, demo.url, demo.account("owner"));
  const visitor = async () => (await open(browser, { faults, javaScript })).page;
  const world = {
    page: owner.page,
    base: demo.url,
    device: demo.device,
    tag: javaScript ? "with" : "without",
    visitor,
    async other(role) {
      const page = await visitor();
      await signIn(page, demo.url, demo.account(role));
      return page;
    },
  };
  for (const [name, act] of Object.entries(ACTS)) {
    // One that fails must not hide the others.
    await act(world).catch((error) => faults.push(`${name}, JavaScript ${javaScript ? "on" : "off"}: ${error.message}`));
  }
  await owner.context.close();
}

async function inRow(page, name, pattern) {
  const text = await page.locator("tr", { hasText: name }).first().innerText();
  if (!pattern.test(text)) throw new Error(`the row of ${name} does not say ${pattern}: ${text}`);
}

async function exported(page, name, pattern) {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name, exact: true }).click(),
  ]);
  if (!pattern.test(download.suggestedFilename())) throw new Error(`${name} came as ${download.suggestedFilename()}`);
}
