# SPDX-License-Identifier: BSD-3-Clause
"""What is behind the hosts of a lab, and devices for what the kernel would hide."""

import subprocess

from support.lab import Namespace

FAR = "192.0.2.10"  # two routers outside of us
FAR_ROUTER = "192.0.2.1"  # the second one, seen from there
MIDDLE = ("198.18.0.1", "198.18.0.2")  # the first and the second one on the link between them


def by_pcap(*changes):
    """Devices that hand over each fragment as it came: those of the lab have the kernel put them together."""
    def configure(config):
        for number, interface in enumerate(config["interfaces"]):
            kernel = f"{interface['name']}0"
            interface["device"] = f"net_pcap{number},rx_iface_in={kernel},tx_iface={kernel}"
        for change in changes:
            change(config)
    return configure


class FarNetwork:
    """A host behind two routers, the outside host and another one, with a link between them that may be narrow."""

    def __init__(self, lab, mtu=1500):
        self.host, self.router = (Namespace(f"{lab.prefix}-{name}") for name in ("far", "far-router"))
        lab.own(self)
        for namespace in (self.host, self.router):
            subprocess.run(["ip", "netns", "add", namespace.name], check=True)
        self._join((lab.outside, "middle", MIDDLE[0]), (self.router, "middle", MIDDLE[1]), mtu)
        self._join((self.router, "far", FAR_ROUTER), (self.host, "eth0", FAR), 1500)
        lab.outside.run("ip", "route", "add", "192.0.2.0/24", "via", MIDDLE[1])
        self.router.run("ip", "route", "add", "default", "via", MIDDLE[0])
        self.host.run("ip", "route", "add", "default", "via", FAR_ROUTER)
        for namespace in (lab.outside, self.router, self.host):
            # Every probe of a traceroute is to be answered.
            namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")

    @staticmethod
    def _join(one, other, mtu):
        one[0].run("ip", "link", "add", one[1], "type", "veth", "peer", "name", other[1], "netns", other[0].name)
        for namespace, interface, address in (one, other):
            namespace.run("ip", "address", "add", f"{address}/24", "dev", interface)
            namespace.run("ip", "link", "set", interface, "mtu", mtu, "up")
            offloads = [word for name in ("rx", "tx", "tso", "gso", "gro") for word in (name, "off")]
            namespace.run("ethtool", "-K", interface, *offloads)

    def close(self):
        for namespace in (self.host, self.router):
            subprocess.run(["ip", "netns", "delete", namespace.name], check=False, stderr=subprocess.DEVNULL)
