# SPDX-License-Identifier: BSD-3-Clause
"""Plug-ins of this tree's build, in the configuration of a lab."""

import pathlib
import shutil

from support.lab import build_directory


def use(config, *names, **more):
    """Has a configuration load plug-ins by their names, from copies that belong to root, wherever the tree lies."""
    directory = pathlib.Path(config["control"]["socket"]).parent
    config["plugins"] = []
    for name in names:
        file = directory / f"{name}.so"
        shutil.copyfile(build_directory() / "tests/plugins" / f"{name}.so", file)
        file.chmod(0o755)
        config["plugins"].append({"file": str(file), **more})


def plugin(lab, name):
    """What control says of a plug-in, its counters by name."""
    row = lab.ctl("plugins", "--name", name)["plugins"][0]
    row["counters"] = {counter["name"]: counter["total"] for counter in row["counters"]}
    return row


def strict(config):
    """Filters by address and port, so that nobody gets in whom nobody asked."""
    config["nat"] = {"filtering": "address_and_port_dependent"}
