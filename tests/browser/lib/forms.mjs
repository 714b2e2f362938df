// What a person does with the pages' forms.

// Tries of one account that come at the same moment are delayed, so one goes after the other.
let turn = Promise.resolve();

export function signIn(page, base, account) {
  turn = turn.then(() => fillIn(page, base, account));
  return turn;
}

async function fillIn(page, base, { email, password }) {
  await page.goto(`${base}/sign-in`);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
}

// Loads the page again until it says what is awaited: with and without JavaScript.
export async function until(page, pattern, seconds) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const text = await page.locator("main").innerText();
    if (pattern.test(text)) return text;
    if (Date.now() > deadline) throw new Error(`${page.url()} does not say ${pattern} after ${seconds} s:\n${text}`);
    await new Promise((done) => setTimeout(done, 1500));
    await page.reload();
  }
}

// What the page says now, or the next one that is on its way: a click does not wait until that is there.
export async function says(page, pattern) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const text = await page.locator("main").innerText();
    // It may be looked at next, as a whole.
    if (pattern.test(text)) return page.waitForLoadState("domcontentloaded");
    if (Date.now() > deadline) throw new Error(`${page.url()} does not say ${pattern}:\n${text}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

// Presses what leads to a new page, and waits for that: until then the page before it is still there. Gives its answer.
export async function follow(page, button) {
  const [answer] = await Promise.all([page.waitForNavigation({ waitUntil: "domcontentloaded" }), button.click()]);
  return answer;
}

// Sends a form by its button, looks at what comes, and goes back in the browser: the page that the form was on is
// there again, says nothing any more of what was done, and nothing was sent once more.
export async function press(page, button, pattern, look = async () => {}) {
  const from = page.url();
  await button.click();
  await says(page, pattern);
  await look();
  const to = page.url();
  const answer = await page.goBack();
  if (answer && answer.status() >= 400) throw new Error(`back from ${to} to ${page.url()} answered ${answer.status()}`);
  if (page.url() !== from) throw new Error(`back from ${to} leads to ${page.url()}, not to ${from}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  if ((await page.locator("main > [role=status]").count()) > 0) throw new Error(`${from} says once more what was done`);
}

// A button by the words on it.
export const button = (page, name) => page.getByRole("button", { name, exact: typeof name === "string" });
