/*
 * identity: makes the SSL_CTX that a relay dials with, and counts who holds it.
 *
 * Policy is in identity_policy.c, anchors in trust.c, files in bundle*.c.  How a server is judged, sessions
 * and callbacks are the business of those who use the SSL_CTX.
 */
#include "tls/identity.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/bundle.h"
#include "tls/identity_notes.h"
#include "tls/identity_policy.h"
#include "tls/keylog.h"
#include "tls/provider_key.h"
#include "tls/revocation.h"
#include "tls/trust.h"

#define SUBJECT_TEXT_BYTES 512

struct identity {
	atomic_uint holders;
	SSL_CTX *ctx;
	X509 *leaf; /* NULL: no client certificate */
	struct judge_rules rules;
	struct anchor_origin *origin; /* NULL: not judged */
	char subject[SUBJECT_TEXT_BYTES];
	char fingerprint[BUNDLE_FINGERPRINT_BYTES];
	struct cert_end *ends; /* of the leaf and its chain */
	size_t end_count;
};

static void ignore_note(void *arg, const char *key, const char *text)
{
	(void)arg;
	(void)key;
	(void)text;
}

/* The client certificate on its way into the SSL_CTX. */
struct client_cert {
	const struct identity_params *params;
	struct bundle *bundle;
	X509 *leaf; /* borrowed from the bundle, like the chain's */
	STACK_OF(X509) *chain;
	size_t left_out;
	const char *cert_option; /* the configuration keys that faults are put down to */
	const char *key_option;
	const char *cert_file;
};

static bool add_file(
    struct client_cert *client, const char *option, const char *file, struct identity_fault *fault)
{
	if (file == NULL || bundle_add_file(client->bundle, file, client->params->passphrase, &fault->err))
		return true;
	fault->key = option;
	return false;
}

static bool read_files(struct client_cert *client, struct identity_fault *fault)
{
	const struct identity_params *params = client->params;

	if (params->bundle_file != NULL &&
	    (params->cert_file != NULL || params->key_file != NULL || params->chain_file != NULL))
		return identity_fault_set(fault, "client_bundle",
		    "client_bundle and client_cert, client_key, client_chain are two ways to "
		    "say the same: use one of them");
	return add_file(client, "client_bundle", params->bundle_file, fault) &&
	       add_file(client, "client_cert", params->cert_file, fault) &&
	       add_file(client, "client_key", params->key_file, fault) &&
	       add_file(client, "client_chain", params->chain_file, fault);
}

static bool order_client_cert(struct client_cert *client, struct identity_fault *fault)
{
	long long left, since;

	if (!bundle_order(client->bundle, &client->leaf, &client->chain, &client->left_out, &fault->err)) {
		fault->key =
		    sk_X509_num(client->bundle->certs) > 0 ? client->key_option : client->cert_option;
		error_prefix(&fault->err, "%s", client->cert_file);
		return false;
	}
	if (!bundle_validity(client->leaf, &left, &since))
		return identity_fault_set(fault, client->cert_option,
		    "%s: the certificate's validity cannot be read", client->cert_file);
	return true;
}

static bool check_key(const struct client_cert *client, struct identity_fault *fault)
{
	static const char *const usable[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};
	EVP_PKEY *key = client->bundle->key;
	const char *type = EVP_PKEY_get0_type_name(key);
	struct error why;
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(usable) / sizeof(usable[0]); i++)
		found = found || EVP_PKEY_is_a(key, usable[i]);
	if (!found)
		return identity_fault_set(fault, client->key_option,
		    "%s: a key of type %s is of no use for a client certificate: RSA, "
		    "ECDSA (P-256, P-384, P-521) or Ed25519 is needed",
		    client->bundle->key_file, type == NULL ? "?" : type);
	if (bundle_key_signs(key, client->leaf))
		return true;
	provider_key_take_fault(&why);
	if (why.text[0] != '\0')
		return identity_fault_set(fault, client->key_option, "%s: %s", client->bundle->key_file,
		    why.text);
	return identity_fault_set(fault, client->key_option,
		    "%s: what the private key signs does not verify with the "
		    "certificate: the key is damaged",
		    client->bundle->key_file);
}

/* OpenSSL's refusal of a certificate, in words that say what to do. */
static bool refuse_cert(const struct client_cert *client, X509 *cert, struct identity_fault *fault)
{
	unsigned long code = ERR_peek_last_error();
	int why = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	char name[SUBJECT_TEXT_BYTES];
	const char *reason = ERR_reason_error_string(code);

	bundle_name_text(X509_get_subject_name(cert), name, sizeof(name));
	if (why == SSL_R_EE_KEY_TOO_SMALL || why == SSL_R_CA_KEY_TOO_SMALL)
		return identity_fault_set(fault, client->cert_option,
		    "%s: the key of %s is too weak for OpenSSL's security level (%s): a "
		    "certificate with RSA of 2048 bits or more, or ECDSA, is needed",
		    client->cert_file, name, reason);
	if (why == SSL_R_CA_MD_TOO_WEAK)
		return identity_fault_set(fault, client->cert_option,
		    "%s: the signature on %s is too weak for OpenSSL's security level "
		    "(%s): a certificate signed with SHA-256 or better is needed",
		    client->cert_file, name, reason);
	return identity_fault_set(fault, client->cert_option, "%s: OpenSSL refuses %s (%s)",
	    client->cert_file, name, reason == NULL ? "unknown reason" : reason);
}

