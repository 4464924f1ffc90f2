"""Latency at half load, by an open loop: requests leave by the clock, whether or not earlier ones are answered.

h2load is the client (`--rps`): many connections, each with one request every 10 ms, begun at different moments by the
handshakes before them. The same requests straight to the origin, without TLS, at the same rate in the same round are what is
subtracted: the rest is *added* latency. The requests of a round that were not answered when due are counted as `late`:
while they are few, the loop was open; if they are many, the figure is too kind and is marked.
"""

import math
import os
import time

from load import RAMP, failures, h2load, on_load_core

PER_CONNECTION = 100  # requests a second; h2load's clock ticks every 10 ms
CONNECTIONS = 400     # at most


class Origin:
    """The origin itself, in the place of a peer."""

    def __init__(self, rig):
        self.rig, self.header, self.url = rig, None, f"http://127.0.0.1:{rig.origin_port}"


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def open_loop(target, protocol, rate, seconds):
    """Microseconds of all answers in `seconds`, sorted; how many were due; how many failed."""
    connections = max(4, min(CONNECTIONS, round(rate / PER_CONNECTION)))
    log = target.rig.path("latency.log")
    more = ["--h1"] if protocol == "HTTP/1.1" else []
    command = h2load(target, "/", connections, 1 if more else 32, *more, f"--rps={rate / connections:.3f}", f"--log-file={log}",
                     f"-D{seconds + RAMP}")
    text = on_load_core(target.rig, command).communicate(timeout=seconds + 60)[0]
    with open(log) as f:
        rows = [tuple(map(int, line.split())) for line in f]
    os.remove(log)
    if not rows:
        raise SystemExit(f"the open loop got no answer from {target.url}:\n{text}")
    end = max(start for start, _, _ in rows)
    counted = [row for row in rows if row[0] > end - seconds * 1_000_000]
    return sorted(took for _, status, took in counted if status == 200), rate * seconds, failures(text)


def half_load(peer, protocol, rate, seconds):
    """One round: percentiles through the peer less those straight to the origin, at `rate` requests a second."""
    straight, _, _ = open_loop(Origin(peer.rig), "HTTP/1.1", rate, seconds)
    cpu, begun = peer.cpu(), time.monotonic()
    through, due, failed = open_loop(peer, protocol, rate, seconds)
    busy = (peer.cpu() - cpu) / 1e9 / (time.monotonic() - begun)
    if not straight or not through:
        raise SystemExit(f"{peer.name}: no request succeeded at half load")
    added = {f"p{share}": percentile(through, share / 100) - percentile(straight, share / 100) for share in (50, 99)}
    return {**added, "rate": len(through) / seconds, "busy": busy, "late": max(0.0, 1 - len(through) / due), "failed": failed}
