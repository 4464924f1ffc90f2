"""The machine under the bench: which core does what, what the kernel counts, and what everything is called."""

import contextlib
import glob
import os
import platform
import re
import resource
import subprocess


class Cores:
    """One core for the proxy, and what is left for the origin and the load generator; with two cores those share one."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise SystemExit("bench/run needs two cores: one for the proxy alone, one for origin and load generator")
        self.proxy, self.origin, self.load = cores[0], cores[1], cores[2 if len(cores) > 2 else 1]

    def __str__(self):
        return f"proxy on core {self.proxy}, origin on core {self.origin}, load on core {self.load}"


def family(pid):
    """A process and all that descend from it."""
    pids = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path) as f:
            for child in f.read().split():
                pids += family(int(child))
    return pids


def cpu_nanoseconds(pids):
    """CPU time that the threads of these processes have used so far, user and kernel."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError), open(path) as f:
                total += int(f.read().split()[0])
    return total


def memory_kib(pids):
    """(proportional, resident) memory. The first counts a page that n processes share as 1/n of it in each, so that the
    processes of one server can be added up; the second is what `ps` shows and counts such pages again in each."""
    proportional = resident = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            text = f.read()
        proportional += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        resident += int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1))
    return proportional, resident


def allow_many_files():
    """Lets this process and its children open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def said_by(*command):
    """The first line with a digit of what a command prints: where programs name their version."""
    run = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in (run.stdout + run.stderr).splitlines() if re.search(r"\d", line)]
    return lines[0].strip() if lines else "unknown"


def package_version(name):
    """The version of a Debian package, or None where there is no such package or no dpkg."""
    with contextlib.suppress(OSError):
        run = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
        if run.returncode == 0:
            return run.stdout.strip()
    return None


def description():
    """The machine in one line."""
    model = "unknown processor"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as f:
        if found := re.search(r"^model name\s*:\s*(.+)$", f.read(), re.M):
            model = found.group(1)
    kernel = ".".join(platform.release().split(".")[:2])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}"


def load_average():
    return os.getloadavg()[0]