/*
 * A self-signed root is not sent (RFC 8446 4.4.2 allows that, RFC 5246 7.4.2 too): a server that trusts it
 * has it, one that does not is not convinced by being sent it.
 */
static bool install(SSL_CTX *ctx, const struct client_cert *client, struct identity_fault *fault)
{
	int i;

	ERR_clear_error();
	if (!SSL_CTX_use_certificate(ctx, client->leaf))
		return refuse_cert(client, client->leaf, fault);
	if (!SSL_CTX_use_PrivateKey(ctx, client->bundle->key) || !SSL_CTX_check_private_key(ctx))
		return identity_fault_set(fault, client->key_option, "%s: OpenSSL refuses the key (%s)",
		    client->bundle->key_file, ERR_reason_error_string(ERR_peek_last_error()));
	for (i = 0; i < sk_X509_num(client->chain); i++) {
		X509 *cert = sk_X509_value(client->chain, i);

		if (X509_self_signed(cert, 0) != 1 && !SSL_CTX_add1_chain_cert(ctx, cert))
			return refuse_cert(client, cert, fault);
	}
	return true;
}

static void keep_ends(struct identity *identity, const struct client_cert *client)
{
	int count = sk_X509_num(client->chain), i;

	identity->end_count = (size_t)count + 1;
	identity->ends = mem_calloc(identity->end_count, sizeof(*identity->ends));
	cert_end_set(&identity->ends[0], client->leaf, 0);
	for (i = 0; i < count; i++)
		cert_end_set(&identity->ends[i + 1], sk_X509_value(client->chain, i), i + 1);
}

/* What the configuration's keys and files are called does not matter any more: the certificate was in use. */
static bool copy_client_cert(struct identity *identity, const struct identity *from,
    struct identity_fault *fault)
{
	STACK_OF(X509) *chain = NULL;

	ERR_clear_error();
	if (!SSL_CTX_get0_chain_certs(from->ctx, &chain) || !SSL_CTX_use_certificate(identity->ctx,
	    from->leaf) || !SSL_CTX_use_PrivateKey(identity->ctx, SSL_CTX_get0_privatekey(from->ctx)) ||
	    (chain != NULL && !SSL_CTX_set1_chain(identity->ctx, chain)))
		return identity_fault_set(fault, "client_bundle", "OpenSSL refuses %s (%s)", from->subject,
		    ERR_reason_error_string(ERR_peek_last_error()));
	X509_up_ref(from->leaf);
	identity->leaf = from->leaf;
	memcpy(identity->subject, from->subject, sizeof(identity->subject));
	memcpy(identity->fingerprint, from->fingerprint, sizeof(identity->fingerprint));
	identity->end_count = from->end_count;
	identity->ends = mem_dup(from->ends, from->end_count * sizeof(*from->ends));
	return true;
}

static bool load_client_cert(struct identity *identity, const struct identity_params *params,
    identity_note_fn *note, void *note_arg, struct identity_fault *fault)
{
	bool one_file = params->bundle_file != NULL;
	struct client_cert client = {
	    .params = params,
	    .cert_option = one_file ? "client_bundle" : "client_cert",
	    .key_option = one_file ? "client_bundle" : "client_key",
	    .cert_file = one_file                    ? params->bundle_file
			 : params->cert_file != NULL ? params->cert_file
			 : params->key_file != NULL  ? params->key_file
						     : params->chain_file,
	};
	bool ok;

	if (params->cert_of != NULL)
		return copy_client_cert(identity, params->cert_of, fault);
	if (client.cert_file == NULL)
		return true;
	client.bundle = bundle_new();
	ok = read_files(&client, fault) && order_client_cert(&client, fault) && check_key(&client, fault) &&
	     install(identity->ctx, &client, fault);
	if (ok) {
		X509_up_ref(client.leaf);
		identity->leaf = client.leaf;
		keep_ends(identity, &client);
		bundle_name_text(
		    X509_get_subject_name(client.leaf), identity->subject, sizeof(identity->subject));
		bundle_fingerprint_text(client.leaf, identity->fingerprint);
		identity_notes(
		    client.leaf, client.chain, client.left_out, client.cert_option, note, note_arg);
		if (params->passphrase != NULL && !client.bundle->key_encrypted)
			note(note_arg, "client_passphrase",
			    "the key is not encrypted: no passphrase is needed");
	}
	sk_X509_free(client.chain);
	bundle_free(client.bundle);
	return ok;
}

static bool load_crl(struct identity *identity, const struct identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_fault *fault)
{
	if (!params->rules.crl || params->trust_of != NULL || revocation_load_crl(identity->ctx,
	    params->crl_file, note, note_arg, &fault->err))
		return true;
	fault->key = "crl_file";
	return false;
}

