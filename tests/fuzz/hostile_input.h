/*
 * hostile_input: one input of fuzz_judge, taken apart: what is demanded of a server, and what an attacking
 * one presents.
 *
 * Two bytes of flags, then parts: kind, how, length (two bytes, big endian), that many bytes.  A part is
 * presented as it is; or, so that a mutated one can still be believed, as the to-be-signed half of a
 * certificate, a revocation list or an OCSP response that one of three fixed keys signs here.
 */
#ifndef MIDRELAY_TESTS_FUZZ_HOSTILE_INPUT_H
#define MIDRELAY_TESTS_FUZZ_HOSTILE_INPUT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/judge.h"

#define HOSTILE_HEAD_BYTES 2
#define HOSTILE_PART_HEAD_BYTES 4
#define HOSTILE_MAX_PARTS 12

/* The first flag byte. */
enum {
	HOSTILE_INSPECTION = 3, /* enum judge_inspection */
	HOSTILE_TRUST_SYSTEM = 4,
	HOSTILE_STAPLE = 8,
	HOSTILE_CRL = 16,
	HOSTILE_LOCAL_ANCHOR = 32,
	HOSTILE_HOST_IS_IP = 64,
	HOSTILE_TLS12 = 128,
};
/* The second. */
enum {
	HOSTILE_PIN = 3,      /* none, or that of one of enum hostile_key */
	HOSTILE_ISSUERS = 12, /* which `expect_issuer` */
	HOSTILE_ISSUERS_SHIFT = 2,
	HOSTILE_ASKS = 16,    /* the server asks for a certificate */
	HOSTILE_REQUIRES = 32, /* and we want it to */
	HOSTILE_HAS_CERT = 64, /* we have one */
	HOSTILE_AGAIN = 128,   /* and once more, with the session that was left */
};

enum hostile_kind {
	HOSTILE_PART_CERT,   /* the leaf, then the others in this order */
	HOSTILE_PART_ANCHOR, /* trusted */
	HOSTILE_PART_STAPLE,
	HOSTILE_PART_SCTS,   /* the TLS extension; `how`: with which certificate (TLS 1.3) */
	HOSTILE_PART_CRL,    /* what crl_file holds */
	HOSTILE_KINDS,
};

/* `how` of the others: who signs. */
enum hostile_key { HOSTILE_UNSIGNED, HOSTILE_SERVER_KEY, HOSTILE_ISSUER_KEY, HOSTILE_ROOT_KEY, HOSTILE_KEYS };

struct hostile_part {
	enum hostile_kind kind;
	unsigned how;
	const uint8_t *given; /* borrowed from the input; what `bytes` was made of */
	size_t given_len;
	unsigned char *bytes; /* exactly as long as it says, so that a read behind it is seen */
	size_t len;
};

struct hostile_input {
	unsigned rules, server; /* the two flag bytes */
	struct hostile_part parts[HOSTILE_MAX_PARTS];
	size_t count;
};

/* False: too short to be one. */
bool hostile_input_take(struct hostile_input *input, const uint8_t *data, size_t size);
void hostile_input_clear(struct hostile_input *input);
/* The first part of this kind, or NULL. */
const struct hostile_part *hostile_input_find(const struct hostile_input *input, enum hostile_kind kind);

/* Fixed, so that a corpus keeps its meaning; borrowed. */
EVP_PKEY *hostile_key(enum hostile_key key);

#endif
