#!/usr/bin/env python3
"""Makes schema.json of Apple's device management schema: what a test needs to check what is sent, without its prose.

    extract.py FOLDER >schema.json      FOLDER: a checkout of github.com/apple/device-management
"""
import json
import pathlib
import sys

import yaml

PROFILES = [
    "CommonPayloadKeys", "TopLevel", "com.apple.MCX(FileVault2)", "com.apple.MCX.FileVault2", "com.apple.MCX.TimeMachine",
    "com.apple.applicationaccess", "com.apple.mdm", "com.apple.mobiledevice.passwordpolicy",
    "com.apple.security.FDERecoveryKeyEscrow", "com.apple.security.acme", "com.apple.security.pem",
    "com.apple.security.pkcs1", "com.apple.security.root", "com.apple.security.scep",
]
DECLARATIONS = [
    "declarationbase", "activations/simple", "configurations/legacy", "configurations/management.status-subscriptions",
    "configurations/passcode.settings", "configurations/softwareupdate.enforcement.specific",
]
SYSTEMS = ("iOS", "macOS")


def systems(said):
    """For iOS and macOS: since when, whether supervised only, whether for personal devices, with which right."""
    found = {}
    for name, it in (said or {}).items():
        if name not in SYSTEMS:
            continue
        row = {}
        if "introduced" in it:
            row["since"] = str(it["introduced"])
        if "removed" in it:
            row["removed"] = str(it["removed"])
        if it.get("supervised"):
            row["supervised"] = True
        if (mode := (it.get("userenrollment") or {}).get("mode")) is not None:
            row["personal"] = mode
        if (rights := it.get("accessrights")) not in (None, "None"):
            row["rights"] = rights
        found[name] = row
    return found


def key(said):
    row = {"key": said["key"], "type": said["type"].strip("<>")}
    if said.get("presence") == "required":
        row["required"] = True
    for theirs, ours in [("rangelist", "values"), ("range", "range"), ("format", "format")]:
        if theirs in said:
            row[ours] = said[theirs]
    if said.get("supportedOS"):
        row["on"] = systems(said["supportedOS"])
    if said.get("subkeys"):
        row["keys"] = [key(it) for it in said["subkeys"]]
    return row


def item(path):
    said = yaml.safe_load(path.read_text())
    payload = said.get("payload", {})
    row = {"on": systems(payload.get("supportedOS"))}
    for name in ("requesttype", "payloadtype", "declarationtype", "statusitemtype"):
        if name in payload:
            row["name"] = payload[name]
    row["keys"] = [key(it) for it in said.get("payloadkeys") or []]
    row["answers"] = [key(it) for it in said.get("responsekeys") or []]
    return row


def main(folder):
    mdm, declarative = folder / "mdm", folder / "declarative"
    declarations = declarative / "declarations"
    found = {
        "commands": [item(it) for it in sorted((mdm / "commands").glob("*.yaml"))],
        "messages": [item(it) for it in sorted((mdm / "checkin").glob("*.yaml"))],
        "profiles": [item(mdm / "profiles" / f"{it}.yaml") | {"file": it} for it in PROFILES],
        "declarations": [
            item(declarations / f"{it}.yaml") | {"file": it} for it in DECLARATIONS
        ],
        "protocol": [item(it) | {"file": it.stem} for it in sorted((declarative / "protocol").glob("*.yaml"))],
        "statuses": [item(it) for it in sorted((declarative / "status").glob("*.yaml"))],
    }
    line = lambda it: json.dumps(it, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    parts = [f'"{name}":[\n' + ",\n".join(map(line, items)) + "\n]" for name, items in found.items()]
    print("{" + ",\n".join(parts) + "}")


main(pathlib.Path(sys.argv[1]))
