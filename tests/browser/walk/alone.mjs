// What one session may not do alone: data that leaves its device, contents that are read, many devices at once, and
// what two people change at the same time.
import { button, follow, says, signIn } from "../lib/forms.mjs";
import { admin, change } from "../lib/machine.mjs";

const PASSWORD = "lantern gravel oboe tuesday";

export const ALONE = {
  async "a restore to another device needs a reason and a second person"({ demo, base, operator, approver, look, javaScript }) {
    const [from, to] = [demo.device("field-laptop-02"), demo.device(javaScript ? "spare-laptop-09" : "spare-laptop-10")];
    await operator.goto(`${base}/devices/${from.id}/restore`);
    await look(operator, "restore which point");
    await operator.locator("a[id^=choose-]").first().click();
    await operator.locator("#what-all").check();
    await look(operator, "restore what");
    await button(operator, /Next: where to/).click();
    await says(operator, /A restore to another device needs a second person/);
    const label = operator.locator("label", { hasText: to.name });
    if (!/company|personal/i.test(await label.innerText())) throw new Error(`a target is described as ${await label.innerText()}`);
    await look(operator, "restore where to");
    await label.locator("input[name=target]").check();
    await button(operator, /Next: preview/).click();
    await says(operator, /The data leaves the device it was backed up from\. Nothing is sent until a second person approves/);
    await button(operator, /^Ask to restore \d/).click();
    await says(operator, /Nothing was changed/);
    if (/\/restores\/[0-9a-f-]{36}$/.test(operator.url())) throw new Error("a restore to another device went without a reason");
    await look(operator, "restore without a reason");
    await operator.getByLabel("Why does it go to another device?").fill("The old laptop was left in a taxi");
    await button(operator, /^Ask to restore \d/).click();
    await operator.waitForURL(/\/restores\/[0-9a-f-]{36}$/);
    await says(operator, /Nothing is sent until a second person approves/);
    if ((await button(operator, "Approve restore").count()) > 0) throw new Error("whoever asked can approve");
    await look(operator, "restore asked");
    await approver.goto(`${base}/approvals`);
    await says(approver, /Restores to another device[^]*The old laptop was left in a taxi/);
    await look(approver, "approvals of restores");
    await approver.goto(operator.url());
    await look(approver, "restore to decide");
    await button(approver, "Refuse").click();
    await says(approver, /Refused|Cancelled/);
    await look(approver, "restore refused");
    await approver.goto(`${base}/restores`);
    await look(approver, "restores");
  },

  async "reading contents asks for a reason and a password that was just entered"({ demo, base, owner, look }) {
    const device = demo.device("studio-laptop-08");
    const account = demo.account("owner");
    const twentyMinutes = (way) =>
      change(demo, `UPDATE sessions SET reauthenticated_at = reauthenticated_at ${way} 1200000 WHERE user_id = (SELECT id FROM users WHERE email = ?)`, [account.email]);
    twentyMinutes("-");
    await owner.goto(`${base}/devices/${device.id}`);
    await owner.getByText("A token that reads", { exact: true }).click();
    const form = owner.locator("form", { hasText: "Make a token that reads" });
    await form.getByLabel("Where will you use it?").fill("restic on the audit laptop");
    await look(owner, "token that reads");
    await form.getByLabel("Your password").fill(account.password);
    await button(owner, "Make a token that reads").click();
    await says(owner, /Nothing was changed/);
    await look(owner, "token that reads without a reason");
    await form.getByLabel("Why", { exact: true }).fill("Audit of November");
    await form.getByLabel("Your password").fill("a wrong password");
    await follow(owner, button(owner, "Make a token that reads"));
    await says(owner, /This is not your password/);
    if ((await owner.locator(".secret").count()) > 0) throw new Error("a wrong password reads contents");
    await look(owner, "token that reads with a wrong password");
    // After a wrong one nobody may try again at once, and the page says so.
    let waits = true;
    for (let tries = 0; waits && tries < 50; tries += 1) {
      const why = form.getByLabel("Why", { exact: true });
      if (!(await why.isVisible())) await owner.getByText("A token that reads", { exact: true }).click();
      await form.getByLabel("Where will you use it?").fill("restic on the audit laptop");
      await why.fill("Audit of November");
      await form.getByLabel("Your password").fill(account.password);
      await follow(owner, button(owner, "Make a token that reads"));
      waits = (await owner.getByText(/Too many tries/).count()) > 0;
    }
    await says(owner, /It can read and append until/);
    await look(owner, "token that reads made");
    await owner.goto(`${base}/activity?q=Audit+of+November`);
    await says(owner, new RegExp(device.name));
    twentyMinutes("+");
  },

  async "many devices are locked after a page that counts and names them, and all is cancelled at once"({ base, operator, look }) {
    // The search finds what was wiped as well, and nothing can be asked of that.
    await operator.goto(`${base}/devices?q=field-`);
    const names = await operator.locator("tbody tr:has(input[name=id]) td.name:nth-child(2) a").allInnerTexts();
    await operator.locator("#scope-all").check();
    await button(operator, "Lock").click();
    const title = `Lock ${names.length} devices`;
    await says(operator, new RegExp(`${title}\\?`));
    const said = await operator.locator("main").innerText();
    const missing = names.filter((it) => !said.includes(it));
    if (missing.length > 0) throw new Error(`the page does not name ${missing}`);
    await says(operator, /Locks the screen[^]*Data stays readable/);
    await look(operator, "lock many");
    await button(operator, title).click();
    await says(operator, new RegExp(`Lock queued for ${names.length} devices`));
    await look(operator, "locks of one form");
    // The silent one waits for sure; the others may have got theirs.
    await button(operator, "Cancel all that still wait").click();
    await says(operator, /cancelled/i);
    await look(operator, "all cancelled");
    const left = await operator.locator("tbody tr", { hasText: "Queued" }).count();
    if (left > 0) throw new Error(`${left} commands still wait`);
  },

  async "a second removal within the hour waits, and somebody else stops it"({ demo, base, owner, approver, look, javaScript }) {
    const remove = async ({ id, name }) => {
      await owner.goto(`${base}/devices/${id}/edit`);
      await owner.getByLabel(`Type the name: ${name}`).fill(name);
      await button(owner, "Remove device").click();
    };
    if (javaScript) {
      const first = demo.device("contractor-07");
      await remove(first);
      await owner.goto(`${base}/devices/${first.id}`);
      await says(owner, /Removed[^]*This device was removed from the lists[^]*Any backups it has are kept/);
      for (const name of [/^Back up/, "Lock", "Prove now"]) {
        if ((await button(owner, name).count()) > 0) throw new Error(`a removed device offers ${name}`);
      }
      await look(owner, "removed device");
    }
    const second = demo.device("studio-desk-05");
    await remove(second);
    await owner.goto(`${base}/devices/${second.id}`);
    await says(owner, /This device will be removed [^]*Anyone who sees the device can stop it/);
    await look(owner, "device to be removed");
    await approver.goto(owner.url());
    await button(approver, "Stop the removal").click();
    await approver.goto(owner.url());
    if (/will be removed/.test(await approver.locator("main").innerText())) throw new Error("the removal goes on");
  },

  async "of two people who change one policy the second is refused, with what was typed kept"({ base, owner, visitor, look, tag }) {
    await owner.goto(`${base}/users/new`);
    const roles = await owner.locator("fieldset").first().innerText();
    for (const [role, what] of [["Owner", /Manages people/], ["Approver", /Decides on wipes/], ["Policy editor", /Writes the policies/], ["Helpdesk", /locks them/]]) {
      if (!roles.includes(role) || !what.test(roles)) throw new Error(`the invitation does not say what ${role} is for`);
    }
    await look(owner, "invite a person");
    const account = { email: `editor.${tag}@example.org`, password: PASSWORD };
    await owner.getByLabel("E-mail address").fill(account.email);
    await owner.getByLabel("Name", { exact: true }).fill(`Petra Editor ${tag}`);
    await owner.locator("#policy_editor-organisation").check();
    await button(owner, "Invite").click();
    await says(owner, /is not shown again/);
    await look(owner, "invited");
    const editor = await visitor();
    await editor.goto(await owner.locator(".secret").innerText());
    await look(editor, "invitation");
    await editor.getByLabel("Password", { exact: true }).fill(account.password);
    await editor.getByLabel("Password again").fill(account.password);
    await editor.locator("main button").click();
    await editor.waitForURL((url) => !url.pathname.startsWith("/invite"));
    if (editor.url().includes("/sign-in")) await signIn(editor, base, account);

    await owner.goto(`${base}/policies/new`);
    const name = `Shared ${tag}`;
    await owner.getByLabel("Name", { exact: true }).fill(name);
    await owner.getByLabel("Storage is encrypted").check();
    await button(owner, "Save policy").click();
    await says(owner, /Saved\./);
    const edit = `${owner.url()}/edit`;
    await editor.goto(edit);
    await owner.goto(edit);
    await owner.getByLabel("A passcode or screen lock is set").check();
    await button(owner, "Save policy").click();
    await says(owner, /Saved\./);
    await editor.getByLabel("Name", { exact: true }).fill(`${name}, by Petra`);
    await button(editor, "Save policy").click();
    await says(editor, /Nothing was changed[^]*Somebody changed this while you were editing[^]*What you typed is kept/);
    if ((await editor.getByLabel("Name", { exact: true }).inputValue()) !== `${name}, by Petra`) throw new Error("what was typed is lost");
    await look(editor, "lost update");
    await owner.goto(edit);
    if ((await owner.getByLabel("Name", { exact: true }).inputValue()) !== name) throw new Error("the second overwrote the first");
    await editor.context().close();
  },

  async "a session that ended keeps what was typed"({ demo, base, program, operator, visitor, look, javaScript }) {
    const account = demo.account("operator");
    const page = await visitor();
    await signIn(page, base, account);
    await page.goto(`${base}/devices/${demo.device("studio-desk-05").id}/edit`);
    await page.getByLabel("Person").fill("Lucía Castillo Ruiz");
    admin(program, demo, "sessions", "end", account.email);
    await button(page, "Save").click();
    await says(page, /Sign in to continue[^]*What you sent was not done/);
    await look(page, "session ended");
    await page.locator("main").getByRole("link", { name: "Sign in" }).click();
    await page.getByLabel("E-mail address").fill(account.email);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await button(page, "Sign in").click();
    await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
    // Scripts keep it; without them the page says what to do, and nothing is sent by itself.
    if (javaScript) {
      if (!page.url().endsWith("/edit")) await page.goto(`${base}/devices/${demo.device("studio-desk-05").id}/edit`);
      await says(page, /What you typed is back/);
      if ((await page.getByLabel("Person").inputValue()) !== "Lucía Castillo Ruiz") throw new Error("what was typed is lost");
      await look(page, "what was typed is back");
    }
    await page.context().close();
    await signIn(operator, base, account);
  },
};
