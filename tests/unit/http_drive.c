/*
 * http_drive: gives an http_relay its bytes as a relay does: the client's as far as they are taken, then the
 * target's, and the client's again after every step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "unit/http_drive.h"

#define COPY_MAX_BYTES 4096

/* One side's bytes, on their way. */
struct source {
	const char *bytes;
	size_t len, at, split;
	bool stopped;
};

static size_t next_len(const struct source *source)
{
	if (source->split == DRIVE_BYTES)
		return source->at < source->len ? 1 : 0;
	return (source->at < source->split && source->split < source->len ? source->split : source->len) -
	       source->at;
}

static void add(struct drive_bytes *bytes, const struct http_piece *piece)
{
	if (piece->len == 0)
		return;
	bytes->at = mem_realloc(bytes->at, bytes->len + piece->len);
	memcpy(bytes->at + bytes->len, piece->bytes, piece->len);
	bytes->len += piece->len;
}

/* A head is about to be added: the message before it ends here. */
static void begin_message(struct drive_bytes *bytes, size_t head_len, bool no_body)
{
	size_t start = bytes->len - head_len;

	if (bytes->count > 0 && !bytes->more)
		bytes->messages[bytes->count - 1].end = start;
	bytes->more = bytes->count == DRIVE_MESSAGES;
	if (bytes->more)
		return;
	bytes->messages[bytes->count++] =
	    (struct drive_message){.start = start, .whole = true, .no_body = no_body};
}

/* NULL: none, or the last one is not noted. */
static struct drive_message *last_message(struct drive_bytes *bytes)
{
	return bytes->count > 0 && !bytes->more ? &bytes->messages[bytes->count - 1] : NULL;
}

static void end_messages(struct drive_bytes *bytes, bool whole)
{
	struct drive_message *last = last_message(bytes);

	if (last == NULL || last->end != 0)
		return;
	last->end = bytes->len;
	last->whole = whole;
}

typedef enum http_step step_function(
    struct http_relay *, const unsigned char *, size_t, size_t *, struct http_piece *);

/* One call; what it passes on is added to `to`. */
static enum http_step give(struct http_relay *http, step_function *step, struct source *source,
    struct drive_bytes *to, size_t *given)
{
	size_t len = next_len(source), taken = 0;
	const unsigned char *bytes = (const unsigned char *)source->bytes + source->at;
	unsigned char *copy = len > 0 && len <= COPY_MAX_BYTES ? mem_dup(bytes, len) : NULL;
	struct http_piece piece;
	enum http_step got = step(http, copy != NULL ? copy : bytes, len, &taken, &piece);

	midrelay_assert(taken <= len);
	midrelay_assert(got != HTTP_PIECE || taken > 0 || len == 0);
	midrelay_assert((got != HTTP_WAIT && got != HTTP_BAD) || (taken == 0 && piece.len == 0));
	add(to, &piece);
	*given = piece.len;
	free(copy);
	source->at += taken;
	return got;
}

static void note_request(struct drive *drive, const struct http_relay *http)
{
	const struct http_request_head *head = http_relay_request_head(http);

	snprintf(drive->method, sizeof(drive->method), "%s", head->method);
	drive->safe = head->safe_method;
	drive->keeps = head->keeps_connection;
	drive->upgrade = head->upgrade;
}

static void note_connect(struct drive *drive, const struct http_relay *http)
{
	const struct http_request_head *head = http_relay_request_head(http);

	snprintf(drive->connect, sizeof(drive->connect), "%s:%u", head->host, head->port);
}

static void run_client(struct drive *drive, struct http_relay *http, struct source *source)
{
	struct drive_bytes *to = &drive->to_target;
	size_t given;

	drive->waits = false;
	while (!source->stopped && source->at < source->len) {
		switch (give(http, http_relay_request, source, to, &given)) {
		case HTTP_HEAD:
			note_request(drive, http);
			begin_message(to, given, strcmp(drive->method, "HEAD") == 0);
			break;
		case HTTP_PIECE:
			break;
		case HTTP_CONNECT:
			note_request(drive, http);
			note_connect(drive, http);
			source->stopped = true;
			break;
		case HTTP_WAIT:
			drive->waits = true;
			return;
		case HTTP_BAD:
			drive->client_fault = mem_strdup(http_relay_fault(http));
			source->stopped = true;
			break;
		}
		if (source->split == DRIVE_BYTES)
			http_relay_rest(http);
	}
}

/* A response's head: which request it answers says whether a body may follow. */
static void note_response(struct drive *drive, const struct http_relay *http, size_t given)
{
	struct drive_bytes *to = &drive->to_client;
	struct drive_message *last;
	bool final, no_body;

	drive->status = http_relay_status(http);
	final = drive->status >= 200;
	no_body = drive->status == 304 || (final && drive->finals < drive->to_target.count &&
					      drive->to_target.messages[drive->finals].no_body);
	begin_message(to, given, no_body);
	drive->finals += final ? 1 : 0;
	if (http_relay_is_raw(http)) {
		end_messages(to, true);
		last = last_message(to);
		if (last != NULL)
			last->raw_behind = true;
	}
}

static void run_target(
    struct drive *drive, struct http_relay *http, struct source *client, struct source *source)
{
	size_t given;

	while (source->at < source->len) {
		switch (give(http, http_relay_response, source, &drive->to_client, &given)) {
		case HTTP_HEAD:
			note_response(drive, http, given);
			/* A request that is whole ends where the raw bytes begin. */
			if (http_relay_is_raw(http))
				end_messages(&drive->to_target, true);
			break;
		case HTTP_PIECE:
			break;
		case HTTP_BAD:
			drive->target_fault = mem_strdup(http_relay_fault(http));
			return;
		case HTTP_WAIT:
		case HTTP_CONNECT:
			midrelay_assert(false);
		}
		if (source->split == DRIVE_BYTES)
			http_relay_rest(http);
		run_client(drive, http, client);
	}
}

void drive_run(struct drive *drive, const struct http_rules *rules, const char *own_host, const char *client,
    size_t client_len, const char *target, size_t target_len, struct drive_splits splits)
{
	struct http_relay *http = http_relay_new(rules, own_host);
	struct source from_client = {client, client_len, 0, splits.client, false};
	struct source from_target = {target, target_len, 0, splits.target, false};
	struct drive_message *last;
	bool began;

	memset(drive, 0, sizeof(*drive));
	run_client(drive, http, &from_client);
	run_target(drive, http, &from_client, &from_target);
	drive->client_taken = from_client.at;
	drive->target_taken = from_target.at;
	drive->clean = http_relay_is_clean(http);
	drive->over = http_relay_is_over(http);
	drive->raw = http_relay_is_raw(http);
	drive->began = began = http_relay_response_began(http);
	drive->outstanding = http_relay_outstanding(http);
	drive->end_whole = http_relay_response_end(http);
	drive->request_whole = http_relay_request_is_whole(http);
	end_messages(&drive->to_target, drive->request_whole);
	end_messages(&drive->to_client, !began || (drive->end_whole && !drive->raw));
	last = last_message(&drive->to_client);
	if (began && drive->end_whole && !drive->raw && last != NULL)
		last->until_end = true;
	http_relay_free(http);
}

void drive_clear(struct drive *drive)
{
	free(drive->to_target.at);
	free(drive->to_client.at);
	free(drive->client_fault);
	free(drive->target_fault);
	memset(drive, 0, sizeof(*drive));
}
