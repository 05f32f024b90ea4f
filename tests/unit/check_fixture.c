/*
 * check_fixture: see check_fixture.h.
 */
#include "check_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define MS 1000

/* A path, of which each stage took so many µs; -1: it does not apply. */
static struct check_path *add_path(struct check_report *report, const char *relay, const char *target,
    const char *name, const int64_t us[CHECK_STAGE_COUNT])
{
	struct check_path *path = check_report_add_path(report);
	int64_t total = 0;
	int stage;

	path->relay = mem_strdup(relay);
	path->target = mem_strdup(target);
	path->name = mem_strdup(name);
	path->direct = strcmp(name, "direct") == 0;
	path->verdict = CHECK_CLEAN;
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		path->steps[stage].outcome = us[stage] < 0 ? CHECK_NOT_APPLICABLE : CHECK_PASSED;
		path->steps[stage].us = us[stage];
		total += us[stage] > 0 ? us[stage] : 0;
	}
	path->began_us = 1000 * MS;
	path->ended_us = path->began_us + total;
	return path;
}

static void fail(struct check_path *path, enum check_stage stage, int64_t us, enum check_verdict verdict,
    enum diagnosis_code code, const char *sentence)
{
	int later;

	path->verdict = verdict;
	path->steps[stage].outcome = CHECK_FAILED;
	path->steps[stage].us = us;
	for (later = (int)stage + 1; later < CHECK_STAGE_COUNT; later++) {
		path->steps[later].outcome = CHECK_NOT_REACHED;
		path->steps[later].us = -1;
	}
	diagnosis_set(&path->diagnosis, code, "%s", sentence);
}

static struct judge_evidence *add_evidence(struct check_path *path, const char *issuer)
{
	struct judge_evidence *evidence = mem_calloc(1, sizeof(*evidence));

	evidence->trust_system = true;
	snprintf(evidence->subject, sizeof(evidence->subject), "CN=%.*s", (int)strcspn(path->target, ":"),
	    path->target);
	snprintf(evidence->issuer, sizeof(evidence->issuer), "%s", issuer);
	snprintf(evidence->anchor, sizeof(evidence->anchor), "%s", issuer);
	snprintf(evidence->not_after, sizeof(evidence->not_after), "2027-03-01T12:00:00Z");
	snprintf(evidence->sha256, sizeof(evidence->sha256), "3A:5C:10:77");
	evidence->sct = JUDGE_SCT_CERT;
	evidence->origin = JUDGE_ORIGIN_DISTRIBUTION;
	evidence->cert_requested = true;
	path->evidence = evidence;
	return evidence;
}

static void inspect(struct check_path *path)
{
	struct judge_evidence *evidence =
	    add_evidence(path, "CN=Zscaler Intermediate Root CA,O=Zscaler Inc.");

	evidence->product = "Zscaler";
	evidence->sct = 0;
	evidence->origin = JUDGE_ORIGIN_LOCAL;
	evidence->cert_requested = false;
	evidence->reasons = JUDGE_REASON_PRODUCT | JUDGE_REASON_NO_SCT | JUDGE_REASON_LOCAL_ANCHOR;
	fail(path, CHECK_TLS, 58 * MS, CHECK_INSPECTED, DIAGNOSIS_TLS_INSPECTED,
	    "acme.service-now.com by http://proxy-b.corp.example:3128: the issuer "
	    "CN=Zscaler Intermediate Root CA,O=Zscaler Inc. names Zscaler, a product that inspects TLS");
}

static void add_item(struct check_report *report, const char *relay, const char *what, const char *subject,
    enum check_outcome outcome, const char *seen, const char *remedy)
{
	struct check_item *item = check_report_add_item(report);

	item->relay = relay != NULL ? mem_strdup(relay) : NULL;
	item->what = what;
	snprintf(item->subject, sizeof(item->subject), "%s", subject);
	item->outcome = outcome;
	snprintf(item->seen, sizeof(item->seen), "%s", seen);
	snprintf(item->remedy, sizeof(item->remedy), "%s", remedy);
}

