"""The fleet of benches/fleet: simulated hosts, their records on a real named, and how a run beside them is weighed."""

import fcntl
import json
import os
import random
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ZONES = [".", "example.", "fleet.example."]
TTL = 3600
# In seconds: one run of a client.
LIMIT = 600
# Of that many hosts one shows a key that is not its own, where any does.
EVERY = 1000


def build(verb, target):
    """The program as it is shipped, or the simulator with the same profile."""
    what = ["--bench", target, "--no-run"] if verb == "bench" else ["--bin", target]
    command = ["cargo", verb, "--locked", "--profile", "release", *what, "--message-format=json-render-diagnostics"]
    root = Path(__file__).resolve().parent.parent
    said = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in said.splitlines()]
    (made,) = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == target]
    return Path(made)


class World:
    """The simulated hosts, and a named with a signed tree of three zones, the last of which has their records."""

    def __init__(self, folder, program, simulator, hosts):
        self.folder, self.program, self.simulator, self.hosts, self.servers = folder, program, simulator, hosts, []

    def start(self):
        self.dns, self.port, self.impostors, self.shells = [free_port() for _ in range(4)]
        said = subprocess.run([self.simulator, "records", str(self.hosts)], check=True, capture_output=True, text=True)
        hosts = [line.split() for line in said.stdout.splitlines()]
        self.names = [name for name, *_ in hosts]
        self.places = {name: address for name, address, *_ in hosts}
        self.keys = {name: key for name, *_, key in hosts}
        (self.folder / "names").write_text("".join(f"{name}\n" for name in self.names))
        (self.folder / "addresses").write_text("".join(f"{address}\n" for _, address, *_ in hosts))
        self.named("".join(f"{name}. A {address}\n{name}. SSHFP 4 2 {digest}\n" for name, address, digest, _ in hosts))
        ports = [str(self.port), f"{self.impostors}:{EVERY}", f"{self.shells}:shell"]
        simulator = subprocess.Popen(
            [self.simulator, "serve", *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=raise_limit
        )
        self.servers.append(simulator)
        if simulator.stdout.readline() != b"ready\n":
            sys.exit("the simulated hosts do not listen")

    def named(self, hosts):
        records = {ZONES[-1]: hosts}
        config = (
            f'options {{ directory "{self.folder}"; pid-file none; lock-file none; geoip-directory none;\n'
            f'  session-keyfile "{self.folder}/session.key"; managed-keys-directory "{self.folder}";\n'
            f"  listen-on port {self.dns} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n"
            "  recursion no; notify no; dnssec-validation no; minimal-responses yes;\n};\ncontrols { };\n"
        )
        for zone, parent in reversed(list(zip(ZONES, [None] + ZONES))):
            stem = zone.strip(".") or "root"
            keys = self.folder / stem
            keys.mkdir()
            names = []
            for role in [["-f", "KSK"], []]:
                keygen = ["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-L", str(TTL), *role, "-K", keys, zone]
                names.append(subprocess.run(keygen, check=True, capture_output=True, text=True).stdout.strip())
            ksk = keys / f"{names[0]}.key"
            ns = "ns." + zone.lstrip(".")
            if parent:
                ds = subprocess.run(["dnssec-dsfromkey", "-2", ksk], check=True, capture_output=True, text=True)
                records[parent] = records.get(parent, "") + f"{zone} NS {ns}\n{ns} A 127.0.0.1\n{ds.stdout}"
            else:
                shutil.copy(ksk, self.folder / "anchor")
            file = self.folder / f"{stem}.db"
            apex = f"$TTL {TTL}\n{zone} SOA {ns} admin.{ns} 1 3600 600 86400 60\n{zone} NS {ns}\n{ns} A 127.0.0.1\n"
            file.write_text(apex + records.get(zone, ""))
            run("dnssec-signzone", "-S", "-P", "-x", "-o", zone, "-K", keys, "-d", keys, "-f", file, file)
            config += f'zone "{zone}" {{ type primary; file "{stem}.db"; }};\n'
        (self.folder / "named.conf").write_text(config)
        log = self.folder / "named.log"
        with open(log, "wb") as out:
            command = ["named", "-g", "-n", "1", "-c", self.folder / "named.conf"]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.servers.append(server)
        for _ in range(1200):
            if server.poll() is not None:
                sys.exit(f"named ended at its start: {log.read_text()}")
            try:
                return socket.create_connection(("127.0.0.1", self.dns), 1).close()
            except OSError:
                time.sleep(0.05)
        sys.exit("named does not listen after a minute")

    def end(self):
        for server in self.servers:
            server.kill()
            server.wait()

    def servers_cpu(self):
        """Seconds of CPU that named and the simulated hosts have taken so far."""
        ticks = 0
        for server in self.servers:
            words = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def environment(self, cache):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C",
            "SSHANCHOR_CONFIG": "none",
            "SSHANCHOR_RESOLVER": f"127.0.0.1:{self.dns}",
            "SSHANCHOR_TRUST_ANCHOR": str(self.folder / "anchor"),
            "SSHANCHOR_CACHE": str(cache),
        }

    def verify(self, port=None):
        return [self.program, "verify", f"@{self.folder}/names", "-p", str(port or self.port), "--json"]

    def keyscan(self, *options):
        """It gets addresses, so that it has nothing to look up."""
        return ["xargs", "-a", self.folder / "addresses", "-P64", "-n16", "ssh-keyscan", "-p", str(self.port), *options]

    def fresh(self, name="cache"):
        """A folder for a cache with nothing in it."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(0o700)
        return folder

    def ours(self, cache, port=None, limit=None):
        """A run of ours: what it took, and its lines."""
        taken = weigh(self, self.verify(port), self.environment(cache), limit)
        return taken, self.lines()

    def lines(self):
        """What the last run told, which is a line a host."""
        lines = [json.loads(line) for line in (self.folder / "out").read_text().splitlines()]
        if len(lines) != self.hosts or {line["host"] for line in lines} != set(self.names):
            sys.exit(f"{len(lines)} lines for {self.hosts} hosts: {(self.folder / 'err').read_text()[-2000:]}")
        return lines

    def theirs(self, *options):
        """A run of the peer's: what it took. It gives up on a host after five seconds, which a busy machine may take."""
        taken = weigh(self, self.keyscan(*options), self.environment("off"))
        shown = (self.folder / "out").read_text().count(" ssh-ed25519 ")
        if shown != self.hosts:
            print(f"ssh-keyscan shows {shown} keys of {self.hosts} hosts", flush=True)
        return taken


