"""asyncssh on both sides, with a proxy between them, for every key exchange and host key algorithm that it has.

asyncssh.py PORT PROXYCOMMAND KEYFILE...   prints a line for each: what was chosen, and what came of it
"""

import asyncio
import sys

import asyncssh
from asyncssh.kex import get_kex_algs

KEYS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"]


async def outcome(port, proxy, kex, key):
    try:
        await asyncssh.connect(
            "web1.example.test", port, username="nobody", client_keys=[], known_hosts=None, config=[],
            kex_algs=[kex], server_host_key_algs=[key], proxy_command=proxy, login_timeout=20,
        )
    except asyncssh.PermissionDenied:
        return "denied"
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return "let in"


async def main(port, proxy, *files):
    kexes = [kex.decode() for kex in get_kex_algs() if not kex.startswith(b"gss")]
    await asyncssh.listen(
        "127.0.0.1", int(port), server_host_keys=list(files), kex_algs=kexes, config=[], signature_algs=KEYS
    )
    cases = [(kex, KEYS[0]) for kex in kexes] + [(kexes[0], key) for key in KEYS[1:]]
    for kex, key in cases:
        print(kex, key, await outcome(int(port), proxy, kex, key), flush=True)


asyncio.run(main(*sys.argv[1:]))
