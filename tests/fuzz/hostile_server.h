/*
 * hostile_server: the far end of fuzz_judge: a TLS server in memory that presents the parts of an input.
 *
 * TLS 1.3 where OpenSSL takes the certificates for its own.  TLS 1.2 else: there the Certificate message is
 * put together here, from whatever bytes, in place of the server's; the client notices that after it has
 * judged.
 */
#ifndef MIDRELAY_TESTS_FUZZ_HOSTILE_SERVER_H
#define MIDRELAY_TESTS_FUZZ_HOSTILE_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "hostile_input.h"

struct hostile_server {
	SSL *ssl;
	const struct hostile_input *input; /* borrowed */
	int fd;                            /* borrowed */
	bool replaces_certs;
	bool flight_sent; /* the first one */
};

void hostile_server_start(struct hostile_server *server, const struct hostile_input *input, int fd);
void hostile_server_end(struct hostile_server *server);
/* As far as it goes without waiting; false when nothing was sent. */
bool hostile_server_turn(struct hostile_server *server);

#endif
