"""paramiko behind `sshanchor proxy`: no user name and no password is sent before the host key is proven.

    client = connect_verified("web1.example.com", username="deploy")
    stdin, stdout, stderr = client.exec_command("uptime")
"""

import shlex
import sys

import paramiko


class ProvenByRelay(paramiko.MissingHostKeyPolicy):
    """Takes a key only on the connection that runs through this very relay: DNSSEC has proven it there.

    A client that is connected once more without it, or with another socket, is refused.
    """

    def __init__(self, relay):
        self.relay = relay

    def missing_host_key(self, client, hostname, key):
        if client.get_transport().sock is not self.relay:
            raise paramiko.SSHException(f"{hostname}: not connected through sshanchor")


def connect_verified(host, port=22, **options):
    """An SSHClient connected to a proven host; `options` are those of SSHClient.connect()."""
    relay = paramiko.ProxyCommand(f"sshanchor proxy --no-pass -- {shlex.quote(host)} {int(port)}")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(ProvenByRelay(relay))
    try:
        client.connect(host, port, sock=relay, **options)
        return client
    except BaseException as error:
        client.close()
        relay.close()
        # paramiko does not tell why the other side left; the relay does.
        reason = relay.process.stderr.read().decode("ascii", "replace").strip()
        if reason and not isinstance(error, paramiko.AuthenticationException):
            raise paramiko.SSHException(reason) from None
        raise


if __name__ == "__main__":
    host, port, command = sys.argv[1:]
    try:
        with connect_verified(host, int(port)) as client:
            _, stdout, stderr = client.exec_command(command)
            sys.stdout.write(stdout.read().decode())
            sys.stderr.write(stderr.read().decode())
            sys.exit(stdout.channel.recv_exit_status())
    except paramiko.SSHException as error:
        sys.exit(str(error))
