/*
 * stream_internal: what stream.c, stream_write.c, stream_accept.c, stream_bio.c, stream_nested.c, stream_judge.c,
 * stream_fault.c and stream_trace.c share; for nobody else.
 */
#ifndef MIDRELAY_TLS_STREAM_INTERNAL_H
#define MIDRELAY_TLS_STREAM_INTERNAL_H

#include <openssl/err.h>

#include "tls/stream.h"

#define STREAM_FIRST_BYTES 48

struct stream {
	SSL *ssl;
	struct stream *outer;          /* NULL: directly on the descriptor */
	struct wire own_wire;
	struct wire *wire;             /* borrowed: its own, or the outer's */
	struct identity *identity;
	struct tls_session_slot *slot; /* borrowed */
	int64_t verdict_end;           /* of the session that was offered, or of the one just made */
	char *host;
	unsigned char *prefix; /* what comes before the next bytes off the descriptor; NULL: nothing */
	size_t prefix_off, prefix_len;
	unsigned char first[STREAM_FIRST_BYTES]; /* of what the peer sent, to tell TLS from anything else */
	size_t first_len;
	enum stream_status end; /* STREAM_OK until the descriptor ended: TRUNCATED or RESET */
	uint64_t received; /* bytes off the descriptor */
	bool require_cert_request;
	bool drained;     /* the last read took all there was, or enough for one turn */
	size_t fruitless; /* bytes off the descriptor since it was told to be readable, or since the last data */
	bool established;
	bool broken;      /* after a fatal error OpenSSL must not be asked to shut down */
	bool cert_requested;
	bool cert_sent;
	bool judged;
	bool sct_in_tls;
	bool got_ticket;  /* since it gave its buffers back */
	bool got_data;    /* the server has answered: our certificate was accepted */
	struct judge_evidence *evidence; /* NULL: not judged yet, or taken */
	struct tls_fault *fault; /* NULL: none; see stream_need_fault() */
	struct stream_trace *trace; /* NULL: nobody asked */
	unsigned char *unwritten;   /* plain text, [unwritten_off, unwritten_len); NULL: none waits, see stream_busy() */
	size_t unwritten_off, unwritten_len;
	bool shut_due;    /* close_notify has to wait, too */
	bool held; /* what comes is not this stream's yet, but a proxy's answer */
	bool accepting;   /* the server's side, see stream_accept_new(); identity and host are NULL */
	unsigned tickets;
};

/* The one of the two that reads the descriptor. */
static inline struct stream *stream_at_descriptor(struct stream *stream)
{
	return stream->outer == NULL ? stream : stream->outer;
}

/* Of a stream on its descriptor, or inside its outer one; NULL when there is no memory. */
BIO *stream_bio_new(struct stream *stream);
/* What both sides have in common; false, with nothing to be undone, when OpenSSL cannot. */
bool stream_make_ssl(struct stream *stream, SSL_CTX *ctx);
/* stream_judge_failure() of the accepting side. */
enum stream_status stream_accept_failure(struct stream *stream);
/* The first reason that libssl gave, and its words; empties OpenSSL's error queue. */
int stream_take_reason(char *text, size_t text_bytes);
/* OpenSSL reports a received alert as this reason plus the alert's number. */
#define STREAM_ALERT_REASON 1000

/* What was read already and OpenSSL is to have first: what came behind the proxy's answer. */
void stream_set_prefix(struct stream *stream, const void *bytes, size_t len);
/* Hands it out; false when there is nothing left of it. */
bool stream_take_prefix(struct stream *stream, void *buf, size_t len, size_t *got);
/* The server's first flight, as a rule. */
#define STREAM_AHEAD_BYTES 8192
/* Whether more should be read than the `len` bytes that OpenSSL asks for: STREAM_AHEAD_BYTES. */
bool stream_reads_ahead(const struct stream *stream, size_t len);
/* Of the `had` bytes that were read, OpenSSL gets `len` at most: returned; the others become the prefix. */
size_t stream_hand_out(struct stream *stream, const unsigned char *ahead, size_t had, void *buf, size_t len);
/* What the queue holds before a call would be taken for that call's.  To look first saves 1,000 of 23,000 instructions. */
static inline void stream_forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* One SSL_read; the error queue is empty before. */
enum stream_status stream_read_once(struct stream *stream, void *buf, size_t len, size_t *got);
/* What a call of OpenSSL that returned `ret` <= 0 means; takes the error queue. */
enum stream_status stream_judge_step(struct stream *stream, int ret);
/* Sends what the step has gathered. */
enum stream_status stream_send_gathered(struct stream *stream);
bool stream_sent_close_notify(const struct stream *stream);
/* Where it is due and can be written. */
void stream_gather_close_notify(struct stream *stream);
/* Nothing will be sent inside the outer stream any more. */
void stream_end_outer(struct stream *stream);
/* Once more what had to wait for the peer; nothing is pending. */
enum stream_status stream_write_unwritten(struct stream *stream);
void stream_drop_unwritten(struct stream *stream);

/* The BIO of a stream inside another. */
int stream_nested_read(BIO *bio, char *buf, size_t len, size_t *got);
int stream_nested_write(BIO *bio, const char *buf, size_t len, size_t *put);
/* A record of this much plain text becomes one record of the outer stream, whatever the cipher adds. */
#define STREAM_NESTED_FRAGMENT_BYTES (SSL3_RT_MAX_PLAIN_LENGTH - 128)

/* The judgement's part of stream_prepare_identity() and of making a stream. */
void stream_prepare_judgement(struct identity *identity);
void stream_set_judgement(struct stream *stream);
/* The last word on the server, once: false, with the fault, when it may not have what is ours. */
bool stream_judge_server(struct stream *stream);

/* The fault, to be written: made when there is none yet, since idle streams are many and faults are few. */
struct tls_fault *stream_need_fault(struct stream *stream);

/* RFC 8446 5.1: content types 20 to 23, major version 3; true when nothing has come. */
bool stream_looks_like_tls(const struct stream *stream);
void stream_note_first_bytes(struct stream *stream, const void *bytes, size_t len);

/* After a finished handshake: OK, or FAILED with the fault. */
enum stream_status stream_judge_established(struct stream *stream);

/* After a fatal error: TRUNCATED, RESET, or FAILED with the fault.  Empties OpenSSL's error queue. */
enum stream_status stream_judge_failure(struct stream *stream);

/* All but the first only where stream->trace is not NULL.  stream_end_trace() ends it. */
void stream_trace_begin(struct stream *stream, const struct stream_params *params);
/* In the verify call-back, for a chain that it refuses. */
void stream_trace_unverified(struct stream *stream, X509_STORE_CTX *store);
void stream_trace_judged(struct stream *stream, bool accepted);
void stream_trace_handshake_end(struct stream *stream, enum stream_status status);

#endif
