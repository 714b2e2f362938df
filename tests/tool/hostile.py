#!/usr/bin/env python3
"""Strangers and two devices that were taken over, against a running demo that may open 1,024 files: pages must answer
within 2 s throughout.

    tests/tool/hostile.py target/debug/holdfast [--seconds 60] [--files 1024]

The demo's other devices go on backing up meanwhile. All attackers come from one address that is not the one people use
(127.0.0.2 to 127.0.0.9), as they would. Prints, for each attack, how long people's pages took, and fails where one took
more than 2 s or was refused.
"""
import argparse
import base64
import http.client
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

PATIENCE = 2.0


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Person:
    """A signed-in browser: one connection for each page, as after a pause."""

    def __init__(self, port, account):
        self.port, self.cookies = port, {}
        status, page = self.ask("GET", "/sign-in")
        token = page.split('name="csrf" value="')[1].split('"')[0] if 'name="csrf"' in page else ""
        form = {"email": account["email"], "password": account["password"], "csrf": token}
        status, _ = self.ask("POST", "/sign-in", urllib.parse.urlencode(form))
        assert status in (302, 303), f"sign-in answered {status}"

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "Sec-Fetch-Site": "same-origin"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"http://127.0.0.1:{self.port}"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        text = answer.read().decode()
        connection.close()
        return answer.status, text


class Strangers:
    """Many connections from other loopback addresses, reopened when they are ended, until told to stop."""

    def __init__(self, port, count, first, then=None):
        self.port, self.count, self.first, self.then = port, count, first, then
        self.stopped, self.made, self.refused = threading.Event(), 0, 0
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(8)]
        for it in self.threads:
            it.start()

    def run(self, number):
        share, held = self.count // 8, []
        while not self.stopped.is_set():
            while len(held) < share and not self.stopped.is_set():
                it = socket.socket()
                it.settimeout(3)
                try:
                    it.bind((f"127.0.0.{2 + number}", 0))
                    it.connect(("127.0.0.1", self.port))
                    if self.first:
                        it.sendall(self.first())
                    self.made += 1
                    held.append(it)
                except OSError:
                    self.refused += 1
                    it.close()
                    break
            kept = []
            for it in held:
                try:
                    if self.then:
                        it.setblocking(False)
                        it.send(self.then())
                    it.setblocking(False)
                    try:
                        # A slow reader takes nothing; only the end of the connection matters.
                        over = it.recv(1, socket.MSG_PEEK) == b""
                    except BlockingIOError:
                        over = False
                    (it.close() if over else kept.append(it))
                except OSError:
                    it.close()
            held = kept
            self.stopped.wait(0.05)
        for it in held:
            it.close()

    def stop(self):
        self.stopped.set()
        for it in self.threads:
            it.join()


def post(path, length, extra=""):
    return lambda: (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n{extra}\r\nx"
    ).encode()


class Device:
    """A device of the demo that does as somebody else likes."""

    def __init__(self, data, name):
        agent = Path(data) / "devices" / name / "agent"
        enrolled = json.loads((agent / "enrollment.json").read_text())
        token = json.loads((agent / "credentials.json").read_text())["token"]
        self.path = enrolled["repository_path"]
        user = f"{enrolled['repository_id']}:{token}"
        self.head = f"Host: 127.0.0.1\r\nAuthorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
        packs = [it for it in (Path(data) / "blobs" / enrolled["repository_id"] / "data").rglob("*") if it.is_file()]
        self.largest = max(packs, key=lambda it: it.stat().st_size).name

    def upload(self, length):
        name = f"{random.getrandbits(256):064x}"
        return f"POST {self.path}data/{name} HTTP/1.1\r\n{self.head}Content-Length: {length}\r\n\r\nx".encode()

    def download(self):
        return f"GET {self.path}data/{self.largest} HTTP/1.1\r\n{self.head}\r\n".encode() * 50


