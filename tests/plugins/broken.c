/* SPDX-License-Identifier: BSD-3-Clause */
/* A plug-in that is right, unless it is built to be wrong in one way: meson.build says which macro breaks
 * what. The right one changes messages to UDP port 7777 that begin with "ping". */

#include <string.h>
#include <time.h>

#include <pinhole/plugin.h>

#ifndef MAJOR
#define MAJOR PINHOLE_PLUGIN_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(pinhole_plugin)
#endif
#ifndef NAME
#define NAME "right"
#endif
#ifndef VERSION
#define VERSION "1"
#endif
#ifndef CLAIMS
#define CLAIMS {PINHOLE_UDP, 0, 7777}
#endif
#ifndef CLAIM_COUNT
#define CLAIM_COUNT (sizeof claims / sizeof claims[0])
#endif
#ifndef COUNTERS
#define COUNTERS "pings"
#endif
#ifndef COUNTER_COUNT
#define COUNTER_COUNT (sizeof counters / sizeof counters[0])
#endif
#ifndef FLOW_BYTES
#define FLOW_BYTES 0
#endif
#ifndef INIT
#define INIT start_worker
#endif
#ifndef INSPECT
#define INSPECT answer
#endif
#ifndef WILLING
#define WILLING 1
#endif
#ifndef QUERY
#define QUERY pinhole_plugin_query
#endif

static const pinhole_host* host;

static const pinhole_claim claims[] = {CLAIMS};
static const char* const counters[] = {COUNTERS};

static inline int start_worker(const pinhole_host* given, uint32_t worker, const char* options,
                               void** state) {
  (void)worker;
  (void)state;
  host = given;
  return strcmp(options, "fail") == 0 ? 7 : 0;
}

static inline int answer(void* state, pinhole_context* context, const pinhole_message* message) {
  (void)state;
  if (message->length < 4 || memcmp(message->bytes, "ping", 4) != 0) return PINHOLE_FORWARD;
  host->count(context, 0, 1);
  host->event(context, "a ping", 6);
  return host->replace(context, 0, 4, "a long pong", 11) == PINHOLE_OK ? PINHOLE_FORWARD : PINHOLE_DROP;
}

static inline int edit_past_the_end(void* state, pinhole_context* context, const pinhole_message* message) {
  (void)state;
  host->replace(context, 0, 1, "X", 1);
  host->replace(context, message->length - 1, 2, "over", 4);
  return PINHOLE_FORWARD;
}

static inline int unknown_verdict(void* state, pinhole_context* context, const pinhole_message* message) {
  (void)state;
  (void)message;
  host->replace(context, 0, 1, "X", 1);
  return 77;
}

/* Five milliseconds, a thousand times of what most messages take. */
static inline int slow(void* state, pinhole_context* context, const pinhole_message* message) {
  struct timespec begun;
  struct timespec now;
  (void)state;
  (void)message;
  host->replace(context, 0, 1, "X", 1);
  timespec_get(&begun, TIME_UTC);
  do {
    timespec_get(&now, TIME_UTC);
  } while ((now.tv_sec - begun.tv_sec) * 1000000000L + now.tv_nsec - begun.tv_nsec < 5000000L);
  return PINHOLE_FORWARD;
}

static const pinhole_plugin plugin = {.size = SIZE,
                                      .major = MAJOR,
                                      .minor = PINHOLE_PLUGIN_MINOR,
                                      .name = NAME,
                                      .version = VERSION,
                                      .claims = claims,
                                      .claim_count = CLAIM_COUNT,
                                      .counter_count = COUNTER_COUNT,
                                      .counters = counters,
                                      .flow_bytes = FLOW_BYTES,
                                      .worker_init = INIT,
                                      .inspect = INSPECT};

const pinhole_plugin* QUERY(uint16_t host_major, uint16_t host_minor);
const pinhole_plugin* QUERY(uint16_t host_major, uint16_t host_minor) {
  (void)host_major;
  (void)host_minor;
  return WILLING ? &plugin : NULL;
}
