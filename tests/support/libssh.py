"""libssh as a client or as a server, which Debian has as a library alone.

libssh.py client HOST PORT KEX KEYS PROXYCOMMAND   prints "denied" by a server that lets nobody in
libssh.py server PORT KEYFILE...                   serves one client after another, and lets nobody in
"""

import ctypes
import sys

try:
    ssh = ctypes.CDLL("libssh.so.4")
except OSError as e:
    sys.exit(f"{e}: apt-get install libssh-4 (or run tests/run, which does)")

for name in ["ssh_new", "ssh_bind_new", "ssh_message_get"]:
    getattr(ssh, name).restype = ctypes.c_void_p
ssh.ssh_get_error.restype = ctypes.c_char_p

# enum ssh_options_e and enum ssh_bind_options_e
HOST, PORT_STR, USER, PROXYCOMMAND, KEY_EXCHANGE, HOSTKEYS, PROCESS_CONFIG = 0, 2, 4, 19, 24, 25, 38
BIND_ADDR, BIND_PORT_STR, BIND_HOSTKEY = 0, 2, 3
AUTH_DENIED, REQUEST_AUTH, REQUEST_SERVICE, METHOD_PUBLICKEY = 1, 1, 4, 4


def must(result, of):
    if result != 0:
        sys.exit("libssh: " + ssh.ssh_get_error(of).decode(errors="replace"))


def client(host, port, kex, keys, command):
    session = ctypes.c_void_p(ssh.ssh_new())
    must(ssh.ssh_options_set(session, PROCESS_CONFIG, ctypes.byref(ctypes.c_bool(False))), session)
    texts = {HOST: host, PORT_STR: port, USER: "nobody", KEY_EXCHANGE: kex, HOSTKEYS: keys, PROXYCOMMAND: command}
    for option, text in texts.items():
        must(ssh.ssh_options_set(session, option, text.encode()), session)
    must(ssh.ssh_connect(session), session)
    denied = ssh.ssh_userauth_none(session, None) == AUTH_DENIED
    print("denied" if denied else "not asked", flush=True)
    ssh.ssh_disconnect(session)


def server(port, *keys):
    bind = ctypes.c_void_p(ssh.ssh_bind_new())
    must(ssh.ssh_bind_options_set(bind, BIND_ADDR, b"127.0.0.1"), bind)
    must(ssh.ssh_bind_options_set(bind, BIND_PORT_STR, port.encode()), bind)
    for key in keys:
        must(ssh.ssh_bind_options_set(bind, BIND_HOSTKEY, key.encode()), bind)
    must(ssh.ssh_bind_listen(bind), bind)
    while True:
        session = ctypes.c_void_p(ssh.ssh_new())
        if ssh.ssh_bind_accept(bind, session) == 0 and ssh.ssh_handle_key_exchange(session) == 0:
            while message := ssh.ssh_message_get(session):
                refuse(ctypes.c_void_p(message))
        ssh.ssh_disconnect(session)
        ssh.ssh_free(session)


def refuse(message):
    if ssh.ssh_message_type(message) == REQUEST_SERVICE:
        ssh.ssh_message_service_reply_success(message)
    else:
        ssh.ssh_message_auth_set_methods(message, METHOD_PUBLICKEY)
        ssh.ssh_message_reply_default(message)
    ssh.ssh_message_free(message)


{"client": client, "server": server}[sys.argv[1]](*sys.argv[2:])
