// What happens to a server and its devices where no page has a button for it: on the host, on a disk, by time.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, openSync, readSync, readdirSync, readFileSync, renameSync, statSync, writeSync, closeSync } from "node:fs";
import { join, resolve } from "node:path";

// `holdfast admin …` on the server's own machine.
export function admin(program, demo, ...words) {
  return execFileSync(resolve(program), ["admin", ...words, "--data", demo.data], { encoding: "utf8" });
}

// One statement on the running demo's database, for what only time or hardware brings.
export function change(demo, statement, values) {
  const script = [
    "import sqlite3, sys",
    "database = sqlite3.connect(sys.argv[1], timeout=20)",
    "changed = database.execute(sys.argv[2], sys.argv[3:]).rowcount",
    "database.commit()",
    "print(changed)",
  ].join("\n");
  const args = ["-c", script, join(demo.data, "holdfast.db"), statement, ...values.map(String)];
  const changed = Number(execFileSync("python3", args, { encoding: "utf8" }));
  if (changed < 1) throw new Error(`nothing was changed by ${statement}`);
}

const agentOf = (demo, name) => join(demo.data, "devices", name, "agent");

// A second machine from one image: the same identity, in a folder of its own.
export function clone(demo, name) {
  const state = join(demo.data, `clone-of-${name}`);
  cpSync(agentOf(demo, name), state, { recursive: true });
  return state;
}

// An agent that runs until it is stopped.
export function runAgent(program, state) {
  const child = spawn(resolve(program), ["agent", "run", "--state", state], { stdio: "ignore" });
  const ended = new Promise((done) => child.on("exit", done));
  return {
    async stop() {
      child.kill("SIGTERM");
      const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(hard);
    },
  };
}

// Enrolls the machine with this state again, as the page says.
export function enrollAgain(program, demo, { state, token, folder }) {
  const words = ["agent", "enroll", "--again", "--server", demo.url, "--token", token, "--protect", folder, "--state", state];
  return execFileSync(resolve(program), words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

// Flips bytes in the largest stored object of a device, as a failing disk does.
export function damage(demo, name) {
  const { repository_id: repository } = JSON.parse(readFileSync(join(agentOf(demo, name), "enrollment.json"), "utf8"));
  const home = join(demo.data, "blobs", repository, "data");
  const files = readdirSync(home, { recursive: true }).map((it) => join(home, it)).filter((it) => statSync(it).isFile());
  const [largest] = files.sort((one, other) => statSync(other).size - statSync(one).size);
  chmodSync(largest, 0o600);
  const file = openSync(largest, "r+");
  const bytes = Buffer.alloc(16);
  const middle = Math.floor(statSync(largest).size / 2);
  readSync(file, bytes, 0, 16, middle);
  writeSync(file, bytes.map((it) => ~it), 0, 16, middle);
  closeSync(file);
}

// Takes the backup store away, as a disk that is not mounted; gives what puts it back.
export function takeStore(demo) {
  const [blobs, away] = [join(demo.data, "blobs"), join(demo.data, "blobs-away")];
  renameSync(blobs, away);
  return () => renameSync(away, blobs);
}
