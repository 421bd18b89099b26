# SPDX-License-Identifier: BSD-3-Clause
"""Kamailio as registrar and proxy, with a small configuration that knows nothing of NAT: Pinhole has to be enough."""

import json
import signal
import socket

from support.lab import LabError, Process, wait_for
from support.phone import DOMAIN

PASSWORD = "secret"

# No nathelper, no rport of its own, no media proxy: what comes back is sent to where Via says, calls to where Contact
# says. Bindings are in memory. A request that begins a dialog is record-routed, unless
# a test has it otherwise. One process for each
# transport: with two, a 200 may overtake the 180 before it.
_CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
dns=no
rev_dns=no
auto_aliases=no
alias="{domain}"
listen=udp:{address}:{port}
listen=tcp:{address}:{port}
tcp_accept_no_cl=yes

loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "jsonrpcs.so"

modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 14)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "default_expires", 600)
modparam("registrar", "min_expires", 1)
modparam("registrar", "max_expires", {max_expires})
modparam("registrar", "append_branches", 1)
modparam("rr", "append_fromtag", 0)
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{socket}")

request_route {{
  if (!mf_process_maxfwd_header("10")) {{
    sl_send_reply("483", "Too Many Hops");
    exit;
  }}
  if (is_method("CANCEL")) {{
    if (t_check_trans()) t_relay();
    exit;
  }}
  if (has_totag()) {{
    if (loose_route()) {{
      t_relay();
    }} else if (is_method("ACK")) {{
      if (t_check_trans()) t_relay();
    }} else {{
      sl_send_reply("404", "Not Here");
    }}
    exit;
  }}
  if (is_method("ACK")) {{
    if (t_check_trans()) t_relay();
    exit;
  }}
  t_check_trans();
  if ({auth} && is_method("REGISTER|INVITE")) {{
    # An INVITE is asked who sends it by the proxy (407), a REGISTER by the registrar (401).
    if (is_method("REGISTER")) {{
      if (!pv_www_authenticate("{domain}", "{password}", "0")) {{
        www_challenge("{domain}", "1");
        exit;
      }}
    }} else if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
      proxy_challenge("{domain}", "1");
      exit;
    }}
    consume_credentials();
  }}
  remove_hf("Route");
  if (is_method("REGISTER")) {{
    save("location");
    exit;
  }}
  if (is_method("OPTIONS") && uri == myself) {{
    sl_send_reply("200", "OK");
    exit;
  }}
  if ({record_route} && is_method("INVITE|SUBSCRIBE|REFER")) record_route();
  if (uri == myself && !lookup("location")) {{
    sl_send_reply("404", "Not Registered");
    exit;
  }}
  t_relay();
}}
"""


def _condition(value):
    return "1 == 1" if value else "1 == 0"


class Kamailio:
    """One Kamailio in a namespace of a lab, up when the constructor returns."""

    def __init__(self, lab, namespace, address, port=5060, auth=False, max_expires=3600,
                 record_route=True):
        self.directory = lab.directory / "kamailio"
        self.directory.mkdir()
        self._socket = self.directory / "rpc.sock"
        config = self.directory / "kamailio.cfg"
        config.write_text(_CONFIG.format(domain=DOMAIN, password=PASSWORD, address=address, port=port,
                                         auth=_condition(auth), socket=self._socket, max_expires=max_expires,
                                         record_route=_condition(record_route)),
                          encoding="utf-8")
        # In the foreground it still forks its workers; it ends them when it is told to end.
        self._process = Process(namespace, "kamailio",
                                ["kamailio", "-DD", "-E", "-f", config, "-Y", self.directory, "-w", self.directory,
                                 "-P", self.directory / "pid", "-m", "128", "-M", "16"], self.directory)
        lab.own(self)
        wait_for("Kamailio to answer", self._answers)

    def _answers(self):
        if not self._process.alive():
            raise LabError(f"Kamailio ended: {self._process.log_text()[-2000:]}")
        try:
            return self.rpc("core.version")
        except OSError:
            return None

    def rpc(self, method, *parameters):
        """The result of an RPC, or None when it is refused (what is not found is)."""
        mine = self.directory / "client.sock"
        mine.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            client.bind(str(mine))
            client.sendto(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                      "params": parameters}).encode(), str(self._socket))
            return json.loads(client.recv(262144)).get("result")

    def contacts(self, user):
        """The contacts by which a user can be called now, as Kamailio knows them."""
        found = self.rpc("ul.lookup", "location", user)
        return [row["Contact"]["Address"] for row in found["Contacts"]] if found else []

    def close(self):
        """Ends it and its workers."""
        if self._process.alive():
            self._process.popen.send_signal(signal.SIGTERM)
            self._process.popen.wait(10)
