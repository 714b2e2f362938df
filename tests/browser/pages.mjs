// Follows every link from the start page, and looks at each kind of page in both
// themes and both widths: axe, overflow, tables, CSP.
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { violations } from "./lib/axe.mjs";
import { open } from "./lib/chromium.mjs";
import { follow, signIn, until } from "./lib/forms.mjs";

const WIDTHS = [1360, 390];
const THEMES = ["light", "dark"];
// How many pages of one kind (`/devices/{id}`) to visit, because their states differ. Of one list, each filter once.
const OF_A_KIND = 3;

// Every page that links lead to, and what no link leads to: `states`, the paths of wipes, lists of nothing, refusals.
export async function checkPages({ browser, demo, faults, states, album }) {
  const people = {};
  for (const role of ["owner", "operator", "approver"]) people[role] = await stateOf(browser, demo, role, faults);
  const { context, page } = await open(browser, { faults, state: people.owner });
  const found = await crawl(page, demo.url);
  await context.close();
  const others = [...Object.values(states), ...devicePages(demo), ...NOTHING_FOUND];
  const seenBy = {
    owner: [...new Set([...found, ...others.map((it) => demo.url + it)])],
    // These have a form for them.
    operator: ["/approvals", states["Review again"]].map((it) => demo.url + it),
    approver: ["/approvals", states.Requested, states.Held].map((it) => demo.url + it),
  };
  console.log(`   ${found.length} pages: ${found.map((it) => it.replace(demo.url, "")).join(" ")}`);

  await inEachLook(async (look) => {
    for (const [role, urls] of Object.entries(seenBy)) {
      const it = await open(browser, { faults, state: people[role], ...look });
      for (const url of urls) await visit(it, url, { ...look, album, as: role });
      if (role === "owner") await refusals(it, demo.url, { ...look, album });
      if (role === "approver") await visit(it, `${demo.url}/users`, { ...look, album, as: role, status: 403 });
      await it.context.close();
    }
    const visitor = await open(browser, { faults, ...look });
    await visit(visitor, `${demo.url}/sign-in`, { ...look, album });
    await visit(visitor, `${demo.url}/set-up/used`, { ...look, album, status: 404 });
    await visitor.context.close();
  });
}

// A server on which nothing happened yet.
export async function checkEmptyPages({ browser, server, account, faults, album }) {
  const { context, page } = await open(browser, { faults });
  await signIn(page, server.url, account);
  const found = await crawl(page, server.url);
  const state = await context.storageState();
  await context.close();
  await inEachLook(async (look) => {
    const it = await open(browser, { faults, state, ...look });
    for (const url of found) await visit(it, url, { ...look, album, as: "first" });
    await it.context.close();
  });
}

// What time and a broken row bring, as `age` made them.
export async function checkAged({ browser, demo, faults, states, album }) {
  const owner = await open(browser, { faults });
  await signIn(owner.page, demo.url, demo.account("owner"));
  await owner.page.goto(demo.url + states.Requested);
  await until(owner.page, /Expired[^]*Nothing was erased/, 90);
  const state = await owner.context.storageState();
  await owner.context.close();
  await inEachLook(async (look) => {
    const it = await open(browser, { faults, state, breaks: true, ...look });
    await visit(it, demo.url + states.Requested, { ...look, album, as: "expired" });
    await visit(it, demo.url + states.Cancelled, { ...look, album, as: "broken", status: 500 });
    await it.context.close();
  });
  await inEachLook(async (look) => {
    const { context, page, note } = await open(browser, { faults, ...look });
    await page.goto(`${demo.url}/sign-in`);
    // The first tries are only wrong.
    for (let status = 0; status !== 429; ) {
      await page.getByLabel("E-mail address").fill("nobody@example.org");
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      const answer = await follow(page, page.getByRole("button", { name: "Sign in" }));
      status = answer.status();
      await page.waitForLoadState();
    }
    await check(page, note, look.width);
    await picture(page, album, "429", look);
    await context.close();
  });
}

// What pages look like with a second store: all copied, then something damaged in both, then unreachable. `serve` starts
// the server with it again, and `folder` is where it is.
export async function checkStores({ browser, serve, damage, folder, faults, album }) {
  const look = async (demo, as) => {
    const state = await stateOf(browser, demo, "owner", faults);
    await inEachLook(async (at) => {
      const it = await open(browser, { faults, state, ...at });
      for (const path of ["/", "/stores", "/incident", "/if-lost/backup_store"]) await visit(it, demo.url + path, { ...at, album, as });
      await it.context.close();
    });
  };
  const says = async (demo, pattern) => {
    const owner = await open(browser, { faults });
    await signIn(owner.page, demo.url, demo.account("owner"));
    await owner.page.goto(`${demo.url}/stores`);
    await until(owner.page, pattern, 120);
    await owner.context.close();
  };
  let demo = await serve();
  try {
    // What no store has intact any more, as in one of the demo's stories, is not copied.
    await says(demo, /: 1 object waits to be copied|Everything in the backup store was copied/);
    await look(demo, "spare");
  } finally {
    await demo.stop({ keep: true });
  }
  damage();
  demo = await serve();
  try {
    await says(demo, /Damaged/);
    await look(demo, "damaged");
    renameSync(folder, `${folder}-unplugged`);
    await says(demo, /cannot be used since|Unreadable since/);
    await look(demo, "unreachable");
  } finally {
    if (existsSync(`${folder}-unplugged`)) renameSync(`${folder}-unplugged`, folder);
    await demo.stop({ keep: true });
  }
}

