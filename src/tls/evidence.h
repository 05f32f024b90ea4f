/*
 * evidence: what can be seen of a server before it gets anything of ours; judge.h decides on it.
 */
#ifndef MIDRELAY_TLS_EVIDENCE_H
#define MIDRELAY_TLS_EVIDENCE_H

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/anchor_origin.h"
#include "tls/judge.h"

/* Has `ssl` ask the server for what the judgement needs: an OCSP staple. */
void evidence_ask(SSL *ssl, const struct judge_rules *rules);

/* Of a chain that verified.  The caller says what it alone knows: cert_requested, and SCTs in TLS. */
void evidence_collect(SSL *ssl, const struct judge_rules *rules, const struct anchor_origin *origin,
    struct judge_evidence *evidence);
/* Of one that did not; in the verify call-back.  evidence->chain is the caller's. */
void evidence_collect_failed(X509_STORE_CTX *store, struct judge_evidence *evidence);

/* Whether a list of SCTs as TLS carries it (RFC 6962 section 3.3) has any. */
bool evidence_has_sct(const unsigned char *list, size_t len);
/* Whether an OCSP response has any, whoever signed it: SCTs are not validated wherever they come from. */
bool evidence_staple_has_sct(const unsigned char *der, long len);

#endif
