/*
 * config_table: see config_table.h.  The rows and look-ups in them; how a value is read is config_value's,
 * what two values mean together config_check's.
 */
#include "config/config_table.h"

#include <string.h>

#include "base/text.h"
#include "config/config_draft.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SECOND_MS INT64_C(1000)
#define HOUR_MS (60 * 60 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)
/* Below that the looks themselves would be felt. */
#define WATCH_MIN_MS INT64_C(100)
/* tcp(7): TCP_KEEPIDLE takes at most 32767 seconds. */
#define KEEPALIVE_MAX_MS (9 * HOUR_MS)

static const char *const log_level_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_format_words[] = {"text", "json", NULL};
static const char *const sandbox_words[] = {"off", "on", NULL};
static const char *const mode_words[] = {"tcp", "http", NULL};
static const char *const http_reuse_words[] = {"safe", "off", NULL};
static const char *const tls_words[] = {"1.2", "1.3", NULL};
static const char *const inspection_words[] = {"refuse", "warn", "ignore", NULL};
static const char *const revocation_words[] = {"staple", "crl", NULL};
static const char *const pipeline_words[] = {"off", "on", "auto", NULL};
static const char *const explain_words[] = {"auto", "off", NULL};

#define PROCESS(field) offsetof(struct config_process, field)
#define RELAY(field) offsetof(struct config_relay_draft, relay.field)
#define OWN(field) offsetof(struct config_relay_draft, own.field)
#define PROXY(field) offsetof(struct config_proxy_draft, field)

#define TIMEOUT(default_value) .type = CONFIG_DURATION, .min = 1, .max = DAY_MS, .default_text = default_value