def attacks(devices):
    wrong = lambda: (
        b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 48\r\n\r\n"
        + f"email=x{random.randrange(10**9):09}@example.org&password=wrongwrong".encode()[:48].ljust(48, b"g")
    )
    get = lambda path: lambda: f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    token = "Authorization: Bearer " + "e" * 300 + "\r\n"
    yield "nobody", 0, None, None
    yield "1,000 silent connections", 1000, None, None
    yield "1,000 headers, a byte at a time", 1000, lambda: b"GET / HTTP/1.1\r\nX-A: ", lambda: b"a"
    yield "400 forms that trickle", 400, post("/sign-in", 60_000), lambda: b"x"
    yield "400 enrolments that trickle", 400, post("/agent/v1/enroll", 60_000), lambda: b"x"
    yield "400 claims of 64 MiB", 400, post("/agent/v1/manifests", 64 << 20, token), lambda: b"x"
    yield "400 uploads that trickle", 400, post("/restic/01a225d7-1775-7c9b-93a3-345e8dd698d0/data/" + "0" * 64, 16 << 20, token), lambda: b"x"
    yield "400 readers that take nothing", 400, lambda: get("/static/css/app.css")() * 50, None
    device = lambda: random.choice(devices)
    yield "two devices with 400 uploads that trickle", 400, lambda: device().upload(64 << 20), lambda: b"x"
    yield "two devices with 400 uploads that stand still", 400, lambda: device().upload(16 << 20), None
    yield "two devices with 400 downloads that take nothing", 400, lambda: device().download(), None
    yield "64 at a time with wrong passwords", 64, wrong, None
    yield "400 pages that are not there", 400, lambda: get("/" + "a" * 500)() * 20, None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("holdfast")
    arguments.add_argument("--seconds", type=float, default=30, help="of each attack (default 30)")
    arguments.add_argument("--only", help="attacks whose name has this in it")
    arguments.add_argument("--files", type=int, default=1024, help="the server's limit of open files (default 1024)")
    options = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    data = tempfile.mkdtemp(prefix="holdfast-hostile-")
    port = free_port()
    demo = subprocess.Popen(
        [options.holdfast, "demo", "--data", data, "--listen", f"127.0.0.1:{port}", "--devices", "10"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (options.files, options.files)),
    )
    said = []
    ready = threading.Event()

    def listen():
        for line in demo.stdout:
            said.append(line)
            if "every story has been told" in line:
                ready.set()

    threading.Thread(target=listen, daemon=True).start()
    failed = False
    try:
        if not ready.wait(300):
            sys.exit("the demo did not begin:\n" + "".join(said))
        owner = next(it for it in json.loads((Path(data) / "demo.json").read_text())["accounts"] if it["role"] == "owner")
        person = Person(port, owner)
        files = Path(f"/proc/{demo.pid}/fd")
        taken = [Device(data, it) for it in ("field-laptop-01", "studio-desk-05")]
        for name, count, first, then in attacks(taken):
            if options.only and options.only not in name:
                continue
            strangers = Strangers(port, count, first, then)
            took, wrong, most = [], [], 0
            until = time.monotonic() + options.seconds
            while time.monotonic() < until:
                for path in ("/", "/devices", "/health", "/restore-tests"):
                    began = time.monotonic()
                    try:
                        status, text = person.ask("GET", path)
                        if status != 200:
                            wrong.append(f"{path}: {status} {text[:200]}")
                    except (OSError, http.client.HTTPException) as error:
                        wrong.append(f"{path}: {error!r}")
                    took.append(time.monotonic() - began)
                most = max(most, len(os.listdir(files)))
                time.sleep(0.1)
            strangers.stop()
            took.sort()
            bad = bool(wrong) or took[-1] > PATIENCE
            failed |= bad
            print(
                f"{'FAILED ' if bad else ''}{name}: {len(took)} pages, median {took[len(took) // 2] * 1000:.0f} ms, "
                f"longest {took[-1] * 1000:.0f} ms, {len(wrong)} refused; {strangers.made} connections made, "
                f"{strangers.refused} refused, at most {most} files open",
                *sorted(set(wrong))[:3],
                sep="\n   ",
                flush=True,
            )
    finally:
        demo.terminate()
        try:
            demo.wait(30)
        except subprocess.TimeoutExpired:
            demo.kill()
        subprocess.run(["rm", "-rf", data], check=False)
    sys.exit("".join(said[-20:]) if failed else 0)


if __name__ == "__main__":
    main()
