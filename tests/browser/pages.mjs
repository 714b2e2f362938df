// Follows every link from the start page, and looks at each kind of page in both
// themes and both widths: axe, overflow, tables, CSP.
import AxeBuilder from "@axe-core/playwright";
import { open, path } from "./lib/chromium.mjs";
import { signIn } from "./lib/forms.mjs";

const WIDTHS = [1360, 390];
const THEMES = ["light", "dark"];
// So many pages of one kind (`/devices/{id}`): their states differ.
const OF_A_KIND = 3;

export async function checkPages({ browser, demo, faults }) {
  const { context, page } = await open(browser, { faults });
  await signIn(page, demo.url, demo.account("owner"));
  const found = await crawl(page, demo.url);
  const state = await context.storageState();
  await context.close();
  console.log(`   ${found.length} pages: ${found.map((it) => it.replace(demo.url, "")).join(" ")}`);

  for (const theme of THEMES) {
    for (const width of WIDTHS) {
      const signedIn = await open(browser, { faults, theme, width, state });
      for (const url of found) await look(signedIn, url, { theme, width });
      await look(signedIn, `${demo.url}/no/such/page`, { theme, width, status: 404 });
      await signedIn.context.close();
      const visitor = await open(browser, { faults, theme, width });
      await look(visitor, `${demo.url}/sign-in`, { theme, width });
      await visitor.context.close();
    }
  }
}

async function look({ page, note }, url, { width, status = 200 }) {
  const response = await page.goto(url);
  if (response.status() !== status) note(`${url} answered ${response.status()}`);
  await check(page, note, width);
}

// What must hold of whatever page is shown.
export async function check(page, note, width) {
  const size = await page.evaluate(() => ({
    inner: window.innerWidth,
    scroll: document.documentElement.scrollWidth,
  }));
  // A phone zooms a page that is too wide out, so both are looked at.
  if (size.inner !== width || size.scroll > width) note(`wider than the window: ${size.scroll} of ${size.inner}`);
  const tables = await page.evaluate(() => {
    const said = (it) => it.textContent.replace(/[↑↓]/g, "").trim();
    const sideways = [...document.querySelectorAll(".wrap")].filter((it) => it.scrollWidth > it.clientWidth);
    const labelled = [...document.querySelectorAll("td[data-label]")];
    const wrong = labelled.filter((it) => said(it.closest("table").tHead.rows[0].cells[it.cellIndex]) !== it.dataset.label);
    return { sideways: sideways.map((it) => it.ariaLabel), wrong: wrong.map((it) => it.dataset.label) };
  });
  // On a phone the last column has the buttons.
  if (width < 600 && tables.sideways.length > 0) note(`tables scroll sideways: ${tables.sideways.join(", ")}`);
  if (tables.wrong.length > 0) note(`cells named unlike their heading: ${tables.wrong.join(", ")}`);
  const { violations } = await new AxeBuilder({ page }).analyze();
  for (const it of violations) {
    note(`axe ${it.id}: ${it.help}: ${it.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`);
  }
  const text = await page.evaluate(() => document.body.innerText);
  if (/\{\{|\}\}|undefined|NaN/.test(text)) note("a template shows its bones");
}

async function crawl(page, base) {
  const kinds = new Map();
  const found = [];
  const queue = [`${base}/`];
  const seen = new Set(queue);
  while (queue.length > 0) {
    const url = queue.shift();
    const response = await page.goto(url);
    const type = response.headers()["content-type"] ?? "";
    if (!type.includes("html")) continue;
    found.push(url);
    const links = await page.evaluate(() => [...document.querySelectorAll("a[href]")].map((it) => it.href));
    for (const link of links) {
      const to = new URL(link);
      to.hash = "";
      if (to.origin !== new URL(base).origin || /\.(csv|json|svg|txt)$/.test(to.pathname)) continue;
      const address = to.toString();
      const kind = kindOf(to);
      const count = kinds.get(kind) ?? 0;
      if (seen.has(address) || count >= OF_A_KIND) continue;
      seen.add(address);
      kinds.set(kind, count + 1);
      queue.push(address);
    }
  }
  return found;
}

// `/devices/{id}?proof`: ids and the values of parameters left out.
function kindOf(url) {
  const place = url.pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "{id}");
  return `${place}?${[...url.searchParams.keys()].sort().join("&")}`;
}

export { path };
