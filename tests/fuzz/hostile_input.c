/* hostile_input: see hostile_input.h. */
#include "hostile_input.h"

#include <openssl/ec.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const unsigned char ecdsa_with_sha256[] = {
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
/* RFC 6960 section 4.2.1: status successful, id-pkix-ocsp-basic. */
static const unsigned char ocsp_successful[] = {0x0a, 0x01, 0x00};
static const unsigned char ocsp_basic[] = {0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};

/* P-256 with a scalar that repeats one byte (RFC 5915). */
static EVP_PKEY *make_key(unsigned char byte)
{
	unsigned char der[] = {0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20, [39] = 0xa0, 0x0a, 0x06, 0x08, 0x2a,
	    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	const unsigned char *at = der;
	EVP_PKEY *key;

	memset(der + 7, byte, 32);
	key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, sizeof(der));
	midrelay_assert(key != NULL);
	return key;
}

EVP_PKEY *hostile_key(enum hostile_key key)
{
	static EVP_PKEY *keys[HOSTILE_KEYS];

	if (keys[key] == NULL)
		keys[key] = make_key((unsigned char)(0x11 * key));
	return keys[key];
}

struct der {
	unsigned char *at;
	size_t len;
};

/* Puts `prefix` before what there is, and a tag and the length before both. */
static void der_wrap(struct der *der, unsigned char tag, const void *prefix, size_t prefix_len)
{
	unsigned char head[4] = {tag}, *all;
	size_t len = prefix_len + der->len, head_len = 0;

	midrelay_assert(len <= UINT16_MAX);
	if (len >= 256) {
		head[1] = 0x82;
		head[2] = (unsigned char)(len >> 8);
		head_len = 3;
	} else if (len >= 128) {
		head[1] = 0x81;
		head_len = 2;
	} else {
		head_len = 1;
	}
	head[head_len++] = (unsigned char)len;
	all = mem_calloc(1, head_len + len);
	memcpy(all, head, head_len);
	if (prefix_len > 0)
		memcpy(all + head_len, prefix, prefix_len);
	if (der->len > 0)
		memcpy(all + head_len + prefix_len, der->at, der->len);
	free(der->at);
	*der = (struct der){all, head_len + len};
}

static void der_append(struct der *der, const void *more, size_t len)
{
	der->at = mem_realloc(der->at, der->len + len + 1);
	if (len > 0)
		memcpy(der->at + der->len, more, len);
	der->len += len;
}

/* SEQUENCE { tbs, ecdsa-with-SHA256, BIT STRING }: certificates, lists and basic OCSP responses alike. */
static struct der sign(const uint8_t *tbs, size_t tbs_len, EVP_PKEY *key)
{
	unsigned char signature[80] = {0x03, 0x00, 0x00};
	size_t signature_len = sizeof(signature) - 3;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct der der = {NULL, 0};

	midrelay_assert(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
	midrelay_assert(EVP_DigestSign(ctx, signature + 3, &signature_len, tbs, tbs_len) == 1);
	EVP_MD_CTX_free(ctx);
	signature[1] = (unsigned char)(signature_len + 1);
	der_append(&der, tbs, tbs_len);
	der_append(&der, ecdsa_with_sha256, sizeof(ecdsa_with_sha256));
	der_append(&der, signature, signature_len + 3);
	der_wrap(&der, 0x30, NULL, 0);
	return der;
}

/* ECDSA signs differently every time: what is there twice (presented, and trusted) must stay the same. */
static bool is_again(const struct hostile_part *part, const struct hostile_part *other)
{
	bool wrapped = part->kind == HOSTILE_PART_STAPLE || part->kind == HOSTILE_PART_SCTS;

	return !wrapped && other->kind != HOSTILE_PART_STAPLE && other->kind != HOSTILE_PART_SCTS &&
	    part->how == other->how && part->given_len == other->given_len &&
	    (part->given_len == 0 || memcmp(part->given, other->given, part->given_len) == 0);
}

static void build_part(struct hostile_input *input, struct hostile_part *part)
{
	bool as_it_is = part->kind == HOSTILE_PART_SCTS || part->how == HOSTILE_UNSIGNED;
	const struct hostile_part *other = input->parts;
	const uint8_t *data = part->given;
	size_t len = part->given_len;
	struct der der = {NULL, 0};

	while (other < part && !is_again(part, other))
		other++;
	if (other < part)
		der = (struct der){mem_dup(other->bytes, other->len), other->len};
	else if (as_it_is)
		der = (struct der){mem_dup(data, len), len};
	else
		der = sign(data, len, hostile_key(part->how));
	if (!as_it_is && part->kind == HOSTILE_PART_STAPLE) {
		der_wrap(&der, 0x04, NULL, 0);
		der_wrap(&der, 0x30, ocsp_basic, sizeof(ocsp_basic));
		der_wrap(&der, 0xa0, NULL, 0);
		der_wrap(&der, 0x30, ocsp_successful, sizeof(ocsp_successful));
	}
	part->bytes = der.at;
	part->len = der.len;
}

/* Room for what signing and wrapping add. */
#define PART_MAX_BYTES (UINT16_MAX - 256)

bool hostile_input_take(struct hostile_input *input, const uint8_t *data, size_t size)
{
	memset(input, 0, sizeof(*input));
	if (size < HOSTILE_HEAD_BYTES)
		return false;
	input->rules = data[0];
	input->server = data[1];
	data += HOSTILE_HEAD_BYTES;
	size -= HOSTILE_HEAD_BYTES;
	while (size >= HOSTILE_PART_HEAD_BYTES && input->count < HOSTILE_MAX_PARTS) {
		struct hostile_part *part = &input->parts[input->count++];
		size_t len = (size_t)data[2] << 8 | data[3];

		part->kind = data[0] % HOSTILE_KINDS;
		part->how = data[1] % HOSTILE_KEYS;
		data += HOSTILE_PART_HEAD_BYTES;
		size -= HOSTILE_PART_HEAD_BYTES;
		if (len > size)
			len = size;
		part->given = data;
		part->given_len = len < PART_MAX_BYTES ? len : PART_MAX_BYTES;
		build_part(input, part);
		data += len;
		size -= len;
	}
	return true;
}

void hostile_input_clear(struct hostile_input *input)
{
	size_t i;

	for (i = 0; i < input->count; i++)
		free(input->parts[i].bytes);
}

const struct hostile_part *hostile_input_find(const struct hostile_input *input, enum hostile_kind kind)
{
	size_t i;

	for (i = 0; i < input->count; i++)
		if (input->parts[i].kind == kind)
			return &input->parts[i];
	return NULL;
}
