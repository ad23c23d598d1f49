#!/usr/bin/env python3
"""Draws a flame graph: `perf script -F comm,ip,sym,dso -i perf.data | bench/flamegraph.py "title" > docs/flamegraph.svg`.

One tower for each thread, the widest first; a box is as wide as the share of samples in it and all that it called. Static,
so that it shows wherever a picture does; the share of each box is its tooltip where the viewer has some. Build the server
with frame pointers to be profiled (docs/performance.md has the command).
"""

import re
import sys
import zlib
from html import escape

WIDTH, ROW, TOP, MARGIN = 1400, 17, 48, 8
# Below this many pixels a box says nothing and only makes the file large.
PIXELS_MIN = 1.5
CHARACTER = 6.4
DEPTH_MAX = 48


class Box:
    def __init__(self):
        self.samples = 0
        self.inner = {}


def tidy(symbol):
    """A Rust name without hashes, crates' disambiguators and generic arguments, which are longer than any box."""
    symbol = re.sub(r"::h[0-9a-f]{16}$", "", symbol.rsplit("+0x", 1)[0])
    symbol = re.sub(r"\.(isra|part|constprop)\.\d+", "", symbol)
    trait = re.match(r"<(.+) as ([^>]+)>::(\w+)", symbol)
    if trait:
        symbol = f"{trait[1]}::{trait[3]}"
    while (shorter := re.sub(r"<[^<>]*>", "", symbol)) != symbol:
        symbol = shorter
    return symbol.replace("{{closure}}", "…").replace("::::", "::").strip(": ") or "?"


# Frames that every stack begins with, or that only pass a call on: they make towers higher and say nothing.
PASSED_THROUGH = re.compile(
    r"start_thread|thread_start|__rust_begin_short_backtrace|call_once|catch_unwind|entry_SYSCALL|do_syscall_64|clone3"
    r"|enter_runtime|Scoped::set|\[unknown\]|__x64_sys_|raw::poll|blocking::(pool|task)|Core::poll|poll_fn|PollFn"
)


def stacks(lines):
    """Thread and frames from the outermost on, sample by sample."""
    thread, frames = None, []
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if thread is not None:
                yield thread, frames[::-1]
            thread, frames = None, []
        elif line[0] not in " \t":
            thread = line.strip()
        elif match := re.match(r"\s*[0-9a-f]+ (.*) \(.*\)$", line):
            name = tidy(match[1])
            if not PASSED_THROUGH.search(name):
                frames.append(name)
    if thread is not None:
        yield thread, frames[::-1]


def collect(lines):
    root = Box()
    for thread, frames in stacks(lines):
        root.samples += 1
        box = root
        for frame in [thread, *frames][:DEPTH_MAX]:
            box = box.inner.setdefault(frame, Box())
            box.samples += 1
    return root


def draw(root, title):
    drawn, depth_seen = [], 0
    pixels = (WIDTH - 2 * MARGIN) / max(root.samples, 1)

    def place(box, x, depth):
        nonlocal depth_seen
        for name, inner in sorted(box.inner.items(), key=lambda item: (-item[1].samples, item[0])):
            width = inner.samples * pixels
            if width >= PIXELS_MIN:
                depth_seen = max(depth_seen, depth + 1)
                drawn.append((x, depth, width, name, inner.samples))
                place(inner, x, depth + 1)
            x += width

    place(root, MARGIN, 0)
    height = TOP + depth_seen * ROW + MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="DejaVu Sans Mono, Menlo, monospace" font-size="10.5">'
    )
    yield f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    yield f'<text x="{MARGIN}" y="20" font-size="15" fill="#222">{escape(title)}</text>'
    yield (
        f'<text x="{MARGIN}" y="38" fill="#666">{root.samples} samples; a box is as wide as its share of the processor '
        "and hangs from what called it</text>"
    )
    for x, depth, width, name, samples in drawn:
        y = TOP + depth * ROW
        # The same name has the same colour everywhere: warm; threads are grey.
        draw_of = zlib.crc32(name.encode())
        fill = "#c9ced6" if depth == 0 else f"hsl({18 + draw_of % 38},{70 + draw_of // 64 % 20}%,{66 + draw_of // 4096 % 14}%)"
        share = 100 * samples / root.samples
        yield f'<g><title>{escape(name)} {share:.2f}%</title>'
        yield f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{fill}"/>'
        room = int((width - 6) / CHARACTER)
        label = f"{name} {share:.0f} %" if depth == 0 else name
        if room >= 4:
            label = label if len(label) <= room else "…" + label[-(room - 1) :]
            yield f'<text x="{x + 3:.1f}" y="{y + 12}" fill="#111">{escape(label)}</text>'
        yield "</g>"
    yield "</svg>"


if __name__ == "__main__":
    title = sys.argv[1] if len(sys.argv) > 1 else "Where the time goes"
    print("\n".join(draw(collect(sys.stdin), title)))
