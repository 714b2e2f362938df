#!/usr/bin/env python3
"""Puts one bug after another into the sources with cargo-mutants, and says which of them the tests do not notice.

    mutants.py CARGO-MUTANTS [domain|server] [MORE ARGUMENTS FOR IT…]

`domain` is the rules, with their unit tests: a few seconds a bug. `server` is what decides on wipes, proofs and
signatures, with the unit and integration tests about them: minutes a bug, because each one is linked anew.
Fails if fewer than 95 % are noticed.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

LEAST = 0.95
# For each place, cargo-mutants' own arguments, and those for `cargo test`. Documentation tests would be compiled again
# for each bug.
PLACES = {
    "domain": (["--package", "holdfast-domain"], ["--lib"]),
    "server": (
        ["--package", "holdfast", "--file", "src/service/wipe/**", "--file", "src/proof/check/**",
         "--file", "src/protocol/agent/signed.rs"],
        ["--lib", "--test", "it", "--", "wipe::", "proof::", "prove::", "signature::", "check_in::", "removal::",
         "command::", "agent::", "restic_client::", "check::", "signed::"],
    ),
}
chosen, tests = PLACES[sys.argv[2] if len(sys.argv) > 2 else "domain"]
root = pathlib.Path(__file__).resolve().parents[2]

with tempfile.TemporaryDirectory(prefix="holdfast-mutants.") as work:
    # It copies the tree and builds the copy in a folder of its own.
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    command = [sys.argv[1], "mutants", *chosen, "--dir", root, "--output", work, "--no-shuffle", "--colors", "never",
               *sys.argv[3:], "--", *tests]
    ended = subprocess.run(command, env=environment | {"TMPDIR": work}, check=False).returncode
    # 2: some were missed, 3: some took too long.
    if ended not in (0, 2, 3):
        sys.exit(f"cargo-mutants ended with {ended}")
    found = json.loads((pathlib.Path(work) / "mutants.out" / "outcomes.json").read_text())

viable = found["caught"] + found["missed"] + found["timeout"]
noticed = (found["caught"] + found["timeout"]) / viable
print(f"{viable} mutants: {found['caught']} caught, {found['timeout']} timed out, {found['missed']} missed: {noticed:.1%}")
sys.exit(0 if noticed >= LEAST else f"fewer than {LEAST:.0%} were noticed")
