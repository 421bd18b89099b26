/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PINHOLE_PLUGIN_H
#define PINHOLE_PLUGIN_H
/* An application layer gateway, as Pinhole sees it: a C11 interface for gateways that are built with it, and
 * for plug-ins, which are loaded at start from shared objects.
 *
 * A gateway claims ports. Each message of a flow to one of them, a datagram or what frame() cuts out of a TCP
 * connection, is shown to inspect(), which edits it, opens the way for what follows from it, and says what
 * becomes of it. One inspection is one transaction: edits and expectations take effect together when the
 * message is forwarded, and not at all otherwise.
 *
 * All of it runs on the packet path, on one of several workers. Each worker has a state of its own, which no
 * other touches; a flow stays with its worker. So nothing in inspect() and frame() may wait, allocate, lock,
 * make a system call or throw, and what they point to lives as long as this says. A gateway that breaks a
 * rule that can be checked has committed a fault: the message goes on as it came, and after too many faults
 * the gateway is switched off, and its flows pass as ordinary traffic.
 *
 * Every structure begins with its size or is passed by a function of the host, so that fields and functions
 * can be added at the end: MINOR grows then. Anything else makes another MAJOR.
 *
 * docs/plugins.md tells how to write one. */

#include <stddef.h>
#include <stdint.h>

/* Names are those of C: NOLINTBEGIN(readability-identifier-naming) */

