/*
 * Fuzzes the telling of TLS messages: whatever the bytes, each line is printable, within its bound, and a
 * message makes no more of them than its largest lists allow.
 *
 * Input: a byte whose bits say where the connection stands, then messages one behind the other, each with its
 * header; the last one takes what is left.  A message of type 255 is an alert, which has no header of its
 * own.
 */
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/handshake_words.h"

#define HEADER_BYTES 4
#define ALERT_TYPE 255
#define MAX_LINES (HANDSHAKE_WORDS_MAX_CERTS + HANDSHAKE_WORDS_MAX_CAS + 8)

enum flag { FLAG_SENT = 1, FLAG_TLS13 = 2, FLAG_ECDHE = 4, FLAG_OFFERS_SESSION = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *arg, const char *text)
{
	unsigned *lines = arg;

	midrelay_assert(text[0] != '\0');
	midrelay_assert(strlen(text) < HANDSHAKE_WORDS_LINE_BYTES);
	for (; *text != '\0'; text++)
		midrelay_assert(*text >= 0x20 && *text <= 0x7e);
	midrelay_assert(++*lines <= MAX_LINES);
}

static SSL *any_ssl(void)
{
	static SSL_CTX *ctx;
	static SSL *ssl;

	if (ssl == NULL) {
		ctx = SSL_CTX_new(TLS_client_method());
		ssl = SSL_new(ctx);
		midrelay_assert(ssl != NULL);
	}
	return ssl;
}

static size_t message_bytes(const uint8_t *data, size_t size)
{
	size_t len;

	if (size < HEADER_BYTES)
		return size;
	len = HEADER_BYTES + ((size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3]);
	return len < size ? len : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handshake_words words = {.ssl = any_ssl(), .line = on_line};
	bool sent;

	if (size == 0)
		return 0;
	sent = (data[0] & FLAG_SENT) != 0;
	words.tls13 = (data[0] & FLAG_TLS13) != 0;
	words.key_is_ecdhe = (data[0] & FLAG_ECDHE) != 0;
	words.offers_session = (data[0] & FLAG_OFFERS_SESSION) != 0;
	data++;
	size--;
	while (size > 0) {
		size_t len = message_bytes(data, size);
		uint8_t *exact = mem_dup(data, len); /* so that a read behind it is seen */
		unsigned lines = 0;

		words.arg = &lines;
		if (data[0] == ALERT_TYPE)
			handshake_words_alert(&words, sent, exact + 1, len - 1);
		else
			handshake_words_message(&words, sent, exact, len);
		midrelay_assert(lines > 0);
		free(exact);
		data += len;
		size -= len;
	}
	return 0;
}
