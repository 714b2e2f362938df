// Walks a running demo in headless Chromium: every page in both themes and both
// widths, and every form and flow with JavaScript on and off.
//
//   node run.mjs --holdfast ../../target/debug/holdfast [--only setup|lists|pages|acts|flows|apple|walk] [--story WORDS]
//     [--screenshots DIR]  the README's pictures
//     [--album DIR]        a picture of each page that is looked at
//     [--story WORDS]      of the walk, only what has these words in its name
import { mkdirSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { launch } from "./lib/chromium.mjs";
import { serveAgain, startDemo, startServer } from "./lib/holdfast.mjs";
import { startMailServer } from "./lib/smtp.mjs";
import { checkAged, checkEmptyPages, checkPages, checkStores } from "./pages.mjs";
import { OWNER, checkSetUp } from "./setup.mjs";
import { checkLists } from "./lists.mjs";
import { age, bringStates, damage } from "./states.mjs";
import { checkActs } from "./acts.mjs";
import { checkFlows } from "./flows.mjs";
import { takeScreenshots } from "./screenshots.mjs";
import { checkWalk } from "./walk.mjs";
import { checkApple } from "./apple.mjs";

const { values: options } = parseArgs({
  options: {
    holdfast: { type: "string", default: "../../target/debug/holdfast" },
    screenshots: { type: "string" },
    album: { type: "string" },
    only: { type: "string" },
    story: { type: "string" },
  },
});

// Said at once: what a later step throws must not hide it.
const faults = Object.assign([], {
  push(fault) {
    console.error(`   fault: ${fault}`);
    return Array.prototype.push.call(this, fault);
  },
});
const wants = (part) => !options.only || options.only === part;
const { album } = options;
if (album) mkdirSync(album, { recursive: true });
const browser = await launch();
try {
  if (wants("setup")) {
    for (const javaScript of [true, false]) {
      const mail = await startMailServer();
      const server = await startServer(options.holdfast, ["--mail-url", mail.url]);
      try {
        await step(`set-up, JavaScript ${javaScript ? "on" : "off"}`, () =>
          checkSetUp({ browser, server, mail, faults, javaScript }));
        if (javaScript) await step("pages without devices", () => checkEmptyPages({ browser, server, account: OWNER, faults, album }));
      } finally {
        await server.stop();
        mail.stop();
      }
    }
  }
  if (options.screenshots) {
    const demo = await startDemo(options.holdfast, 10);
    try {
      await step("screenshots", () => takeScreenshots({ browser, demo, folder: options.screenshots }));
    } finally {
      await demo.stop();
    }
  }
  if (wants("acts")) {
    // A server of its own: what one person may change and wipe within an hour does not last for all that follows.
    const demo = await startDemo(options.holdfast, 11);
    try {
      await step("every form, JavaScript on", () => checkActs({ browser, demo, faults, javaScript: true }));
    } finally {
      await demo.stop();
    }
  }
  if (["lists", "pages", "acts", "flows"].some(wants)) {
    // One more than its stories have: some of theirs are wiped.
    const demo = await startDemo(options.holdfast, 11);
    let states;
    try {
      if (wants("acts")) {
        await step("every form, JavaScript off", () => checkActs({ browser, demo, faults, javaScript: false }));
      }
      if (wants("lists")) await step("lists", () => checkLists({ browser, demo, faults }));
      if (wants("flows")) {
        // At once: each waits out the hold.
        await step("wipe and restore, JavaScript on and off", () =>
          Promise.all([true, false].map((javaScript) => checkFlows({ browser, demo, faults, javaScript }))));
      }
      // Last: then there is something on every page.
      if (wants("pages")) {
        await step("wipes in every state", async () => {
          states = await bringStates({ browser, demo, faults });
        });
        await step("pages", () => checkPages({ browser, demo, faults, states, album }));
      }
    } finally {
      await demo.stop({ keep: states !== undefined });
    }
    if (states) {
      age(demo.data, { expired: states.Requested, broken: states.Cancelled });
      const later = await serveAgain(options.holdfast, demo);
      try {
        await step("pages after a week", () => checkAged({ browser, demo: later, faults, states, album }));
      } finally {
        await later.stop({ keep: true });
      }
      const folder = `${demo.data}-second`;
      mkdirSync(folder);
      const spare = ["--copy", folder, "--copy-is-spare", "--copy-location", "the cupboard"];
      const serve = () => serveAgain(options.holdfast, demo, spare);
      await step("stores: copied, damaged, unreachable", () =>
        checkStores({ browser, serve, damage: () => damage(demo.data), folder, faults, album }));
      rmSync(folder, { recursive: true });
      rmSync(demo.data, { recursive: true });
    }
  }
  if (wants("apple")) {
    const demo = await startDemo(options.holdfast, 10, []);
    try {
      await step("Apple devices", () => checkApple({ browser, demo, faults, album }));
    } finally {
      await demo.stop();
    }
  }
  if (wants("walk")) {
    // A server of its own: its store is taken away, and it is frozen.
    const demo = await startDemo(options.holdfast, 11);
    try {
      for (const javaScript of [true, false]) {
        const { holdfast: program, story } = options;
        await step(`a walk by two people, JavaScript ${javaScript ? "on" : "off"}`, () =>
          checkWalk({ browser, demo, program, faults, album, javaScript, story }));
      }
    } finally {
      await demo.stop();
    }
  }
} finally {
  await browser.close();
}

if (faults.length > 0) {
  console.error(`\n${faults.length} faults, named above`);
  process.exit(1);
}
console.log("browser tests passed");

async function step(name, work) {
  const began = Date.now();
  console.log(`-- ${name}`);
  await work();
  console.log(`   ${((Date.now() - began) / 1000).toFixed(1)} s`);
}
