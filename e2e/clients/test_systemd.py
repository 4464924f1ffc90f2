"""The gateway under a service manager: what it tells, the sockets that it is given, and the unit files."""

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from gateway import BINARY, ROOT, free_port, policy
from load import Mirror
from succession import Succession
from wire import PATIENCE

UNITS = os.path.join(ROOT, "deploy", "systemd")

# Opens sockets as the manager does, and becomes the gateway: names, addresses, and then the command.
LAUNCHER = """
import os, socket, sys
names, addresses, command = sys.argv[1].split(","), sys.argv[2].split(","), sys.argv[3:]
for place, address in enumerate(addresses):
    host, _, port = address.rpartition(":")
    listener = socket.create_server((host, int(port)))
    os.dup2(listener.fileno(), 100 + place)
for place in range(len(addresses)):
    os.dup2(100 + place, 3 + place)
    os.close(100 + place)
os.environ.update(LISTEN_FDS=str(len(addresses)), LISTEN_PID=str(os.getpid() + int(os.environ.get("OFF", "0"))),
                  LISTEN_FDNAMES=":".join(names))
os.execv(command[0], command)
"""


class Manager:
    """The socket that news come to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)
        self.heard = []

    def until(self, news):
        """Hears until something begins with `news`; answers its fields and who said it."""
        while True:
            said, control, _, _ = self.socket.recvmsg(4096, 64)
            fields = dict(line.split("=", 1) for line in said.decode().split("\n"))
            self.heard.append(fields)
            if news in fields:
                return fields


@pytest.fixture
def manager(tmp_path):
    return Manager(str(tmp_path))


@pytest.fixture
def started():
    running = []

    def start(*command, **settings):
        running.append(Succession([("*.localhost", Mirror().service, "")], command=command, **settings))
        return running[-1]

    yield start
    for one in running:
        assert one.stop() == 0, one.logged()


def test_the_manager_hears_of_every_change(started, manager):
    gateway = started("env", f"NOTIFY_SOCKET={manager.path}", "WATCHDOG_USEC=200000")
    assert manager.until("READY") == {"READY": "1", "STATUS": "serving"}
    for _ in range(3):
        assert manager.until("WATCHDOG")["WATCHDOG"] == "1"
    os.kill(gateway.pid, signal.SIGHUP)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading = manager.until("RELOADING")
    assert reloading["RELOADING"] == "1" and abs(int(reloading["MONOTONIC_USEC"]) - now) < PATIENCE * 1_000_000
    assert manager.until("READY")["READY"] == "1"

    former, successor = gateway.pid, gateway.hand_over()
    assert manager.until("RELOADING")["RELOADING"] == "1"
    assert manager.until("MAINPID") == {"MAINPID": str(successor)}
    assert manager.until("READY")["READY"] == "1", "of the new one, which the manager knows by now"
    gateway.until(lambda: gateway.exit_code(former) is not None)
    assert manager.until("WATCHDOG"), "the new one lives"
    os.kill(successor, signal.SIGTERM)
    assert manager.until("STOPPING")["STOPPING"] == "1"
    gateway.until(lambda: gateway.exit_code(successor) is not None)


def test_a_hand_over_that_fails_is_told_as_the_end_of_a_reload(started, manager):
    gateway = started("env", f"NOTIFY_SOCKET={manager.path}")
    manager.until("READY")
    gateway.install("/bin/false")
    os.kill(gateway.pid, signal.SIGUSR2)
    manager.until("RELOADING")
    manager.until("READY")
    assert not any("MAINPID" in fields for fields in manager.heard)
    gateway.install(BINARY)


def sockets_of(pid):
    """The inodes of its sockets."""
    found = set()
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(link))
    return found


def test_sockets_of_the_manager_are_used_and_handed_on(started):
    https, other = free_port(), free_port()
    # The file names another port, which the name of the socket overrules; the port of plain HTTP goes by its address.
    gateway = started(sys.executable, "-c", LAUNCHER, "https,metrics", f"127.0.0.1:{https},127.0.0.1:{other}", waits_for=https)
    app = gateway.protect(policy("bypass"))
    with contextlib.closing(socket.create_connection(("127.0.0.1", other), PATIENCE)):
        pass
    assert app.request().status == 200
    listening = f"0100007F:{https:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table if line.split()[1] == listening and line.split()[3] == "0A"]
    assert len(rows) == 1, "all cores share the one socket"
    inode = f"socket:[{rows[0][9]}]"
    former = gateway.pid
    gateway.hand_over()
    assert inode in sockets_of(gateway.pid)
    assert app.request().status == 200
    gateway.until(lambda: gateway.exit_code(former) is not None)
    assert app.request().status == 200


def test_sockets_for_somebody_else_are_left_alone(started):
    gateway = started("env", "OFF=1", sys.executable, "-c", LAUNCHER, "https", f"127.0.0.1:{free_port()}")
    assert gateway.protect(policy("bypass")).request().status == 200, "on the address of the file"


def test_a_socket_that_the_file_has_no_use_for_is_named():
    gateway = Succession.__new__(Succession)
    port = free_port()
    with pytest.raises(RuntimeError) as failed:
        gateway.__init__([], command=(sys.executable, "-c", LAUNCHER, "narthexd.socket", f"127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}" in str(failed.value) and "FileDescriptorName=https" in str(failed.value)


def test_the_units_are_sound(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed here")
    for name in os.listdir(UNITS):
        with open(os.path.join(UNITS, name)) as file:
            text = file.read().replace("/usr/local/bin/narthexd", BINARY)
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in sorted(os.listdir(UNITS))]
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    about_ours = [line for line in verified.stderr.splitlines() if "narthexd" in line]
    assert verified.returncode == 0 and not about_ours, verified.stderr
    exposed = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "narthexd.service")]
    judged = subprocess.run(exposed, capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]
