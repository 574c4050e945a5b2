"""What it costs to run `true` on the fleet, and to read inventories that name it."""

import json
import statistics
import subprocess
import sys

from fleet_world import expect_all, verdict, weigh

# What it should be at most: seconds until the first host has answered, and MiB resident.
FIRST, MEMORY = 1.0, 64


def execute(world, rounds):
    key = world.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    dry = {"@names": ["-H", f"@{world.folder}/names", "-p", str(world.port)]}
    for form, write in {"INI": ini, "YAML": yaml, "JSON": dynamic}.items():
        file = world.folder / f"fleet.{form.lower()}"
        file.write_text(write(world, world.port))
        dry[form] = ["-I", file]
    ways = {f"--dry-run, {source}": ["exec", *words, "--json", "--dry-run"] for source, words in dry.items()}
    (world.folder / "shells.yaml").write_text(yaml(world, world.shells))
    run = ["-I", world.folder / "shells.yaml", "-l", "ann", "-i", key, "--json", "--", "true"]
    ways["true, YAML"] = ["exec", *run]
    figures = {way: [] for way in ways}
    for _ in range(rounds):
        for way, words in ways.items():
            taken = weigh(world, [world.program, *words], world.environment("off"))
            if taken["status"]:
                sys.exit(f"{way}: ended with {taken['status']}: {(world.folder / 'err').read_text()[-2000:]}")
            expect_all(world.lines())
            figures[way].append(taken)
    print(f"\n{'':20}{'first s':>9}{'wall s':>8}{'hosts/s':>9}{'CPU us/host':>13}{'peak MiB':>10}{'servers CPU s':>15}")
    for way, taken in figures.items():
        middle = {what: statistics.median(one[what] for one in taken) for what in taken[0]}
        line = f"{way:20}{middle['first']:9.2f}{middle['wall']:8.2f}{world.hosts / middle['wall']:9.0f}"
        line += f"{middle['cpu'] / world.hosts * 1e6:13.0f}{middle['peak'] / 1024:10.1f}{middle['servers']:15.2f}"
        print(line)
    print()
    first = max(statistics.median(one["first"] for one in taken) for taken in figures.values())
    peak = max(one["peak"] for taken in figures.values() for one in taken) / 1024
    return [
        verdict("exec: seconds until the first host has answered", first, FIRST),
        verdict("exec: resident, in MiB", peak, MEMORY),
    ]


def racks(world):
    """A hundred hosts in each group."""
    return {f"rack{at // 100:03}": world.names[at : at + 100] for at in range(0, world.hosts, 100)}


def ini(world, port):
    text = f"[all:vars]\nansible_port={port}\n\n"
    for rack, names in racks(world).items():
        lines = "".join(f"{name} ansible_host={world.places[name]} tier=web\n" for name in names)
        text += f"[{rack}]\n{lines}\n[{rack}:vars]\nrack={rack}\n\n"
    return text + "[fleet:children]\n" + "".join(f"{rack}\n" for rack in racks(world))


def yaml(world, port):
    text = f"all:\n  vars:\n    ansible_port: {port}\n  children:\n    fleet:\n      children:\n"
    for rack, names in racks(world).items():
        text += f"        {rack}:\n          vars:\n            rack: {rack}\n          hosts:\n"
        for name in names:
            text += f"            {name}:\n              ansible_host: {world.places[name]}\n              tier: web\n"
    return text


def dynamic(world, port):
    """As a program prints it for --list."""
    groups = {rack: {"hosts": names, "vars": {"rack": rack}} for rack, names in racks(world).items()}
    hosts = {name: {"ansible_host": address, "tier": "web"} for name, address in world.places.items()}
    top = {"fleet": {"children": list(groups)}, "all": {"children": ["fleet"], "vars": {"ansible_port": port}}}
    return json.dumps({**groups, **top, "_meta": {"hostvars": hosts}})
