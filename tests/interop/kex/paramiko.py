"""paramiko as the client of a server behind a proxy, with every key exchange that it has.

paramiko.py PROXYCOMMAND   prints a line for each: what was chosen, and what came of it
"""

import sys

import paramiko


def outcome(proxy, kex):
    transport = paramiko.Transport(paramiko.ProxyCommand(proxy))
    try:
        transport.get_security_options().kex = [kex]
        transport.start_client(timeout=20)
        transport.auth_none("nobody")
    except paramiko.BadAuthenticationType:
        return "denied"
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    finally:
        transport.close()
    return "let in"


for kex in paramiko.Transport._preferred_kex:
    print(kex, outcome(sys.argv[1], kex), flush=True)
