/*
 * bundle_pem: finds the PEM blocks in a text and undoes their base64.
 *
 * OpenSSL's own PEM reader is not used: it skips what it cannot read without a word, and does not say where a
 * fault is.  What a block means is bundle_read's business.
 */
#include "tls/bundle_pem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define BEGIN_MARK "-----BEGIN "
#define END_MARK "-----END "
#define DASHES "-----"
#define UTF8_BOM "\xef\xbb\xbf"

struct pem_line {
	const char *at;
	size_t len;
	unsigned number;
};

static bool starts_with(const char *at, size_t len, const char *mark)
{
	size_t mark_len = strlen(mark);

	return len >= mark_len && memcmp(at, mark, mark_len) == 0;
}

/* 0x1A is the end-of-file mark that `copy a+b` leaves where two files were joined. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == 0x1a;
}

static void trim(struct pem_line *line)
{
	for (;;) {
		if (line->len > 0 && is_blank(*line->at)) {
			line->at++;
			line->len--;
		} else if (starts_with(line->at, line->len, UTF8_BOM)) {
			line->at += strlen(UTF8_BOM);
			line->len -= strlen(UTF8_BOM);
		} else {
			break;
		}
	}
	while (line->len > 0 && is_blank(line->at[line->len - 1]))
		line->len--;
}

/*
 * `cat` of files without a final line end gives "-----END X----------BEGIN Y-----".  Returns the bytes of the
 * first half, or 0 when the line is no such thing.
 */
static size_t joined_at(const struct pem_line *line)
{
	const char *dashes;
	size_t mark_len = strlen(END_MARK);
	struct pem_line rest = *line;

	if (!starts_with(line->at, line->len, END_MARK))
		return 0;
	dashes = memmem(line->at + mark_len, line->len - mark_len, DASHES, strlen(DASHES));
	if (dashes == NULL)
		return 0;
	rest.at = dashes + strlen(DASHES);
	rest.len = line->len - (size_t)(rest.at - line->at);
	trim(&rest);
	return starts_with(rest.at, rest.len, BEGIN_MARK) ? (size_t)(rest.at - line->at) : 0;
}

static bool next_line(struct bundle_pem *pem, struct pem_line *line)
{
	const char *p = pem->at;
	size_t first_len;

	if (p == pem->end)
		return false;
	line->at = p;
	line->number = pem->line;
	while (p < pem->end && *p != '\n' && *p != '\r')
		p++;
	line->len = (size_t)(p - line->at);
	trim(line);
	first_len = joined_at(line);
	if (first_len > 0) {
		pem->at = line->at + first_len;
		line->len = first_len;
		trim(line);
		return true;
	}
	if (p < pem->end) {
		if (*p == '\r' && p + 1 < pem->end && p[1] == '\n')
			p++;
		p++;
		pem->line++;
	}
	pem->at = p;
	return true;
}

/* The type in "-----BEGIN TYPE-----"; false when the line is damaged. */
static bool marker_type(const struct pem_line *line, const char *mark, char type[BUNDLE_PEM_TYPE_BYTES])
{
	size_t mark_len = strlen(mark), tail_len = strlen(DASHES), len, i;

	if (line->len < mark_len + tail_len + 1 ||
	    memcmp(line->at + line->len - tail_len, DASHES, tail_len) != 0)
		return false;
	len = line->len - mark_len - tail_len;
	if (len >= BUNDLE_PEM_TYPE_BYTES)
		return false;
	for (i = 0; i < len; i++) {
		char c = line->at[mark_len + i];

		if (c < 0x20 || c > 0x7e || c == '-')
			return false;
		type[i] = c;
	}
	type[len] = '\0';
	return true;
}

bool bundle_pem_prefix(const struct bundle_pem_block *block, struct error *err)
{
	return error_prefix(err, "block %u (%s, line %u)", block->number, block->type, block->line);
}

/* Adds a body line's characters to the base64 text. */
static bool add_base64(
    struct bundle_pem_block *block, const struct pem_line *line, char *base64, size_t *len, struct error *err)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < line->len; i++) {
		char c = line->at[i], shown[8];

		if (is_blank(c))
			continue;
		if (c == '\0' || (c != '=' && strchr(alphabet, c) == NULL)) {
			error_set(err, "line %u has a character that is not base64 (%s)", line->number,
			    text_escape(&c, 1, shown, sizeof(shown)));
			return bundle_pem_prefix(block, err);
		}
		if (c != '=' && *len > 0 && base64[*len - 1] == '=') {
			error_set(err, "line %u goes on behind the end of the base64 text (=)", line->number);
			return bundle_pem_prefix(block, err);
		}
		base64[(*len)++] = c;
	}
	return true;
}

static bool decode_base64(struct bundle_pem_block *block, const char *base64, size_t len, struct error *err)
{
	size_t padding = 0;
	int decoded;

	while (padding < len && base64[len - 1 - padding] == '=')
		padding++;
	if (len == padding) {
		error_set(err, "is empty");
		return bundle_pem_prefix(block, err);
	}
	/* The caller bounds the text to far below INT_MAX. */
	decoded = len % 4 == 0 && padding <= 2
		      ? EVP_DecodeBlock(block->der, (const unsigned char *)base64, (int)len)
		      : -1;
	if (decoded < (int)padding) {
		error_set(err,
		    "its base64 text is damaged or cut (%zu characters, which is not whole groups of four); "
		    "copy the block again from its source",
		    len);
		return bundle_pem_prefix(block, err);
	}
	block->der_len = (size_t)decoded - padding;
	return true;
}

