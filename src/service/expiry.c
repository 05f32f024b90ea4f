/*
 * expiry: see expiry.h.
 *
 * Answers for when a warning is due and for its line.  What ends when is told by the identities and by the paths.
 */
#include "service/expiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

#define HOUR_S INT64_C(3600)
#define DAY_S (24 * HOUR_S)

/* A name behind which servers with different certificates take turns must not be warned of at each turn. */
#define SERVERS_REMEMBERED 4

struct expiry_entry {
	const char *relay;             /* borrowed from the set */
	const struct relay_path *path; /* borrowed from the set; NULL: of the client's chain */
	struct cert_end end;
	int64_t warned_s; /* 0: not yet */
	bool of_listener; /* of listen_cert, or the local CA */
	bool in_use;      /* false: this path's server has shown another one since */
};

struct expiry {
	struct relay_set *set; /* borrowed */
	struct expiry_entry *entries;
	size_t count;
};

struct expiry_due expiry_judge(int64_t now_s, int64_t not_after_s, int64_t warning_s, int64_t warned_s)
{
	/* The last second of notAfter is still valid (RFC 5280 4.1.2.5). */
	struct expiry_due due = {.over = now_s > not_after_s, .next_s = INT64_MAX};
	bool near = not_after_s - now_s < warning_s, last_day = not_after_s - now_s < DAY_S;
	int64_t interval_s = last_day ? HOUR_S : DAY_S;

	if (warned_s > now_s)
		warned_s = 0;
	if (due.over) {
		due.warn = warned_s <= not_after_s;
		return due;
	}
	due.next_s = not_after_s == INT64_MAX ? INT64_MAX : not_after_s + 1;
	if (!near) {
		if (warning_s > 0 && not_after_s != INT64_MAX)
			due.next_s = not_after_s - warning_s + 1;
		return due;
	}
	due.warn = warned_s == 0 || now_s - warned_s >= interval_s;
	if (due.warn)
		warned_s = now_s;
	if (warned_s + interval_s < due.next_s)
		due.next_s = warned_s + interval_s;
	if (!last_day && not_after_s - DAY_S + 1 < due.next_s)
		due.next_s = not_after_s - DAY_S + 1;
	return due;
}

struct expiry *expiry_new(void)
{
	return mem_calloc(1, sizeof(struct expiry));
}

void expiry_free(struct expiry *expiry)
{
	if (expiry == NULL)
		return;
	free(expiry->entries);
	free(expiry);
}

static struct expiry_entry *add_entry(struct expiry *expiry)
{
	struct expiry_entry *entry;

	expiry->entries = mem_realloc(expiry->entries, (expiry->count + 1) * sizeof(*expiry->entries));
	entry = &expiry->entries[expiry->count++];
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static void add_own(struct expiry *expiry, const char *relay, const struct cert_end *ends, size_t count,
    bool of_listener)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct expiry_entry *entry = add_entry(expiry);

		entry->relay = relay;
		entry->end = ends[i];
		entry->of_listener = of_listener;
		entry->in_use = true;
	}
}

void expiry_set_relays(struct expiry *expiry, struct relay_set *set)
{
	const struct cert_end *ends;
	size_t i, count;

	free(expiry->entries);
	expiry->entries = NULL;
	expiry->count = 0;
	expiry->set = set;
	for (i = 0; i < set->route_count; i++) {
		const struct relay_route *route = &set->routes[i];

		ends = identity_ends(route->identity, &count);
		add_own(expiry, route->config->name, ends, count, false);
		if (route->local == NULL)
			continue;
		ends = local_identity_ends(route->local, &count);
		add_own(expiry, route->config->name, ends, count, true);
	}
}

