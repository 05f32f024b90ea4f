/*
 * http_drive: a whole connection through one http_relay, from two byte strings, and what came of it.
 */
#ifndef MIDRELAY_TESTS_UNIT_HTTP_DRIVE_H
#define MIDRELAY_TESTS_UNIT_HTTP_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http_relay.h"

/* Messages whose beginnings are noted; those behind them are not. */
#define DRIVE_MESSAGES 64

/* Where the bytes of each side are cut in two; 0: not; DRIVE_BYTES: behind every byte. */
#define DRIVE_BYTES ((size_t)-1)
struct drive_splits {
	size_t client, target;
};

/* A message in what was passed on, up to the next one, or to the end. */
struct drive_message {
	size_t start, end;
	bool whole;      /* it has its last byte */
	bool no_body;    /* a response to HEAD, a 304: other parsers must be told */
	bool until_end;  /* a response that ends with the stream */
	bool raw_behind; /* a 101: what is behind its head is not HTTP */
};

struct drive_bytes {
	char *at;
	size_t len;
	struct drive_message messages[DRIVE_MESSAGES];
	unsigned count;
	bool more; /* than are noted */
};

struct drive {
	struct drive_bytes to_target, to_client;
	char *client_fault, *target_fault; /* NULL: none */
	size_t client_taken, target_taken;
	char connect[300]; /* HOST:PORT */
	char method[64];   /* of the last request */
	bool safe, keeps, upgrade;
	bool clean, over, raw, began, waits, end_whole;
	bool request_whole;
	unsigned outstanding, status;
	unsigned finals; /* responses that are not 1xx */
};

/*
 * Between the calls of a run by bytes the http_relay is put to rest.
 *
 * Every piece is given in memory of its own, freed before the next, so that a sanitizer sees wrong borrowing.
 */
void drive_run(struct drive *drive, const struct http_rules *rules, const char *own_host, const char *client,
    size_t client_len, const char *target, size_t target_len, struct drive_splits splits);
void drive_clear(struct drive *drive);

#endif
