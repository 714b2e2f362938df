// Brings a running demo into the states that a wipe can have, by what people press and what happens to a device's
// folder; and what only time brings, in a copy of that demo that stood still in the meantime.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "./lib/chromium.mjs";
import { button, says, signIn, until } from "./lib/forms.mjs";
import { MARK, approveWipe, requestWipe } from "./lib/wipe.mjs";

// A hold of one minute, a check-in, and the device's work.
const PATIENCE = 240;

// Gives the path of one request in each state, by the state's name.
export async function bringStates({ browser, demo, faults }) {
  const people = {};
  for (const role of ["owner", "operator", "approver"]) {
    people[role] = await open(browser, { faults });
    await signIn(people[role].page, demo.url, demo.account(role));
  }
  const [owner, operator, approver] = ["owner", "operator", "approver"].map((role) => people[role].page);
  const ask = (name) => requestWipe(operator, demo.url, demo.device(name));
  const askAndApprove = async (name) => {
    const request = await ask(name);
    await approver.goto(request);
    await approveWipe(approver);
    return request;
  };
  const set = async (label, number) => {
    await owner.goto(`${demo.url}/settings`);
    await owner.getByLabel(label).fill(String(number));
    await button(owner, "Change settings").click();
    await says(owner, /The settings were changed/);
  };

  // A folder that lost its mark is erased by no device. Known before the request: else the facts get worse later. And
  // before all others: what is sent meanwhile counts towards the limit, and the last request would be held.
  rmSync(join(demo.device("studio-desk-05").files, MARK));
  await owner.goto(`${demo.url}/devices/${demo.device("studio-desk-05").id}`);
  await until(owner, /Not known/, PATIENCE);

  const found = {};
  found.Cancelled = await ask("field-tablet-04");
  await button(operator, "Stop, keep device").click();
  await says(operator, /Cancelled/);
  found["Review again"] = await askAndApprove("field-laptop-02");
  writeFileSync(join(demo.device("field-laptop-02").files, "written-after-the-approval.txt"), "only here");
  found.Failed = await askAndApprove("studio-desk-05");
  found.Confirmed = await askAndApprove("spare-laptop-09");
  // It went silent.
  found.Queued = await askAndApprove("field-tablet-04");
  for (const [state, request] of Object.entries(found)) {
    await owner.goto(request);
    await until(owner, new RegExp(`^[^]*${state}`), PATIENCE);
  }

  // From here on nothing is released while the pages are looked at, and one more is too many.
  await set("Hold before an approved wipe (minutes)", 60);
  found.Waiting = await askAndApprove("contractor-07");
  found.Requested = await ask("field-tablet-03");
  await set("Most wipes per hour", 1);
  found.Held = await ask("field-laptop-11");
  await says(operator, /Held/);
  for (const { context } of Object.values(people)) await context.close();
  return Object.fromEntries(Object.entries(found).map(([state, request]) => [state, request.replace(demo.url, "")]));
}

// A week cannot be waited for: what stands in the stopped demo's database is made older, and one row unreadable.
export function age(data, { expired, broken }) {
  const change = [
    "import sqlite3, sys",
    "database = sqlite3.connect(sys.argv[1])",
    "database.execute('UPDATE wipe_requests SET expires_at = requested_at + 1 WHERE id = ?', [sys.argv[2]])",
    "database.execute('UPDATE wipe_requests SET facts = ? WHERE id = ?', ['not JSON', sys.argv[3]])",
    "database.commit()",
  ].join("\n");
  const id = (it) => it.split("/").at(-1);
  execFileSync("python3", ["-c", change, join(data, "holdfast.db"), id(expired), id(broken)]);
}

// Something of a device that is still enrolled is damaged in every store that has it, as if its bytes had been read back.
// The server must not run meanwhile.
export function damage(data) {
  const change = [
    "import sqlite3, sys, time",
    "database = sqlite3.connect(sys.argv[1])",
    "which = database.execute(\"SELECT c.repository_id, c.name FROM copies c JOIN repositories r ON r.id = c.repository_id JOIN devices d ON d.id = r.device_id WHERE d.state = 'enrolled' AND c.kind = 'data' AND c.location = 'primary' LIMIT 1\").fetchone()",
    "database.execute('UPDATE copies SET damaged_at = ? WHERE repository_id = ? AND name = ?', [int(time.time() * 1000), *which])",
    "database.commit()",
  ].join("\n");
  execFileSync("python3", ["-c", change, join(data, "holdfast.db")]);
}
