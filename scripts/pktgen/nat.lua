-- SPDX-License-Identifier: BSD-3-Clause
-- Pktgen-DPDK as a witness: port 0 is inside, port 1 is outside. Sends UDP of many flows from port 0, reads the counters
-- of both ports over a time, and writes them as one JSON object. Run by `scripts/bench wire --generator pktgen`, or by
-- hand with `pktgen ... -- -m "1.[0-1]" -f scripts/pktgen/nat.lua`. What it does is set by environment variables:
--
--   PKTGEN_JSON         file to write (figures.json)
--   PKTGEN_SIZE         bytes of a frame with its check sequence (64)
--   PKTGEN_RATE         percent of the rate of the link that the driver names (100)
--   PKTGEN_SECONDS      how long to count (3), after PKTGEN_WARM_UP seconds that make the mappings (2)
--   PKTGEN_FLOW_BITS    bits of the source port that are random, 0 to 15: 2^n flows of one inside host (10)
--   PKTGEN_DIRECTION    out: port 0 sends; both: port 1 sends, too, which suits a device that swaps (out)
--   PKTGEN_QUIT         no: Pktgen goes on when the figures are written, until somebody ends it (yes)
--   PKTGEN_INSIDE_MAC   MAC address of the device inside, and outside: PKTGEN_OUTSIDE_MAC
--
-- Pktgen knows nothing of the mappings that it makes, so it can only send out through a NAT; it counts packets and looks
-- at none. Its packets are built once: random bits make other flows of them, but no other checksum. So the source port is
-- what is random (the IPv4 checksum does not cover it), and UDP checksums are wrong for all flows but one.

local function setting(name, default)
  local value = os.getenv("PKTGEN_" .. name)
  if value == nil or value == "" then return default end
  return value
end

local size = tonumber(setting("SIZE", "64"))
local rate = tonumber(setting("RATE", "100"))
local seconds = tonumber(setting("SECONDS", "3"))
local warm_up = tonumber(setting("WARM_UP", "2"))
local flow_bits = tonumber(setting("FLOW_BITS", "10"))
local both = setting("DIRECTION", "out") == "both"

-- Offset of both UDP ports in the frame. A mask has a letter for each of 32 bits from the highest: X is random, a point
-- keeps what is there. Ports stay above 32768.
local kUdpPorts = 34

local function random_source_port(port)
  if flow_bits > 0 then
    pktgen.rnd(port, 0, kUdpPorts, "1" .. string.rep(".", 15 - flow_bits) .. string.rep("X", flow_bits)
               .. string.rep(".", 16))
  end
end

local function set_up(port, source, destination, mac)
  pktgen.set(port, "count", 0)
  pktgen.set(port, "size", size)
  pktgen.set(port, "rate", rate)
  pktgen.set(port, "burst", 64)
  pktgen.set(port, "sport", 10000)
  pktgen.set(port, "dport", 4000)
  pktgen.set(port, "ttl", 64)
  pktgen.set_type(port, "ipv4")
  pktgen.set_proto(port, "udp")
  pktgen.set_mac(port, "dst", mac)
  pktgen.set_ipaddr(port, "dst", destination)
  pktgen.set_ipaddr(port, "src", source .. "/32")
end

-- The clock of the system: os.clock() counts the time of the CPUs.
local function now()
  local file = assert(io.open("/proc/uptime"))
  local uptime = file:read("n")
  file:close()
  return uptime
end

-- Counters are refreshed once a second; a figure is of the moment at which it changed.
local function next_tick()
  local before = pktgen.portStats("0", "port")[0].opackets
  local deadline = now() + 3
  while now() < deadline do
    local stats = pktgen.portStats("0-1", "port")
    if stats[0].opackets ~= before then return stats, now() end
    pktgen.delay(5)
  end
  return pktgen.portStats("0-1", "port"), now()
end

local function number(name, value) return string.format('"%s": %.17g', name, value) end

local function port_figures(before, after, elapsed)
  local fields = {}
  for _, name in ipairs({"opackets", "ipackets", "ierrors", "oerrors", "imissed", "rx_nombuf"}) do
    table.insert(fields, number(name, after[name] - before[name]))
  end
  table.insert(fields, number("sent_pps", (after.opackets - before.opackets) / elapsed))
  table.insert(fields, number("received_pps", (after.ipackets - before.ipackets) / elapsed))
  return "{" .. table.concat(fields, ", ") .. "}"
end

local function write(text)
  local path = setting("JSON", "figures.json")
  -- Whoever waits for the file must never see half of it.
  local file = assert(io.open(path .. ".part", "w"))
  file:write(text, "\n")
  file:close()
  assert(os.rename(path .. ".part", path))
end

local function measure()
  pktgen.screen("off")
  -- The inside host is behind the router 192.168.0.2 of the device's configuration.
  set_up("0", "10.1.0.1", "198.51.100.1", setting("INSIDE_MAC", "02:00:00:00:00:01"))
  -- As long as port 1 does not send it is the gateway outside, which answers the device by ARP.
  set_up("1", both and "198.51.100.1" or "203.0.113.1", "10.1.0.1", setting("OUTSIDE_MAC", "02:00:00:00:00:02"))
  if not both then pktgen.process("1", "on") end
  random_source_port("0")
  if both then random_source_port("1") end
  local ports = both and "0-1" or "0"
  pktgen.clr()
  pktgen.start(ports)
  pktgen.delay(math.floor(warm_up * 1000))
  local before, begin = next_tick()
  pktgen.delay(math.floor(seconds * 1000))
  local after, finish = next_tick()
  pktgen.stop(ports)
  local elapsed = finish - begin
  write(string.format('{"generator": "pktgen", "frame_bytes": %d, "rate_percent": %g, "flows": %d, "seconds": %.3f, '
                      .. '"inside": %s, "outside": %s}', size, rate, 2 ^ flow_bits, elapsed,
                      port_figures(before[0], after[0], elapsed), port_figures(before[1], after[1], elapsed)))
end

local fine, problem = pcall(measure)
if not fine then write(string.format('{"error": %q}', tostring(problem))) end
if setting("QUIT", "yes") == "yes" then pktgen.quit() end