static void add_finding(
    struct check_report *report, const char *target, enum check_outcome outcome, const char *text)
{
	struct check_finding *finding = check_report_add_finding(report);

	finding->target = mem_strdup(target);
	finding->outcome = outcome;
	snprintf(finding->text, sizeof(finding->text), "%s", text);
}

static void note(struct check_path *path, const char *text)
{
	snprintf(path->notes[path->note_count++], CHECK_TEXT_BYTES, "%s", text);
}

static const char acme[] = "acme.service-now.com:443";
static const int64_t quick_direct[] = {3120, 12044, -1, 34507, 8123, 45250};
static const int64_t quick_proxy[] = {420, 1830, 24211, 41006, 9004, 52377};

static void fill_passed(struct check_report *report)
{
	struct check_path *path = add_path(report, "acme", acme, "direct", quick_direct);

	add_evidence(path, "CN=DigiCert Global G2 TLS RSA SHA256 2020 CA1,O=DigiCert Inc,C=US");
	path->cert_requested = true;
	snprintf(path->tls_version, sizeof(path->tls_version), "TLSv1.3");
	snprintf(path->cipher, sizeof(path->cipher), "TLS_AES_256_GCM_SHA384");
	snprintf(path->group, sizeof(path->group), "x25519");
	snprintf(path->address, sizeof(path->address), "203.0.113.7:443");
	snprintf(path->steps[CHECK_CONNECT].seen, CHECK_TEXT_BYTES, "203.0.113.7:443");
	path->probes[0] =
	    (struct check_probe){"GET /adcv2/server", CHECK_PASSED, 200, 20125, "HTTP/1.1 200 OK"};
	path->probe_count = 1;
	path = add_path(report, "acme", acme, "http://proxy.corp.example:3128", quick_proxy);
	snprintf(path->proxy_reply, sizeof(path->proxy_reply), "HTTP/1.1 200 Connection established");
	add_finding(report, acme, CHECK_PASSED,
	    "both paths see the same certificate, issued by "
	    "CN=DigiCert Global G2 TLS RSA SHA256 2020 CA1,O=DigiCert Inc,C=US");
	add_item(report, "acme", "client_bundle", "/etc/midrelay/midserver-bundle.pem", CHECK_PASSED, "", "");
	add_item(report, "acme", "listen", "127.0.0.1:8080", CHECK_PASSED, "", "");
}

static void fill_stages(struct check_report *report)
{
	static const struct {
		enum diagnosis_code code;
		enum check_verdict verdict;
		const char *sentence;
	} failures[CHECK_STAGE_COUNT] = {
	    {DIAGNOSIS_RESOLVE_FAILED, CHECK_BROKEN, "proxy-0.corp.example: Name or service not known"},
	    {DIAGNOSIS_CONNECT_REFUSED, CHECK_BROKEN, "10.1.2.3:3128 refused the connection"},
	    {DIAGNOSIS_PROXY_AUTH_NTLM_ONLY, CHECK_BLOCKED,
		"10.1.2.4:3128 answered 407 Proxy Authentication Required and offers NTLM, Negotiate"},
	    {DIAGNOSIS_TLS_VERSION, CHECK_BROKEN, "the server and we have no version in common"},
	    {DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED, CHECK_BROKEN, "the server did not ask for our certificate"},
	    {DIAGNOSIS_RELAY_TRUNCATED, CHECK_BROKEN, "the answer to GET /adcv2/server was cut off"},
	};
	char name[64];
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		snprintf(name, sizeof(name), "http://proxy-%d.corp.example:3128", stage);
		fail(add_path(report, "acme", acme, name, quick_proxy), (enum check_stage)stage, 17 * MS,
		    failures[stage].verdict, failures[stage].code, failures[stage].sentence);
	}
}

