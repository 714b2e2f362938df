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