static void add_server(struct expiry *expiry, const char *relay, const struct relay_path *path,
    const struct cert_end *end)
{
	struct expiry_entry *same = NULL, *oldest = NULL;
	size_t of_path = 0, i;

	for (i = 0; i < expiry->count; i++) {
		struct expiry_entry *entry = &expiry->entries[i];

		if (entry->path != path)
			continue;
		of_path++;
		entry->in_use = false;
		if (entry->end.not_after == end->not_after && strcmp(entry->end.subject, end->subject) == 0)
			same = entry;
		if (oldest == NULL || entry->warned_s < oldest->warned_s)
			oldest = entry;
	}
	if (same == NULL) {
		same = of_path < SERVERS_REMEMBERED ? add_entry(expiry) : oldest;
		same->relay = relay;
		same->path = path;
		same->end = *end;
		same->warned_s = 0;
	}
	same->in_use = true;
}

void expiry_take_servers(struct expiry *expiry)
{
	struct relay_set *set = expiry->set;
	size_t i, j;

	for (i = 0; i < set->route_count; i++) {
		struct relay_route *route = &set->routes[i];

		for (j = 0; j < route->path_count; j++) {
			struct cert_end *end = relay_path_take_server(&route->paths[j]);

			if (end != NULL)
				add_server(expiry, route->config->name, &route->paths[j], end);
			free(end);
		}
	}
}

static void log_entry(const struct expiry_entry *entry, bool over, int64_t now_s)
{
	int64_t left_s = entry->end.not_after - now_s;
	time_t not_after = (time_t)entry->end.not_after;
	struct log_line line;
	char when[64];
	struct tm tm;

	if (!log_begin(&line, over ? LOG_ERROR : LOG_WARN, "certificate-expiring"))
		return;
	log_str(&line, "relay", entry->relay);
	log_str(&line, "of", entry->path != NULL ? "server" : entry->of_listener ? "listener" : "client");
	log_str(&line, "path", entry->path != NULL ? entry->path->config->name : NULL);
	log_str(&line, "which", cert_role_name(entry->end.role));
	log_str(&line, "subject", entry->end.subject);
	if (gmtime_r(&not_after, &tm) != NULL && strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		log_str(&line, "not_after", when);
	/* Whole days, rounded down: 0 in the last one, negative when it is over. */
	log_int(&line, "days_left", left_s >= 0 ? left_s / DAY_S : -((-left_s + DAY_S - 1) / DAY_S));
	if (!over && left_s < DAY_S)
		log_int(&line, "hours_left", left_s / HOUR_S);
	log_str(&line, "msg", over ? "has expired" : entry->path != NULL ? "the server's operator must renew it" :
	    "renew it");
	log_end(&line);
}

int64_t expiry_look(struct expiry *expiry, int64_t now_s)
{
	int64_t warning_s = expiry->set->config->process.expiry_warning_ms / 1000;
	int64_t next_s = now_s + EXPIRY_LOOK_MAX_S;
	size_t i;

	for (i = 0; i < expiry->count; i++) {
		struct expiry_entry *entry = &expiry->entries[i];
		struct expiry_due due;

		if (!entry->in_use)
			continue;
		due = expiry_judge(now_s, entry->end.not_after, warning_s, entry->warned_s);
		if (due.warn) {
			log_entry(entry, due.over, now_s);
			entry->warned_s = now_s;
		}
		if (due.next_s < next_s)
			next_s = due.next_s;
	}
	return next_s > now_s ? next_s - now_s : 1;
}

void expiry_describe_worst(const struct expiry *expiry, int64_t now_s, char *text, size_t text_bytes)
{
	const struct expiry_entry *worst = NULL;
	int64_t left_s;
	size_t i;

	for (i = 0; i < expiry->count; i++) {
		const struct expiry_entry *entry = &expiry->entries[i];

		if (entry->path == NULL && (worst == NULL || entry->end.not_after < worst->end.not_after))
			worst = entry;
	}
	text[0] = '\0';
	if (worst == NULL)
		return;
	left_s = worst->end.not_after - now_s;
	if (left_s < 0)
		snprintf(text, text_bytes, "; %s of relay %s HAS EXPIRED", worst->end.subject, worst->relay);
	else
		snprintf(text, text_bytes, "; %s of relay %s ends in %lld day%s", worst->end.subject, worst->relay,
		    (long long)(left_s / DAY_S), left_s / DAY_S == 1 ? "" : "s");
}
