"""What it costs to audit the fleet. No peer does that; so there are a host's share, and bounds that tell when it grows."""

import json
import statistics
import sys

from fleet_world import EVERY, verdict, weigh

# What it should be at most: in us of CPU a host, and MiB resident.
CPU, MEMORY = 2500, 128
FORMS = ["json", "html", "csv", "sarif", "prom", "txt"]


def audit(world, rounds):
    folder = world.folder
    known = "".join(f"[{name}]:{world.port} ssh-ed25519 {key}\n" for name, key in world.keys.items())
    (folder / "known_hosts").write_text(known)
    files = [option for form in FORMS for option in ["-o", folder / f"audit.{form}"]]
    ways = {
        "audit": [],
        "without the zone's servers": ["--no-servers"],
        "all in known_hosts": ["--known-hosts", folder / "known_hosts"],
        "all forms written": files,
        "beside an earlier one": ["--baseline", folder / "audit.json"],
    }
    figures = {way: [] for way in ways}
    for _ in range(rounds):
        for way, options in ways.items():
            figures[way].append(one(world, world.port, options))
    print(f"\n{'':28}{'wall s':>8}{'hosts/s':>9}{'CPU us/host':>13}{'peak MiB':>10}{'servers CPU s':>15}")
    for way, taken in figures.items():
        middle = {what: statistics.median(one[what] for one in taken) for what in taken[0]}
        line = f"{way:28}{middle['wall']:8.2f}{world.hosts / middle['wall']:9.0f}{middle['cpu'] / world.hosts * 1e6:13.0f}"
        print(line + f"{middle['peak'] / 1024:10.1f}{middle['servers']:15.2f}")
    sizes = ", ".join(f"{form} {(folder / f'audit.{form}').stat().st_size / 2**20:.1f}" for form in FORMS)
    print(f"MiB written: {sizes}\n")
    impostors(world)
    cpu = statistics.median(one["cpu"] for one in figures["audit"]) / world.hosts * 1e6
    peak = max(one["peak"] for taken in figures.values() for one in taken) / 1024
    return [verdict("audit: CPU in us a host", cpu, CPU), verdict("audit: resident, in MiB", peak, MEMORY)]


def one(world, port, options, status=0):
    """An audit, of which every host has to be accepted unless there are impostors."""
    known = [] if "--known-hosts" in options else ["--known-hosts", "none"]
    # named stands in for every server of its zones.
    servers = [] if "--no-servers" in options else ["--check-server", f"127.0.0.1:{world.dns}"]
    command = [world.program, "audit", f"@{world.folder}/names", "-p", str(port), *servers, *known, "--json", *options]
    taken = weigh(world, command, world.environment("off"))
    said = (world.folder / "err").read_text()[-2000:]
    if taken["status"] != status:
        sys.exit(f"audit ended with {taken['status']}: {said}")
    summary = json.loads((world.folder / "out").read_text())["summary"]
    if summary["hosts"] != world.hosts or (status == 0 and summary["accept"] != world.hosts):
        sys.exit(f"{summary}: {said}")
    return taken


def impostors(world):
    """They are found, each for what it is, and nobody else."""
    one(world, world.impostors, [], status=5)
    report = json.loads((world.folder / "out").read_text())
    wanted = {name for number, name in enumerate(world.names, 1) if number % EVERY == EVERY // 2}
    found = {host["host"] for host in report["hosts"] if any(f["severity"] == "error" for f in host["findings"])}
    if found != wanted:
        sys.exit(f"impostors: {len(found)} found of {len(wanted)}")
