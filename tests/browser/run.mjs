// Walks a running demo in headless Chromium: every page in both themes and both
// widths, and every form and flow with JavaScript on and off.
//
//   node run.mjs --holdfast ../../target/debug/holdfast [--screenshots DIR] [--only setup|pages|acts|flows]
import { parseArgs } from "node:util";
import { launch } from "./lib/chromium.mjs";
import { startDemo, startServer } from "./lib/holdfast.mjs";
import { startMailServer } from "./lib/smtp.mjs";
import { checkPages } from "./pages.mjs";
import { checkSetUp } from "./setup.mjs";
import { checkActs } from "./acts.mjs";
import { checkFlows } from "./flows.mjs";
import { takeScreenshots } from "./screenshots.mjs";

const { values: options } = parseArgs({
  options: {
    holdfast: { type: "string", default: "../../target/debug/holdfast" },
    screenshots: { type: "string" },
    only: { type: "string" },
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
const browser = await launch();
try {
  if (wants("setup")) {
    for (const javaScript of [true, false]) {
      const mail = await startMailServer();
      const server = await startServer(options.holdfast, ["--mail-url", mail.url]);
      try {
        await step(`set-up, JavaScript ${javaScript ? "on" : "off"}`, () =>
          checkSetUp({ browser, server, mail, faults, javaScript }));
      } finally {
        await server.stop();
        mail.stop();
      }
    }
  }
  if (wants("pages") || wants("acts") || wants("flows") || options.screenshots) {
    const demo = await startDemo(options.holdfast);
    try {
      if (options.screenshots) await step("screenshots", () => takeScreenshots({ browser, demo, folder: options.screenshots }));
      if (wants("pages")) await step("pages", () => checkPages({ browser, demo, faults }));
      if (wants("acts")) {
        for (const javaScript of [true, false]) {
          await step(`every form, JavaScript ${javaScript ? "on" : "off"}`, () => checkActs({ browser, demo, faults, javaScript }));
        }
      }
      if (wants("flows")) {
        // At once: each waits out the hold.
        await step("wipe and restore, JavaScript on and off", () =>
          Promise.all([true, false].map((javaScript) => checkFlows({ browser, demo, faults, javaScript }))));
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
