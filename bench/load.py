"""The loads, and what one round of one of them yields.

CPU is counted over a window inside the load, so that neither its beginning (handshakes) nor its end is in the figure, and it
is divided by the requests that the *origin* answered in that window: the load generator's own count has another window.

A round is a dict: `cpu_us` per request, `rate` per second, `busy` (how much of its core the proxy used, 0 to 1; requests a
second mean saturation only near 1), `failed` requests. A load that cannot be made ends the bench.
"""

import os
import re
import subprocess
import sys
import time

from peers.peer import CERTIFICATES
from rig import BENCH, CERTIFICATES_HOST, CIPHER

RAMP = 1  # seconds of load before the window
TAIL = 1  # and after it
FEW = 100  # requests: fewer in a window are no figure


def on_load_core(rig, command, **settings):
    return subprocess.Popen(
        ["taskset", "-c", str(rig.cores.load), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OPENSSL_CONF": rig.client_tls}, **settings)


def wrk(peer, path, connections, seconds):
    extra = ["-H", peer.header] if peer.header else []
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *extra, peer.url + path]


def h2load(peer, path, connections, streams, *more):
    extra = ["-H", peer.header] if peer.header else []
    return ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"--tls13-ciphers={CIPHER}", *extra, *more, peer.url + path]


def failures(text):
    """How many requests went wrong by what wrk or h2load printed; ends the bench if they printed no result."""
    if counts := re.search(r"requests: .* (\d+) failed, (\d+) errored, (\d+) timeout", text):
        failed, errored, timeout = map(int, counts.groups())
        statuses = re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        return max(failed, errored + timeout, sum(map(int, statuses.groups())))
    if not re.search(r"\d+ requests in", text):
        raise SystemExit(f"the load generator failed:\n{text}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return (int(refused.group(1)) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0)


def window(peer, command, seconds):
    """Starts the load `command(its duration)` and measures `seconds` in the middle of it; longer where that is too short for
    a figure (large bodies through a slow peer)."""
    def sample():
        return peer.cpu(), peer.rig.origin_requests(), time.monotonic()

    for length in (seconds, 4 * seconds):
        process = on_load_core(peer.rig, command(RAMP + length + TAIL))
        time.sleep(RAMP)
        cpu, requests, begun = sample()
        time.sleep(length)
        cpu_end, requests_end, ended = sample()
        text = process.communicate(timeout=length + 60)[0]
        failed = failures(text)
        answered = requests_end - requests - 1  # the second question about the count is counted too
        if answered >= FEW:
            break
    if answered <= 0:
        raise SystemExit(f"no request of {peer.name} reached the origin under load:\n{text}")
    took, spent = ended - begun, cpu_end - cpu
    return {"cpu_us": spent / 1000 / answered, "rate": answered / took, "busy": spent / 1e9 / took, "failed": failed}


def small_http1(peer, seconds):
    return window(peer, lambda length: wrk(peer, "/", 64, length), seconds)


def small_http2(peer, seconds):
    return window(peer, lambda length: h2load(peer, "/", 16, 16, f"-D{length}"), seconds)


def download_http1(peer, seconds):
    return window(peer, lambda length: wrk(peer, "/big", 16, length), seconds)


def download_http2(peer, seconds):
    return window(peer, lambda length: h2load(peer, "/big", 4, 4, f"-D{length}"), seconds)


def upload_http1(peer, seconds):
    return window(peer, lambda length: h2load(peer, "/upload", 16, 1, "--h1", f"-D{length}", "-d", peer.rig.upload), seconds)


def upload_http2(peer, seconds):
    return window(peer, lambda length: h2load(peer, "/upload", 4, 4, f"-D{length}", "-d", peer.rig.upload), seconds)


def new_connections(peer, seconds):
    """Full TLS 1.3 handshakes (h2load knows no resumption), each with one HTTP/1.1 request; 64 at a time."""
    def batch():
        process = on_load_core(peer.rig, h2load(peer, "/", 64, 1, "--h1", "-n64"))
        text = process.communicate(timeout=120)[0]
        took = re.search(r"finished in ([\d.]+)(us|ms|s),", text)
        return failures(text), float(took.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[took.group(2)]

    batch()
    cpu, begun, made, failed, active = peer.cpu(), time.monotonic(), 0, 0, 0.0
    while made == 0 or time.monotonic() - begun < seconds:
        wrong, took = batch()
        made, failed, active = made + 64, failed + wrong, active + took
    time.sleep(0.05)  # what a peer does after the last close belongs to it
    spent = peer.cpu() - cpu
    return {"cpu_us": spent / 1000 / made, "rate": made / active, "busy": spent / 1e9 / active, "failed": failed}


def own(program, *arguments):
    return [sys.executable, os.path.join(BENCH, program), *map(str, arguments)]


def counted(peer, what, command):
    """A load of our own, which says `begin` and at its end how many it did in how many seconds."""
    process = on_load_core(peer.rig, command)
    if (line := process.stdout.readline().strip()) != "begin":
        raise SystemExit(f"{what} through {peer.name}: {line}{process.stdout.read()}")
    cpu = peer.cpu()
    line = process.stdout.readline()
    spent = peer.cpu() - cpu
    if process.wait(30) != 0:
        raise SystemExit(f"{what} through {peer.name}: {line}{process.stdout.read()}")
    done, took = (float(word) for word in line.split())
    return {"cpu_us": spent / 1000 / done, "rate": done / took, "busy": spent / 1e9 / took, "failed": 0}


def websocket_messages(peer, seconds):
    """Messages of 64 bytes there and back over 16 connections; a pair of them is one."""
    return counted(peer, "WebSockets", own("websocket.py", "client", peer.port, seconds, 16, peer.header or ""))


def certificate_client(peer, seconds, kind):
    """Connections that show a client certificate (leaf and intermediate), each with one request; 8 at a time. `kind`: full or resumed."""
    clients = peer.rig.clients
    return own("handshakes.py", peer.certificates_port, CERTIFICATES_HOST, seconds, 8, clients.chain, clients.key, kind)


def with_certificate(kind):
    return lambda peer, seconds: counted(peer, "Client certificates", certificate_client(peer, seconds, kind))


class Load:
    """A load by name; `full` ones are left out of the quick form. `unit` is what one is."""

    def __init__(self, key, title, protocol, run, unit="request", full=True):
        self.key, self.title, self.protocol, self.run, self.unit, self.full = key, title, protocol, run, unit, full


SMALL = {"HTTP/1.1": "small-http1", "HTTP/2": "small-http2"}
ALL = (
    Load("small-http1", "Small answers, HTTP/1.1, 64 connections", "HTTP/1.1", small_http1, full=False),
    Load("small-http2", "Small answers, HTTP/2, 16 connections of 16 streams", "HTTP/2", small_http2, full=False),
    Load("new-connections", "New connections (full TLS 1.3 handshake and one request)", "HTTP/1.1", new_connections, "connection", full=False),
    Load("certificate-full", "New connections with a client certificate (full TLS 1.3 handshake, the certificate judged, one request)",
         CERTIFICATES, with_certificate("full"), "connection", full=False),
    Load("certificate-resumed", "The same, resumed by a ticket (the certificate judged again)", CERTIFICATES, with_certificate("resumed"),
         "connection", full=False),
    Load("download-http1", "Downloads of 1 MiB, HTTP/1.1, 16 connections", "HTTP/1.1", download_http1),
    Load("download-http2", "Downloads of 1 MiB, HTTP/2, 4 connections of 4 streams", "HTTP/2", download_http2),
    Load("upload-http1", "Uploads of 1 MiB, HTTP/1.1, 16 connections", "HTTP/1.1", upload_http1),
    Load("upload-http2", "Uploads of 1 MiB, HTTP/2, 4 connections of 4 streams", "HTTP/2", upload_http2),
    Load("websocket", "WebSocket messages of 64 bytes, there and back, 16 connections", "HTTP/1.1", websocket_messages, "message"),
)
