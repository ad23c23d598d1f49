"""One table of all measurements: medians of the passes, the best configuration of each peer, ratios."""

import hashlib
import json
import statistics
import subprocess

import machine
import peers
import rows


def write(results):
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    figures = {column: {row.title: best(lines, names, row) for row in rows.ROWS} for column, names in peers.COLUMNS.items()}
    document = {
        "machine": machine.describe(),
        "kapelle": fingerprint(),
        "commit": commit(),
        "passes": {name: len({line["pass"] for line in lines if line["peer"] == name}) for name in {l["peer"] for l in lines}},
        "rows": [as_json(row, figures) for row in rows.ROWS],
    }
    results.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n")
    text = markdown(figures)
    results.with_suffix(".md").write_text(text)
    print(text)
    print(f"{document['machine']}; program {document['kapelle']}, tree at {document['commit']}; raw lines in {results}, this table beside it as .md and .json")


def best(lines, names, row):
    """The best median over configurations and sources, and how far the passes were apart."""
    found = []
    for name in names:
        for source in row.sources:
            values = [
                line["result"][row.field]
                for line in lines
                if line["peer"] == name and line["measurement"] == source and line["result"].get(row.field) is not None
            ]
            if values:
                found.append((statistics.median(values), min(values), max(values), name, source))
    if not found:
        return None
    return (max if row.better == "more" else min)(found)


def times(row, ours, theirs):
    """How many times better Kapelle is; below 1 it is worse."""
    if ours is None or theirs is None or not ours[0] or not theirs[0]:
        return None
    return ours[0] / theirs[0] if row.better == "more" else theirs[0] / ours[0]


def verdict(row, figures):
    ours = figures["kapelle"][row.title]
    if ours is None:
        return ""
    parts = []
    if row.limit is not None:
        parts.append(ours[0] >= row.limit if row.better == "more" else ours[0] <= row.limit)
    for column, least in (("zeebe", row.times_camunda), ("restate", row.times_restate)):
        factor = times(row, ours, figures.get(column, {}).get(row.title))
        if least is not None and factor is not None:
            parts.append(factor >= least)
    return "" if not parts else "yes" if all(parts) else "**no**" if not any(parts) else "partly"


def as_json(row, figures):
    cells = {}
    for column in figures:
        figure = figures[column][row.title]
        if figure is not None:
            median, low, high, name, source = figure
            cells[column] = {"median": median, "min": low, "max": high, "configuration": name, "measurement": source}
            cells[column]["timesBetter"] = times(row, figures["kapelle"][row.title], figure)
    return {"row": row.title, "unit": row.unit, "better": row.better, "goal": row.goal, "met": verdict(row, figures), "figures": cells}


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def markdown(figures):
    others = [column for column in figures if column != "kapelle" and any(figures[column].values())]
    titles = {peer.name: peer.title for peer in peers.PEERS}
    text = "| | goal | met | Kapelle | " + " | ".join(titles[peers.COLUMNS[c][0]] for c in others) + " |\n"
    text += "|---" * (4 + len(others)) + "|\n"
    for row in rows.ROWS:
        ours = figures["kapelle"][row.title]
        unit = f" {row.unit}" if row.unit not in ("", "/s") else row.unit
        cells = [f"{row.title}", row.goal, verdict(row, figures), f"**{number(ours[0])}{unit}**" if ours else ""]
        for column in others:
            figure = figures[column][row.title]
            factor = times(row, ours, figure)
            cells.append((f"{number(figure[0])}{unit}" + (f" · {number(factor)}×" if factor else "")) if figure else "")
        text += "| " + " | ".join(cells) + " |\n"
    return text


def fingerprint():
    """Of the measured program; the tree may be elsewhere by now."""
    program = peers.PROGRAMS / "kapelle"
    return "sha256 " + hashlib.sha256(program.read_bytes()).hexdigest()[:12] if program.exists() else "none"


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=peers.ROOT, capture_output=True, text=True)
    return done.stdout.strip()
