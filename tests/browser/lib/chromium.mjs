// Debian's Chromium, and pages that remember what the browser complained about.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const CANDIDATES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function launch() {
  const executablePath = CANDIDATES.find((it) => it && existsSync(it));
  if (!executablePath) throw new Error("no Chromium; install it or name it with CHROMIUM=…");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// A separate context: cookies, theme and width; complaints go to `faults`. `breaks` where the server's own fault is
// what is looked for.
export async function open(
  browser,
  { faults, theme = "light", width = 1360, javaScript = true, state, breaks = false } = {},
) {
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width, height: width < 600 ? 844 : 900 },
    javaScriptEnabled: javaScript,
    storageState: state,
    locale: "en-GB",
    timezoneId: "Europe/Paris",
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const note = (text) => {
    const fault = `${path(page)} (${theme}, ${width}): ${text}`;
    if (!faults.includes(fault)) faults.push(fault);
  };
  const refused = breaks ? /status of [45]\d\d/ : /status of 4\d\d/;
  page.on("console", (message) => {
    const text = message.text();
    if (/content.security.policy/i.test(text)) note(`CSP: ${text}`);
    else if (message.type() === "error" && !refused.test(text)) note(`console: ${text}`);
  });
  page.on("pageerror", (error) => note(`script: ${error.message}`));
  page.on("response", (response) => {
    if (!breaks && response.status() >= 500) note(`${response.request().method()} ${response.url()} answered ${response.status()}`);
  });
  return { context, page, note };
}

export function path(page) {
  try {
    return new URL(page.url()).pathname;
  } catch {
    return page.url();
  }
}
