# SPDX-License-Identifier: BSD-3-Clause
"""Traffic from another process, over shared memory (net_memif) on this machine or over two NICs.

Over memif the device has one CPU and the generator another. Runs of Pinhole and of dpdk-testpmd (5tswap) alternate, and
the way of a cache line between the two CPUs is measured before and after each, because on virtual machines it changes
while they run: figures are comparable where it is alike.
"""

import json
import os
import pathlib
import subprocess
import tempfile

import pktgen
from devices import BUILD, BenchError, Process, memif, pinhole, testpmd

DEVICES = (("pinhole", pinhole, "nat"), ("testpmd", testpmd, "swap"))


def ping_pong(device_cpu, generator_cpu):
    if device_cpu == generator_cpu:
        raise BenchError("--cpus: device and generator need a CPU each")
    run = subprocess.run([BUILD / "tests/bench/ping_pong", str(device_cpu), str(generator_cpu)], capture_output=True,
                         text=True, check=False)
    if run.returncode != 0:
        raise BenchError(run.stderr.strip())
    return float(run.stdout)


def generate(ports, options, flows, kind, device=None):
    """Runs pinhole-gen and returns its figures; what the device did wrong ends the benchmark."""
    with tempfile.TemporaryDirectory() as directory:
        figures = pathlib.Path(directory) / "figures.json"
        command = [BUILD / "tests/bench/gen/pinhole-gen", "--inside", ports[0], "--outside", ports[1],
                   "--device", kind, "--flows", flows, "--direction", options.direction, "--order", options.order,
                   "--frame-bytes", options.frame_bytes, "--seconds", options.seconds, "--tolerance",
                   options.tolerance, "--cpu", options.cpus[1], "--memory-mb", 128, "--json", figures,
                   *(["--stay"] if device else []), *options.gen, *options.steps]
        generator = Process(command, pathlib.Path(directory) / "log")
        try:
            generator.wait_for("figures", figures.exists, 3600)
        finally:
            if device:
                device.stop()
            generator.wait(20)
        report = json.loads(figures.read_text(encoding="utf-8"))
        if "error" in report:
            raise BenchError(f"the device erred: {report['error']}")
        return report


def row_of(report):
    """The figures that tables and plots are made of."""
    steps = {step["step"]: step for step in report["steps"]}
    row = {}
    if "flood" in steps:
        row["flood_pps"] = steps["flood"]["received_pps"]
    if "search" in steps:
        row["no_loss_pps"] = steps["search"]["received_pps"]
        row["limited_by"] = "device" if steps["search"]["pace_kept"] else "generator"
    if "half" in steps:
        sent = [direction for direction in ("outbound", "inbound") if steps["half"][direction]["received"]]
        for key in ("p50", "p99", "p99_9", "max"):
            row[f"latency_{key}_us"] = max(steps["half"][direction]["latency_us"][key] for direction in sent)
    return row


def over_memif(options):
    device_cpu, generator_cpu = options.cpus
    socket = f"pb{os.getpid() % 100_000}"
    ports = (memif("client", 0, socket), memif("client", 1, socket))
    rows = []
    for flows in options.flows:
        for round_number in range(options.rounds):
            for name, device, kind in DEVICES:
                before = ping_pong(device_cpu, generator_cpu)
                if options.generator == "pktgen":
                    row = pktgen.run(device, socket, options, flows, kind)
                else:
                    with device(socket, flows, device_cpu) as running:
                        report = generate(ports, options, flows, kind, running)
                    row = {**row_of(report), "report": report}
                rows.append({"device": name, "flows": flows, "round": round_number + 1, **row,
                             "ping_pong_cycles": [before, ping_pong(device_cpu, generator_cpu)]})
                print(line_of(rows[-1]), flush=True)
    return rows


def over_nics(options):
    """The device is another machine, or this one with other NICs; it is configured by whoever runs it."""
    rows = []
    for flows in options.flows:
        for round_number in range(options.rounds):
            report = generate(options.pci, options, flows, options.device)
            rows.append({"device": options.device, "flows": flows, "round": round_number + 1, **row_of(report),
                         "report": report})
            print(line_of(rows[-1]), flush=True)
    return rows


def line_of(row):
    parts = [f"{row['device']:<8} {row['flows']:>9} flows"]
    if "flood_pps" in row and "sent_pps" not in row:
        parts.append(f"flood {row['flood_pps'] / 1e6:6.2f} Mpps")
    if "no_loss_pps" in row:
        parts.append(f"no loss {row['no_loss_pps'] / 1e6:6.2f} Mpps (limited by the {row['limited_by']})")
    if "latency_p50_us" in row:
        parts.append(f"at half of it: latency p50 {row['latency_p50_us']:.1f} p99 {row['latency_p99_us']:.1f} "
                     f"p99.9 {row['latency_p99_9_us']:.1f} us")
    if "sent_pps" in row:
        parts.append(f"sent {row['sent_pps'] / 1e6:6.2f} Mpps, back {row['flood_pps'] / 1e6:6.2f} Mpps")
    if "ping_pong_cycles" in row:
        parts.append("ping-pong {:.0f}/{:.0f}".format(*row["ping_pong_cycles"]))
    return "; ".join(parts)


def run(options):
    """The report of `scripts/bench wire`."""
    rows = over_nics(options) if options.pci else over_memif(options)
    return {"benchmark": "wire", "link": "nic" if options.pci else "memif", "generator": options.generator,
            "frame_bytes": options.frame_bytes, "direction": options.direction, "order": options.order,
            "seconds": options.seconds, "tolerance": options.tolerance, "rows": rows}
