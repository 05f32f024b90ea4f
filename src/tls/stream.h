/*
 * stream: one non-blocking TLS client stream on a descriptor, or inside another stream (TLS to a proxy around
 * TLS to the target), and the judgement of the server inside its handshake; and the server's side of one, for
 * local clients.
 *
 * OpenSSL is driven directly.  Its output is gathered and sent by one system call per step; what the kernel
 * does not take waits in the stream's wire, so that SSL_write never has to be retried.  Nothing here waits:
 * the caller watches the descriptor, for reading always, for writing while stream_pending().
 *
 * The server is judged while the handshake still waits for our certificate: chain and name in the verify
 * call-back, the last word in the certificate call-back, which runs when the server has asked for one.
 */
#ifndef MIDRELAY_TLS_STREAM_H
#define MIDRELAY_TLS_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "tls/fault.h"
#include "tls/identity.h"
#include "tls/judge.h"

/*
 * The last session a path was given, for resumption.  It belongs to one identity, target, path, policy and
 * loop, and is dropped with them.  Zero-initialise.
 */
struct tls_session_slot {
	SSL_SESSION *session;
	int64_t not_after; /* wall clock, s: the end of either chain or one hour, whichever is first */
};
void tls_session_slot_clear(struct tls_session_slot *slot);

struct stream_params {
	struct identity *identity;     /* the stream takes a count */
	/* SNI and the name that is verified; an IP address by its SAN, without SNI */
	const char *host;
	bool host_is_ip;
	bool require_cert_request;     /* a server that asks for no certificate is refused */
	struct tls_session_slot *slot; /* borrowed, outlives the stream; NULL: no resumption */
	/*
	 * An established stream that this one lives inside, or NULL.  Owned from success on: whoever has the
	 * inner stream has both, and every function below serves both.
	 */
	struct stream *outer;
	int fd;                        /* borrowed; the outer's where there is one */
	struct wire_pool *pool;
	/* bytes that arrived behind the proxy's answer: the beginning of the stream */
	const void *prefix;
	size_t prefix_len;
	/*
	 * Told of the handshake and of what follows it below the data: every message and alert, both chains,
	 * the verdict.  One line at a time, printable ASCII without secrets, shorter than STREAM_TRACE_BYTES,
	 * that begins with `trace_peer` (static: "target", "proxy") and ": ".  As long as the stream lives,
	 * or until stream_end_trace(); never from stream_free().  NULL: nothing of it is set up.
	 */
	void (*trace)(void *arg, const char *text);
	void *trace_arg;
	const char *trace_peer;
};
#define STREAM_TRACE_BYTES 1600

enum stream_status {
	STREAM_OK,
	STREAM_BLOCKED,   /* wait for the descriptor */
	STREAM_CLOSED,    /* close_notify came: a clean end */
	/* the peer is gone without close_notify, or its outer stream ended, however cleanly */
	STREAM_TRUNCATED,
	STREAM_RESET,     /* the descriptor failed */
	STREAM_FAILED,    /* see stream_fault() */
};

struct stream;

/* Once for each identity, before its first stream and before it is shared between threads. */
void stream_prepare_identity(struct identity *identity);

/* NULL when OpenSSL cannot make one. */
struct stream *stream_new(const struct stream_params *params);

struct stream_accept_params {
	SSL_CTX *ctx;           /* of a local_identity; borrowed, OpenSSL counts it */
	int fd;                 /* borrowed */
	struct wire_pool *pool;
	const void *prefix;     /* bytes that were read off the descriptor already: the ClientHello's beginning */
	size_t prefix_len;
};
/*
 * The server's side, for a local client: nothing of it is judged but what the SSL_CTX demands.  All functions
 * below serve it but those that tell of a server's judgement.  Of stream_fault(): NOT_TLS (nothing was
 * answered), UNTRUSTED (the client showed no certificate (NO_CERT) or one that does not verify),
 * CERT_REJECTED (the client does not take ours), VERSION, CLOSED, ALERT.
 */
struct stream *stream_accept_new(const struct stream_accept_params *params);

/* Sends nothing; NULL is fine. */
void stream_free(struct stream *stream);

/*
 * Instead of the first stream_handshake(), before a proxy has answered: sends `head` (STREAM_HEAD_BYTES at
 * most; inside the outer stream where there is one) and the ClientHello behind it, in one write.  Nothing is
 * read until stream_begin_reading(); until then an outer stream stays the caller's to read, and pending and
 * flush serve both.
 */
