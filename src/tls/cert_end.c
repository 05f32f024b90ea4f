/* cert_end: see cert_end.h. */
#include "tls/cert_end.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "tls/bundle.h"

const char *cert_role_name(enum cert_role role)
{
	switch (role) {
	case CERT_LEAF:
		return "leaf";
	case CERT_INTERMEDIATE:
		return "intermediate";
	case CERT_ROOT:
		return "root";
	}
	return "?";
}

int64_t cert_end_seconds(const X509 *cert)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm)) {
		ERR_clear_error();
		return INT64_MAX;
	}
	return (int64_t)timegm(&tm);
}

void cert_end_set(struct cert_end *end, X509 *cert, int place)
{
	struct tm tm;

	end->role = place == 0 ? CERT_LEAF : CERT_INTERMEDIATE;
	if (place > 0 && X509_self_signed(cert, 0) == 1)
		end->role = CERT_ROOT;
	end->not_after = cert_end_seconds(cert);
	bundle_name_text(X509_get_subject_name(cert), end->subject, sizeof(end->subject));
	end->not_before = ASN1_TIME_to_tm(X509_get0_notBefore(cert), &tm) ? (int64_t)timegm(&tm) : 0;
	_Static_assert(sizeof(end->sha256) >= BUNDLE_FINGERPRINT_BYTES, "room for a fingerprint");
	bundle_fingerprint_text(cert, end->sha256);
	ERR_clear_error();
}

int cert_end_first(STACK_OF(X509) *chain, int64_t *not_after)
{
	int first = -1, i;

	*not_after = INT64_MAX;
	for (i = 0; i < sk_X509_num(chain); i++) {
		int64_t end = cert_end_seconds(sk_X509_value(chain, i));

		if (first < 0 || end < *not_after) {
			*not_after = end;
			first = i;
		}
	}
	return first;
}