def weigh(world, command, environment, limit=None):
    """Runs it to its end, bounded in time: its CPU is that of all its processes."""
    folder = world.folder

    def prepare():
        if limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)

    servers = world.servers_cpu()
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=prepare
        )
        peaks, first, timer = [0], [], threading.Timer(LIMIT, process.kill)
        timer.start()
        watchers = [
            threading.Thread(target=watch, args=(process.pid, peaks)),
            threading.Thread(target=await_output, args=(process, out.fileno(), first)),
        ]
        for watcher in watchers:
            watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
        for watcher in watchers:
            watcher.join()
    if process.returncode < 0:
        sys.exit(f"{shlex.join(map(str, command))}: status {process.returncode}: {(folder / 'err').read_text()[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    servers = world.servers_cpu() - servers
    first = first[0] - started if first else wall
    return dict(wall=wall, cpu=cpu, peak=peaks[-1], status=process.returncode, servers=servers, first=first)


def await_output(process, out, first):
    """When the first octet was written."""
    while process.returncode is None:
        if os.fstat(out).st_size:
            return first.append(time.perf_counter())
        time.sleep(0.002)


def watch(pid, peaks):
    """The kernel's own peak for a child would begin with this interpreter's, so that VmHWM is looked at until the end."""
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        lines = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        if not lines:
            return
        # The first look may be at this interpreter's own memory, before the program is there.
        if Path(f"/proc/{pid}/exe").resolve() != Path(sys.executable).resolve():
            peaks.append(int(lines[0]))
        time.sleep(0.02)


def expect_all(lines):
    others = [line for line in lines if line["verdict"] != "accept"]
    if others:
        sys.exit(f"{len(others)} hosts are not accepted: {others[0]}")


def verdict(what, figure, most):
    good = figure <= most
    print(f"{'  ok' if good else 'MISS'} {what}: {figure:.3f}, at most {most}", flush=True)
    return good


def raise_limit():
    """Every connection of the peer's is one of the simulated hosts' too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


LOCKS = []


def free_port():
    """Below the range of client ports; the lock is the one that the tests respect."""
    folder = Path(tempfile.gettempdir()) / "sshanchor-test-ports"
    folder.mkdir(exist_ok=True)
    for _ in range(500):
        number = random.randrange(10_000, 32_000)
        try:
            lock = open(folder / str(number), "a")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        LOCKS.append(lock)
        return number
    sys.exit("no free port on 127.0.0.1")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")
