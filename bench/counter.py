"""Instructions that a peer executes for a request, in user space: unlike times they hardly depend on what else the machine does."""

import re
import shutil
import subprocess
import time

from load import on_load_core


def available():
    """Why instructions cannot be counted here, with the remedy; None if they can."""
    if not shutil.which("perf"):
        return "perf is not installed (Debian: linux-perf)"
    tried = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True)
    if not re.search(r"^\d+,", tried.stderr, re.M):
        return "this machine does not count instructions (in a virtual one it often cannot)"
    return None


def instructions(peer, command, seconds):
    """Instructions a request under the load `command(its duration)`, over `seconds` in its middle."""
    process = on_load_core(peer.rig, command(seconds + 2))
    time.sleep(1)
    requests = peer.rig.origin_requests()
    pids = ",".join(map(str, peer.pids()))
    counted = subprocess.run(
        ["perf", "stat", "-x,", "-e", "instructions:u", "-p", pids, "sleep", str(seconds)], capture_output=True, text=True).stderr
    answered = peer.rig.origin_requests() - requests - 1
    process.communicate(timeout=seconds + 60)
    found = re.search(r"^(\d+),", counted, re.M)
    if not found or answered <= 0:
        raise SystemExit(f"perf counted nothing for {peer.name}:\n{counted}")
    return int(found.group(1)) / answered
