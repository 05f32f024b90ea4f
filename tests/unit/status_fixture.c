/*
 * status_fixture: see status_fixture.h.
 */
#include "status_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NOW_S 1795163400 /* 2026-11-20T08:30:00Z */
#define HOUR_S 3600
#define DAY_S 86400
#define MS 1000
#define FINGERPRINT                                                                                          \
	"6E:0B:41:D8:92:11:5A:C3:77:FE:20:9D:48:B6:03:EC:5F:91:AA:D0:34:7C:18:E9:62:BD:0F:85:C6:2A:71:9E"

static struct status_report *new_report(void)
{
	struct status_report *report = status_report_new();

	report->version = "0.1.0";
	report->openssl = "3.0.17";
	report->libevent = "2.1.12-stable";
	report->file = mem_strdup("/etc/midrelay/midrelay.ini");
	report->now_s = NOW_S;
	report->started_s = NOW_S - 9 * DAY_S - 5 * HOUR_S;
	report->generation = 1;
	report->loaded_s = report->started_s;
	report->last_reload_ok = true;
	report->workers = 2;
	report->max_connections = 4096;
	report->descriptors = 131;
	report->descriptor_limit = 16384;
	report->expiry_warning_s = 30 * DAY_S;
	report->loop_lag_us = mem_calloc(2, sizeof(int64_t));
	report->loop_lag_us[0] = 140;
	report->loop_lag_us[1] = 1900;
	report->sandbox = mem_strdup("Landlock (files, ABI 2) and seccomp");
	return report;
}

static struct status_relay *add_relay(struct status_report *report, const char *name, const char *listen)
{
	struct status_relay *relay;

	report->relays = mem_realloc(report->relays, (report->relay_count + 1) * sizeof(report->relays[0]));
	relay = &report->relays[report->relay_count++];
	memset(relay, 0, sizeof(*relay));
	relay->name = mem_strdup(name);
	relay->target = mem_printf("%s.service-now.com:443", name);
	relay->mode = mem_strdup("http");
	relay->listens = mem_calloc(1, sizeof(char *));
	relay->listens[relay->listen_count++] = mem_strdup(listen);
	relay->ready = true;
	return relay;
}

static struct status_path *add_path(
    struct status_relay *relay, const char *name, enum status_path_state state)
{
	struct status_path *path;
	int stage;

	relay->paths = mem_realloc(relay->paths, (relay->path_count + 1) * sizeof(relay->paths[0]));
	path = &relay->paths[relay->path_count++];
	memset(path, 0, sizeof(*path));
	path->name = mem_strdup(name);
	path->state = state;
	path->since_s = state == STATUS_PATH_UNTRIED ? 0 : NOW_S - 3 * HOUR_S - 700;
	for (stage = 0; stage < STATUS_STAGES; stage++)
		path->last_us[stage] = -1;
	return path;
}

static void add_dials(struct status_path *path, enum diagnosis_code code, uint64_t count)
{
	path->dials = mem_realloc(path->dials, (path->dial_count + 1) * sizeof(path->dials[0]));
	path->dials[path->dial_count].code = code;
	path->dials[path->dial_count++].count = count;
}

static void set_stages(struct status_path *path, int64_t resolve, int64_t connect, int64_t proxy, int64_t tls)
{
	path->last_us[STATUS_RESOLVE] = resolve;
	path->last_us[STATUS_CONNECT] = connect;
	path->last_us[STATUS_PROXY] = proxy;
	path->last_us[STATUS_TLS] = tls;
}

static void add_cert(
    struct status_relay *relay, const char *what, const char *subject, const char *path, int64_t left_s)
{
	struct status_cert *cert;

	relay->certs = mem_realloc(relay->certs, (relay->cert_count + 1) * sizeof(relay->certs[0]));
	cert = &relay->certs[relay->cert_count++];
	memset(cert, 0, sizeof(*cert));
	cert->what = what;
	cert->subject = mem_strdup(subject);
	cert->path = path != NULL ? mem_strdup(path) : NULL;
	cert->fingerprint = path == NULL ? mem_strdup(FINGERPRINT) : NULL;
	cert->not_before_s = NOW_S - 300 * DAY_S;
	cert->not_after_s = NOW_S + left_s;
}