#define STREAM_HEAD_BYTES 16384
void stream_send_hello_behind(struct stream *stream, const void *head, size_t len);
/*
 * The proxy has answered; `prefix` is what arrived behind its answer, as in stream_params.  stream_handshake()
 * goes on.
 */
void stream_begin_reading(struct stream *stream, const void *prefix, size_t prefix_len);
/* Bytes of a TLS server have come. */
bool stream_was_answered(const struct stream *stream);

/* `trace` is not called any more, nor an outer stream's; NULL is fine. */
void stream_end_trace(struct stream *stream);

/* OK: the server is verified, and asked for our certificate where that is required. */
enum stream_status stream_handshake(struct stream *stream);

/*
 * Reads as many records as fit into buf (at least 16 kB).  *len bytes were read whatever the status; the
 * status says why it stopped: OK when buf is full.
 */
enum stream_status stream_read(struct stream *stream, void *buf, size_t buf_bytes, size_t *len);
/* The descriptor became readable (again). */
void stream_set_readable(struct stream *stream);

/*
 * Takes all `len` (at most WIRE_STEP_BYTES) bytes.  Not while stream_busy().  OK, BLOCKED (it is busy now), RESET,
 * FAILED.
 */
enum stream_status stream_write(struct stream *stream, const void *buf, size_t len);
/* Bytes wait for the descriptor to be writable. */
bool stream_pending(const struct stream *stream);
/*
 * Bytes wait, for that or for the peer: while a message of it behind the handshake has come in part (RFC 8446 5.1),
 * nothing can be written.  stream_read() and stream_flush() go on with them.
 */
bool stream_busy(const struct stream *stream);
/* OK: it is not busy any more. */
enum stream_status stream_flush(struct stream *stream);
/* The same of a wire without TLS. */
enum stream_status stream_status_of_wire(enum wire_status status);
/*
 * Sends close_notify, once; reading goes on.  The same statuses as stream_write.  An outer stream's
 * close_notify follows as soon as both directions of the inner one have ended.
 */
enum stream_status stream_shutdown(struct stream *stream);

/* Bytes have come off the descriptor and were not read: no event will tell of them. */
bool stream_buffered(const struct stream *stream);

/*
 * Ends both directions at once, with an outer stream's, for a tunnel that nobody uses: sends every close_notify that
 * is due.  What is pending then may be lost.
 */
void stream_leave(struct stream *stream);

/* Bytes that came off the descriptor so far: a sign of life below the level of records. */
uint64_t stream_received(const struct stream *stream);

/* Of what the peer sent first, before the handshake was done: for who did not speak TLS.  How many. */
size_t stream_first_bytes(const struct stream *stream, void *buf, size_t buf_bytes);

const struct tls_fault *stream_fault(const struct stream *stream);
const char *stream_version(const struct stream *stream); /* "TLSv1.3" */
const char *stream_cipher(const struct stream *stream);
/* of the key exchange: "x25519"; "" where there was none */
const char *stream_group(const struct stream *stream);
/*
 * What was seen of the server; the caller's to free(), once.  NULL before it was judged.  Kept apart, since a
 * session lasts longer than the interest in it.
 */
struct judge_evidence *stream_take_evidence(struct stream *stream);
/* Our certificate left under TLS 1.2, readable for all on the path. */
bool stream_cert_in_clear(const struct stream *stream);
bool stream_resumed(const struct stream *stream);
/*
 * When the first certificate of the server's chain ends, that this handshake verified (wall clock, s); 0 when
 * it verified none (a resumed session).  `end` may be NULL: the time alone is cheap.
 */
int64_t stream_server_end(const struct stream *stream, struct cert_end *end);
bool stream_cert_requested(const struct stream *stream);
/*
 * Of TLS 1.3, where a finished handshake does not prove yet that the server took our certificate; and how many
 * tickets it has sent, which it does behind that (RFC 8446 4.6.1).
 */
bool stream_is_tls13(const struct stream *stream);
unsigned stream_tickets(const struct stream *stream);
/*
 * Our certificate, or a byte of data, may have left: the path must not be changed under the client any more.
 */
bool stream_cert_sent(const struct stream *stream);

#endif
