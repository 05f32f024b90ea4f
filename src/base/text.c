/*
 * text: see text.h.  Pure functions on strings; nothing here allocates, logs or reads the locale.
 */
#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Longer words are never a misspelling of one of ours. */
#define NEAREST_MAX_BYTES 64

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
    /* The largest first: text_format_duration() takes the first that divides. */
    {"d", 24 * 60 * 60 * 1000},
    {"h", 60 * 60 * 1000},
    {"m", 60 * 1000},
    {"s", 1000},
    {"ms", 1},
};

static const struct unit size_units[] = {
    {"", 1},
    {"k", 1024},
    {"m", 1024 * 1024},
    {"g", 1024 * 1024 * 1024},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads leading digits; NULL when there are none or the number is above max. */
static const char *read_digits(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (sum > (max - digit) / 10)
			return NULL;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return text;
}

static bool read_with_unit(
    const char *text, const struct unit *units, size_t unit_count, uint64_t max, uint64_t *value)
{
	uint64_t number;
	const char *rest = read_digits(text, max, &number);
	size_t i;

	if (rest == NULL)
		return false;
	for (i = 0; i < unit_count; i++) {
		if (strcmp(rest, units[i].name) == 0) {
			if (number > max / units[i].factor)
				return false;
			*value = number * units[i].factor;
			return true;
		}
	}
	return false;
}

bool text_parse_duration(const char *text, int64_t *ms)
{
	uint64_t value;

	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return true;
	}
	if (!read_with_unit(text, duration_units, COUNT(duration_units), INT64_MAX, &value))
		return false;
	*ms = (int64_t)value;
	return true;
}

const char *text_format_duration(int64_t ms, char *buf, size_t buf_bytes)
{
	size_t i;

	midrelay_assert(ms >= 0);
	if (ms == 0) {
		snprintf(buf, buf_bytes, "0");
		return buf;
	}
	for (i = 0; (uint64_t)ms % duration_units[i].factor != 0; i++)
		;
	snprintf(
	    buf, buf_bytes, "%" PRIu64 "%s", (uint64_t)ms / duration_units[i].factor, duration_units[i].name);
	return buf;
}

bool text_parse_size(const char *text, uint64_t *bytes)
{
	return read_with_unit(text, size_units, COUNT(size_units), UINT64_MAX, bytes);
}

bool text_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number;
	const char *rest = read_digits(text, UINT64_MAX, &number);

	if (rest == NULL || *rest != '\0' || number < min || number > max)
		return false;
	*value = number;
	return true;
}

/* RFC 4648 section 4, with padding. */
void text_base64_encode(const void *from, size_t len, char *to)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = from;
	size_t i;

	for (i = 0; i + 2 < len; i += 3) {
		uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		*to++ = alphabet[group >> 18];
		*to++ = alphabet[group >> 12 & 63];
		*to++ = alphabet[group >> 6 & 63];
		*to++ = alphabet[group & 63];
	}
	if (i < len) {
		uint32_t group = (uint32_t)in[i] << 16;

		if (i + 1 < len)
			group |= (uint32_t)in[i + 1] << 8;
		*to++ = alphabet[group >> 18];
		*to++ = alphabet[group >> 12 & 63];
		*to++ = '=';
		if (i + 1 < len)
			to[-1] = alphabet[group >> 6 & 63];
		*to++ = '=';
	}
	*to = '\0';
}

/* What one byte is shown as: at most 4 characters. */
static size_t escape_byte(unsigned char byte, char shown[4])
{
	static const char hex[] = "0123456789abcdef";

	shown[0] = '\\';
	if (byte == '\\') {
		shown[1] = '\\';
		return 2;
	}
	if (byte >= 0x20 && byte < 0x7f) {
		shown[0] = (char)byte;
		return 1;
	}
	shown[1] = 'x';
	shown[2] = hex[byte >> 4];
	shown[3] = hex[byte & 15];
	return 4;
}

const char *text_escape(const void *from, size_t len, char *buf, size_t buf_bytes)
{
	const unsigned char *in = from;
	size_t used = 0, i;
	size_t cut = 0; /* where "..." would still fit behind whole characters */
	char shown[4];

	if (buf_bytes == 0)
		return buf;
	for (i = 0; i < len; i++) {
		size_t n = escape_byte(in[i], shown);

		if (used + n + 1 > buf_bytes) {
			size_t dots = buf_bytes - 1 - cut < 3 ? buf_bytes - 1 - cut : 3;

			memcpy(buf + cut, "...", dots);
			buf[cut + dots] = '\0';
			return buf;
		}
		memcpy(buf + used, shown, n);
		used += n;
		if (used + 3 + 1 <= buf_bytes)
			cut = used;
	}
	buf[used] = '\0';
	return buf;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *text_trim(char *text)
{
	size_t len;

	while (is_space(*text))
		text++;
	len = strlen(text);
	while (len > 0 && is_space(text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

static char lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: insert, delete, replace, or swap two neighbours.  Both at most NEAREST_MAX_BYTES.
 */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NEAREST_MAX_BYTES + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];
	size_t i, j;

	memset(rows, 0, sizeof(rows));
	for (j = 0; j <= b_len; j++)
		last[j] = (unsigned)j;
	for (i = 1; i <= a_len; i++) {
		unsigned *spare;

		row[0] = (unsigned)i;
		for (j = 1; j <= b_len; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
	size_t word_len = strlen(word);
	unsigned limit = (unsigned)(word_len / 3);
	const char *nearest = NULL;

	if (word_len == 0 || word_len > NEAREST_MAX_BYTES)
		return NULL;
	if (limit < 1)
		limit = 1;
	if (limit > 3)
		limit = 3;
	for (; *candidates != NULL; candidates++) {
		size_t len = strlen(*candidates);
		unsigned distance;

		if (len > NEAREST_MAX_BYTES)
			continue;
		distance = edit_distance(word, word_len, *candidates, len);
		if (distance > limit)
			continue;
		nearest = *candidates;
		if (distance == 0)
			break;
		limit = distance - 1;
	}
	return nearest;
}

bool text_has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

bool text_is_uri(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return len > 1 && text[len] == ':' && isalpha((unsigned char)text[0]);
}

const char *text_file_uri_path(const char *text)
{
	static const char file[] = "file:", here[] = "localhost/";
	const char *path = text + strlen(file);

	if (strncasecmp(text, file, strlen(file)) != 0 || path[0] != '/')
		return text;
	if (path[1] != '/')
		return path;
	if (strncasecmp(path + 2, here, strlen(here)) == 0)
		return path + strlen("//") + strlen(here) - 1;
	return path[2] == '/' ? path + 2 : text; /* else another host's */
}