#ifdef __cplusplus
extern "C" {
#endif

#define PINHOLE_PLUGIN_MAJOR 1
#define PINHOLE_PLUGIN_MINOR 0

/* The one symbol that a plug-in exports. */
#define PINHOLE_PLUGIN_QUERY "pinhole_plugin_query"

/* Bounds. */
#define PINHOLE_MAX_NAME 31     /* bytes of a name: [a-z][a-z0-9_-]* */
#define PINHOLE_MAX_CLAIMS 16   /* of a gateway */
#define PINHOLE_MAX_COUNTERS 32 /* of a gateway */
#define PINHOLE_MAX_FLOW 64     /* bytes of memory of a flow */
#define PINHOLE_MAX_EVENT 120   /* bytes of the text of an event */

/* Protocols, by their IANA numbers. */
#define PINHOLE_TCP 6
#define PINHOLE_UDP 17

/* Sides. */
#define PINHOLE_INSIDE 0
#define PINHOLE_OUTSIDE 1

/* What becomes of a message: the answer of inspect(). */
#define PINHOLE_FORWARD 0 /* it goes on, edited */
#define PINHOLE_DROP 1    /* it ends here; of a connection, nobody will miss its bytes */
#define PINHOLE_LEAVE 2   /* it goes on, edited, and its flow is left alone from here, both ways */

/* What functions of the host answer. All but OK leave everything as it was. */
#define PINHOLE_OK 0
#define PINHOLE_FULL (-1)    /* no room: too many edits, no port, no place for an expectation */
#define PINHOLE_REFUSED (-2) /* not this gateway's, or not this flow's, to ask for */
#define PINHOLE_FAULT (-3)   /* broken arguments; counts as a fault */

/* An IPv4 endpoint, both in host byte order. */
typedef struct pinhole_endpoint {
  uint32_t address;
  uint16_t port;
  uint16_t unused; /* 0 */
} pinhole_endpoint;

/* A port that servers of the protocol listen on. A flow belongs to the gateway whose claim is the port of its
 * server: of the remote end, or of the inside host when that is where the connection went. */
typedef struct pinhole_claim {
  uint8_t protocol;
  uint8_t unused; /* 0 */
  uint16_t port;  /* host byte order */
} pinhole_claim;

/* A message, and the flow that carries it. Valid during inspect(). */
typedef struct pinhole_message {
  uint32_t size;     /* of this structure */
  uint8_t protocol;  /* of the flow */
  uint8_t from;      /* the side that sent it */
  uint8_t server;    /* the side that the claimed port is on */
  uint8_t unchanged; /* 1: inside and external are the same, nothing is translated (route mode) */
  const char* bytes; /* not ended by 0 */
  size_t length;
  pinhole_endpoint inside;   /* the end on the inside, */
  pinhole_endpoint external; /* as the outside sees it, */
  pinhole_endpoint remote;   /* and the end on the outside */
  void* flow;                /* flow_bytes of memory, aligned to 8, zeroed when the flow begins */
} pinhole_message;

/* A flow that is to be let in, or known again: flags. */
#define PINHOLE_ONCE 1U  /* TCP: for one connection; a SYN is none, nor is the next when it was refused */
#define PINHOLE_CHILD 2U /* its packets keep the flow of this message alive, and it ends with that flow */

/* A flow that a message announces. */
typedef struct pinhole_expectation {
  uint32_t size;    /* of this structure */
  uint8_t protocol; /* of the flow to come */
  uint8_t from;     /* OUTSIDE: who begins it is let in. INSIDE: nothing is opened, the flow is known again */
  uint16_t flags;
  pinhole_endpoint inside; /* the address of the message's inside end, and a port (from INSIDE 0: any) */
  pinhole_endpoint remote; /* port 0: any */
  uint32_t seconds;        /* until somebody has come; 1 to 3600 */
  uint32_t unused;         /* 0 */
} pinhole_expectation;

/* What frame() remembers between two pieces; all 0 where a message begins. */
typedef struct pinhole_framing {
  uint32_t scanned; /* bytes of the message that frame() has seen; kept by the host */
  uint32_t value;
  uint8_t phase;
  uint8_t matched;
  uint8_t flags;
  uint8_t begun; /* to be set to 1 when it is certain that this is a message of the protocol */
} pinhole_framing;

/* What frame() answers. */
#define PINHOLE_FRAME_MORE 0     /* not known yet */
#define PINHOLE_FRAME_MESSAGE 1  /* a message of `length` bytes begins here; not all of them may be there */
#define PINHOLE_FRAME_SKIP 2     /* `length` bytes that inspect() need not see */
#define PINHOLE_FRAME_NOT_MINE 3 /* another protocol: the connection passes unread from here, both ways */
typedef struct pinhole_frame {
  uint32_t kind;
  uint32_t length; /* at most 65535 of a message */
} pinhole_frame;

/* An inspection that is under way. */
typedef struct pinhole_context pinhole_context;

/* What a gateway may ask, during inspect() and of the context that it was given. */
typedef struct pinhole_host {
  uint32_t size; /* of this structure */
  uint16_t major;
  uint16_t minor;

  /* Replaces bytes of the message; removed 0 inserts. Edits may come in any order and may not overlap.
   * `text` is copied. FULL: too many, or too much text. FAULT: outside the message, or over another edit. */
  int (*replace)(pinhole_context* context, size_t offset, size_t removed, const char* text, size_t length);

  /* The external endpoint that stands for ports of the message's inside host, the same one when asked again.
   * count 1: of `port`. 2: of `port` and `port` + 1, as an even port and the next one, when `port` is even.
   * Lets nobody in. FULL: there is none to be had. REFUSED: port 0, or one below 1024. */
  int (*reserve)(pinhole_context* context, uint8_t protocol, uint16_t port, unsigned count,
                 pinhole_endpoint* external);

  /* Announces a flow. REFUSED: not between the inside host of the message and somebody outside, or from
   * outside to a port below 1024. FULL: too many. An expectation of the same ends takes the place of the
   * one before. */
  int (*expect)(pinhole_context* context, const pinhole_expectation* expectation);

  /* Whether the rules of the configuration allow a command. \return 1 or 0 */
  int (*allows)(pinhole_context* context, const char* command, size_t command_length, const char* argument,
                size_t argument_length);

  /* How long the flow of this message is kept when it is silent: at least `seconds`, at most 86400. */
  int (*keep)(pinhole_context* context, uint32_t seconds);

  /* Adds to a counter of the gateway, by its place in `counters`. Counts whatever becomes of the message. */
  int (*count)(pinhole_context* context, uint32_t counter, uint32_t by);

  /* Has control write a line into its log: at most PINHOLE_MAX_EVENT bytes of `text` are kept. FULL: there
   * were too many of late. */
  int (*event)(pinhole_context* context, const char* text, size_t length);
} pinhole_host;

/* A gateway. What it points to lives as long as the process. */
typedef struct pinhole_plugin {
  uint32_t size;       /* of this structure, as the gateway was built */
  uint16_t major;      /* PINHOLE_PLUGIN_MAJOR */
  uint16_t minor;      /* PINHOLE_PLUGIN_MINOR */
  const char* name;    /* one word, unique among gateways */
  const char* version; /* for people */
  const pinhole_claim* claims;
  uint32_t claim_count;
  uint32_t counter_count;
  const char* const* counters; /* their names, [a-z][a-z0-9_]*; NULL when there are none */
  uint32_t flow_bytes;         /* of memory for each flow, at most PINHOLE_MAX_FLOW */
  uint32_t unused;             /* 0 */

  /* Once a worker, before its first packet, where allocating is allowed. \param options the text from the
   * configuration, "" when there is none \param state what this worker's calls are given
   * \return 0, or anything else to have the process end with a message that names the gateway. */
  int (*worker_init)(const pinhole_host* host, uint32_t worker, const char* options, void** state);

  /* Once a worker, after its last packet. NULL: nothing to be done. */
  void (*worker_fini)(void* state);

  /* Says where messages of a connection end. It is given each byte once, in order: `fresh` follows what it
   * was given for this message before. NULL: messages are lines, ended by LF, of at most 4096 bytes. */
  pinhole_frame (*frame)(void* state, pinhole_framing* framing, const char* fresh, size_t length);

  /* Reads one message. \return PINHOLE_FORWARD, _DROP or _LEAVE; anything else is a fault. */
  int (*inspect)(void* state, pinhole_context* context, const pinhole_message* message);
} pinhole_plugin;

/* \return the gateway; NULL when it cannot run under a host of this version, which is then said so. */
typedef const pinhole_plugin* (*pinhole_plugin_query_function)(uint16_t host_major, uint16_t host_minor);

#ifdef __cplusplus
}
#endif

/* NOLINTEND(readability-identifier-naming) */

#endif /* PINHOLE_PLUGIN_H */
