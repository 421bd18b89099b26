/* SPDX-License-Identifier: BSD-3-Clause */
/* A plug-in for TFTP (RFC 1350). A client asks the server's port 69, and the server answers from a port that
 * it has just taken, its transfer identifier. No firewall can know that port:
 *
 *     client inside :2000  ──▶  server outside :69      "read this file"
 *     client inside :2000  ◀──  server outside :31337   the first block
 *
 * So a request from inside announces that the server may answer, from whichever port, to the client's. With
 * the server inside, behind a forward, the answer goes out by itself, and Pinhole is told that it belongs to
 * the request. Nothing is ever edited: TFTP has no addresses in its messages. */

#include <stdbool.h>
#include <string.h>

#include <pinhole/plugin.h>

#define TFTP_PORT 69
#define READ_REQUEST 1
#define WRITE_REQUEST 2

/* How long the server may think, in seconds: clients ask again after some five and give up after 25 or so. */
#define PATIENCE 30

enum { COUNT_READ, COUNT_WRITE, COUNT_REFUSED, COUNT_NO_ROOM, COUNT_NOT_TFTP, COUNTERS };
static const char* const counter_names[COUNTERS] = {
    [COUNT_READ] = "read_request", [COUNT_WRITE] = "write_request", [COUNT_REFUSED] = "refused",
    [COUNT_NO_ROOM] = "no_room",   [COUNT_NOT_TFTP] = "not_tftp",
};

static const pinhole_claim claims[] = {{.protocol = PINHOLE_UDP, .port = TFTP_PORT}};

/* Nothing is remembered between messages, but the host is spoken to by the table that it gave. */
static int start_worker(const pinhole_host* host, uint32_t worker, const char* options, void** state) {
  (void)worker;
  (void)options;
  *state = (void*)host;
  return 0;
}

/* A request: two bytes of what it is, the name of a file, and a mode, each ended by a zero. */
typedef struct request {
  bool is_read;
  const char* file;
  size_t file_length;
} request;

static bool read_request(const char* bytes, size_t length, request* found) {
  if (length < 4 || bytes[0] != 0) return false;
  if (bytes[1] != READ_REQUEST && bytes[1] != WRITE_REQUEST) return false;
  const char* const file = bytes + 2;
  const char* const file_end = memchr(file, 0, length - 2);
  if (file_end == NULL || file_end == file) return false;
  const char* const mode = file_end + 1;
  const char* const mode_end = memchr(mode, 0, (size_t)(bytes + length - mode));
  if (mode_end == NULL || mode_end == mode) return false;
  found->is_read = bytes[1] == READ_REQUEST;
  found->file = file;
  found->file_length = (size_t)(file_end - file);
  return true;
}

/* The transfer that a request begins. From inside nothing is opened, so the port need not be known. */
static pinhole_expectation transfer_of(const pinhole_message* message) {
  pinhole_expectation transfer = {.size = sizeof transfer,
                                  .protocol = PINHOLE_UDP,
                                  .from = message->server,
                                  .flags = PINHOLE_CHILD,
                                  .inside = message->inside,
                                  .remote = message->remote,
                                  .seconds = PATIENCE};
  if (message->server == PINHOLE_OUTSIDE) {
    transfer.remote.port = 0;
  } else {
    transfer.inside.port = 0;
  }
  return transfer;
}

static int inspect(void* state, pinhole_context* context, const pinhole_message* message) {
  const pinhole_host* const host = state;
  if (message->from == message->server) return PINHOLE_FORWARD; /* what servers send from port 69: errors */
  request asked;
  if (!read_request(message->bytes, message->length, &asked)) {
    host->count(context, COUNT_NOT_TFTP, 1);
    return PINHOLE_FORWARD;
  }
  const char* const command = asked.is_read ? "read" : "write";
  if (!host->allows(context, command, strlen(command), asked.file, asked.file_length)) {
    static const char text[] = "a request was refused by a rule";
    host->count(context, COUNT_REFUSED, 1);
    host->event(context, text, sizeof text - 1);
    return PINHOLE_DROP;
  }
  host->count(context, asked.is_read ? COUNT_READ : COUNT_WRITE, 1);
  const pinhole_expectation transfer = transfer_of(message);
  if (host->expect(context, &transfer) != PINHOLE_OK) host->count(context, COUNT_NO_ROOM, 1);
  return PINHOLE_FORWARD;
}

static const pinhole_plugin plugin = {
    .size = sizeof plugin,
    .major = PINHOLE_PLUGIN_MAJOR,
    .minor = PINHOLE_PLUGIN_MINOR,
    .name = "tftp",
    .version = "1.0",
    .claims = claims,
    .claim_count = sizeof claims / sizeof claims[0],
    .counter_count = COUNTERS,
    .counters = counter_names,
    .worker_init = start_worker,
    .inspect = inspect,
};

const pinhole_plugin* pinhole_plugin_query(uint16_t host_major, uint16_t host_minor);
const pinhole_plugin* pinhole_plugin_query(uint16_t host_major, uint16_t host_minor) {
  (void)host_minor; /* nothing newer than the first is used */
  return host_major == PINHOLE_PLUGIN_MAJOR ? &plugin : NULL;
}
