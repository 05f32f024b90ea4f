/*
 * local_identity: see local_identity.h.
 *
 * Answers for the policy towards local clients.  Files are bundle*.c's business, the local CA local_ca.c's.
 */
#include "tls/local_identity.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tls/bundle.h"
#include "tls/identity_policy.h"
#include "tls/keylog.h"
#include "tls/local_ca.h"
#include "tls/trust.h"

/* A session of a client's may not be resumed under another policy; none is kept, see set_policy(). */
#define CIPHERS "DEFAULT:!kRSA:!PSK:!SRP"
#define RENEW_BEFORE_S (INT64_C(60) * 86400)

struct local_identity {
	SSL_CTX *ctx;
	char fingerprint[BUNDLE_FINGERPRINT_BYTES];
	struct cert_end *ends;
	size_t end_count;
	int64_t renew_at;
};

static bool set_fault(struct identity_fault *fault, const char *key, const char *text)
{
	fault->key = key;
	return error_set(&fault->err, "%s", text);
}

static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : "no reason given";
}

/*
 * RFC 7301 3.2: a client that names protocols of which none is ours is told so.  Behind us stands a server of
 * which only HTTP/1.1 is known.
 */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned in_len, void *arg)
{
	static const unsigned char own[] = "\x08http/1.1";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, own, sizeof(own) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * No tickets and no cache: every connection shows its certificate, no ticket key lives beside or beyond a
 * reload, and a handshake with P-256 on the same host costs less than a millisecond.
 */
static bool set_policy(SSL_CTX *ctx)
{
	SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	identity_policy_no_compressed_certs(ctx);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	keylog_attach(ctx);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1;
}

static void keep_end(struct local_identity *local, X509 *cert, int place)
{
	local->ends = mem_realloc(local->ends, (local->end_count + 1) * sizeof(*local->ends));
	cert_end_set(&local->ends[local->end_count++], cert, place);
}

/* ---- listen_cert = FILE ---- */

struct files {
	const struct local_identity_params *params;
	struct bundle *bundle;
	X509 *leaf; /* borrowed from the bundle, like the chain's */
	STACK_OF(X509) *chain;
};

/* The words of the bundle are for a client's certificate, whose passphrase can be told. */
static bool add_file(struct files *files, const char *key, const char *file, struct identity_fault *fault)
{
	char text[512];

	fault->key = key;
	if (bundle_add_file(files->bundle, file, NULL, &fault->err))
		return true;
	if (strstr(fault->err.text, "client_passphrase") == NULL)
		return false;
	snprintf(text, sizeof(text), "%.300s: the key is encrypted, and a listener's cannot be: take it out with "
	    "`openssl pkey -in FILE -out FILE`, mode 0600", file);
	return set_fault(fault, key, text);
}

static bool read_files(struct files *files, struct identity_fault *fault)
{
	const struct local_identity_params *params = files->params;

	if (!add_file(files, "listen_cert", params->cert_file, fault))
		return false;
	if (params->key_file != NULL && !add_file(files, "listen_key", params->key_file, fault))
		return false;
	if (bundle_order(files->bundle, &files->leaf, &files->chain, NULL, &fault->err))
		return true;
	if (sk_X509_num(files->bundle->certs) == 0)
		fault->key = "listen_cert";
	else if (files->bundle->key == NULL && params->key_file == NULL)
		return set_fault(fault, "listen_cert",
		    "the file holds no private key: add it to the file, or name its file with listen_key");
	error_prefix(&fault->err, "%s", strcmp(fault->key, "listen_key") == 0 ? params->key_file
									       : params->cert_file);
	return false;
}

static bool install_files(struct local_identity *local, const struct files *files, struct identity_fault *fault)
{
	char text[256];
	int i;

	if (!bundle_key_signs(files->bundle->key, files->leaf))
		return set_fault(fault, files->params->key_file != NULL ? "listen_key" : "listen_cert",
		    "what the private key signs does not verify with the certificate: the key is damaged");
	ERR_clear_error();
	if (SSL_CTX_use_certificate(local->ctx, files->leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(local->ctx, files->bundle->key) != 1) {
		snprintf(text, sizeof(text), "OpenSSL refuses the certificate or its key (%s)", last_reason());
		return set_fault(fault, "listen_cert", text);
	}
	keep_end(local, files->leaf, 0);
	for (i = 0; i < sk_X509_num(files->chain); i++) {
		X509 *cert = sk_X509_value(files->chain, i);

		keep_end(local, cert, i + 1);
		if (X509_self_signed(cert, 0) != 1 && SSL_CTX_add1_chain_cert(local->ctx, cert) != 1)
			return set_fault(fault, "listen_cert", "OpenSSL refuses a certificate of the chain");
	}
	bundle_fingerprint_text(files->leaf, local->fingerprint);
	return true;
}

static void note_files(const struct files *files, identity_note_fn *note, void *note_arg)
{
	const struct local_identity_params *params = files->params;
	long long left, since;
	char text[512];
	int fits = params->host_is_ip ? X509_check_ip_asc(files->leaf, params->host, 0)
				      : X509_check_host(files->leaf, params->host, 0, 0, NULL);

	if (fits != 1) {
		snprintf(text, sizeof(text), "%.300s: the certificate is not for %.100s, which clients that "
		    "keep the target's url ask for", params->cert_file, params->host);
		note(note_arg, "listen_cert", text);
	}
	if (bundle_validity(files->leaf, &left, &since) && (left < 0 || since < 0)) {
		snprintf(text, sizeof(text), "%.300s: the certificate %s: clients will refuse it",
		    params->cert_file, left < 0 ? "has expired" : "is not valid yet");
		note(note_arg, "listen_cert", text);
	}
}

static bool use_files(struct local_identity *local, const struct local_identity_params *params,
    identity_note_fn *note, void *note_arg, struct identity_fault *fault)
{
	struct files files = {.params = params, .bundle = bundle_new()};
	bool ok = read_files(&files, fault) && install_files(local, &files, fault);

	if (ok)
		note_files(&files, note, note_arg);
	sk_X509_free(files.chain);
	bundle_free(files.bundle);
	return ok;
}

/* ---- listen_cert = auto ---- */

static bool use_local_ca(struct local_identity *local, const struct local_identity_params *params,
    bool *unmade, struct identity_fault *fault)
{
	struct local_ca ca;
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;
	bool there, ok;

	fault->key = "listen_cert";
	if (!local_ca_load(params->host, &ca, &there, &fault->err))
		return false;
	*unmade = !there;
	if (!there)
		return false;
	ok = local_ca_issue(&ca, params->host, params->host_is_ip, &leaf, &key, &fault->err);
	if (ok && (SSL_CTX_use_certificate(local->ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(local->ctx, key) != 1))
		ok = set_fault(fault, "listen_cert", "OpenSSL refuses the certificate of the local CA");
	if (ok) {
		keep_end(local, ca.cert, 1);
		local->renew_at = cert_end_seconds(leaf) - RENEW_BEFORE_S;
		/* What ends with its CA cannot be renewed: that has its own warning. */
		if (cert_end_seconds(leaf) >= cert_end_seconds(ca.cert))
			local->renew_at = INT64_MAX;
		bundle_fingerprint_text(leaf, local->fingerprint);
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	local_ca_clear(&ca);
	return ok;
}

/* ---- listen_client_ca ---- */

/* RFC 8446 4.2.4, RFC 5246 7.4.4: which CAs a client's certificate may come from. */
static bool name_client_cas(SSL_CTX *ctx)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
	int i;

	for (i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (cert != NULL && SSL_CTX_add_client_CA(ctx, cert) != 1)
			return false;
	}
	return true;
}

static bool demand_client_cert(SSL_CTX *ctx, const char *client_ca, identity_note_fn *note, void *note_arg,
    struct identity_fault *fault)
{
	static const unsigned char context[] = "midrelay";

	if (client_ca == NULL)
		return true;
	fault->key = "listen_client_ca";
	if (!trust_load(ctx, client_ca, note, note_arg, &fault->err))
		return false;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (!name_client_cas(ctx) || SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1) != 1)
		return set_fault(fault, "listen_client_ca", "out of memory");
	return true;
}

/* False with a fault, or with *unmade. */
static bool use_cert(struct local_identity *local, const struct local_identity_params *params,
    identity_note_fn *note, void *note_arg, bool *unmade, struct identity_fault *fault)
{
	if (local->ctx == NULL || !set_policy(local->ctx))
		return set_fault(fault, "listen_cert", "OpenSSL cannot make a TLS context");
	return params->cert_file != NULL ? use_files(local, params, note, note_arg, fault)
					 : use_local_ca(local, params, unmade, fault);
}

struct local_identity *local_identity_new(const struct local_identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_faults *faults)
{
	struct local_identity *local = mem_calloc(1, sizeof(*local));
	bool unmade = false;

	memset(faults, 0, sizeof(*faults));
	local->renew_at = INT64_MAX;
	local->ctx = SSL_CTX_new(TLS_server_method());
	if (!use_cert(local, params, note, note_arg, &unmade, &faults->items[faults->count]) && !unmade)
		faults->count++;
	if (local->ctx != NULL && !demand_client_cert(local->ctx, params->client_ca, note, note_arg,
	    &faults->items[faults->count]))
		faults->count++;
	ERR_clear_error();
	if (faults->count == 0 && !unmade)
		return local;
	local_identity_free(local);
	return NULL;
}

void local_identity_free(struct local_identity *local)
{
	if (local == NULL)
		return;
	SSL_CTX_free(local->ctx);
	free(local->ends);
	free(local);
}

SSL_CTX *local_identity_ctx(const struct local_identity *local)
{
	return local->ctx;
}

const char *local_identity_fingerprint(const struct local_identity *local)
{
	return local->fingerprint;
}

const struct cert_end *local_identity_ends(const struct local_identity *local, size_t *count)
{
	*count = local->end_count;
	return local->ends;
}

int64_t local_identity_renew_at(const struct local_identity *local)
{
	return local->renew_at;
}