static void add_failure(struct status_relay *relay, const char *path, enum diagnosis_code code,
    const char *sentence, int64_t ago_s, uint64_t count)
{
	struct status_failure *failure;

	relay->failures =
	    mem_realloc(relay->failures, (relay->failure_count + 1) * sizeof(relay->failures[0]));
	failure = &relay->failures[relay->failure_count++];
	memset(failure, 0, sizeof(*failure));
	failure->at_s = NOW_S - ago_s;
	failure->path = path != NULL ? mem_strdup(path) : NULL;
	failure->code = code;
	snprintf(failure->sentence, sizeof(failure->sentence), "%s", sentence);
	failure->count = count;
}

static void fail(struct status_path *path, enum diagnosis_code code, enum diagnosis_cause cause,
    const char *sentence, int64_t ago_s)
{
	diagnosis_set(&path->diagnosis, code, "%s", sentence);
	diagnosis_set_cause(&path->diagnosis, cause);
	path->failed_s = NOW_S - ago_s;
	if (path->state == STATUS_PATH_FAILED)
		path->since_s = NOW_S - ago_s - 240;
	add_dials(path, code, 37);
}

#define PROXY_A "http://proxy-a.corp.example:3128"
#define PROXY_B "http://proxy-b.corp.example:3128"

/* With all that a relay can have. */
static struct status_relay *add_healthy(struct status_report *report, const char *name, unsigned seed)
{
	char *listen = mem_printf("127.0.0.1:%u", 8080 + seed),
	     *subject = mem_printf("CN=mid-%s,O=Example", name);
	char *server = mem_printf("CN=*.service-now.com");
	struct status_relay *relay = add_relay(report, name, listen);
	struct status_path *path = add_path(relay, PROXY_A, STATUS_PATH_OK);

	set_stages(path, 400, 1300 + 100 * seed, 21 * MS, (58 + seed) * MS);
	add_dials(path, DIAGNOSIS_OK, 18240 + seed);
	path->resumed = 17911;
	path = add_path(relay, PROXY_B, STATUS_PATH_UNTRIED);
	add_cert(relay, "client", subject, NULL, (212 + seed) * DAY_S);
	add_cert(relay, "client-chain", "CN=Example Issuing CA 2,O=Example", NULL, 1800 * DAY_S);
	add_cert(relay, "server", server, PROXY_A, 71 * DAY_S);
	relay->open = 12 + seed;
	report->open += relay->open;
	relay->sessions = 18411 + seed;
	relay->bytes_up = 3221225472 + seed * 1000;
	relay->bytes_down = 412316860;
	relay->ready_tunnels = 2;
	relay->ready_hits = 17120;
	relay->ready_misses = 1291;
	relay->ready_made = 18000;
	relay->ready_expired = 860;
	relay->ready_died = 20;
	free(listen);
	free(subject);
	free(server);
	return relay;
}

static void break_credentials(struct status_relay *relay)
{
	static const char sentence[] = "proxy-a.corp.example:3128 (10.20.0.8) answered \"HTTP/1.1 407 Proxy "
				       "Authentication Required\" to the credentials of svc-mid (Basic realm "
				       "\"Corp Web Access\")";

	relay->paths[0].state = STATUS_PATH_FAILED;
	fail(&relay->paths[0], DIAGNOSIS_PROXY_AUTH_REJECTED, DIAGNOSIS_CAUSE_NONE, sentence, 14);
	add_failure(relay, PROXY_A, DIAGNOSIS_PROXY_AUTH_REJECTED, sentence, 14, 37);
	relay->paths[1].state = STATUS_PATH_FAILED;
	fail(&relay->paths[1], DIAGNOSIS_CONNECT_TIMEOUT, DIAGNOSIS_CAUSE_NONE,
	    "no answer from proxy-b.corp.example:3128 (10.20.0.9) within 5s", 9);
	add_failure(relay, PROXY_B, DIAGNOSIS_CONNECT_TIMEOUT,
	    "no answer from proxy-b.corp.example:3128 (10.20.0.9) within 5s", 9, 36);
	relay->ready = false;
	relay->unready = mem_strdup("the last dial over " PROXY_B " failed: connect-timeout");
	relay->ready_tunnels = 0;
	relay->open = 0;
}

