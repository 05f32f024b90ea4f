/*
 * The bound of a measurement: what relaying costs when nothing else is done.  One thread, epoll, OpenSSL; it makes the
 * CONNECT, verifies the server, shows its certificate, resumes sessions and moves bytes in few system calls.  It has
 * no time-outs, log, half-close or fairness, and is of no use but to be compared with.
 *
 *   bare PORT HOP connect|plain NAME CHAIN KEY CA      listens on PORT; HOP: the proxy's port, or (plain) the server's
 *
 * Interests are edge-triggered and never changed: a side is tried until it blocks, or gave less than was asked.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Records of 64 KiB of plain text, with their heads and tags. */
#define GATHER_BYTES (BENCH_BLOCK + 4096)
#define IDLE_US 1000000

/* What could not be sent at once; nothing more is read for this side while there is any. */
struct rest {
	unsigned char *bytes;
	size_t length;
	size_t at;
};

struct side {
	struct conn *conn;
	int fd;
	bool readable;
	struct rest rest;
};

struct conn {
	struct side client, server;
	SSL *ssl;
	enum { ANSWER, HANDSHAKE, RELAY } state;
	uint64_t active_us;
	bool warm;               /* has OpenSSL's buffers, and is in the list */
	bool over;
	struct conn *next_warm;
	struct conn *next_over;
};

static int poll_fd;
static unsigned hop;
static bool plain;
static const char *name;
static SSL_CTX *context;
static SSL_SESSION *session;
static BIO_METHOD *method;
static struct conn *warm, *over;
static char request[600];
/* Of the call of OpenSSL that is running. */
static unsigned char gathered[GATHER_BYTES];
static size_t gathered_length;

static void conn_close(struct conn *conn)
{
	if (conn->over)
		return;
	conn->over = true;
	conn->next_over = over;
	over = conn;
	close(conn->client.fd);
	close(conn->server.fd);
}

static bool side_flush(struct side *side)
{
	struct rest *rest = &side->rest;

	while (rest->bytes) {
		ssize_t sent = send(side->fd, rest->bytes + rest->at, rest->length - rest->at, 0);

		if (sent < 0)
			return errno == EAGAIN;
		rest->at += (size_t)sent;
		if (rest->at == rest->length) {
			free(rest->bytes);
			*rest = (struct rest){.bytes = NULL};
		}
	}
	return true;
}

static bool side_send(struct side *side, const unsigned char *bytes, size_t length)
{
	ssize_t sent = send(side->fd, bytes, length, 0);

	if (sent < 0 && errno != EAGAIN)
		return false;
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == length)
		return true;
	side->rest.length = length - (size_t)sent;
	side->rest.bytes = malloc(side->rest.length);
	if (!side->rest.bytes)
		bench_die("malloc");
	memcpy(side->rest.bytes, bytes + sent, side->rest.length);
	return true;
}

/* OpenSSL's descriptor: reads from the server's socket, and gathers what is to be written. */
static int bio_read(BIO *bio, char *out, int length)
{
	struct side *server = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (server->readable) {
		got = recv(server->fd, out, (size_t)length, 0);
		server->readable = got == length || got == 0;
		if (got >= 0 || errno != EAGAIN)
			return (int)got;
	}
	BIO_set_retry_read(bio);
	return -1;
}

static int bio_write(BIO *bio, const char *bytes, int length)
{
	BIO_clear_retry_flags(bio);
	if ((size_t)length > sizeof(gathered) - gathered_length)
		return -1;
	memcpy(gathered + gathered_length, bytes, (size_t)length);
	gathered_length += (size_t)length;
	return length;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return what == BIO_CTRL_FLUSH;
}

static bool send_gathered(struct conn *conn)
{
	size_t length = gathered_length;

	gathered_length = 0;
	return length == 0 || side_send(&conn->server, gathered, length);
}

/* Each step returns false when the connection is over. */
static bool step_answer(struct conn *conn)
{
	char head[4096];
	ssize_t got = recv(conn->server.fd, head, sizeof(head), 0);

	if (got < 0)
		return errno == EAGAIN;
	conn->server.readable = false;
	conn->state = HANDSHAKE;
	return got > 16 && memcmp(head + 8, " 200 ", 5) == 0 && memmem(head, (size_t)got, "\r\n\r\n", 4);
}

static bool step_handshake(struct conn *conn)
{
	int result = SSL_do_handshake(conn->ssl);

	if (!send_gathered(conn))
		return false;
	if (result == 1)
		conn->state = RELAY;
	return result == 1 || SSL_get_error(conn->ssl, result) == SSL_ERROR_WANT_READ;
}

static bool step_up(struct conn *conn, bool *moved)
{
	unsigned char buffer[BENCH_BLOCK];
	ssize_t got;

	if (!conn->client.readable || conn->server.rest.bytes)
		return true;
	got = recv(conn->client.fd, buffer, sizeof(buffer), 0);
	conn->client.readable = got == (ssize_t)sizeof(buffer);
	if (got < 0)
		return errno == EAGAIN;
	if (got == 0) {
		SSL_shutdown(conn->ssl);
		send_gathered(conn);
		return false;
	}
	*moved = true;
	return SSL_write(conn->ssl, buffer, (int)got) == got && send_gathered(conn);
}