/* Dashes are refused, because body_bound() counts on them: no more than what stands before them fits the
 * buffers. */
static bool is_header(const struct pem_line *line)
{
	return line->len > 0 && memchr(line->at, ':', line->len) != NULL &&
	       memchr(line->at, '\0', line->len) == NULL &&
	       memmem(line->at, line->len, DASHES, strlen(DASHES)) == NULL;
}

/* From behind the BEGIN line to the END line. */
static bool read_body(struct bundle_pem *pem, struct bundle_pem_block *block, char *base64, struct error *err)
{
	struct pem_line line;
	char type[BUNDLE_PEM_TYPE_BYTES];
	size_t len = 0, header_len = 0;

	while (next_line(pem, &line)) {
		if (starts_with(line.at, line.len, END_MARK)) {
			if (!marker_type(&line, END_MARK, type)) {
				error_set(err, "its END line, line %u, is damaged", line.number);
				return bundle_pem_prefix(block, err);
			}
			if (strcmp(type, block->type) != 0) {
				error_set(err,
				    "ends as %s in line %u: a part of the file is missing or was put "
				    "together wrongly",
				    type, line.number);
				return bundle_pem_prefix(block, err);
			}
			return decode_base64(block, base64, len, err);
		}
		if (starts_with(line.at, line.len, DASHES)) {
			error_set(err, "has no END line: line %u begins another block", line.number);
			return bundle_pem_prefix(block, err);
		}
		if (len == 0 && is_header(&line)) {
			memcpy(block->header + header_len, line.at, line.len);
			header_len += line.len;
			block->header[header_len++] = '\n';
		} else if (!add_base64(block, &line, base64, &len, err)) {
			return false;
		}
	}
	error_set(err, "is cut short: the file ends before \"-----END %s-----\"", block->type);
	return bundle_pem_prefix(block, err);
}

void bundle_pem_start(struct bundle_pem *pem, const char *text, size_t len)
{
	pem->at = text;
	pem->end = text + len;
	pem->line = 1;
	pem->count = 0;
}

/* Finds the next BEGIN line. */
static enum bundle_pem_result find_begin(
    struct bundle_pem *pem, struct bundle_pem_block *block, struct error *err)
{
	struct pem_line line;

	while (next_line(pem, &line)) {
		if (starts_with(line.at, line.len, END_MARK)) {
			error_set(err,
			    "line %u ends a block that was not begun: a part of the file is missing",
			    line.number);
			return BUNDLE_PEM_FAULT;
		}
		if (!starts_with(line.at, line.len, BEGIN_MARK))
			continue;
		pem->count++;
		if (!marker_type(&line, BEGIN_MARK, block->type)) {
			error_set(err,
			    "line %u, a BEGIN line, is damaged, or the line breaks behind it were lost",
			    line.number);
			return BUNDLE_PEM_FAULT;
		}
		block->number = pem->count;
		block->line = line.number;
		return BUNDLE_PEM_BLOCK;
	}
	return BUNDLE_PEM_END;
}

/* The furthest that the block's body can reach: one allocation per buffer, as a growing one leaves keys
 * behind. */
static size_t body_bound(const struct bundle_pem *pem)
{
	size_t rest = (size_t)(pem->end - pem->at);
	const char *stop = rest == 0 ? NULL : memmem(pem->at, rest, DASHES, strlen(DASHES));

	return (stop == NULL ? rest : (size_t)(stop - pem->at)) + 1;
}

enum bundle_pem_result bundle_pem_next(
    struct bundle_pem *pem, struct bundle_pem_block *block, struct error *err)
{
	enum bundle_pem_result result;
	char *base64;
	bool ok;

	memset(block, 0, sizeof(*block));
	result = find_begin(pem, block, err);
	if (result != BUNDLE_PEM_BLOCK)
		return result;
	/* One byte more than the text: a header line may lose its line end to the end of the text, and gets
	 * an LF. */
	block->held_bytes = body_bound(pem) + 1;
	base64 = mem_calloc(1, block->held_bytes);
	block->header = mem_calloc(1, block->held_bytes);
	block->der = mem_calloc(1, block->held_bytes);
	ok = read_body(pem, block, base64, err);
	OPENSSL_cleanse(base64, block->held_bytes);
	free(base64);
	if (!ok) {
		bundle_pem_block_clear(block);
		return BUNDLE_PEM_FAULT;
	}
	return BUNDLE_PEM_BLOCK;
}

void bundle_pem_block_clear(struct bundle_pem_block *block)
{
	if (block->der != NULL)
		OPENSSL_cleanse(block->der, block->held_bytes);
	if (block->header != NULL)
		OPENSSL_cleanse(block->header, block->held_bytes);
	free(block->der);
	free(block->header);
	memset(block, 0, sizeof(*block));
}