const struct config_option config_options[] = {
    /* [midrelay] */
    {CONFIG_SECTION_MIDRELAY, "workers", .type = CONFIG_WORKERS, .min = 1, .max = CONFIG_MAX_WORKERS,
	.default_text = "1", .offset = PROCESS(workers), .help = "event-loop threads, 1 to 256; auto = one per CPU"},
    {CONFIG_SECTION_MIDRELAY, "log_level", .type = CONFIG_WORD, .words = log_level_words,
	.default_text = "info", .offset = PROCESS(log_level), .help = "error, warn, info or debug"},
    {CONFIG_SECTION_MIDRELAY, "log_format", .type = CONFIG_WORD, .words = log_format_words,
	.default_text = "text", .offset = PROCESS(log_format),
	.help = "text (key=value) or json, one event a line"},
    {CONFIG_SECTION_MIDRELAY, "user", .type = CONFIG_TEXT, .default_shown = "none", .offset = PROCESS(user),
	.help = "user to become once the listeners are bound; every file is read as this user"},
    {CONFIG_SECTION_MIDRELAY, "group", .type = CONFIG_TEXT, .default_shown = "the user's own",
	.offset = PROCESS(group), .help = "group to become once the listeners are bound"},
    {CONFIG_SECTION_MIDRELAY, "max_connections", .type = CONFIG_UINT, .min = 1, .max = 1000000,
	.default_text = "4096", .offset = PROCESS(max_connections),
	.help = "local connections in all, 1 to 1000000; past it a connection is answered and closed"},
    {CONFIG_SECTION_MIDRELAY, "drain_timeout", TIMEOUT("20s"), .offset = PROCESS(drain_timeout_ms),
	.help = "on SIGTERM let connections finish for at most this long, 1ms to 1d"},
    {CONFIG_SECTION_MIDRELAY, "watch", .type = CONFIG_DURATION, .min = WATCH_MIN_MS, .max = DAY_MS,
	.zero_is_off = true, .default_text = "10s", .offset = PROCESS(watch_ms),
	.help = "how often files are looked at for change, 100ms to 1d; 0 = read again on SIGHUP only"},
    {CONFIG_SECTION_MIDRELAY, "expiry_warning", .type = CONFIG_DURATION, .min = HOUR_MS, .max = 3650 * DAY_MS,
	.zero_is_off = true, .default_text = "30d", .offset = PROCESS(expiry_warning_ms),
	.help = "warn when a certificate has less than this left, 1h to 3650d; 0 = only when it is over"},
    {CONFIG_SECTION_MIDRELAY, "status", .type = CONFIG_STATUS,
	.default_shown = "unix:$RUNTIME_DIRECTORY/status.sock where that is set, else none",
	.offset = PROCESS(status),
	.help = "where the status endpoint listens: 127.0.0.1:9180, [::1]:9180, unix:/path, none"},
    {CONFIG_SECTION_MIDRELAY, "sandbox", .type = CONFIG_WORD, .words = sandbox_words, .default_text = "on",
	.offset = PROCESS(sandbox),
	.help = "on: once started, give up all files, TCP ports and system calls but those that are needed"},

    /* [relay NAME] */
    {CONFIG_SECTION_RELAY, "listen", .type = CONFIG_LISTENS, .default_shown = "none (required)",
	.help = "list of addresses to accept clients on: 127.0.0.1:8080, [::1]:8080, unix:/path, systemd:NAME, "
	    "tls://127.0.0.1:8443"},
    {CONFIG_SECTION_RELAY, "listen_mode", .type = CONFIG_OCTAL, .min = 0, .max = 0777, .default_text = "0600",
	.offset = RELAY(listen_mode), .help = "permissions of the UNIX sockets, octal"},
    {CONFIG_SECTION_RELAY, "allow_nonlocal", .type = CONFIG_BOOL, .default_text = "no",
	.offset = RELAY(allow_nonlocal),
	.help = "yes lets listen name addresses outside loopback; allow_address (or for tls:// "
	    "listen_client_ca) is then required"},
    {CONFIG_SECTION_RELAY, "allow_address", .type = CONFIG_NETWORKS, .default_shown = "loopback only",
	.help = "list of networks (CIDR) whose clients may connect"},
    {CONFIG_SECTION_RELAY, "allow_user", .type = CONFIG_USERS, .default_shown = "any local user",
	.offset = RELAY(allow_user), .help = "list of local accounts, by name or id, that may connect"},
    {CONFIG_SECTION_RELAY, "listen_cert", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(listen_cert),
	.help = "certificate (with chain, also with key) for tls:// in listen; auto = from a local CA made here"},
    {CONFIG_SECTION_RELAY, "listen_key", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(listen_key), .help = "the key of listen_cert, where that file does not hold it"},
    {CONFIG_SECTION_RELAY, "listen_client_ca", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(listen_client_ca),
	.help = "file or directory of CA certificates that clients of tls:// must show a certificate of"},
    {CONFIG_SECTION_RELAY, "mode", .type = CONFIG_WORD, .words = mode_words,
	.default_text = "tcp", .offset = RELAY(mode),
	.help = "tcp: bytes pass untouched; http: Host, cookies and redirects are put right for plain http"},
    {CONFIG_SECTION_RELAY, "connect_allow", .type = CONFIG_AUTHORITIES,
	.default_shown = "install.service-now.com:443", .offset = RELAY(connect_allow),
	.help = "mode = http: list of HOST[:PORT] that a client may CONNECT to through us; none = nowhere"},
    {CONFIG_SECTION_RELAY, "http_reuse", .type = CONFIG_WORD, .words = http_reuse_words,
	.default_text = "safe", .offset = RELAY(http_reuse),
	.help = "mode = http: may an idle, clean connection to the target serve the next client: safe or off"},
    {CONFIG_SECTION_RELAY, "target", .type = CONFIG_TARGET, .default_shown = "none (required)",
	.offset = RELAY(target), .help = "HOST[:PORT], port 443 if left out; HOST is also SNI and verified"},
    {CONFIG_SECTION_RELAY, "target_address", .type = CONFIG_IP, .default_shown = "none",
	.offset = RELAY(target_address),
	.help = "numeric address to use for a direct path instead of resolving HOST"},
    {CONFIG_SECTION_RELAY, "proxy", .type = CONFIG_PROXIES, .default_text = "direct",
	.help = "ordered list of paths: http://HOST:PORT, https://HOST:PORT, the NAME of a [proxy NAME], "
	    "direct"},
    {CONFIG_SECTION_RELAY, "proxy_user", .type = CONFIG_USER, .default_shown = "none", .offset = OWN(user),
	.help = "Basic user name for the proxies listed by URL; needs proxy_password"},
    {CONFIG_SECTION_RELAY, "proxy_password", .type = CONFIG_SECRET, .default_shown = "none",
	.offset = OWN(password_ref), .help = "its password: file:PATH, env:NAME, cred:NAME, sealed:BASE64 or "
	    "the literal"},
    {CONFIG_SECTION_RELAY, "proxy_header", .type = CONFIG_HEADERS, .default_shown = "none",
	.offset = offsetof(struct config_relay_draft, own),
	.help = "further header line of the CONNECT, Name: value; repeat for more, never split at commas"},
    {CONFIG_SECTION_RELAY, "proxy_trust", .type = CONFIG_TRUST, .default_text = "system",
     .offset = OWN(trust),
	.help = "system, or a file or directory of CA certificates that an https:// proxy must chain to"},
    {CONFIG_SECTION_RELAY, "proxy_client_bundle", .type = CONFIG_FILE, .default_shown = "none",
	.offset = OWN(client_bundle),
	.help = "certificate and key for an https:// proxy that asks for one; the target never sees it"},
    {CONFIG_SECTION_RELAY, "proxy_pipeline", .type = CONFIG_WORD, .words = pipeline_words,
	.default_text = "auto", .offset = OWN(pipeline),
	.help = "send the TLS ClientHello with the CONNECT: off, on, or auto: where the proxy takes it"},
    {CONFIG_SECTION_RELAY, "source_address", .type = CONFIG_IP, .default_shown = "none",
	.offset = RELAY(source_address), .help = "numeric local address to connect from"},
    {CONFIG_SECTION_RELAY, "client_bundle", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(client_bundle),
	.help = "one file with leaf, intermediates, root and key, in any order"},
    {CONFIG_SECTION_RELAY, "client_cert", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(client_cert), .help = "the client certificate alone; needs client_key"},
    {CONFIG_SECTION_RELAY, "client_key", .type = CONFIG_KEY, .default_shown = "none",
	.offset = RELAY(client_key), .help = "the key of client_cert: a file or a URI (handle:, pkcs11:)"},
    {CONFIG_SECTION_RELAY, "client_chain", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(client_chain), .help = "the certificates that follow client_cert"},
    {CONFIG_SECTION_RELAY, "client_passphrase", .type = CONFIG_SECRET, .default_shown = "none",
	.offset = RELAY(client_passphrase_ref),
	.help = "opens an encrypted key: file:PATH, env:NAME, cred:NAME, sealed:BASE64 or the literal"},
    {CONFIG_SECTION_RELAY, "trust", .type = CONFIG_TRUST, .default_text = "system", .offset = RELAY(trust),
	.help = "system, or a file or directory of CA certificates that the server must chain to"},
    {CONFIG_SECTION_RELAY, "inspection", .type = CONFIG_WORD, .words = inspection_words,
	.default_text = "refuse", .offset = RELAY(inspection),
	.help = "refuse, warn or ignore: what to do with a path that is judged to be inspected"},
    {CONFIG_SECTION_RELAY, "expect_issuer", .type = CONFIG_NAMES, .default_shown = "none",
	.offset = RELAY(expect_issuer),
	.help = "a name that an issuer in the verified chain must contain; repeat for alternatives"},
    {CONFIG_SECTION_RELAY, "pin", .type = CONFIG_PINS, .default_shown = "none", .offset = RELAY(pin),
	.help = "list of sha256//BASE64 of public keys, one of which the verified chain must have"},
    {CONFIG_SECTION_RELAY, "revocation", .type = CONFIG_FLAGS, .words = revocation_words,
	.default_text = "off", .offset = RELAY(revocation),
	.help = "off, or a list of staple and crl: each must say that the certificates are not revoked"},
    {CONFIG_SECTION_RELAY, "crl_file", .type = CONFIG_FILE, .default_shown = "none",
	.offset = RELAY(crl_file), .help = "the revocation lists for revocation = crl, PEM or DER"},
    {CONFIG_SECTION_RELAY, "require_client_cert_request", .type = CONFIG_BOOL,
	.default_shown = "yes if a client certificate is set", .offset = RELAY(require_client_cert_request),
	.help = "refuse a server that asks for no client certificate"},
    {CONFIG_SECTION_RELAY, "tls_min", .type = CONFIG_WORD, .words = tls_words, .default_text = "1.2",
	.offset = RELAY(tls_min), .help = "lowest TLS version, 1.2 or 1.3"},
    {CONFIG_SECTION_RELAY, "tls_max", .type = CONFIG_WORD, .words = tls_words, .default_text = "1.3",
	.offset = RELAY(tls_max), .help = "highest TLS version, 1.2 or 1.3"},
    {CONFIG_SECTION_RELAY, "tls_ciphers", .type = CONFIG_TEXT, .default_text = "DEFAULT:!kRSA",
	.offset = RELAY(tls_ciphers), .help = "TLS 1.2 ciphers, OpenSSL list syntax"},
    {CONFIG_SECTION_RELAY, "tls_ciphersuites", .type = CONFIG_TEXT, .default_shown = "OpenSSL's",
	.offset = RELAY(tls_ciphersuites), .help = "TLS 1.3 ciphersuites, OpenSSL list syntax"},
    {CONFIG_SECTION_RELAY, "tls_groups", .type = CONFIG_TEXT, .default_shown = "OpenSSL's",
	.offset = RELAY(tls_groups), .help = "key exchange groups, OpenSSL list syntax"},
    {CONFIG_SECTION_RELAY, "connect_timeout", TIMEOUT("5s"), .offset = RELAY(connect_timeout_ms),
	.help = "to resolve and connect, 1ms to 1d"},
    {CONFIG_SECTION_RELAY, "proxy_timeout", TIMEOUT("5s"), .offset = RELAY(proxy_timeout_ms),
	.help = "for TLS with an https:// proxy and the proxy's answer to the CONNECT, 1ms to 1d"},
    {CONFIG_SECTION_RELAY, "tls_timeout", TIMEOUT("5s"), .offset = RELAY(tls_timeout_ms),
	.help = "for the TLS handshake, 1ms to 1d"},
    {CONFIG_SECTION_RELAY, "setup_timeout", TIMEOUT("9s"), .offset = RELAY(setup_timeout_ms),
	.help = "for all stages of one connection together, 1ms to 1d (a MID gives up at 10 s)"},
    {CONFIG_SECTION_RELAY, "idle_timeout", .type = CONFIG_DURATION, .min = 1, .max = DAY_MS,
	.zero_is_off = true, .default_text = "1h", .offset = RELAY(idle_timeout_ms),
	.help = "close when no byte passed either way for this long, 1ms to 1d; 0 = never"},
    {CONFIG_SECTION_RELAY, "half_close_timeout", .type = CONFIG_DURATION, .min = 1, .max = DAY_MS,
	.zero_is_off = true, .default_text = "5m", .offset = RELAY(half_close_timeout_ms),
	.help = "close when one side is done and the other silent for this long, 1ms to 1d; 0 = never"},
    {CONFIG_SECTION_RELAY, "keepalive", .type = CONFIG_DURATION, .min = SECOND_MS, .max = KEEPALIVE_MAX_MS,
	.zero_is_off = true, .default_text = "60s", .offset = RELAY(keepalive_ms),
	.help = "TCP keep-alive on both legs after this much silence, 1s to 9h; 0 = off"},
    {CONFIG_SECTION_RELAY, "ready_tunnels", .type = CONFIG_READY, .min = 1, .max = 64, .default_text = "auto",
	.offset = RELAY(ready_tunnels),
	.help = "tunnels kept ready ahead of need: off, 1 to 64, or auto = as recent demand asks for"},
    {CONFIG_SECTION_RELAY, "ready_max_age", .type = CONFIG_DURATION, .min = SECOND_MS, .max = HOUR_MS,
	.default_text = "20s", .offset = RELAY(ready_max_age_ms),
	.help = "a ready tunnel older than this is replaced or let go, 1s to 1h"},
    {CONFIG_SECTION_RELAY, "explain", .type = CONFIG_WORD, .words = explain_words, .default_text = "auto",
	.offset = RELAY(explain),
	.help = "auto: tell an HTTP client by a 502 why there is no tunnel; off: just close"},

    /* [proxy NAME] */
    {CONFIG_SECTION_PROXY, "url", .type = CONFIG_PROXY_URL, .default_shown = "none (required)",
	.offset = PROXY(url), .help = "http://HOST:PORT or https://HOST:PORT"},
    {CONFIG_SECTION_PROXY, "user", .type = CONFIG_USER, .default_shown = "none", .offset = PROXY(user),
	.help = "Basic user name for this proxy alone; needs password"},
    {CONFIG_SECTION_PROXY, "password", .type = CONFIG_SECRET, .default_shown = "none",
	.offset = PROXY(password_ref), .help = "its password: file:PATH, env:NAME, cred:NAME, sealed:BASE64 "
	    "or the literal"},
    {CONFIG_SECTION_PROXY, "header", .type = CONFIG_HEADERS, .default_shown = "none", .offset = 0,
	.help = "further header line of the CONNECT, Name: value; repeat for more, never split at commas"},
    {CONFIG_SECTION_PROXY, "trust", .type = CONFIG_TRUST, .default_text = "system", .offset = PROXY(trust),
	.help = "system, or a file or directory of CA certificates that this https:// proxy must chain to"},
    {CONFIG_SECTION_PROXY, "client_bundle", .type = CONFIG_FILE, .default_shown = "none",
	.offset = PROXY(client_bundle),
	.help = "certificate and key for this https:// proxy if it asks for one; the target never sees it"},
    {CONFIG_SECTION_PROXY, "pipeline", .type = CONFIG_WORD, .words = pipeline_words, .default_text = "auto",
	.offset = PROXY(pipeline),
	.help = "send the TLS ClientHello with the CONNECT: off, on, or auto: where the proxy takes it"},
};
const size_t config_option_count = COUNT(config_options);
_Static_assert(COUNT(config_options) <= CONFIG_MAX_OPTIONS, "struct config_lines is too small");

