/*
 * judge: whether a server may have our certificate and data: evidence in, verdict out.  Pure, and without
 * OpenSSL.
 *
 * A chain, name or validity that fails, a revocation that is not ruled out, a `pin` or `expect_issuer` that
 * does not match refuse the server always.  It is judged *inspected* when an issuer names a product that
 * inspects TLS (whether or not the chain verifies); or, with the system's store and no matching pin, when no
 * Certificate Transparency timestamp (SCT, RFC 6962) comes with its certificate; or, with the system's store,
 * when the anchor was added to it locally.  What that leads to says `inspection`.  SCTs are not validated:
 * that there are some is weak evidence.
 */
#ifndef MIDRELAY_TLS_JUDGE_H
#define MIDRELAY_TLS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/fault.h"

/* OFF: nothing is judged inspected, as for a proxy, which may have a private CA in the system's store. */
enum judge_inspection {
	JUDGE_INSPECTION_OFF,
	JUDGE_INSPECTION_REFUSE,
	JUDGE_INSPECTION_WARN,
	JUDGE_INSPECTION_IGNORE,
};

/* What is demanded, beyond chain, name and validity. */
struct judge_rules {
	enum judge_inspection inspection;
	bool trust_system;
	bool staple, crl; /* `revocation` */
	char **pins;      /* "sha256//BASE64"; one must be in the chain, if there are any */
	size_t pin_count;
	char **issuers; /* one must be contained in a name in the chain, if there are any */
	size_t issuer_count;
};
/* judge_rules_clear() ends it */
void judge_rules_copy(struct judge_rules *to, const struct judge_rules *from);
void judge_rules_clear(struct judge_rules *rules);

enum judge_match { JUDGE_NOT_DEMANDED, JUDGE_MATCHED, JUDGE_NOT_MATCHED };
enum judge_staple { JUDGE_STAPLE_NOT_DEMANDED, JUDGE_STAPLE_GOOD, JUDGE_STAPLE_REFUSED };
enum judge_origin { JUDGE_ORIGIN_UNKNOWN, JUDGE_ORIGIN_DISTRIBUTION, JUDGE_ORIGIN_LOCAL };
/* Where SCTs came from; bits. */
enum judge_sct { JUDGE_SCT_CERT = 1, JUDGE_SCT_TLS = 2, JUDGE_SCT_STAPLE = 4 };
/* Why a path is judged inspected; bits. */
enum judge_reason { JUDGE_REASON_PRODUCT = 1, JUDGE_REASON_NO_SCT = 2, JUDGE_REASON_LOCAL_ANCHOR = 4 };

#define JUDGE_NAME_BYTES 160

/* What was seen of one server; texts are printable ASCII. */
struct judge_evidence {
	bool resumed;           /* nothing was looked at: the verdict of the resumed session holds */
	bool trust_system;
	struct tls_fault chain; /* NONE: chain, name, validity (and crl, if demanded) verified */
	bool crl;               /* the lists were looked at */
	char subject[JUDGE_NAME_BYTES], issuer[JUDGE_NAME_BYTES]; /* of the server's own certificate */
	char anchor[JUDGE_NAME_BYTES];
	char not_after[32];
	char sha256[96]; /* of that certificate: "XX:XX:…" */
	const char *product; /* static; NULL: no issuer names one */
	enum judge_match pin;
	bool pin_on_leaf; /* it matched the server's own key and no other */
	enum judge_match expect_issuer;
	enum judge_staple staple;
	char staple_text[128];
	unsigned sct; /* enum judge_sct */
	enum judge_origin origin;
	bool cert_requested;
	unsigned reasons; /* enum judge_reason: set by judge_server() */
};

/*
 * Fills evidence->reasons, and *fault when the server is refused.  `host` is for the sentence.  Returns
 * whether the server may have what is ours.
 */
bool judge_server(const struct judge_rules *rules, const char *host, struct judge_evidence *evidence,
    struct tls_fault *fault);

/* One piece of evidence, for people. */
struct judge_piece {
	const char *name; /* "chain", "pin", … static */
	char seen[256];
	const char *says; /* what it means; static, "" where it says nothing */
};
#define JUDGE_MAX_PIECES 12
/* How many there are. */
size_t judge_pieces(const struct judge_evidence *evidence, struct judge_piece pieces[JUDGE_MAX_PIECES]);
/* All in one line: "chain: …; sct: …"; returns buf. */
const char *judge_evidence_text(const struct judge_evidence *evidence, char *buf, size_t buf_bytes);

#endif