static void fill_mixed(struct check_report *report)
{
	struct check_path *path = add_path(report, "acme", acme, "direct", quick_direct);

	note(path, "the client certificate ends in 12 days (2026-12-03T00:00:00Z)");
	path->steps[CHECK_CERT].outcome = CHECK_WARNED;
	add_path(report, "acme", acme, "http://proxy.corp.example:3128", quick_proxy);
	inspect(add_path(report, "acme", acme, "http://proxy-b.corp.example:3128", quick_proxy));
	fail(add_path(report, "acme", acme, "dmz", quick_proxy), CHECK_PROXY, 5003 * MS, CHECK_BROKEN,
	    DIAGNOSIS_PROXY_TIMEOUT,
	    "10.9.1.20:3128 took the connection and gave no answer to CONNECT "
	    "acme.service-now.com:443 in 5s");
	fail(add_path(report, "acme", acme, "guest", quick_proxy), CHECK_PROXY, 31 * MS, CHECK_BLOCKED,
	    DIAGNOSIS_PROXY_DENIED,
	    "10.9.1.21:8080 answered \"HTTP/1.1 403 Forbidden\" (Server: squid/5.7, "
	    "X-Squid-Error: ERR_ACCESS_DENIED 0)");
	add_finding(report, acme, CHECK_FAILED,
	    "direct and http://proxy.corp.example:3128 see CN=acme.service-now.com "
	    "issued by DigiCert; http://proxy-b.corp.example:3128 sees one issued by Zscaler: it is "
	    "inspected");
	add_item(report, "acme", "client_bundle", "/etc/midrelay/midserver-bundle.pem", CHECK_WARNED,
	    "ends in 12 days", "Have it renewed and upload the new leaf first.");
	add_item(report, "acme", "listen", "127.0.0.1:8080", CHECK_PASSED, "", "");
	add_item(report, "acme", "trust", "system", CHECK_PASSED, "", "");
}

static void fill_twenty(struct check_report *report)
{
	int64_t us[CHECK_STAGE_COUNT];
	char name[64], sentence[160];
	int i;

	for (i = 0; i < 20; i++) {
		memcpy(us, quick_proxy, sizeof(us));
		us[CHECK_TLS] += i * 3 * MS;
		snprintf(name, sizeof(name), "http://proxy-%02d.corp.example:3128", i);
		snprintf(
		    sentence, sizeof(sentence), "10.20.0.%d:3128 did not answer within 5s", i < 10 ? 1 : i);
		add_path(report, "acme", acme, name, us);
		if (i % 2 == 1)
			fail(&report->paths[i], CHECK_CONNECT, 5001 * MS + i, CHECK_BROKEN,
			    DIAGNOSIS_CONNECT_TIMEOUT, sentence);
	}
}

static void fill_relays(struct check_report *report)
{
	add_path(report, "acme", acme, "direct", quick_direct);
	fail(add_path(report, "acme", acme, "http://proxy.corp.example:3128", quick_proxy), CHECK_CONNECT,
	    4 * MS, CHECK_BROKEN, DIAGNOSIS_CONNECT_REFUSED, "10.1.2.3:3128 refused the connection");
	add_path(report, "acme-dev", "acmedev.service-now.com:443", "direct", quick_direct);
	fail(add_path(report, "acme-dev", "acmedev.service-now.com:443", "http://proxy.corp.example:3128",
		 quick_proxy),
	    CHECK_CONNECT, 5 * MS, CHECK_BROKEN, DIAGNOSIS_CONNECT_REFUSED,
	    "10.1.2.3:3128 refused the connection");
	note(&report->paths[2], "TLSv1.2: our certificate crosses the path in the clear");
	add_item(report, "acme-dev", "listen", "127.0.0.1:8081", CHECK_FAILED, "in use by another program",
	    "Stop that program or choose another port.");
	add_finding(report, acme, CHECK_PASSED, "only direct reached it");
	add_finding(report, "acmedev.service-now.com:443", CHECK_PASSED, "only direct reached it");
}