const char *config_section_kind_name(enum config_section_kind kind)
{
	switch (kind) {
	case CONFIG_SECTION_MIDRELAY:
		return "midrelay";
	case CONFIG_SECTION_RELAY:
		return "relay";
	case CONFIG_SECTION_PROXY:
		return "proxy";
	}
	return "?";
}

const char *config_type_name(enum config_type type)
{
	switch (type) {
	case CONFIG_UINT:
		return "number";
	case CONFIG_WORKERS:
		return "number or auto";
	case CONFIG_DURATION:
		return "duration";
	case CONFIG_BOOL:
		return "yes or no";
	case CONFIG_WORD:
		return "word";
	case CONFIG_OCTAL:
		return "octal number";
	case CONFIG_TEXT:
		return "text";
	case CONFIG_USER:
		return "user name";
	case CONFIG_FILE:
	case CONFIG_KEY:
		return "file";
	case CONFIG_TRUST:
		return "file, directory or system";
	case CONFIG_SECRET:
		return "secret";
	case CONFIG_IP:
		return "numeric address";
	case CONFIG_TARGET:
		return "host and port";
	case CONFIG_PROXY_URL:
		return "proxy URL";
	case CONFIG_LISTENS:
		return "list of addresses";
	case CONFIG_NETWORKS:
		return "list of networks";
	case CONFIG_PROXIES:
		return "list of paths";
	case CONFIG_HEADERS:
		return "header line";
	case CONFIG_NAMES:
		return "name";
	case CONFIG_USERS:
		return "list of accounts";
	case CONFIG_PINS:
		return "list of public keys";
	case CONFIG_AUTHORITIES:
		return "list of hosts";
	case CONFIG_READY:
		return "number, off or auto";
	case CONFIG_FLAGS:
		return "list of words";
	case CONFIG_STATUS:
		return "address or none";
	}
	return "?";
}