static bool step_down(struct conn *conn, bool *moved)
{
	unsigned char buffer[BENCH_BLOCK];
	size_t length = 0;
	int got = 0;

	if (conn->client.rest.bytes || (!conn->server.readable && !SSL_has_pending(conn->ssl)))
		return true;
	while (length < sizeof(buffer)) {
		got = SSL_read(conn->ssl, buffer + length, (int)(sizeof(buffer) - length));
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	if (!send_gathered(conn) || (length > 0 && !side_send(&conn->client, buffer, length)))
		return false;
	*moved = *moved || length > 0;
	return got > 0 || SSL_get_error(conn->ssl, got) == SSL_ERROR_WANT_READ;
}

static bool conn_step(struct conn *conn)
{
	bool moved = true;

	ERR_clear_error();
	if (!side_flush(&conn->client) || !side_flush(&conn->server))
		return false;
	if (conn->state == ANSWER && conn->server.readable && !step_answer(conn))
		return false;
	if (conn->state == HANDSHAKE && !step_handshake(conn))
		return false;
	while (conn->state == RELAY && moved) {
		moved = false;
		if (!step_up(conn, &moved) || !step_down(conn, &moved))
			return false;
	}
	return true;
}

static void conn_run(struct conn *conn)
{
	if (!conn_step(conn)) {
		conn_close(conn);
		return;
	}
	conn->active_us = bench_now_us();
	if (!conn->warm) {
		conn->warm = true;
		conn->next_warm = warm;
		warm = conn;
	}
}

/* Lets go of the buffers of those that were silent, and of those that are over. */
static void sweep(void)
{
	uint64_t now = bench_now_us();
	struct conn **link = &warm, *conn;
	bool freed = false;

	while ((conn = *link)) {
		if (!conn->over && now - conn->active_us < IDLE_US) {
			link = &conn->next_warm;
			continue;
		}
		*link = conn->next_warm;
		conn->warm = false;
		if (!conn->over)
			freed |= SSL_free_buffers(conn->ssl) == 1;
	}
	if (freed)
		malloc_trim(0);
}

static void bury(void)
{
	struct conn *conn, **link = &over;

	while ((conn = *link)) {
		if (conn->warm) {
			link = &conn->next_over;
			continue;
		}
		*link = conn->next_over;
		SSL_free(conn->ssl);
		free(conn->client.rest.bytes);
		free(conn->server.rest.bytes);
		free(conn);
	}
}

static SSL *make_ssl(struct side *server)
{
	SSL *ssl = SSL_new(context);
	SSL_SESSION *mine = session ? SSL_SESSION_dup(session) : NULL;
	BIO *bio = BIO_new(method);

	if (!ssl || !bio || SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
		bench_die("SSL_new");
	if (mine)
		SSL_set_session(ssl, mine);
	SSL_SESSION_free(mine);
	BIO_set_data(bio, server);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void watch(int fd, void *mark, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = mark};

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		bench_die("epoll_ctl");
}

static void conn_begin(int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		bench_die("calloc");
	conn->client = (struct side){.conn = conn, .fd = fd};
	conn->server = (struct side){.conn = conn, .fd = bench_connect(hop, 1)};
	conn->ssl = make_ssl(&conn->server);
	conn->state = plain ? HANDSHAKE : ANSWER;
	if (conn->server.fd < 0)
		bench_die("connect");
	watch(conn->client.fd, &conn->client, EPOLLIN | EPOLLOUT | EPOLLET);
	watch(conn->server.fd, &conn->server, EPOLLIN | EPOLLOUT | EPOLLET);
	if (!plain && !side_send(&conn->server, (unsigned char *)request, strlen(request)))
		conn_close(conn);
}

static int on_session(SSL *ssl, SSL_SESSION *fresh)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = fresh;
	return 1;
}

static void make_context(char **files)
{
	context = SSL_CTX_new(TLS_client_method());
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "side");
	if (!context || !method || SSL_CTX_use_certificate_chain_file(context, files[0]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_locations(context, files[2], NULL) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, GATHER_BYTES);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
}

static int listen_on(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0)
		bench_die("listen");
	return fd;
}

static _Noreturn void run(int listener)
{
	struct epoll_event events[256];
	uint64_t swept_us = 0;

	for (;;) {
		int count = epoll_wait(poll_fd, events, 256, warm || over ? 1000 : -1), fd;

		for (int i = 0; i < count; i++) {
			struct side *side = events[i].data.ptr;

			if (!side) {
				while ((fd = bench_accept(listener)) >= 0)
					conn_begin(fd);
			} else if (!side->conn->over) {
				side->readable |= (events[i].events & ~(uint32_t)EPOLLOUT) != 0;
				conn_run(side->conn);
			}
		}
		if (bench_now_us() - swept_us > IDLE_US / 4) {
			sweep();
			bury();
			swept_us = bench_now_us();
		}
	}
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	int listener;

	if (argc != 8) {
		fprintf(stderr, "usage: bare PORT HOP connect|plain NAME CHAIN KEY CA\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	hop = (unsigned)bench_number("HOP", argv[2]);
	plain = strcmp(argv[3], "plain") == 0;
	name = argv[4];
	snprintf(request, sizeof(request), "CONNECT %.200s:443 HTTP/1.1\r\nHost: %.200s:443\r\n\r\n", name, name);
	make_context(argv + 5);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on((unsigned)bench_number("PORT", argv[1]));
	watch(listener, NULL, EPOLLIN);
	run(listener);
}