static void fill_long(struct check_report *report)
{
	static const char host[] = "an-instance-with-quite-a-long-name.of-a-host.corp.example.com:443";
	static const int64_t address[] = {-1, 210, -1, 12000 * MS, 600 * MS, 100 * MS};

	add_path(report, "a-relay-whose-name-somebody-made-rather-long-on-purpose", host, "direct", address);
	add_path(report, "a-relay-whose-name-somebody-made-rather-long-on-purpose", host,
	    "https://[2001:db8:1234:5678:9abc:def0:1234:5678]:3128", quick_proxy);
	fail(add_path(report, "a-relay-whose-name-somebody-made-rather-long-on-purpose", host,
		 "http://a-proxy-in-some-data-centre-abroad.emea.corp.example.com:3128", quick_proxy),
	    CHECK_PROXY, 19 * MS, CHECK_BLOCKED, DIAGNOSIS_PROXY_STATUS,
	    "[2001:db8::17]:3128 answered \"HTTP/1.0 418 \\xe4\\xf6\\xfc\\x00\\x1b[31m <b>&'\\\"\" "
	    "# and "
	    "averylongwordwithoutanyblankinitthatwillnotfitintosixtycolumnshoweveronetriestobreakitanywhere");
	diagnosis_set_cause(&report->paths[2].diagnosis, DIAGNOSIS_CAUSE_PORTAL);
	diagnosis_set(&report->paths[2].others[0], DIAGNOSIS_TLS_VERSION, "%s", "seen on the way, too");
}

static void fill_untrusted(struct check_report *report)
{
	struct check_path *path = add_path(report, "acme.service-now.com", acme, "direct", quick_direct);
	struct judge_evidence *evidence = add_evidence(path, "CN=Corp Issuing CA 3,O=Corp");

	evidence->chain.kind = TLS_FAULT_UNTRUSTED;
	snprintf(evidence->chain.sentence, sizeof(evidence->chain.sentence),
	    "unable to get local issuer certificate at depth 0");
	fail(path, CHECK_TLS, 20 * MS, CHECK_BROKEN, DIAGNOSIS_TLS_UNTRUSTED,
	    "acme.service-now.com: unable to get local issuer certificate; issued by CN=Corp Issuing CA "
	    "3,O=Corp");
}

static void expect(struct check_path *path, const char *expected, unsigned line, bool held)
{
	path->expected = mem_strdup(expected);
	path->expected_line = line;
	path->as_expected = held;
}

static void fill_rules(struct check_report *report)
{
	fill_mixed(report);
	report->with_rules = true;
	expect(&report->paths[0], "clean", 1, true);
	expect(&report->paths[1], "clean", 6, true);
	expect(&report->paths[2], "clean", 11, false);
	expect(&report->paths[4], "proxy-denied", 16, true);
	check_report_add_unmatched(report, "line 21 [old proxy]: no path to acme.service-now.com:443 by "
					   "http://proxy-z.corp.example:3128");
}

static void fill_held(struct check_report *report)
{
	fill_mixed(report);
	report->with_rules = true;
	expect(&report->paths[0], "clean", 1, true);
	expect(&report->paths[2], "inspected", 6, true);
	expect(&report->paths[4], "blocked", 11, true);
}

static void fill_empty(struct check_report *report)
{
}

static const struct {
	const char *name;
	void (*fill)(struct check_report *report);
} fixtures[] = {
    {"passed", fill_passed},
    {"stages", fill_stages},
    {"mixed", fill_mixed},
    {"twenty", fill_twenty},
    {"relays", fill_relays},
    {"long", fill_long},
    {"untrusted", fill_untrusted},
    {"rules", fill_rules},
    {"held", fill_held},
    {"empty", fill_empty},
};

const char *const check_fixture_names[] = {
    "passed", "stages", "mixed", "twenty", "relays", "long", "untrusted", "rules", "held", "empty", NULL};

struct check_report *check_fixture_new(const char *name)
{
	struct check_report *report;
	size_t i;

	for (i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		if (strcmp(fixtures[i].name, name) != 0)
			continue;
		report = check_report_new();
		report->file = mem_strdup("/etc/midrelay/midrelay.ini");
		report->began_s = 1795000000;
		fixtures[i].fill(report);
		return report;
	}
	return NULL;
}
