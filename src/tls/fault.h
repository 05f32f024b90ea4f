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

struct tls_fault {
	enum tls_fault_kind kind;
	char sentence[384]; /* what was seen; printable ASCII */
};

#endif
