/*
 * verify: see verify.h.
 *
 * Answers for chain, name and validity of the server, judged by OpenSSL inside the handshake.  The order of OpenSSL's
 * own checks decides which of several faults is named: chain first, then name, then dates.
 */
#include "tls/verify.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "tls/bundle.h"
#include "tls/revocation.h"

#define NAME_BYTES 160

bool verify_demand(SSL *ssl, char *host, bool host_is_ip)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if (host_is_ip)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* False: it is neither a DNS name nor an IP address (4 or 16 bytes, RFC 5280 4.2.1.6). */
static bool describe_name(const GENERAL_NAME *name, char *text, size_t text_bytes)
{
	const ASN1_STRING *value = name->d.ia5;
	int len;

	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return false;
	len = ASN1_STRING_length(value);
	if (name->type == GEN_DNS)
		text_escape(ASN1_STRING_get0_data(value), (size_t)len, text, text_bytes);
	else if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text,
	    (socklen_t)text_bytes) == NULL)
		return false;
	return true;
}

/* The names a certificate is for, as far as they fit. */
static void describe_names(X509 *cert, char *buf, size_t buf_bytes)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t used = 0;
	int i;

	buf[0] = '\0';
	for (i = 0; i < sk_GENERAL_NAME_num(names) && used + 80 < buf_bytes; i++) {
		char text[72];

		if (describe_name(sk_GENERAL_NAME_value(names, i), text, sizeof(text)))
			used += (size_t)snprintf(buf + used, buf_bytes - used, "%s%s", used == 0 ? "" : ", ", text);
	}
	GENERAL_NAMES_free(names);
	if (used == 0)
		snprintf(buf, buf_bytes, "no name and no address");
}

static void describe_time(X509 *cert, int error, const char *subject, struct tls_fault *fault)
{
	char when[64];
	bool early = error == X509_V_ERR_CERT_NOT_YET_VALID;
	const ASN1_TIME *time = early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert);

	fault->kind = TLS_FAULT_EXPIRED;
	snprintf(fault->sentence, sizeof(fault->sentence), "the certificate %s %s %s", subject,
	    early ? "is not valid before" : "expired at", bundle_time_text(time, when, sizeof(when)));
}

void verify_describe(X509_STORE_CTX *store, const char *host, struct tls_fault *fault)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);
	char subject[NAME_BYTES] = "(none)", issuer[NAME_BYTES] = "(none)", names[200];

	if (fault->kind != TLS_FAULT_NONE || revocation_describe(store, fault))
		return;
	if (cert != NULL) {
		bundle_name_text(X509_get_subject_name(cert), subject, sizeof(subject));
		bundle_name_text(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	}
	if (cert != NULL && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
		describe_names(cert, names, sizeof(names));
		fault->kind = TLS_FAULT_HOSTNAME;
		snprintf(fault->sentence, sizeof(fault->sentence), "the server's certificate is for %s, not for %s",
		    names, host);
	} else if (cert != NULL && (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID)) {
		describe_time(cert, error, subject, fault);
	} else {
		fault->kind = TLS_FAULT_UNTRUSTED;
		snprintf(fault->sentence, sizeof(fault->sentence),
		    "the server's certificate does not verify: %s (certificate %s, issued by %s)",
		    X509_verify_cert_error_string(error), subject, issuer);
	}
}

static int64_t earliest_end(int64_t end, int64_t now, STACK_OF(X509) *certs)
{
	int i;

	for (i = 0; i < sk_X509_num(certs); i++) {
		long long left, since;

		if (bundle_validity(sk_X509_value(certs, i), &left, &since) && now + left < end)
			end = now + left;
	}
	return end;
}

int64_t verify_verdict_end(SSL *ssl)
{
	int64_t now = (int64_t)time(NULL);
	int64_t end = now + VERIFY_VERDICT_MAX_S;
	STACK_OF(X509) *own_chain = NULL;
	X509 *own = SSL_get_certificate(ssl);
	long long left, since;

	end = earliest_end(end, now, SSL_get0_verified_chain(ssl));
	if (SSL_get0_chain_certs(ssl, &own_chain) == 1)
		end = earliest_end(end, now, own_chain);
	if (own != NULL && bundle_validity(own, &left, &since) && now + left < end)
		end = now + left;
	return end;
}
