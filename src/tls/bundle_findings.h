/*
 * bundle_findings: all that is to be said about a client certificate, its chain and its key, before anybody
 * uses them. The one list for `midrelay bundle` and for what `run` warns of.
 *
 * The rules of the instance are those of ServiceNow's "Mutual authentication for MID Server": clientAuth EKU,
 * issued by a CA, a chain that ends in a root, a key that matches, within its validity.
 */
#ifndef MIDRELAY_TLS_BUNDLE_FINDINGS_H
#define MIDRELAY_TLS_BUNDLE_FINDINGS_H

#include <openssl/x509.h>
#include <stddef.h>

#include "tls/bundle.h"

enum bundle_finding_code {
	BUNDLE_NO_CERTIFICATE,
	BUNDLE_NO_KEY,
	BUNDLE_KEY_MISMATCH,
	BUNDLE_KEY_DAMAGED,
	BUNDLE_KEY_EXPOSED,
	BUNDLE_SELF_SIGNED,
	BUNDLE_CA_AS_LEAF,
	BUNDLE_NO_CLIENT_AUTH,
	BUNDLE_NO_SIGNING,
	BUNDLE_CHAIN_INCOMPLETE,
	BUNDLE_CHAIN_ORDER,
	BUNDLE_SEVERAL_LEAVES,
	BUNDLE_LEFT_OUT,
	BUNDLE_EXPIRED,
	BUNDLE_NOT_YET_VALID,
	BUNDLE_VALIDITY_UNREADABLE,
	BUNDLE_WEAK_KEY,
	BUNDLE_WEAK_HASH,
	BUNDLE_UNUSUAL_CURVE,
	BUNDLE_FINDING_CODE_COUNT,
};
/* "self-signed", "no-client-auth", … */
const char *bundle_finding_name(enum bundle_finding_code code);

enum bundle_severity {
	BUNDLE_SEVERITY_NOTE,    /* nothing needs to be done */
	BUNDLE_SEVERITY_WARNING, /* works, but somebody should know */
	BUNDLE_SEVERITY_REFUSED, /* would not work: `bundle make` does not write it */
};
const char *bundle_severity_name(enum bundle_severity severity);

struct bundle_finding {
	enum bundle_finding_code code;
	enum bundle_severity severity;
	char where[640];    /* file and block, escaped; "" when it is about the whole */
	char text[640];     /* one sentence, printable ASCII, no full stop */
	const char *remedy; /* static */
};

/* Zero-initialise; bundle_findings_clear(). */
struct bundle_findings {
	struct bundle_finding *items;
	size_t count;
};
void bundle_findings_clear(struct bundle_findings *findings);
/* The gravest of all; NOTE when there are none. */
enum bundle_severity bundle_findings_worst(const struct bundle_findings *findings);

/* What the certificates are judged for. */
enum bundle_purpose {
	BUNDLE_PURPOSE_CLIENT,
	BUNDLE_PURPOSE_SERVER, /* a server's certificates, to be looked at: no key and no root is expected */
	BUNDLE_PURPOSE_CA,     /* nothing but CA certificates, and no key */
};
const char *bundle_purpose_name(enum bundle_purpose purpose);
/* By what is there: a key, or its lack, and the extended key usage. */
enum bundle_purpose bundle_purpose_of(const struct bundle *bundle);

/* What bundle_arrange() found; borrowed from the bundle, but for the stacks, which bundle_arranged_clear()
 * frees. */
struct bundle_arranged {
	X509 *leaf;                /* NULL: no certificate, or none belongs to the key */
	STACK_OF(X509) *chain;    /* above the leaf */
	STACK_OF(X509) *left_out; /* in file order */
};
/*
 * bundle_order() that takes what is incomplete, too: without key the leaf is the first certificate that
 * issued no other, if possible one that is no CA.
 */
void bundle_arrange(const struct bundle *bundle, struct bundle_arranged *arranged);
void bundle_arranged_clear(struct bundle_arranged *arranged);

/* Adds all findings about the bundle. */
void bundle_examine(const struct bundle *bundle, const struct bundle_arranged *arranged,
    enum bundle_purpose purpose, struct bundle_findings *findings);
/* The part of them that is about an ordered chain, whoever holds its key. */
void bundle_examine_chain(X509 *leaf, STACK_OF(X509) *chain, size_t left_out, enum bundle_purpose purpose,
    struct bundle_findings *findings);

#endif
