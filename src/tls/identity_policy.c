/*
 * identity_policy: what a handshake of ours may use.  Everything is set explicitly, because a system-wide
 * openssl.cnf has been applied to the SSL_CTX before we see it.
 */
#include "tls/identity_policy.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* With static RSA the client's certificate would leave before the server has proved that it holds its key. */
#define DEFAULT_CIPHERS "DEFAULT:!kRSA"

bool identity_fault_set(struct identity_fault *fault, const char *key, const char *fmt, ...)
{
	va_list ap;

	fault->key = key;
	va_start(ap, fmt);
	vsnprintf(fault->err.text, sizeof(fault->err.text), fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return false;
}

static bool is_blank_list(const char *list)
{
	return list[strspn(list, " \t:,;")] == '\0';
}

static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason == NULL ? "unknown reason" : reason;
}

static bool set_versions(SSL_CTX *ctx, const struct identity_params *params, struct identity_fault *fault)
{
	if (params->tls_min > params->tls_max)
		return identity_fault_set(fault, "tls_min", "tls_min is above tls_max");
	if (!SSL_CTX_set_min_proto_version(ctx, params->tls_min))
		return identity_fault_set(
		    fault, "tls_min", "this OpenSSL refuses the version (%s)", last_reason());
	if (!SSL_CTX_set_max_proto_version(ctx, params->tls_max))
		return identity_fault_set(
		    fault, "tls_max", "this OpenSSL refuses the version (%s)", last_reason());
	return true;
}

static bool set_lists(SSL_CTX *ctx, const struct identity_params *params, struct identity_fault *fault)
{
	const char *ciphers = params->ciphers == NULL ? DEFAULT_CIPHERS : params->ciphers;

	bool groups_ok;
	char *groups;

	ERR_clear_error();
	if (is_blank_list(ciphers) || !SSL_CTX_set_cipher_list(ctx, ciphers))
		return identity_fault_set(
		    fault, "tls_ciphers", "OpenSSL finds no cipher in this list (%s)", last_reason());
	if (params->ciphersuites != NULL &&
	    (is_blank_list(params->ciphersuites) || !SSL_CTX_set_ciphersuites(ctx, params->ciphersuites)))
		return identity_fault_set(fault, "tls_ciphersuites",
		    "OpenSSL refuses this list of TLS 1.3 cipher suites (%s); "
		    "they are named like TLS_AES_256_GCM_SHA384",
		    last_reason());
	if (params->groups == NULL)
		return true;
	/* The macro casts const away. */
	groups = mem_strdup(params->groups);
	groups_ok = !is_blank_list(groups) && SSL_CTX_set1_groups_list(ctx, groups);
	free(groups);
	if (!groups_ok)
		return identity_fault_set(fault, "tls_groups",
		    "OpenSSL refuses this list of groups (%s); "
		    "they are named like X25519:P-256",
		    last_reason());
	return true;
}

/*
 * OpenSSL accepts lists of which nothing is left under the security level or the versions, and lists with
 * ciphers that protect nothing; what a ClientHello would really offer is asked for instead.
 */
static bool check_effective(const STACK_OF(SSL_CIPHER) * ciphers, const struct identity_params *params,
    bool *static_rsa, struct identity_fault *fault)
{
	int i, tls12 = 0, tls13 = 0;

	for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
		bool is_tls13 = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0;
		const char *key = is_tls13 ? "tls_ciphersuites" : "tls_ciphers";

		if (SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null)
			return identity_fault_set(fault, key, "%s lets a server go unproven: add !aNULL",
			    SSL_CIPHER_get_name(cipher));
		if (SSL_CIPHER_get_cipher_nid(cipher) == NID_undef)
			return identity_fault_set(
			    fault, key, "%s does not encrypt: leave it out", SSL_CIPHER_get_name(cipher));
		if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa)
			*static_rsa = true;
		*(is_tls13 ? &tls13 : &tls12) += 1;
	}
	if (tls12 == 0 && params->tls_min <= TLS1_2_VERSION)
		return identity_fault_set(fault, "tls_ciphers",
		    "the list leaves no cipher for TLS 1.2 (tls_min = 1.3 would say that)");
	if (tls13 == 0 && params->tls_max >= TLS1_3_VERSION)
		return identity_fault_set(fault, "tls_ciphersuites",
		    "the list leaves no cipher suite for TLS 1.3 (tls_max = 1.2 would say that)");
	return true;
}

static bool check_offer(SSL_CTX *ctx, const struct identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_fault *fault)
{
	SSL *ssl = SSL_new(ctx);
	STACK_OF(SSL_CIPHER) *ciphers = ssl == NULL ? NULL : SSL_get1_supported_ciphers(ssl);
	bool static_rsa = false, ok;

	/* NULL, an empty stack to OpenSSL's functions, when nothing is left. */
	if (ssl == NULL)
		ok = identity_fault_set(
		    fault, "tls_ciphers", "a TLS connection cannot be set up (%s)", last_reason());
	else
		ok = check_effective(ciphers, params, &static_rsa, fault);
	if (ok && static_rsa)
		note(note_arg, "tls_ciphers",
		    "the list allows static RSA key exchange, with which the client certificate "
		    "leaves before the server has proved its key: add !kRSA");
	sk_SSL_CIPHER_free(ciphers);
	SSL_free(ssl);
	return ok;
}

void identity_policy_no_compressed_certs(SSL_CTX *ctx)
{
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	SSL_CTX_set_options(ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#else
	(void)ctx;
#endif
}

bool identity_policy_set(SSL_CTX *ctx, const struct identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_fault *fault)
{
	/*
	 * Renegotiation would present the certificate to a server that was judged under another handshake.  A
	 * missing close_notify must stay visible: it is how truncation is told (relay-truncated).
	 */
	SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
				       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	identity_policy_no_compressed_certs(ctx);
	/*
	 * The chain that is sent is ours alone: completing it from the trust store would let trust anchors
	 * for servers leak into what we present.
	 */
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	/* Sessions are kept by target, path and policy, which OpenSSL's own cache does not know. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	return set_versions(ctx, params, fault) && set_lists(ctx, params, fault) &&
	       check_offer(ctx, params, note, note_arg, fault);
}
