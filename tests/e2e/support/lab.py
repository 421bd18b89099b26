# SPDX-License-Identifier: BSD-3-Clause
"""A lab of scripts/lab with the pair of processes in it.

Namespaces, sockets inside of them, the two processes, and pinholectl. Everything that a Lab starts it ends by
process id; a Lab is a context manager, so that an exception leaves nothing behind.
"""

import contextlib
import copy
import ctypes
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
INSIDE_NETWORK = "10.77.0.0/24"
INSIDE = "10.77.0.10"
INSIDE2 = "10.77.0.30"  # of a second host, in labs that have two on each side
INSIDE_GATEWAY = "10.77.0.1"
OUTSIDE = "203.0.113.10"
OUTSIDE2 = "203.0.113.30"
PINHOLE = "203.0.113.2"
FAR_AWAY = "198.51.100.1"  # not on the outside link, but behind it

# DPDK's files of a lab are where scripts/lab has its own: in memory.
ENVIRONMENT = dict(os.environ, RUNTIME_DIRECTORY="/dev/shm/pinhole-lab")

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_namespace_lock = threading.Lock()
_lab_number = itertools.count(1)


class LabError(AssertionError):
    """Something that the lab needed did not happen."""


def build_directory():
    return pathlib.Path(os.environ.get("PINHOLE_BUILD", ROOT / "build"))


def wait_for(what, condition, timeout=10.0, interval=0.05):
    """Calls condition() until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(interval)


def end_on_signals():
    """Has Ctrl-C and kill raise KeyboardInterrupt, once: what cleans up afterwards is not interrupted again."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(*_):
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, end)


