/*
 * bundle_report: what is in certificate and key files, as texts to be shown.
 */
#ifndef MIDRELAY_TLS_BUNDLE_REPORT_H
#define MIDRELAY_TLS_BUNDLE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/bundle.h"
#include "tls/bundle_findings.h"

#define BUNDLE_PIN_BYTES 64

/* All texts are printable ASCII. */
struct bundle_report_cert {
	/* "leaf" "intermediate" "root", in chain order; "other": not in the chain.  Static. */
	const char *role;
	const char *origin; /* file and block.  Borrowed from the bundle */
	char subject[512], issuer[512], serial[64];
	char not_before[32], not_after[32];
	long long seconds_left;
	char key[64];               /* "RSA 2048", "EC prime256v1", "ED25519" */
	char signature[64];         /* "RSA-SHA256" */
	char usages[256];           /* extended key usage, comma separated; "" without */
	char names[512];            /* subject alternative names; "" without */
	char sha256[BUNDLE_FINGERPRINT_BYTES];
	char pin[BUNDLE_PIN_BYTES]; /* "sha256//BASE64" of the public key, as `pin` and curl take it */
};

struct bundle_report {
	enum bundle_purpose purpose;
	struct bundle_report_cert *certs; /* leaf, chain, others */
	size_t cert_count;
	bool has_key, key_encrypted, key_matches;
	const char *key_origin; /* borrowed from the bundle */
	char key[64], key_pin[BUNDLE_PIN_BYTES];
	struct bundle_findings findings;
};

/* The bundle must live as long as the report. */
struct bundle_report *bundle_report_new(const struct bundle *bundle);
void bundle_report_free(struct bundle_report *report);

/* One certificate by itself; `role` is kept.  Empties OpenSSL's error queue. */
void bundle_report_describe(struct bundle_report_cert *to, X509 *cert, const char *role);

#endif
