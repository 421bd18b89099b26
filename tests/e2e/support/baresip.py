# SPDX-License-Identifier: BSD-3-Clause
"""baresip as a phone without a user: told what to do over its control connection, with a tone for a voice."""

import contextlib
import json
import signal
import socket
import subprocess
import threading

from support import tone
from support.kamailio import PASSWORD
from support.lab import LabError, Process, wait_for
from support.phone import DOMAIN

# Plays a file and records what it decodes; aubridge is a sound card that is not there.
_CONFIG = """sip_listen {address}:{port}
net_interface {address}
audio_source aufile,{voice}
audio_player aubridge,none
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports {media}-{last_media}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {directory}
"""


class Baresip:
    """One phone. `frequency` is its voice; it takes calls by itself unless `answer` says otherwise."""

    def __init__(self, lab, namespace, user, address, frequency, *, proxy, port=5060, media=20000, control=4444,
                 transport="udp", answer="auto", expires=600):
        self.user, self.address, self.frequency = user, address, frequency
        self.directory = lab.directory / f"baresip-{user}"
        self.directory.mkdir()
        voice = self.directory / "voice.wav"
        tone.write(voice, frequency)
        self._write("config", _CONFIG.format(address=address, port=port, voice=voice, media=media,
                                             last_media=media + 40, control=control, directory=self.directory))
        self._write("accounts", f"<sip:{user}@{DOMAIN};transport={transport}>;auth_user={user};auth_pass={PASSWORD};"
                                f"outbound=\"sip:{proxy};transport={transport}\";regint={expires};"
                                f"answermode={answer}\n")
        self._write("contacts", "")
        self._process = Process(namespace, "baresip", ["baresip", "-f", self.directory], self.directory)
        lab.own(self)
        self._events, self._lock, self._buffer = [], threading.Lock(), b""
        self._control = wait_for(f"{user}'s control connection", lambda: self._connect(namespace, control))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _write(self, name, text):
        (self.directory / name).write_text(text, encoding="utf-8")

    def _connect(self, namespace, port):
        if not self._process.alive():
            raise LabError(f"baresip ended: {self._process.log_text()[-2000:]}")
        client = namespace.socket(socket.SOCK_STREAM, "127.0.0.1")
        try:
            client.connect(("127.0.0.1", port))
            client.settimeout(None)
            return client
        except OSError:
            client.close()
            return None

    def _listen(self):
        """Takes netstrings of JSON off the connection until it ends."""
        try:
            while data := self._control.recv(65536):
                self._buffer += data
                while b":" in self._buffer:
                    length, _, rest = self._buffer.partition(b":")
                    if len(rest) <= int(length):
                        break
                    message, self._buffer = json.loads(rest[:int(length)]), rest[int(length) + 1:]
                    with self._lock:
                        self._events.append(message)
        except OSError:
            pass

    def tell(self, command, parameters=""):
        """A command of baresip's menu: dial, hangup, accept, hold, resume, transfer."""
        text = json.dumps({"command": command, "params": parameters}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def wait(self, kind, timeout=10):
        """Waits for an event that was not waited for yet, and returns it. What came before it is forgotten."""
        def find():
            with self._lock:
                for number, event in enumerate(self._events):
                    if event.get("type") == kind:
                        del self._events[:number + 1]
                        return event
            return None
        try:
            return wait_for(f"{kind} at {self.user}", find, timeout)
        except LabError as error:
            raise LabError(f"{error}; it had {[event.get('type') for event in self._events]}; its log: "
                           f"{self._process.log_text()[-1500:]}") from None

    def dial(self, user):
        self.tell("dial", f"sip:{user}@{DOMAIN}")

    def hang_up(self):
        self.tell("hangup")

    def recordings(self):
        """Files with what was heard, one of each call, the oldest first."""
        return sorted(self.directory.glob("*-dec.wav"))

    def hears(self, frequency, seconds=1.0, timeout=10):
        """Waits until the present call has brought so much of a tone, clean and at its level."""
        def enough():
            files = self.recordings()
            return files and tone.heard(tone.read(files[-1]), frequency) >= seconds
        try:
            wait_for(f"{frequency} Hz at {self.user}", enough, timeout, 0.2)
        except LabError as error:
            samples = tone.read(self.recordings()[-1]) if self.recordings() else ()
            last = samples[-tone.WINDOW:]
            raise LabError(f"{error}: it heard {len(samples) / tone.RATE:.1f} s; of these {frequency} Hz "
                           f"{tone.heard(samples, frequency):.1f} s; at last at a level of "
                           f"{tone.level(last, frequency) if last else 0:.0f} of {tone.LEVEL}") from None

    def close(self):
        """Ends it; one that is registered says goodbye to its registrar first."""
        # The thread ends before its socket: who waits for a descriptor waits for whatever has its number next.
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._control.close()
        if self._process.alive():
            self._process.popen.send_signal(signal.SIGTERM)
            try:
                self._process.popen.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