// Devices in the states that `bringStates` left them in, and the forms of wipes that are not under way.
function devicePages(demo) {
  const at = (name) => `/devices/${demo.device(name).id}`;
  const shown = ["field-laptop-02", "field-laptop-11", "field-tablet-04", "spare-laptop-09", "studio-desk-05", "studio-laptop-08"];
  return [...shown.map(at), `${at("spare-laptop-10")}/wipe`, `${at("studio-laptop-08")}/wipe`, `${at("field-laptop-11")}/restore`];
}

const NOTHING_FOUND = [
  "/devices?q=no-such-device",
  "/activity?q=no-such-act",
  "/restore-points?known=failed",
  "/restore-tests?result=partial",
  "/stores",
  "/incident",
  "/if-lost/location",
  "/if-lost/backup_store?fate=lose_all",
  "/commands?state=expired",
  "/wipe-requests?state=confirmed",
];

// Forms that no page has, or has with something in it.
async function refusals(it, base, about) {
  await visit(it, `${base}/no/such/page`, { ...about, status: 404 });
  await visit(it, `${base}/devices/00000000-0000-7000-8000-000000000000`, { ...about, status: 404 });
  await visit(it, `${base}/devices?q=%00`, { ...about, status: 400 });
  await visit(it, `${base}/activity?from=yesterday`, { ...about, status: 422 });
  for (const [action, status] of [
    ["/activity", 405],
    ["/devices/lock-commands", 422],
    ["/settings/check_in.seconds/take-backs", 409],
  ]) {
    const { page, note } = it;
    await page.goto(`${base}/account`);
    const [answer] = await Promise.all([
      page.waitForNavigation(),
      page.evaluate((to) => {
        const form = document.querySelector("main form");
        form.action = to;
        form.noValidate = true;
        form.requestSubmit();
      }, action),
    ]);
    if (answer.status() !== status) note(`a form to ${action} was answered ${answer.status()}, not ${status}`);
    await check(page, note, about.width);
    await picture(page, about.album, String(status), about);
  }
}

export async function inEachLook(work) {
  for (const theme of THEMES) for (const width of WIDTHS) await work({ theme, width });
}

export async function stateOf(browser, demo, role, faults) {
  const { context, page } = await open(browser, { faults });
  await signIn(page, demo.url, demo.account(role));
  const state = await context.storageState();
  await context.close();
  return state;
}

export async function visit({ page, note }, url, { theme, width, album, as = "", status = 200 }) {
  const response = await page.goto(url);
  if (response.status() !== status) note(`${url} answered ${response.status()}`);
  await picture(page, album, `${as} ${status === 200 ? "" : status} ${url.replace(/^\w+:\/\/[^/]*/, "")}`, { theme, width });
  await check(page, note, width);
}

// A picture of the whole page, for a person to look at.
async function picture(page, album, name, { theme, width }) {
  if (!album) return;
  const file = `${name.replace(/[^\w.=-]+/g, "_").slice(0, 90)}-${theme}-${width}.png`;
  await page.screenshot({ path: join(album, file), fullPage: true });
}

// What must hold of whatever page is shown.
export async function check(page, note, width) {
  await checkShape(page, note, width);
  for (const it of await violations(page)) note(it);
}

// The same except for axe, which takes most of the time.
export async function checkShape(page, note, width) {
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
  const broken = await page.evaluate(brokenWords);
  if (broken.length > 0) note(`words break into letters: ${broken.slice(0, 5).join(", ")}`);
  const text = await page.evaluate(() => document.body.innerText);
  if (/\{\{|\}\}|undefined|NaN/.test(text)) note("a template shows its bones");
}

// Words of a table that stand on two lines; what nobody could read as a word may break anywhere.
function brokenWords() {
  const found = new Set();
  for (const cell of document.querySelectorAll(".wrap :is(td, th)")) {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (walker.currentNode.parentElement.closest("pre, code, .mono")) continue;
      for (const { 0: word, index } of walker.currentNode.data.matchAll(/(?<![\w./@=&-])[A-Za-z’]{3,14}(?![\w./@=&-])/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, index);
        range.setEnd(walker.currentNode, index + word.length);
        const lines = new Set([...range.getClientRects()].map((it) => Math.round(it.top)));
        if (lines.size > 1) found.add(word);
      }
    }
  }
  return [...found];
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
      if (seen.has(address) || count >= (to.search ? 1 : OF_A_KIND)) continue;
      seen.add(address);
      kinds.set(kind, count + 1);
      queue.push(address);
    }
  }
  return found;
}

// `/devices/{id}?proof`: ids, the values of parameters, and how a list is sorted left out.
function kindOf(url) {
  const place = url.pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "{id}");
  const told = [...url.searchParams.keys()].filter((it) => it !== "sort" && it !== "dir");
  return `${place}?${told.sort().join("&")}`;
}
