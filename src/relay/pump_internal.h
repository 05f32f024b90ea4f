/*
 * pump_internal: what pump.c (the order of bytes), pump_side.c (one side) and pump_end.c (which end it is) share; for
 * nobody else.
 */
#ifndef MIDRELAY_RELAY_PUMP_INTERNAL_H
#define MIDRELAY_RELAY_PUMP_INTERNAL_H

#include "relay/pump.h"

/* ---- pump_side.c: a plain descriptor or a TLS stream, with the statuses of streams ---- */

enum stream_status pump_side_read(struct pump_side *side, void *buf, size_t buf_bytes, size_t *len);
enum stream_status pump_side_write(struct pump_side *side, const void *buf, size_t len);
/* Bytes wait, and nothing can be written. */
bool pump_side_pending(const struct pump_side *side);
/* They wait for the descriptor. */
bool pump_side_wants_writable(const struct pump_side *side);
enum stream_status pump_side_flush(struct pump_side *side);
/* `closes_next`: nothing is left to be done, and close() will say the same to a client. */
enum stream_status pump_side_shut(struct pump_side *side, bool closes_next);
/* Bytes off the descriptor, whatever became of them. */
uint64_t pump_side_received(const struct pump_side *side);
/* Nothing more will go out to this side. */
bool pump_side_is_flushed(const struct pump_side *side);

/* ---- pump_end.c ---- */

void pump_end_now(struct pump *pump);
/* Once the client's kernel has taken what is owed, since a reset would throw it away. */
void pump_end_when_delivered(struct pump *pump);
/* The end is known, and not a good one. */
void pump_begin_ending(struct pump *pump);
/* It takes no more bytes. */
void pump_side_broke(struct pump_side *side);
/* A read ended otherwise than by a clean end. */
void pump_end_read(struct pump *pump, struct pump_side *from, enum stream_status status);
/* A side that broke while bytes were on their way to it. */
void pump_judge_broken(struct pump *pump);

#endif
