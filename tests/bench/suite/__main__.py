# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench: measures what is named, writes JSON, prints tables, draws a plot."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import floods
import plot
import wire
from devices import BUILD, BenchError

# Name, program under tests/bench in the build directory, its fixed arguments.
PROGRAMS = {
    "worker": ("worker_bench", ()),
    "flows": ("flows_bench", ()),
    "expiry": ("expiry_bench", ()),
    "handoff": ("handoff_bench", ()),
    "memory": ("memory_bench", ()),
    "media": ("media_bench", ()),
    "sip": ("sip_bench", ()),
}
PRINT_ONLY = ("mapping_table",)  # no JSON
SUITES = {"wire": wire.run, "floods": floods.run}
KNOWN = (*PROGRAMS, *SUITES, *PRINT_ONLY)


def read_arguments(words):
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(KNOWN)} (all)")
    parser.add_argument("--json", type=pathlib.Path, default=BUILD / "bench.json", help="file for the figures")
    parser.add_argument("--svg", type=pathlib.Path, default=BUILD / "bench.svg", help="file for the plot")
    traffic = parser.add_argument_group("wire")
    traffic.add_argument("--pci", nargs=2, metavar=("INSIDE", "OUTSIDE"),
                         help="two NICs of the generator, bound to a DPDK driver, instead of shared memory")
    traffic.add_argument("--device", choices=("nat", "swap"), default="nat", help="what is behind the NICs")
    traffic.add_argument("--generator", choices=("pinhole-gen", "pktgen"), default="pinhole-gen")
    traffic.add_argument("--pktgen", default="pktgen", metavar="PROGRAM", help="where Pktgen-DPDK is")
    traffic.add_argument("--rate", type=float, default=100, help="of Pktgen: percent of the rate of the link")
    traffic.add_argument("--cpus", nargs=2, type=int, default=(0, 1), metavar=("DEVICE", "GENERATOR"))
    traffic.add_argument("--flows", nargs="+", type=int, default=(1000, 65536))
    traffic.add_argument("--frame-bytes", type=int, default=64, help="with the 4 bytes of the check sequence")
    traffic.add_argument("--direction", choices=("out", "in", "both"), default="both")
    traffic.add_argument("--order", choices=("random", "sequence"), default="random")
    traffic.add_argument("--seconds", type=float, default=1.0, help="of each trial")
    traffic.add_argument("--rounds", type=int, default=2, help="how often devices alternate")
    traffic.add_argument("--tolerance", type=float, default=0.0, help="share of packets that may be lost")
    traffic.add_argument("--steps", nargs="+", default=("flood", "search", "half"),
                         help="what pinhole-gen does: packets a second, flood, search, half")
    traffic.add_argument("--gen", nargs=argparse.REMAINDER, default=(), help="more arguments for pinhole-gen")
    options = parser.parse_args(words)
    for name in options.names:
        if name not in KNOWN:
            parser.error(f"unknown benchmark '{name}'; there are {', '.join(KNOWN)}")
    return options


def run_print_only(name):
    run = subprocess.run([BUILD / "tests/bench" / f"{name}_bench"], stdin=subprocess.DEVNULL, check=False)
    if run.returncode != 0:
        raise BenchError(f"{name}_bench ended with {run.returncode}")


def run_one(name, options):
    """The report; None when there is none."""
    if name in SUITES:
        return SUITES[name](options)
    return run_print_only(name) if name in PRINT_ONLY else run_program(name)


def run_program(name):
    program, arguments = PROGRAMS[name]
    with tempfile.TemporaryDirectory() as directory:
        figures = pathlib.Path(directory) / "figures.json"
        run = subprocess.run([BUILD / "tests/bench" / program, "--json", figures, *arguments],
                             stdin=subprocess.DEVNULL, check=False)
        if run.returncode != 0:
            raise BenchError(f"{program} ended with {run.returncode}")
        return json.loads(figures.read_text(encoding="utf-8"))


def main(words):
    options = read_arguments(words)
    reports, failed = {}, []
    for name in options.names or KNOWN:
        print(f"== {name}", flush=True)
        try:
            if report := run_one(name, options):
                reports[name] = report
        except BenchError as error:
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    options.json.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    print(f"figures: {options.json}")
    if plot.draw(reports, options.svg):
        print(f"plot: {options.svg}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
