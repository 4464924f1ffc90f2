"""What came out of a run: medians, minima and ratios as tables of text, and the bounds that the design sets.

The results are plain data (they are kept as JSON): `rounds[load][peer]` is a list of rounds; all ratios are medians of the
ratios of one round, to the bare nginx of the same round.
"""

import statistics

import load
import peers
from peers.peer import CERTIFICATES

SATURATED = 0.9  # of its core; below, the load generator or the origin was the limit
LATE = 0.05      # share of an open loop's requests


def median(rounds, field):
    return statistics.median(r[field] for r in rounds)


def ratio(rounds, base, field="cpu_us"):
    return statistics.median(r[field] / b[field] for r, b in zip(rounds, base))


def names(results):
    return {key: results["peers"][key]["name"] for key in results["peers"]}


def load_table(results, work):
    """One load: (title, headings, rows), or None if it was not made; a peer that did not take part has dashes."""
    by_peer = results["rounds"].get(work.key)
    if not by_peer:
        return None
    big = work.key.startswith(("download", "upload"))
    base = by_peer[peers.BASE]
    rows = []
    for key, name in names(results).items():
        if key not in by_peer and work.protocol == CERTIFICATES:
            continue  # few peers are set up to ask for them
        if key not in by_peer:
            rows.append([name, *["–"] * (6 if big else 5)])
            continue
        rounds = by_peer[key]
        failed = sum(r["failed"] for r in rounds)
        rate, cpu = median(rounds, "rate"), median(rounds, "cpu_us")
        mark = "" if median(rounds, "busy") >= SATURATED else " *"
        rows.append([
            name, f"{cpu:,.1f}", f"{min(r['cpu_us'] for r in rounds):,.1f}", f"{ratio(rounds, base):.2f}",
            *([f"{rate * 1.048576:,.0f}"] if big else []), f"{rate:,.0f}{mark}", f"{failed:,}"])
    headings = ["", f"CPU µs a {work.unit}", "minimum", "ratio", *(["MB/s"] if big else []), f"{work.unit}s a second", "failed"]
    return work.title, headings, rows


def latency_table(results):
    rows = []
    for protocol in load.SMALL:
        for key, name in names(results).items():
            if rounds := results["latency"].get(protocol, {}).get(key):
                mark = " †" if median(rounds, "late") > LATE else ""
                rows.append([name, protocol, f"{median(rounds, 'rate'):,.0f}", f"{median(rounds, 'p50'):,.0f}{mark}",
                             f"{median(rounds, 'p99'):,.0f}{mark}", f"{sum(r['failed'] for r in rounds):,}"])
    headings = ["", "protocol", "requests a second", "p50 added, µs", "p99 added, µs", "failed"]
    return ("Added latency at half of each one's own saturation", headings, rows) if rows else None


def memory_table(results):
    rows = []
    for key, name in names(results).items():
        if rounds := results["memory"].get(key):
            rows.append([name, f"{median(rounds, 'idle') / 1024:,.1f}", f"{median(rounds, 'with_connections') / 1024:,.1f}",
                         f"{median(rounds, 'per_connection'):,.1f}", f"{min(r['open'] for r in rounds):,}"])
    headings = ["", "idle, MiB", "with 1,000 connections, MiB", "KiB a connection", "still open"]
    return ("Memory, pages shared by several processes counted once", headings, rows) if rows else None


def bounds(results):
    """The bounds that this bench can show: (title, headings, rows)."""
    rounds, rows = results["rounds"], []

    def bound(what, measured, limit, text, at_most=True):
        held = measured <= limit if at_most else measured >= limit
        rows.append([what, text.format(limit), text.format(measured).lstrip("≤≥ "), "held" if held else "**not held**"])

    for protocol, limit, times in (("HTTP/1.1", 0.85, 15), ("HTTP/2", 0.75, 12)):
        by_peer = rounds.get(load.SMALL[protocol], {})
        ours = by_peer.get(peers.OURS)
        if ours and peers.BASE in by_peer:
            bound(f"a checked {protocol} request beside a bare one of nginx", ratio(ours, by_peer[peers.BASE]), limit, "≤ {:.2f} × its CPU")
        if ours and "oauth2-proxy" in by_peer:
            bound(f"the same beside oauth2-proxy, {protocol}", ratio(by_peer["oauth2-proxy"], ours), times, "≥ {:.1f} × less CPU", False)
    for key, what in (("new-connections", "a new connection"), ("certificate-full", "a new connection with a client certificate")):
        handshakes = rounds.get(key, {})
        if peers.OURS in handshakes and peers.BASE in handshakes:
            bound(f"{what} beside one of nginx", ratio(handshakes[peers.OURS], handshakes[peers.BASE]), 0.7, "≤ {:.2f} × its CPU")
    if memory := results["memory"].get(peers.OURS):
        bound("memory, idle", median(memory, "idle_resident") / 1024, 15, "≤ {:.1f} MiB resident")
        bound("memory of an idle TLS connection", median(memory, "per_connection"), 16, "≤ {:.1f} KiB")
    return ("The bounds", ["", "bound", "measured", ""], rows) if rows else None


def tables(results):
    made = [load_table(results, work) for work in load.ALL]
    return [table for table in (*made, latency_table(results), memory_table(results), bounds(results)) if table]


def notes(results):
    """What a reader must know to read the tables."""
    settings = results["settings"]
    lines = [f"{results['date']}; {results['machine']}; {results['cores']}.",
             f"{settings['rounds']} rounds of {settings['seconds']} s for small answers, {settings['side_rounds']} for the rest; "
             f"the load average before the run was {results['load_before']:.1f}."]
    lines.append("Versions: " + "; ".join(dict.fromkeys([*(p["version"] for p in results["peers"].values()), *results["tools"]])) + ".")
    lines += [f"Not measured: {name}: {why}." for name, why in results["skipped"].items()]
    lines += [f"{trouble}." for trouble in results["trouble"]]
    lines.append("Ratio: CPU beside the bare nginx of the same round, median. `–`: the peer does not speak this protocol to clients, or failed. "
                 f"`*`: it used less than {SATURATED:.0%} of its core, so load generator or origin were the limit, not it.")
    if any(median(rounds, "late") > LATE for by_peer in results["latency"].values() for rounds in by_peer.values()):
        lines.append(f"`†`: more than {LATE:.0%} of the requests did not leave in time, so these latencies are too kind.")
    return lines


def markdown(table):
    title, headings, rows = table
    lines = ["| " + " | ".join(headings) + " |", "| --- |" + " ---: |" * (len(headings) - 1)]
    return "\n".join([f"### {title}", "", *lines, *("| " + " | ".join(row) + " |" for row in rows)])


def plain(table):
    """The same for a terminal."""
    title, headings, rows = table
    rows = [[cell.replace("`", "").replace("**", "") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
             for row in [headings, *rows]]
    return "\n".join([title, *("  " + line for line in lines)])
