# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a run as one SVG, a panel for each benchmark that has bars to show. Drawn by gnuplot, which is given
all data on its standard input."""

import shutil
import subprocess

PANEL_WIDTH, PANEL_HEIGHT = 900, 360


class Panel:
    """Groups of bars. `series` is a list of names; `groups` is a list of (label, a value for each series or None)."""

    def __init__(self, title, unit, series, groups):
        self.title, self.unit, self.series, self.groups = title, unit, series, groups


def worker_panel(report):
    kinds = [kind for kind in ("worker_cycles", "limit_cycles", "swap_cycles")
             if kind in report["rows"][0]["outbound"]]
    groups = [(f"{row['mappings']:,} {way}", [row[way][kind] for kind in kinds])
              for row in report["rows"] for way in ("outbound", "inbound", "both") if way in row]
    return Panel("Worker loop, established mappings", "TSC cycles a packet",
                 [kind.removesuffix("_cycles") for kind in kinds], groups)


def wire_panel(report):
    groups = []
    for row in report["rows"]:
        label = f"{row['device']} {row['flows']:,}"
        groups.append((label, [row.get("flood_pps", 0) / 1e6, row.get("no_loss_pps", 0) / 1e6]))
    return Panel(f"Wire ({report['link']}, {report['frame_bytes']} bytes)", "Mpps", ["flood", "no loss"], groups)


def bars_panel(title, unit):
    """For reports whose rows are {"label": ..., "value": ..., "limit": ... or nothing}."""
    def panel(report):
        return Panel(title, unit, ["measured", "at most"],
                     [(row["label"], [row["value"], row.get("limit")]) for row in report["rows"] if row["unit"] == unit])
    return panel


def floods_panel(report):
    groups = [(f"{row['kind']} {row['sources']:,} {'on' if row['protected'] else 'off'}",
               [row["p99_ms"] or 0, row["calls_failed"]]) for row in report["rows"]]
    return Panel("Beside floods, with protection and without", "ms, calls", ["p99 of good messages", "failed calls"], groups)


PANELS = {
    "worker": (worker_panel,),
    "flows": (bars_panel("New flows", "cycles"),),
    "expiry": (bars_panel("Longest turn of the loop", "us"),),
    "handoff": (bars_panel("Handoff between workers", "cycles a packet"),),
    "memory": (bars_panel("Memory", "bytes a mapping"),),
    "media": (bars_panel("Measuring media", "cycles a packet"),),
    "wire": (wire_panel,),
    "floods": (floods_panel,),
}


def data_of(panel):
    lines = []
    for label, values in panel.groups:
        lines.append(" ".join([f'"{label}"', *("NaN" if value is None else f"{value:.6g}" for value in values)]))
    return "\n".join(lines)


def script_of(panels, path):
    lines = [f"set terminal svg size {PANEL_WIDTH},{PANEL_HEIGHT * len(panels)} font 'sans,11' background 'white'",
             f"set output '{path}'", f"set multiplot layout {len(panels)},1",
             "set style data histograms", "set style histogram clustered gap 1", "set style fill solid 0.8 noborder",
             "set grid ytics", "set yrange [0:*]", "set xtics rotate by -20 nomirror font ',9'",
             "set key top left", "set datafile missing 'NaN'"]
    for number, panel in enumerate(panels):
        lines += [f"$panel{number} << END", data_of(panel), "END", f"set title \"{panel.title}\"",
                  f"set ylabel \"{panel.unit}\""]
        plots = [f"$panel{number} using {column + 2}{':xtic(1)' if column == 0 else ''} title \"{name}\""
                 for column, name in enumerate(panel.series)]
        lines.append("plot " + ", ".join(plots))
    lines.append("unset multiplot")
    return "\n".join(lines) + "\n"


def draw(reports, path):
    """Returns False when there is nothing to draw or nothing to draw with."""
    panels = [make(reports[name]) for name, makers in PANELS.items() if name in reports for make in makers]
    panels = [panel for panel in panels if panel.groups]
    if not panels or shutil.which("gnuplot") is None:
        return False
    subprocess.run(["gnuplot"], input=script_of(panels, path), text=True, check=True)
    return True
