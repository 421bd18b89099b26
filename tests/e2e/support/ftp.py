# SPDX-License-Identifier: BSD-3-Clause
"""vsftpd, which knows nothing of NAT; curl; and a control connection by hand, cut as a test wants it."""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from support.lab import LabError, Process, wait_for

PORT = 21
BLOCK = 1 << 20

# How curl asks for a data connection. What 227 says is believed, as by clients that do not know better.
MODES = {"PORT": ("--ftp-port", "-", "--disable-eprt"), "EPRT": ("--ftp-port", "-"),
         "PASV": ("--disable-epsv", "--no-ftp-skip-pasv-ip"), "EPSV": ()}

_CONFIG = {
    "listen": "YES", "background": "NO", "anonymous_enable": "YES", "local_enable": "NO", "write_enable": "YES",
    "anon_upload_enable": "YES", "anon_other_write_enable": "YES", "anon_mkdir_write_enable": "YES",
    "anon_world_readable_only": "NO", "no_anon_password": "YES", "seccomp_sandbox": "NO", "isolate": "NO",
    # Its transfers are in the namespace of the lab.
    "isolate_network": "NO", "xferlog_enable": "NO", "secure_chroot_dir": "/var/run/vsftpd/empty",
    "data_connection_timeout": "20", "max_clients": "200", "ftp_username": "ftp",
}


def write_file(path, size):
    """Random bytes, of which no two blocks are the same. Returns their digest."""
    block, digest = bytearray(os.urandom(min(size, BLOCK))), hashlib.sha256()
    with open(path, "wb") as file:
        for number in range(0, size, BLOCK):
            if size >= BLOCK:
                block[:8] = number.to_bytes(8, "big")
            part = block[:size - number]
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Vsftpd:
    """A server for anonymous users, who may write in `files`. Options are of vsftpd.conf."""

    def __init__(self, lab, side, address, *, tls=False, **options):
        self.address = address
        # Not in the directory of the lab, which is for root alone.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-ftp-"))
        self.directory.chmod(0o755)
        self.files = self.directory / "root" / "files"
        self.files.mkdir(parents=True)
        shutil.chown(self.files, "ftp")
        settings = _CONFIG | {"listen_address": address, "anon_root": str(self.directory / "root")} | options
        if tls:
            settings |= self._certificate()
        config = self.directory / "vsftpd.conf"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="ascii")
        pathlib.Path(settings["secure_chroot_dir"]).mkdir(parents=True, exist_ok=True)
        self._process = Process(side, f"vsftpd-{address}", ["/usr/sbin/vsftpd", config], lab.directory)
        lab.own(self)
        wait_for("vsftpd to listen", lambda: self._listens(side))

    def _certificate(self):
        file = self.directory / "vsftpd.pem"
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj",
                        "/CN=ftp.example.com", "-keyout", file, "-out", file], check=True, capture_output=True)
        return {"ssl_enable": "YES", "allow_anon_ssl": "YES", "force_local_data_ssl": "NO",
                "force_local_logins_ssl": "NO", "require_ssl_reuse": "NO", "rsa_cert_file": str(file)}

    def _listens(self, side):
        if not self._process.alive():
            raise LabError(f"vsftpd ended: {self._process.log_text()}")
        return f"{self.address}:{PORT} " in side.run("ss", "-ltnH").stdout

    def close(self):
        if not self._process.alive():
            return
        # Each connection has processes of its own, of the session that vsftpd began.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.popen.wait(10)
        shutil.rmtree(self.directory)


def curl(side, *arguments, check=True, timeout=100):
    return side.run("curl", "-sS", "--connect-timeout", "5", *arguments, check=check, timeout=timeout)


class Control:
    """A control connection by hand."""

    def __init__(self, side, address, server, port=PORT):
        self._socket = side.socket(socket.SOCK_STREAM, address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(5.0)
        self._socket.connect((server, port))
        self._held = b""
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    @property
    def local(self):
        return self._socket.getsockname()

    def login(self):
        for line in ("USER anonymous", "PASS guest", "TYPE I", "CWD files"):
            answer = self.ask(line)
            if answer[0] not in "23":
                raise LabError(f"{line}: {answer}")
        return self

    def send(self, data):
        self._socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def ask(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def line(self, timeout=5.0):
        self._socket.settimeout(timeout)
        while b"\n" not in self._held:
            part = self._socket.recv(4096)
            if not part:
                raise LabError("the control connection ended")
            self._held += part
        line, self._held = self._held.split(b"\n", 1)
        return line.decode("latin-1").rstrip("\r")

    def reply(self, timeout=5.0):
        """The last line of a reply."""
        line = self.line(timeout)
        while not re.match(r"\d{3}( |$)", line):
            line = self.line(timeout)
        return line

    def passive(self):
        """Where a data connection goes by PASV."""
        return endpoint(self.ask("PASV"))


def endpoint(reply):
    """The endpoint in a 227."""
    found = re.match(r"227 .*\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)", reply)
    if not found:
        raise LabError(f"no 227: {reply}")
    numbers = [int(number) for number in found.groups()]
    return ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]


def numbers(address, port):
    """An endpoint as PORT has it."""
    return ",".join([*address.split("."), str(port >> 8), str(port & 255)])


def receive(connection):
    data = b""
    while part := connection.recv(65536):
        data += part
    return data
