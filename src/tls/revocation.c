/*
 * revocation: see revocation.h.
 *
 * OpenSSL verifies; the words, and what is fresh, are decided here.  Nothing is fetched.
 */
#include "tls/revocation.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/bundle.h"

/* Clocks differ by this much; an answer that does not say how long it holds does so for a day. */
#define CLOCK_SKEW_S 300
#define STAPLE_MAX_AGE_S (24 * 3600)
#define NAME_BYTES 160
#define NOTE_BYTES 512

static void note_stale(const X509_CRL *crl, const char *file, identity_note_fn *note, void *note_arg)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	char text[NOTE_BYTES], issuer[NAME_BYTES], when[64];

	if (next == NULL || X509_cmp_current_time(next) > 0)
		return;
	snprintf(text, sizeof(text), "%s: the revocation list of %s is out of date since %s", file,
	    bundle_name_text(X509_CRL_get_issuer(crl), issuer, sizeof(issuer)),
	    bundle_time_text(next, when, sizeof(when)));
	note(note_arg, "crl_file", text);
}

static BIO *open_file(const char *file, struct error *err)
{
	/* O_NONBLOCK: a FIFO that nobody writes to must not hold up a start or a reload. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	FILE *stream = NULL;
	BIO *bio = NULL;

	if (fd < 0 || fstat(fd, &st) != 0)
		error_set_errno(err, errno, "%s", file);
	else if (!S_ISREG(st.st_mode))
		error_set(err, "%s: is not a file", file);
	else if ((stream = fdopen(fd, "rb")) == NULL || (bio = BIO_new_fp(stream, BIO_CLOSE)) == NULL)
		error_set(err, "%s: out of memory", file);
	if (bio == NULL && stream != NULL)
		fclose(stream);
	else if (stream == NULL && fd >= 0)
		close(fd);
	return bio;
}

/* OpenSSL's own would ask at the terminal for what opens an encrypted list. */
static int on_passphrase(char *buf, int buf_bytes, int writing, void *arg)
{
	return -1;
}

bool revocation_load_crl(
    SSL_CTX *ctx, const char *file, identity_note_fn *note, void *note_arg, struct error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = open_file(file, err);
	X509_CRL *crl;
	unsigned count = 0;
	bool ok = true;

	if (bio == NULL)
		return false;
	ERR_clear_error();
	while (ok && (crl = PEM_read_bio_X509_CRL(bio, NULL, on_passphrase, NULL)) != NULL) {
		ok = X509_STORE_add_crl(store, crl) == 1;
		note_stale(crl, file, note, note_arg);
		X509_CRL_free(crl);
		count++;
	}
	/* The last look ends in "no start line"; anything else is a list that cannot be read. */
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		ok = error_set(err, "%s: list %u cannot be read (%s)", file, count + 1,
		    ERR_reason_error_string(ERR_peek_last_error()));
	else if (!ok)
		error_set(err, "%s: list %u cannot be used", file, count);
	else if (count == 0 && BIO_reset(bio) == 0 && (crl = d2i_X509_CRL_bio(bio, NULL)) != NULL) {
		ok = X509_STORE_add_crl(store, crl) == 1 || error_set(err, "%s: cannot be used", file);
		note_stale(crl, file, note, note_arg);
		X509_CRL_free(crl);
	} else if (count == 0)
		ok = error_set(err, "%s: holds no revocation list (\"BEGIN X509 CRL\", or one in DER)", file);
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

void revocation_demand_crl(SSL *ssl)
{
	X509_VERIFY_PARAM_set_flags(SSL_get0_param(ssl), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

bool revocation_is_excused(X509_STORE_CTX *store)
{
	return X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL &&
	    X509_STORE_CTX_get_error_depth(store) == sk_X509_num(X509_STORE_CTX_get0_chain(store)) - 1;
}

static void describe_list(X509_STORE_CTX *store, int error, const char *issuer, struct tls_fault *fault)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(store);
	const ASN1_TIME *next = crl == NULL ? NULL : X509_CRL_get0_nextUpdate(crl);
	char when[64];

	if (error == X509_V_ERR_CRL_HAS_EXPIRED)
		snprintf(fault->sentence, sizeof(fault->sentence), "the revocation list of %s is out of date since %s",
		    issuer, bundle_time_text(next, when, sizeof(when)));
	else
		snprintf(fault->sentence, sizeof(fault->sentence), "the revocation list of %s cannot be used: %s", issuer,
		    X509_verify_cert_error_string(error));
}

bool revocation_describe(X509_STORE_CTX *store, struct tls_fault *fault)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);
	char subject[NAME_BYTES] = "(none)", issuer[NAME_BYTES] = "(none)";

	if (cert != NULL) {
		bundle_name_text(X509_get_subject_name(cert), subject, sizeof(subject));
		bundle_name_text(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	}
	switch (error) {
	case X509_V_ERR_CERT_REVOKED:
		snprintf(fault->sentence, sizeof(fault->sentence), "the certificate %s is revoked, says the list of %s",
		    subject, issuer);
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		snprintf(fault->sentence, sizeof(fault->sentence),
		    "crl_file has no revocation list of %s, which issued %s", issuer, subject);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
		describe_list(store, error, issuer, fault);
		break;
	default: /* not about lists; OpenSSL's codes are no enum */
		return false;
	}
	fault->kind = TLS_FAULT_REVOKED;
	return true;
}

static bool refuse(char *text, size_t text_bytes, const char *why)
{
	snprintf(text, text_bytes, "%s", why);
	ERR_clear_error();
	return false;
}

/* The answer about `cert`; the responder chose the hash that its name is written in. */
static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer)
{
	int i;

	for (i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *answer = OCSP_resp_get0(basic, i);
		const OCSP_CERTID *about = OCSP_SINGLERESP_get0_id(answer);
		OCSP_CERTID *copy = OCSP_CERTID_dup(about), *own = NULL;
		ASN1_OBJECT *hash = NULL;
		const EVP_MD *md;
		bool same = false;

		if (copy != NULL && OCSP_id_get0_info(NULL, &hash, NULL, NULL, copy) == 1 &&
		    (md = EVP_get_digestbyobj(hash)) != NULL && (own = OCSP_cert_to_id(md, cert, issuer)) != NULL)
			same = OCSP_id_cmp(own, copy) == 0;
		OCSP_CERTID_free(own);
		OCSP_CERTID_free(copy);
		if (same)
			return answer;
	}
	return NULL;
}

static bool judge_answer(OCSP_SINGLERESP *answer, char *text, size_t text_bytes)
{
	ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
	int status = OCSP_single_get0_status(answer, NULL, &revoked, &from, &until);
	char when[64];

	if (status == V_OCSP_CERTSTATUS_REVOKED) {
		snprintf(text, text_bytes, "the certificate was revoked at %s, says the OCSP staple",
		    bundle_time_text(revoked, when, sizeof(when)));
		return false;
	}
	if (status != V_OCSP_CERTSTATUS_GOOD)
		return refuse(text, text_bytes, "the OCSP responder does not know the certificate, says its staple");
	if (OCSP_check_validity(from, until, CLOCK_SKEW_S, until == NULL ? STAPLE_MAX_AGE_S : -1) != 1) {
		bundle_time_text(until == NULL ? from : until, when, sizeof(when));
		snprintf(text, text_bytes, "the OCSP staple is out of date, or not valid yet: it is %s %s",
		    until == NULL ? "of" : "good until", when);
		ERR_clear_error();
		return false;
	}
	snprintf(text, text_bytes, "good");
	return true;
}

static bool judge_basic(OCSP_BASICRESP *basic, STACK_OF(X509) *chain, X509_STORE *store, char *text, size_t text_bytes)
{
	OCSP_SINGLERESP *answer;

	if (sk_X509_num(chain) < 2)
		return refuse(text, text_bytes, "the OCSP staple cannot be checked: trust names the server's own "
						"certificate and not its issuer");
	if (OCSP_basic_verify(basic, chain, store, 0) != 1)
		return refuse(text, text_bytes, "the OCSP staple is not signed by the issuer or a responder of its own");
	answer = find_answer(basic, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
	if (answer == NULL)
		return refuse(text, text_bytes, "the OCSP staple is about another certificate");
	return judge_answer(answer, text, text_bytes);
}

bool revocation_judge_staple(const unsigned char *der, long len, STACK_OF(X509) *chain, X509_STORE *store, char *text,
    size_t text_bytes)
{
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic = NULL;
	bool ok;

	if (der == NULL || len <= 0)
		return refuse(text, text_bytes, "the server sent no OCSP staple");
	response = d2i_OCSP_RESPONSE(NULL, &der, len);
	if (response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	if (basic == NULL)
		ok = refuse(text, text_bytes, "the OCSP staple holds no answer");
	else
		ok = judge_basic(basic, chain, store, text, text_bytes);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return ok;
}

bool revocation_check_staple(SSL *ssl, char *text, size_t text_bytes)
{
	const unsigned char *der = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);

	return revocation_judge_staple(der, len, SSL_get0_verified_chain(ssl),
	    SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), text, text_bytes);
}