static void break_one_path(struct status_relay *relay)
{
	relay->paths[1].state = STATUS_PATH_OK;
	relay->paths[1].since_s = NOW_S - 130;
	set_stages(&relay->paths[1], 900, 4 * MS, 44 * MS, 93 * MS);
	add_dials(&relay->paths[1], DIAGNOSIS_OK, 4);
	relay->paths[0].state = STATUS_PATH_FAILED;
	fail(&relay->paths[0], DIAGNOSIS_TLS_INSPECTED, DIAGNOSIS_CAUSE_NONE,
	    "the certificate for acme.service-now.com comes from \"CN=Corp Web Gateway CA\" (Zscaler), which "
	    "inspects TLS; nothing was sent to it",
	    130);
	add_failure(relay, PROXY_A, DIAGNOSIS_TLS_INSPECTED, relay->paths[0].diagnosis.sentence, 130, 2);
	relay->inspections = 2;
}

static void recover(struct status_relay *relay)
{
	fail(&relay->paths[0], DIAGNOSIS_PROXY_UPSTREAM_FAILED, DIAGNOSIS_CAUSE_PROXY_DNS,
	    "proxy-a.corp.example:3128 answered \"HTTP/1.1 503 Service Unavailable\"", 4 * HOUR_S);
	add_failure(relay, PROXY_A, DIAGNOSIS_PROXY_UPSTREAM_FAILED, relay->paths[0].diagnosis.sentence,
	    4 * HOUR_S, 6);
	add_failure(relay, NULL, DIAGNOSIS_LOCAL_DENIED,
	    "127.0.0.1:51122 belongs to uid 1007 (deploy), which allow_user does not name", 5 * HOUR_S, 1);
	relay->denied = 1;
}

static void refuse_cert(struct status_relay *relay)
{
	relay->certs[0].not_after_s = NOW_S - 2 * DAY_S - 60;
	relay->ready = false;
	relay->unready = mem_strdup("its client certificate ended 2026-11-18T08:29:00Z");
	relay->certs_refused = 41;
	add_failure(relay, PROXY_A, DIAGNOSIS_INSTANCE_CERT_REFUSED,
	    "the target answered \"HTTP/1.1 400 Bad Request\" with the page \"The SSL certificate error\"",
	    75, 41);
}

static void spoil_process(struct status_report *report)
{
	report->generation = 4;
	report->loaded_s = NOW_S - 30 * HOUR_S;
	report->last_reload_ok = false;
	report->last_reload_s = NOW_S - 1500;
	report->last_reload_error = mem_strdup("/etc/midrelay/midrelay.ini:14: client_bundle: "
					       "/etc/midrelay/midserver-bundle.pem: the private key does "
					       "not belong to the certificate");
	report->descriptors = 15800;
	report->loop_lag_us[1] = 2400000;
}

static struct status_report *many(bool broken)
{
	static const char *const names[] = {"acme", "acme-dev", "acme-test", "globex", "globex-dev",
	    "initech", "initech-emea", "umbrella", "umbrella-test", "hooli", "hooli-dev", "stark", "wayne",
	    "wayne-dev", "wonka", "cyberdyne", "soylent", "tyrell", "vandelay",
	    "zorg-industries-production-emea-west"};
	struct status_report *report = new_report();
	unsigned i;

	for (i = 0; i < 20; i++)
		add_healthy(report, names[i], i);
	if (!broken)
		return report;
	break_credentials(&report->relays[3]);
	break_one_path(&report->relays[5]);
	recover(&report->relays[6]);
	refuse_cert(&report->relays[9]);
	break_credentials(&report->relays[12]);
	report->relays[15].certs[0].not_after_s = NOW_S + 12 * DAY_S;
	report->relays[16].paths[0].inspected = true;
	report->relays[17].certs[0].not_after_s = NOW_S + 30 * HOUR_S;
	spoil_process(report);
	return report;
}

static struct status_report *one_broken(void)
{
	struct status_report *report = new_report();
	struct status_relay *relay = add_healthy(report, "acme", 0);

	break_credentials(relay);
	recover(relay);
	relay->paths[0].dial_count -= 2;
	fail(&relay->paths[0], DIAGNOSIS_PROXY_AUTH_REJECTED, DIAGNOSIS_CAUSE_NONE,
	    relay->failures[0].sentence, 14);
	relay->certs[0].not_after_s = NOW_S + 12 * DAY_S;
	report->last_reload_s = NOW_S - 45;
	report->generation = 2;
	report->loaded_s = NOW_S - 45;
	return report;
}

