/*
 * fault: what can be wrong with a TLS session, in TLS terms; dial maps it to a diagnosis.
 */
#ifndef MIDRELAY_TLS_FAULT_H
#define MIDRELAY_TLS_FAULT_H

enum tls_fault_kind {
	TLS_FAULT_NONE,
	TLS_FAULT_INSPECTED,
	TLS_FAULT_UNTRUSTED,
	TLS_FAULT_HOSTNAME,
	TLS_FAULT_EXPIRED,
	TLS_FAULT_REVOKED,
	TLS_FAULT_PIN,
	TLS_FAULT_ISSUER,
	TLS_FAULT_VERSION,
	TLS_FAULT_ALERT,
	TLS_FAULT_NOT_TLS,
	TLS_FAULT_CLOSED,
	TLS_FAULT_CERT_NOT_REQUESTED,
	TLS_FAULT_CERT_REJECTED,
	TLS_FAULT_CERT_UNUSABLE,
	TLS_FAULT_OUTER, /* of the stream that this one lives inside */
};

/* What more is known, where that changes what is to be done. */
enum tls_fault_detail {
	TLS_FAULT_NO_DETAIL,
	TLS_FAULT_PAGE,              /* NOT_TLS: it was a web page */
	TLS_FAULT_PLAIN_HTTP,        /* NOT_TLS: it was an HTTP response */
	TLS_FAULT_NO_ANSWER,         /* CLOSED: not a byte came */
	TLS_FAULT_AFTER_CERT,        /* CLOSED: our certificate had been sent (also of the accepting side) */
	TLS_FAULT_UNRECOGNIZED_NAME, /* ALERT */
	TLS_FAULT_HANDSHAKE_FAILURE, /* ALERT: nothing in common */
	TLS_FAULT_ENDED_HERE,        /* ALERT: ours */
	TLS_FAULT_NO_CERT,           /* CERT_REJECTED: none is configured */
};

struct tls_fault {
	enum tls_fault_kind kind;
	enum tls_fault_detail detail;
	char sentence[384]; /* what was seen; printable ASCII */
};

#endif