/*
 * Who names the store by the environment has chosen it as a whole; nothing in it is more local than the rest.
 */
static bool system_store_is_named(void)
{
	return secure_getenv(X509_get_default_cert_file_env()) != NULL ||
	    secure_getenv(X509_get_default_cert_dir_env()) != NULL;
}

static bool load_trust(struct identity *identity, const struct identity_params *params,
    identity_note_fn *note, void *note_arg, struct identity_fault *fault)
{
	if (params->trust_of != NULL) {
		SSL_CTX_set1_cert_store(identity->ctx, SSL_CTX_get_cert_store(params->trust_of->ctx));
		return true;
	}
	if (trust_load(identity->ctx, params->trust, note, note_arg, &fault->err))
		return true;
	fault->key = "trust";
	return false;
}

/* The next free place; a step that fails keeps it, one that works gives it back. */
static struct identity_fault *next_fault(struct identity_faults *faults)
{
	struct identity_fault *fault = &faults->items[faults->count++];

	fault->key = "client_bundle";
	return fault;
}

struct identity *identity_new(const struct identity_params *params, identity_note_fn *note, void *note_arg,
    struct identity_faults *faults)
{
	struct identity *identity = mem_calloc(1, sizeof(*identity));

	if (note == NULL)
		note = ignore_note;
	memset(faults, 0, sizeof(*faults));
	atomic_init(&identity->holders, 1);
	identity->ctx = SSL_CTX_new(TLS_client_method());
	if (identity->ctx == NULL) {
		identity_fault_set(next_fault(faults), "client_bundle", "OpenSSL cannot make a TLS context");
	} else {
		keylog_attach(identity->ctx);
		/* Policy first: `@SECLEVEL` in tls_ciphers decides which certificates OpenSSL takes. */
		if (identity_policy_set(identity->ctx, params, note, note_arg, next_fault(faults)))
			faults->count--;
		if (load_client_cert(identity, params, note, note_arg, next_fault(faults)))
			faults->count--;
		if (load_trust(identity, params, note, note_arg, next_fault(faults)))
			faults->count--;
		if (load_crl(identity, params, note, note_arg, next_fault(faults)))
			faults->count--;
		judge_rules_copy(&identity->rules, &params->rules);
		identity->rules.trust_system = params->trust == NULL;
		if (params->trust == NULL && params->rules.inspection != JUDGE_INSPECTION_OFF &&
		    !system_store_is_named())
			identity->origin = anchor_origin_new("");
	}
	ERR_clear_error();
	if (faults->count == 0)
		return identity;
	identity_unref(identity);
	return NULL;
}

struct identity *identity_ref(struct identity *identity)
{
	atomic_fetch_add_explicit(&identity->holders, 1, memory_order_relaxed);
	return identity;
}

void identity_unref(struct identity *identity)
{
	if (identity == NULL || atomic_fetch_sub_explicit(&identity->holders, 1, memory_order_acq_rel) != 1)
		return;
	X509_free(identity->leaf);
	judge_rules_clear(&identity->rules);
	anchor_origin_free(identity->origin);
	SSL_CTX_free(identity->ctx);
	free(identity->ends);
	free(identity);
}

SSL_CTX *identity_ctx(const struct identity *identity)
{
	return identity->ctx;
}

const struct judge_rules *identity_rules(const struct identity *identity)
{
	return &identity->rules;
}

const struct anchor_origin *identity_anchor_origin(const struct identity *identity)
{
	return identity->origin;
}

bool identity_has_cert(const struct identity *identity)
{
	return identity->leaf != NULL;
}

enum identity_validity identity_validity(const struct identity *identity, char *when, size_t when_bytes)
{
	enum identity_validity validity = IDENTITY_VALID;
	const ASN1_TIME *decisive;
	long long left, since;

	if (identity->leaf == NULL) {
		if (when != NULL && when_bytes > 0)
			when[0] = '\0';
		return IDENTITY_NO_CERT;
	}
	decisive = X509_get0_notAfter(identity->leaf);
	/* identity_new() took no certificate whose times cannot be read. */
	if (!bundle_validity(identity->leaf, &left, &since) || left < 0) {
		validity = IDENTITY_EXPIRED;
	} else if (since < 0) {
		validity = IDENTITY_NOT_YET_VALID;
		decisive = X509_get0_notBefore(identity->leaf);
	}
	if (when != NULL && when_bytes > 0)
		bundle_time_text(decisive, when, when_bytes);
	return validity;
}

const char *identity_subject(const struct identity *identity)
{
	return identity->subject;
}

const char *identity_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const char *identity_fingerprint(const struct identity *identity)
{
	return identity->fingerprint;
}

bool identity_same_leaf(const struct identity *a, const struct identity *b)
{
	if (a->leaf == NULL || b->leaf == NULL)
		return a->leaf == b->leaf;
	return X509_cmp(a->leaf, b->leaf) == 0;
}

const struct cert_end *identity_ends(const struct identity *identity, size_t *count)
{
	*count = identity->end_count;
	return identity->ends;
}
