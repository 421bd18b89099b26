# SPDX-License-Identifier: BSD-3-Clause
"""The records of calls (calls.log.file), as others read them."""

import datetime
import json
import pathlib

from support.lab import wait_for


def with_call_log(config):
    """Has control of a lab write records, into the lab's directory."""
    directory = pathlib.Path(config["control"]["socket"]).parent
    config.setdefault("calls", {})["log"] = {"file": str(directory / "calls.jsonl")}


def time_of(text):
    """Seconds since 1970."""
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


class CallLog:
    """The file of a lab."""

    def __init__(self, lab):
        self._path = lab.directory / "calls.jsonl"

    def records(self):
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    def of(self, call_id):
        return [record for record in self.records() if record["call_id"] == call_id]

    def wait_for(self, call_id, timeout=10):
        """The record of a call, once it is there."""
        return wait_for(f"the record of {call_id}", lambda: self.of(call_id), timeout)[0]

    def wait(self, count, timeout=10):
        """As many records as that, once they are there."""
        wait_for(f"{count} records of calls", lambda: len(self.records()) >= count, timeout)
        return self.records()