static struct status_report *ending(void)
{
	struct status_report *report = new_report();

	add_healthy(report, "acme", 0)->certs[0].not_after_s = NOW_S + 12 * DAY_S;
	add_healthy(report, "globex", 1);
	recover(&report->relays[1]);
	report->relays[0].paths[1].state = STATUS_PATH_OK;
	report->relays[1].paths[1].state = STATUS_PATH_OK;
	return report;
}

static struct status_report *fresh(void)
{
	struct status_report *report = new_report();
	struct status_relay *relay = add_relay(report, "acme", "unix:/run/midrelay/acme.sock");

	add_path(relay, "direct", STATUS_PATH_UNTRIED);
	report->started_s = report->loaded_s = NOW_S - 2;
	report->loop_lag_us[0] = -1;
	free(report->sandbox);
	report->sandbox = NULL;
	free(relay->name);
	relay->name = mem_strdup("z\u00fcrich \xff\xc0\xaf\xed\xa0\x80");
	add_cert(relay, "client", "CN=mid", NULL, 0);
	relay->certs[0].not_after_s = INT64_MAX;
	return report;
}

/* What somebody on the way, or a file, could slip in. */
#define HOSTILE "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;</style></title>"

static struct status_report *hostile(void)
{
	struct status_report *report = new_report();
	struct status_relay *relay = add_relay(report, HOSTILE, HOSTILE);
	struct status_path *path = add_path(relay, HOSTILE, STATUS_PATH_FAILED);
	char *longest = mem_calloc(1, 20001);

	memset(longest, '<', 20000);
	fail(path, DIAGNOSIS_PROXY_STATUS, DIAGNOSIS_CAUSE_NONE, HOSTILE, 5);
	path->inspected = true;
	add_cert(relay, "client", HOSTILE, NULL, 5 * DAY_S);
	add_cert(relay, "server", longest, HOSTILE, DAY_S);
	add_failure(relay, HOSTILE, DIAGNOSIS_PROXY_STATUS, HOSTILE, 5, UINT64_MAX);
	free(relay->target);
	relay->target = mem_strdup(HOSTILE);
	free(relay->mode);
	relay->mode = mem_strdup(HOSTILE);
	relay->ready = false;
	relay->unready = mem_strdup(HOSTILE);
	free(report->file);
	report->file = longest;
	free(report->sandbox);
	report->sandbox = mem_strdup(HOSTILE "\x01\xff\n");
	report->last_reload_s = NOW_S;
	report->last_reload_ok = false;
	report->last_reload_error = mem_strdup(HOSTILE);
	return report;
}

static struct status_report *endless(void)
{
	struct status_report *report = new_report();
	unsigned i;

	for (i = 0; i < 2000; i++) {
		char *name = mem_printf("relay-%u", i);

		break_credentials(add_healthy(report, name, i));
		free(name);
	}
	return report;
}

static struct status_report *stopping(void)
{
	struct status_report *report = new_report();

	add_healthy(report, "acme", 0)->paths[1].inspected = true;
	report->draining = true;
	report->open = 4000;
	return report;
}

const char *const status_fixture_names[] = {"one-healthy", "one-broken", "twenty-healthy", "twenty-broken",
    "ending", "fresh", "empty", "stopping", "hostile", "endless", NULL};

struct status_report *status_fixture_new(const char *name)
{
	struct status_report *report;

	if (strcmp(name, "twenty-healthy") == 0)
		return many(false);
	if (strcmp(name, "twenty-broken") == 0)
		return many(true);
	if (strcmp(name, "one-broken") == 0)
		return one_broken();
	if (strcmp(name, "ending") == 0)
		return ending();
	if (strcmp(name, "fresh") == 0)
		return fresh();
	if (strcmp(name, "stopping") == 0)
		return stopping();
	if (strcmp(name, "hostile") == 0)
		return hostile();
	if (strcmp(name, "endless") == 0)
		return endless();
	if (strcmp(name, "empty") == 0)
		return new_report();
	if (strcmp(name, "one-healthy") != 0)
		return NULL;
	report = new_report();
	add_healthy(report, "acme", 0);
	return report;
}
