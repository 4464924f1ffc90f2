"""The picture of a run: bars of CPU per request, drawn as plain SVG that is legible on light and on dark ground."""

from html import escape

import figures
import load
import peers

WIDTH, LABEL, VALUE = 790, 300, 80
BAR, GAP, HEAD = 18, 8, 34
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .bar { fill: #8c959f }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }
"""


def groups(results):
    """(heading, [(peer, name, value)]) for each group of bars, cheapest first."""
    shown = [("small-http1", "CPU µs a request, HTTP/1.1"), ("small-http2", "CPU µs a request, HTTP/2"),
             ("new-connections", "CPU µs a new connection"),
             ("certificate-full", "CPU µs a new connection with a client certificate"),
             ("certificate-resumed", "CPU µs a resumed connection with a client certificate")]
    for key, heading in shown:
        by_peer = results["rounds"].get(key)
        if by_peer:
            bars = [(peer, figures.names(results)[peer].replace("`", ""), figures.median(rounds, "cpu_us")) for peer, rounds in by_peer.items()]
            yield heading, sorted(bars, key=lambda bar: bar[2])


def svg(results):
    parts, y, spoken = [], 0, []
    for heading, bars in groups(results):
        y += HEAD
        parts.append(f'<text class="head" x="0" y="{y - 10}">{escape(heading)}</text>')
        longest = max(value for _, _, value in bars)
        for peer, name, value in bars:
            width = max(1.0, (WIDTH - LABEL - VALUE) * value / longest)
            middle = y + BAR - 5
            parts.append(f'<text x="{LABEL - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect class="{"ours" if peer == peers.OURS else "bar"}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{middle}">{value:,.1f}</text>')
            y += BAR + GAP
        spoken.append(f"{heading}: " + ", ".join(f"{name} {value:,.1f}" for _, name, value in bars))
    y += 20
    parts.append(f'<text class="note" x="0" y="{y - 4}">{escape(results["date"])}; medians of one run; shorter is better</text>')
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" width="{WIDTH}" height="{y + 6}" role="img">\n'
            f"<title>What a request costs</title>\n<desc>{escape('. '.join(spoken))}</desc>\n<style>{STYLE}</style>\n{body}\n</svg>\n")