bool config_type_is_list(enum config_type type)
{
	return type == CONFIG_LISTENS || type == CONFIG_NETWORKS || type == CONFIG_PROXIES ||
	       type == CONFIG_HEADERS || type == CONFIG_NAMES || type == CONFIG_USERS ||
	       type == CONFIG_PINS || type == CONFIG_FLAGS || type == CONFIG_AUTHORITIES;
}

bool config_type_is_unsplit(enum config_type type)
{
	return type == CONFIG_HEADERS || type == CONFIG_NAMES;
}

const struct config_option *config_option_find(enum config_section_kind section, const char *key)
{
	size_t i;

	for (i = 0; i < config_option_count; i++) {
		if (config_options[i].section == section && strcmp(config_options[i].key, key) == 0)
			return &config_options[i];
	}
	return NULL;
}

size_t config_option_index(const struct config_option *option)
{
	return (size_t)(option - config_options);
}

const char *config_option_default(const struct config_option *option)
{
	return option->default_text != NULL ? option->default_text : option->default_shown;
}

const char *config_option_nearest(enum config_section_kind section, const char *key)
{
	const char *candidates[COUNT(config_options) + 1];
	size_t count = 0, i;

	for (i = 0; i < config_option_count; i++) {
		if (config_options[i].section == section)
			candidates[count++] = config_options[i].key;
	}
	candidates[count] = NULL;
	return text_nearest(key, candidates);
}
