"""asyncssh behind `sshanchor proxy`: no user name and no password is sent before the host key is proven.

    async with connect_verified("web1.example.com", username="deploy") as connection:
        print((await connection.run("uptime")).stdout)
"""

import asyncio
import sys

import asyncssh


def connect_verified(host, port=22, **options):
    """asyncssh.connect() to a proven host; `options` are its other ones.

    `known_hosts=None` ends asyncssh's own check; the relay beside it makes up for that. `tunnel` and `sock` go
    before a proxy command, and asyncssh takes a tunnel from ~/.ssh/config (ProxyJump) unless it is told none.
    """
    relay = ["sshanchor", "proxy", "--no-pass", "--", host, str(int(port))]
    return asyncssh.connect(
        host, port, proxy_command=relay, tunnel=None, sock=None, known_hosts=None, **options
    )


async def main(host, port, command):
    async with connect_verified(host, int(port)) as connection:
        result = await connection.run(command)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.exit_status


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except asyncssh.Error as error:
        sys.exit(str(error))
