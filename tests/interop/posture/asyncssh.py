"""A server whose key exchange is post-quantum alone.

asyncssh.py PORT KEYFILE AUTHORIZED_KEYS   runs echo for whoever is let in
"""

import asyncio
import sys

import asyncssh


def run(process):
    process.stdout.write("hello\n")
    process.exit(0)


async def main(port, key, authorized):
    await asyncssh.listen(
        "127.0.0.1", int(port), server_host_keys=[key], authorized_client_keys=authorized, config=[],
        kex_algs=["mlkem768x25519-sha256"], process_factory=run,
    )
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
