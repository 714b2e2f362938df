// The real program: the demo, or a new server.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// `options` says more; unless it is asked for, without the simulated Apple devices, which have pages of their own.
export async function startDemo(program, devices, options = ["--no-apple"]) {
  const data = mkdtempSync(join(tmpdir(), "holdfast-demo-"));
  const address = `127.0.0.1:${await freePort()}`;
  const running = run(program, ["demo", "--data", data, "--listen", address, "--devices", String(devices), ...options], data);
  await running.saw(/every story has been told/, 180_000);
  const summary = JSON.parse(readFileSync(join(data, "demo.json"), "utf8"));
  const account = (role) => summary.accounts.find((it) => it.role === role);
  const device = (name) => summary.devices.find((it) => it.name === name);
  return { url: summary.url, data, summary, account, device, lines: running.lines, saw: running.saw, stop: running.stop };
}

// A stopped demo's server without its devices; it was stopped with `keep`.
export async function serveAgain(program, demo, options = []) {
  const address = `127.0.0.1:${await freePort()}`;
  const running = run(program, ["serve", "--data", demo.data, "--listen", address, ...options], demo.data);
  await running.saw(/\bready\b/, 60_000);
  return { ...demo, url: `http://${address}`, lines: running.lines, saw: running.saw, stop: running.stop };
}

// A server that was never set up, with its set-up link.
export async function startServer(program, options = []) {
  const data = mkdtempSync(join(tmpdir(), "holdfast-serve-"));
  const address = `127.0.0.1:${await freePort()}`;
  const running = run(program, ["serve", "--data", data, "--listen", address, ...options], data);
  const link = await running.saw(/https?:\/\/\S*\/set-?up\S*/i, 60_000);
  return { url: `http://${address}`, data, link, stop: running.stop };
}

function run(program, args, data) {
  const child = spawn(resolve(program), args, { stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  const waiting = new Set();
  const take = (chunk) => {
    for (const line of chunk.toString().split("\n")) {
      if (line === "") continue;
      lines.push(line);
      for (const look of waiting) look(line);
    }
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const ended = new Promise((done) => child.on("exit", done));

  // The text that matched, as soon as a line has it.
  const saw = (pattern, patience) =>
    new Promise((done, fail) => {
      const finish = (work) => {
        clearTimeout(timer);
        waiting.delete(look);
        work();
      };
      const look = (line) => {
        const match = line.match(pattern);
        if (match) finish(() => done(match[0]));
      };
      const timer = setTimeout(
        () => finish(() => fail(new Error(`no line like ${pattern} in ${patience / 1000} s:\n${lines.slice(-40).join("\n")}`))),
        patience,
      );
      ended.then((code) => finish(() => fail(new Error(`holdfast ended with ${code}:\n${lines.slice(-40).join("\n")}`))));
      waiting.add(look);
      lines.forEach(look);
    });

  const stop = async ({ keep = false } = {}) => {
    child.kill("SIGINT");
    const hard = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(hard);
    if (!keep && existsSync(data)) rmSync(data, { recursive: true, force: true });
  };
  return { lines, saw, stop };
}

function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