class Namespace:
    """One network namespace of a lab."""

    def __init__(self, name):
        self.name = name

    def command(self, *command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command, check=True, timeout=60):
        result = subprocess.run(self.command(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=timeout, env=ENVIRONMENT)
        if check and result.returncode != 0:
            raise LabError(f"{' '.join(map(str, command))} ended with {result.returncode}: "
                           f"{result.stdout}{result.stderr}")
        return result

    def start(self, *command, **options):
        """`ip netns exec` replaces itself by the command, so the process id is the command's own."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("env", ENVIRONMENT)
        # A session of its own: Ctrl-C is for the script, which then ends its processes in order.
        return subprocess.Popen(self.command(*command), start_new_session=True, **options)

    def socket(self, kind=socket.SOCK_DGRAM, address=None, port=0, family=socket.AF_INET, protocol=0):
        """A socket that lives in this namespace, whichever thread uses it afterwards."""
        with _namespace_lock:
            with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{self.name}", "rb") as there:
                _enter(there)
                try:
                    made = socket.socket(family, kind, protocol)
                finally:
                    _enter(home)
        made.settimeout(2.0)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address is not None:
            made.bind((address, port))
        return made


def _enter(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Process:
    """A process of the product, with its standard error in a file of the lab."""

    def __init__(self, namespace, name, arguments, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        with open(self.log, "ab") as log:
            self.popen = namespace.start(*arguments, stdout=log, stderr=log)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, timeout=10):
        """Asks it to end. Returns its exit status."""
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise LabError(f"{self.name} did not end within {timeout} s of SIGTERM; its log: "
                               f"{self.log_text()[-2000:]}") from None
        return self.popen.returncode

    def end_well(self):
        """Asks it to end, and minds how it does."""
        if (status := self.stop()) != 0:
            raise LabError(f"{self.name} ended with status {status}: {self.log_text()[-2000:]}")

    def memory_kib(self):
        """Resident memory of its own; pages that it shares with the other process are not counted."""
        fields = {}
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                key, _, value = line.partition(":")
                fields[key] = value
        return int(fields["RssAnon"].split()[0])

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")


class Lab:
    """Three namespaces and what runs in them; with `hosts=2` five, a second host on each side.

    `configure` is called with the configuration that scripts/lab wrote, to change it before anything starts.
    """

    def __init__(self, workers=1, configure=None, hosts=1):
        self.prefix = f"ph-{os.getpid()}-{next(_lab_number)}"
        self.workers = workers
        self.inside = Namespace(f"{self.prefix}-in")
        self.gateway = Namespace(f"{self.prefix}-gw")
        self.outside = Namespace(f"{self.prefix}-out")
        if hosts == 2:
            self.inside2 = Namespace(f"{self.prefix}-in2")
            self.outside2 = Namespace(f"{self.prefix}-out2")
        self._environment = dict(os.environ, PREFIX=self.prefix, WORKERS=str(workers), HOSTS=str(hosts))
        self._configure = configure
        self._peers = []
        self.dataplane = None
        self.control = None
        self.directory = None
        self.config = None

    def __enter__(self):
        try:
            self._script("up")
            self.directory = pathlib.Path(self._script("directory").strip())
            self.config = json.loads(self.config_file.read_text(encoding="utf-8"))
            if self._configure:
                self._configure(self.config)
            self.write_config(self.config)
        except BaseException:
            self._script("down")
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and self.directory:
            self._show_logs()
        problems = []

        def end(close):
            try:
                close()
            except Exception as late:  # whatever it is, the rest is taken down
                problems.append(str(late))

        try:
            for peer in reversed(self._peers):
                end(peer.close)
            for process in (self.control, self.dataplane):
                if process and process.alive():
                    end(process.end_well)
        finally:
            self._script("down")
        if problems and kind is None:
            raise LabError("; ".join(problems))

    def _script(self, verb):
        result = subprocess.run([ROOT / "scripts/lab", verb], env=self._environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=60)
        if result.returncode != 0:
            raise LabError(f"scripts/lab {verb}: {result.stderr}")
        return result.stdout

    def _show_logs(self):
        for process in (self.dataplane, self.control):
            if process:
                print(f"--- the end of {process.name}'s log\n{process.log_text()[-3000:]}", flush=True)

    @property
    def config_file(self):
        return self.directory / "config.json"

    def write_config(self, config, path=None):
        path = path or self.config_file
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return path

    def changed_config(self, change):
        """A copy of the configuration with change(copy) applied."""
        config = copy.deepcopy(self.config)
        change(config)
        return config

    def own(self, peer):
        """Has peer.close() called when the lab ends."""
        self._peers.append(peer)
        return peer

    # --- the pair

    def start(self):
        self.start_dataplane()
        self.start_control()
        self.wait_up()
        return self

    def start_dataplane(self):
        self.dataplane = Process(self.gateway, "pinhole-dataplane",
                                 [build_directory() / "dataplane/pinhole-dataplane", "--config", self.config_file],
                                 self.directory)
        return self.dataplane

    def start_control(self):
        self.control = Process(self.gateway, "pinhole-control",
                               [build_directory() / "control/pinhole-control", "--config", self.config_file],
                               self.directory)
        return self.control

    def wait_up(self, timeout=20):
        def up():
            for process in (self.dataplane, self.control):
                if not process.alive():
                    raise LabError(f"{process.name} ended with status {process.popen.returncode}: "
                                   f"{process.log_text()[-2000:]}")
            return self.dataplane_state() == "up"
        try:
            wait_for("the pair to be up", up, timeout)
        except LabError as error:
            last = self.ctl_run("status")
            raise LabError(f"{error}; pinholectl says: {last.stdout}{last.stderr}") from None

    def dataplane_state(self):
        """"starting", "up" or "lost"; None while control does not answer."""
        result = self.ctl_run("status")
        if result.returncode != 0:
            return None
        return json.loads(result.stdout)["dataplane"]["state"]

    # --- pinholectl

    def ctl_run(self, *arguments, as_json=True):
        # pinholectl itself waits 10 s for control; that long again, and more, it may wait for a busy machine.
        command = [build_directory() / "control/pinholectl", "--socket", self.directory / "control.sock"]
        if as_json:
            command.append("--json")
        return subprocess.run([*map(str, command), *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def ctl(self, *arguments):
        """The reply to a command, as values."""
        result = self.ctl_run(*arguments)
        if result.returncode != 0:
            raise LabError(f"pinholectl {' '.join(map(str, arguments))} ended with {result.returncode}: "
                           f"{result.stderr}{result.stdout}")
        return json.loads(result.stdout)

    def ctl_text(self, *arguments):
        """The table that a person sees."""
        return self.ctl_run(*arguments, as_json=False).stdout

    def counters(self):
        """Every counter by name, summed over workers."""
        return {row["name"]: row["total"] for row in self.ctl("stats")["counters"]}

    def gauges(self):
        """What must be as it was before once calls are over."""
        status, counters = self.ctl("status"), self.counters()
        return {"mappings": counters["mapping_live"], "ports": counters["port_in_use"],
                "calls": counters["call_live"], "pinholes": counters["pinhole_live"],
                "mbufs": status["live"]["mbufs"]}


@contextlib.contextmanager
def side_by_side(*labs):
    """Several labs at once, for tests that wait: what waits in one waits in all. They share the memory of one."""
    with contextlib.ExitStack() as stack:
        for lab in labs:
            stack.enter_context(lab)
            lab.config["dpdk"]["memory_mb"] //= max(len(labs), 2)
            lab.write_config(lab.config)
            lab.start_dataplane()
            lab.start_control()
        for lab in labs:
            lab.wait_up()
        yield labs


def one_and_two_workers(configure=None, hosts=1):
    """side_by_side() of one worker and of two."""
    return side_by_side(Lab(1, configure, hosts), Lab(2, configure, hosts))
