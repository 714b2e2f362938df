#!/usr/bin/env python3
"""Checks licences, bans and sources of all crates against deny.toml, and Cargo.lock
against the RustSec snapshot in ../shared/data/advisory-db if it is there."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

root = pathlib.Path(__file__).resolve().parents[2]
deny = tomllib.loads((root / "deny.toml").read_text())
allowed = set(deny["licenses"]["allow"])
banned = {it["crate"] for it in deny["bans"]["deny"]}
ignored = {it if isinstance(it, str) else it["id"] for it in deny["advisories"]["ignore"]}
faults = []


def acceptable(expression):
    """Whether some choice of the licence expression is on the list."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    position = 0

    def either():
        nonlocal position
        result = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            result = both() or result
        return result

    def both():
        nonlocal position
        result = single()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            result = single() and result
        return result

    def single():
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            result = either()
            position += 1
            return result
        if position < len(tokens) and tokens[position] == "WITH":
            exception = tokens[position + 1]
            position += 2
            return f"{token} WITH {exception}" in allowed or token in allowed
        return token in allowed

    return either()


def parse(version):
    core, _, pre = version.split("+")[0].partition("-")
    numbers = [int(it) for it in core.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers))), pre


def before(a, b):
    (core_a, pre_a), (core_b, pre_b) = a, b
    if core_a != core_b:
        return core_a < core_b
    if pre_a == pre_b or not pre_a:
        return False
    return not pre_b or pre_a < pre_b


def satisfies(version, requirement):
    have = parse(version)
    for part in requirement.split(","):
        operator, wanted = re.fullmatch(r"\s*(>=|<=|>|<|=|\^|~)?\s*([^\s]+)\s*", part).groups()
        want = parse(wanted)
        if operator in (None, "^"):
            (major, minor, patch), _ = want
            top = (major + 1, 0, 0) if major else (0, minor + 1, 0) if minor else (0, 0, patch + 1)
            good = not before(have, want) and before(have, (top, ""))
        elif operator == "~":
            (major, minor, _), _ = want
            good = not before(have, want) and before(have, ((major, minor + 1, 0), ""))
        else:
            less, more = before(have, want), before(want, have)
            good = {">=": not less, "<=": not more, ">": more, "<": less, "=": not less and not more}[operator]
        if not good:
            return False
    return True


def check_advisories(packages):
    database = root.parent / "shared/data/advisory-db/crates"
    if not database.is_dir():
        database = pathlib.Path(os.environ.get("ADVISORY_DB", "/nowhere")) / "crates"
    if not database.is_dir():
        print("skipped: advisories (no ../shared/data/advisory-db; set ADVISORY_DB to a clone of rustsec/advisory-db)")
        return
    count = 0
    for package in packages:
        for path in sorted((database / package["name"]).glob("*.md")):
            text = path.read_text()
            head = tomllib.loads(text.split("```toml", 1)[1].split("```", 1)[0])
            count += 1
            advisory, versions = head["advisory"], head.get("versions", {})
            fine = versions.get("patched", []) + versions.get("unaffected", [])
            if advisory.get("withdrawn") or advisory["id"] in ignored:
                continue
            if not any(satisfies(package["version"], it) for it in fine):
                kind = advisory.get("informational", "vulnerability")
                faults.append(f"{package['name']} {package['version']}: {advisory['id']} ({kind})")
    print(f"advisories: {count} of our crates' looked at")


cargo = os.environ.get("CARGO", "cargo").split()
metadata = json.loads(
    subprocess.run([*cargo, "metadata", "--format-version", "1", "--locked"], cwd=root, check=True,
                   capture_output=True, text=True).stdout
)
# Cargo.lock also has crates used only by features nobody asks for.
tree = subprocess.run([*cargo, "tree", "--target", "all", "--edges", "all", "--prefix", "none", "--locked"],
                      cwd=root, check=True, capture_output=True, text=True).stdout
used = {tuple(it.split()[:2]) for it in tree.splitlines() if it.strip()}
others = [it for it in metadata["packages"] if it["source"] and (it["name"], "v" + it["version"]) in used]
for it in others:
    if it["source"] != "registry+https://github.com/rust-lang/crates.io-index":
        faults.append(f"{it['name']}: from {it['source']}")
    if it["name"] in banned:
        faults.append(f"{it['name']} is banned by deny.toml")
    if not it["license"]:
        faults.append(f"{it['name']}: names no licence")
    elif not acceptable(it["license"]):
        faults.append(f"{it['name']}: licence {it['license']}")
check_advisories(others)
print(f"{len(others)} crates looked at")
for it in faults:
    print(f"fault: {it}", file=sys.stderr)
sys.exit(bool(faults))
