// Two people walk through what a page promises: what would be lost (section by section in `walk/`), whose machine it
// is, the store below, what one session may do alone, and the lists. Each page that they reach is looked at in both
// themes and both widths. Then all is walked again without JavaScript, and only what the pages say is looked at.
import { join } from "node:path";
import { open, path } from "./lib/chromium.mjs";
import { signIn } from "./lib/forms.mjs";
import { check, checkShape } from "./pages.mjs";
import { ALONE } from "./walk/alone.mjs";
import { GROUND } from "./walk/ground.mjs";
import { LISTS } from "./walk/lists.mjs";
import { LOSS, LOSS_AFTERWARDS } from "./walk/loss.mjs";
import { MACHINES } from "./walk/machines.mjs";
import { RESTORE } from "./walk/restore.mjs";

// Contrast depends on the theme and the rest on the width: axe sees both of each, `pages.mjs` all four together.
const LOOKS = [
  { theme: "light", width: 1360, look: check },
  { theme: "light", width: 390, look: checkShape },
  { theme: "dark", width: 1360, look: checkShape },
  { theme: "dark", width: 390, look: check },
];

// With the wipe first, whose hold passes meanwhile, and last what stands still for everybody.
const STORIES = { ...LOSS, ...ALONE, ...RESTORE, ...LISTS, ...MACHINES, ...LOSS_AFTERWARDS, ...GROUND };

export async function checkWalk({ browser, demo, program, faults, album, javaScript, story }) {
  const contexts = [];
  const visitor = async (options = {}) => {
    const it = await open(browser, { faults, javaScript, ...options });
    contexts.push(it.context);
    // A page that is looked at right after it came changes its size: nothing may be on its way then.
    await it.page.emulateMedia({ reducedMotion: "reduce" });
    return it.page;
  };
  const person = async (role, options) => {
    const page = await visitor(options);
    await signIn(page, demo.url, demo.account(role));
    return page;
  };
  const world = {
    demo,
    program,
    base: demo.url,
    faults,
    javaScript,
    tag: javaScript ? "with" : "without",
    visitor,
    person,
    owner: await person("owner"),
    operator: await person("operator"),
    approver: await person("approver"),
    look: (page, name) => (javaScript ? lookAt(page, name, { faults, album }) : undefined),
  };
  for (const [name, tell] of Object.entries(STORIES)) {
    if (story && !new RegExp(story).test(name)) continue;
    const began = Date.now();
    // One that fails must not hide the others.
    await tell(world).catch((error) => faults.push(`${name}, JavaScript ${javaScript ? "on" : "off"}: ${error.message}`));
    console.log(`   ${((Date.now() - began) / 1000).toFixed(1)} s: ${name}`);
  }
  for (const it of contexts) await it.close();
}

// The page as it stands, in each look; nothing is loaded again, so answers to forms are looked at too.
async function lookAt(page, name, { faults, album }) {
  for (const { theme, width, look } of LOOKS) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width, height: width < 600 ? 844 : 900 });
    if (album) await page.screenshot({ path: join(album, `${name.replace(/\W+/g, "-")}-${theme}-${width}.png`), fullPage: true });
    const note = (text) => {
      const fault = `${name}, ${path(page)} (${theme}, ${width}): ${text}`;
      if (!faults.includes(fault)) faults.push(fault);
    };
    await look(page, note, width);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1360, height: 900 });
}
