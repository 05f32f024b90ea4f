/*
 * symptoms: see symptoms.h.
 *
 * The table, and the search in it.  doc/diagnoses.md has a section for each symptom
 * (tests/check-diagnoses.sh).  The words are those of the vendor's documents, of users' reports and of Java;
 * none was seen on a live instance.
 */
#include "dial/symptoms.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static const struct symptom symptoms[] = {
	{
		.says = "User cannot be authenticated or is missing the proper roles",
		.also = "login user role mid_server authentication failed missing proxy",
		.means = "The MID Server got no usable answer from its instance, or one that refuses its "
		    "user. It says the same where a proxy is missing, so first see whether its "
		    "connections reach midrelay at all.",
		.remedy = "Look for `session` lines at that second. None: `url` in config.xml does not "
		    "point at the listener of midrelay. With a code: follow that. With end=ok: the "
		    "instance itself refused; check mid.instance.username, its role mid_server, and that "
		    "the certificate's user is mapped there.",
		.codes = {DIAGNOSIS_PROXY_AUTH_REQUIRED, DIAGNOSIS_PROXY_AUTH_REJECTED, DIAGNOSIS_CLIENT_CERT_REJECTED,
		    DIAGNOSIS_CLIENT_CERT_EXPIRED, DIAGNOSIS_RESOLVE_FAILED},
	},
	{
		.says = "Forbidden username/password combo",
		.also = "403 forbidden user name password credentials",
		.means = "The MID Server's word for a 403. midrelay never answers 403 itself: it came "
		    "from the instance (the user, an IP access rule), or from a proxy that the MID "
		    "Server asks past midrelay.",
		.remedy = "If the MID Server still has mid.proxy.use_proxy set, set it to false: the "
		    "proxy's 403 is meant for it then. Else check mid.instance.username and password, "
		    "and IP address access control on the instance, which sees the proxy's public "
		    "address.",
		.codes = {DIAGNOSIS_PROXY_DENIED},
	},
	{
		.says = "404 reported as an authentication problem",
		.also = "not found http status 404 login failed authenticate",
		.means = "The MID Server takes a 404 for a login problem. midrelay never answers 404: "
		    "the request went to another host than the instance, or to a path that the instance "
		    "does not have.",
		.remedy = "Compare `target` with the instance's name, and `url` in config.xml with the "
		    "listener, without a path behind the port; with a direct path see where the target's "
		    "name leads (target_address, hosts file).",
		.codes = {DIAGNOSIS_PROXY_STATUS, DIAGNOSIS_TLS_HOSTNAME},
	},
	{
		.says = "Unable to subscribe to AMB channel",
		.also = "amb cometd bayeux handshake channel long polling websocket",
		.means = "The MID Server drops the instance's Secure cookies because its `url` begins "
		    "with http://, so its message channel has no session. Work goes on by polling, only "
		    "slower.",
		.remedy = "Set `mode = http` in this relay: it puts the cookies right for plain http; "
		    "`midrelay import config.xml` writes it so. A tls:// listener leaves `url` at https:// "
		    "and the cookies as they are. Where neither can be, set mid.disable_amb to true to poll "
		    "alone, and mind mid.poll.time.",
		.codes = {DIAGNOSIS_RELAY_IDLE},
	},
	{
		.says = "Method failed: HTTP/1.1 502 with code: 502",
		.also = "bad gateway method failed code 502 midrelay status line",
		.means = "midrelay answered in place of the instance: there is no way to the target. The "
		    "reason phrase in the same line holds the code and the sentence.",
		.remedy = "Read what stands behind `502 midrelay:` in agent0.log.0 and ask `midrelay "
		    "explain` for that code. If it does not say midrelay, the 502 is the instance's or "
		    "its load balancer's.",
		.codes = {DIAGNOSIS_RESOLVE_FAILED, DIAGNOSIS_CONNECT_REFUSED, DIAGNOSIS_PROXY_AUTH_REQUIRED,
		    DIAGNOSIS_PROXY_DENIED, DIAGNOSIS_PROXY_UPSTREAM_FAILED, DIAGNOSIS_TLS_INSPECTED,
		    DIAGNOSIS_CLIENT_CERT_EXPIRED},
	},
	{
		.says = "Method failed: HTTP/1.1 504 with code: 504",
		.also = "gateway timeout time-out method failed code 504 midrelay",
		.means = "midrelay answered in place of the instance: a stage on the way to the target "
		    "ran out of time.",
		.remedy = "The reason phrase names the stage and its time-out. Name servers, a firewall "
		    "that drops packets, a silent proxy and the path MTU are the usual causes; a longer "
		    "time-out is seldom the cure.",
		.codes = {DIAGNOSIS_RESOLVE_TIMEOUT, DIAGNOSIS_CONNECT_TIMEOUT, DIAGNOSIS_PROXY_TIMEOUT,
		    DIAGNOSIS_TLS_TIMEOUT},
	},
	{
		.says = "Method failed: HTTP/1.1 503 with code: 503",
		.also = "service unavailable method failed code 503 midrelay limit",
		.means = "With `midrelay: local-limit` behind it, midrelay has no room for a further "
		    "connection. Otherwise the 503 is the instance's: an upgrade, a restart, or "
		    "hibernation.",
		.remedy = "For local-limit raise max_connections and LimitNOFILE=, or look for the "
		    "client that holds so many connections; for the instance wait, or look at it with a "
		    "browser.",
		.codes = {DIAGNOSIS_LOCAL_LIMIT},
	},
	{
		.says = "MID Server status is Down",
		.also = "down heartbeat five minutes offline unreachable mid server instance dashboard",
		.means = "The instance heard nothing for 5 minutes: no path works, the MID Server or "
		    "midrelay is not running, or all of its requests are refused.",
		.remedy = "Look at the last `path-failed` without a `path-ok` behind it, and at the end "
		    "of the last `session` lines. No lines at all: the MID Server does not run, or does "
		    "not come here.",
		.codes = {DIAGNOSIS_PROXY_AUTH_REJECTED, DIAGNOSIS_CONNECT_TIMEOUT, DIAGNOSIS_TLS_INSPECTED,
		    DIAGNOSIS_CLIENT_CERT_REJECTED, DIAGNOSIS_CLIENT_CERT_EXPIRED},
	},
	{
		.says = "Cookies are dropped, every request logs in anew",
		.also = "cookie secure jsessionid glide_user_route session lost sticky stickiness node "
		    "http plain invalid cookie header rejected",
		.means = "The instance's cookies carry Secure, and Java's clients drop those over "
		    "http://. Every request then is a login of its own, on any node.",
		.remedy = "Set `mode = http` in this relay: it takes Secure off the cookies on their way to "
		    "the MID Server. Or give the relay a tls:// listener, and leave `url` at https://. "
		    "doc/mid-server.md has both.",
		.codes = {DIAGNOSIS_OK},
	},
	{
		.says = "Redirected to https://, around midrelay",
		.also = "redirect location 302 301 moved bypass around relay leads direct https",
		.means = "An absolute `Location: https://INSTANCE/` from the instance leads the MID "
		    "Server past midrelay, where it has neither proxy nor client certificate.",
		.remedy = "Set `mode = http`, which leads redirects to the target back to the listener. Set "
		    "`target` to the very name that the instance wants to be called (custom URLs redirect "
		    "to it), so that it has nothing to redirect; the host firewall can keep the MID Server "
		    "from going out by itself.",
		.codes = {DIAGNOSIS_PROXY_STATUS},
	},
	{
		.says = "Certificate chain is not end with a CA cert",
		.also = "certificate bundle chain root ca self-signed pem upload manage-certificates",
		.means = "The MID Server's own certificate tool wants the bundle to end in the root. "
		    "midrelay itself works without the root, so it matters where the same file is used "
		    "for both.",
		.remedy = "Run `midrelay bundle show FILE` to see what is missing, add the issuing CA's "
		    "root, and make the file anew with `midrelay bundle make -o OUT FILE...`.",
		.codes = {DIAGNOSIS_CLIENT_CERT_REJECTED},
	},
	{
		.says = "400 The SSL certificate error",
		.also = "bad request snow_adc html nginx 495 client certificate refused page",
		.means = "The instance's edge got our client certificate and does not accept it; it says "
		    "so in HTTP, behind a handshake that went well.",
		.remedy = "Upload the CA chain and the leaf to the instance and see that both are "
		    "Active; compare the fingerprint with `midrelay bundle show`. After a renewal the "
		    "new leaf must be Active there before the file changes here.",
		.codes = {DIAGNOSIS_INSTANCE_CERT_REFUSED, DIAGNOSIS_CLIENT_CERT_REJECTED, DIAGNOSIS_CLIENT_CERT_EXPIRED},
	},
	{
		.says = "No required SSL certificate was sent",
		.also = "400 bad request 496 client certificate missing required not sent",
		.means = "The instance's edge demands a client certificate and got none: this relay has "
		    "none, or the MID Server did not come through midrelay.",
		.remedy = "Set client_bundle in the relay that this MID Server uses, and see in the "
		    "`session` lines that its requests come here.",
		.codes = {DIAGNOSIS_INSTANCE_CERT_REFUSED, DIAGNOSIS_CLIENT_CERT_REJECTED, DIAGNOSIS_CLIENT_CERT_UNUSABLE,
		    DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED},
	},
	{
		.says = "java.net.UnknownHostException",
		.also = "unknown host name not known resolve dns nodename java exception",
		.means = "The MID Server itself looks up the instance's name: its `url` still names the "
		    "instance, and its host cannot resolve that, as is usual behind a proxy.",
		.remedy = "Put the listener's address into `url` (http://127.0.0.1:8080/), or map the "
		    "instance's name to 127.0.0.1 in the hosts file and keep name and port; restart the "
		    "MID Server.",
		.codes = {DIAGNOSIS_RESOLVE_FAILED, DIAGNOSIS_CONNECT_LOOP},
	},
	{
		.says = "java.net.ConnectException: Connection refused",
		.also = "connect refused connection exception not listening port java",
		.means = "Nobody listens where the MID Server connects: midrelay does not run, listens "
		    "at another address or port, or could not start.",
		.remedy = "Look at the service and the `listening` line of its log, and compare it with "
		    "`url` in config.xml. In containers 127.0.0.1 is the container's own: both must "
		    "share one network.",
		.codes = {DIAGNOSIS_CONNECT_REFUSED},
	},
	{
		.says = "java.net.SocketTimeoutException: connect timed out",
		.also = "connecttimeoutexception connection timed out timeout host did not accept within "
		    "10000 ms java",
		.means = "The MID Server waited 10 s for a connection. A listener on the same host "
		    "answers at once, so it tries to go out by itself, past midrelay.",
		.remedy = "Put the listener's address into `url`, and look for mid.proxy.* settings that "
		    "send it elsewhere; restart the MID Server.",
		.codes = {DIAGNOSIS_CONNECT_TIMEOUT},
	},
	{
		.says = "java.net.SocketTimeoutException: Read timed out",
		.also = "read timeout slow answer transaction cancelled maximum execution time java",
		.means = "The instance took longer over a request than the MID Server waits, or the path "
		    "went silent. midrelay itself would have named a failed path within setup_timeout.",
		.remedy = "Compare duration_ms and end in the `session` lines. end=relay-idle: raise the "
		    "time-out that it names. Otherwise ask for the instance's transaction log; it cuts "
		    "transactions over 5 minutes.",
		.codes = {DIAGNOSIS_RELAY_IDLE, DIAGNOSIS_TLS_TIMEOUT, DIAGNOSIS_PROXY_TIMEOUT},
	},
	{
		.says = "java.net.SocketException: Connection reset",
		.also = "nohttpresponseexception server failed to respond premature end of stream broken "
		    "pipe reset by peer java",
		.means = "The connection ended before the answer was whole. midrelay resets the client "
		    "rather than let it take a torn answer for a whole one.",
		.remedy = "Find the `session` line of that second: its end says whether the target's "
		    "side was cut, reset, idle or midrelay stopped. The MID Server cannot know whether "
		    "its insert happened.",
		.codes = {DIAGNOSIS_RELAY_TRUNCATED, DIAGNOSIS_RELAY_RESET, DIAGNOSIS_RELAY_IDLE, DIAGNOSIS_RELAY_DRAINED,
		    DIAGNOSIS_LOCAL_DENIED},
	},
	{
		.says = "SSLHandshakeException: Received fatal alert: handshake_failure",
		.also = "sslexception unsupported or unrecognized ssl message remote host terminated "
		    "handshake plaintext connection java",
		.means = "The MID Server speaks TLS to a listener of midrelay that takes plain TCP.",
		.remedy = "Write http:// instead of https:// before the listener's address in `url` in "
		    "config.xml, and restart the MID Server: midrelay makes the TLS on the far side.",
		.codes = {DIAGNOSIS_LOCAL_SPOKE_TLS},
	},
	{
		.says = "PKIX path building failed",
		.also = "unable to find valid certification path sslhandshakeexception truststore "
		    "cacerts suncertpathbuilder java",
		.means = "The MID Server makes TLS itself, past midrelay, and meets a certificate that "
		    "it does not trust: mostly that of an inspecting proxy.",
		.remedy = "Point `url` at midrelay. What midrelay sees on the same path is tls-inspected "
		    "or tls-untrusted: have the target exempted from TLS inspection rather than add the "
		    "proxy's CA to the truststore.",
		.codes = {DIAGNOSIS_TLS_INSPECTED, DIAGNOSIS_TLS_UNTRUSTED},
	},
	{
		.says = "407 Proxy Authentication Required",
		.also = "proxy authentication required ntlm negotiate basic credentials mid.proxy",
		.means = "A 407 that the MID Server itself shows was not sent through midrelay, which "
		    "never passes one on: the MID Server still uses its own proxy settings.",
		.remedy = "Set mid.proxy.use_proxy to false and give the credentials to midrelay "
		    "(proxy_user, proxy_password). Leave the settings for upgrades alone.",
		.codes = {DIAGNOSIS_PROXY_AUTH_REQUIRED, DIAGNOSIS_PROXY_AUTH_REJECTED, DIAGNOSIS_PROXY_AUTH_NTLM_ONLY,
		    DIAGNOSIS_PROXY_AUTH_UNSUPPORTED},
	},
	{
		.says = "The instance is hibernating",
		.also = "hibernate hibernating sleeping wake developer instance pdi session_timeout",
		.means = "A developer instance that was not used sleeps: it answers every request with "
		    "the same web page and status 200, which the MID Server cannot read. The path is in "
		    "order.",
		.remedy = "Wake the instance with a browser (developer.servicenow.com), then restart the "
		    "MID Server.",
		.codes = {DIAGNOSIS_INSTANCE_HIBERNATING},
	},
	{
		.says = "The instance does not support mutual TLS",
		.also = "supports_tls adcv2 tls support false mixed mutual authentication not requested",
		.means = "The instance's edge does not ask for client certificates (no ADCv2, or mutual "
		    "authentication not switched on), or something on the path answers in its place.",
		.remedy = "Ask ServiceNow for ADCv2 and switch mutual authentication on (an active CA "
		    "chain); if it is on, look for inspection on the path.",
		.codes = {DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT, DIAGNOSIS_INSTANCE_NOT_ADCV2, DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED,
		    DIAGNOSIS_TLS_INSPECTED},
	},
	{
		.says = "CertificateExpiredException: NotAfter",
		.also = "certificate expired has expired not after validity renew certificate_expired "
		    "java",
		.means = "The client certificate, or one in the server's chain, is past its end, or this "
		    "host's clock is wrong.",
		.remedy = "`midrelay bundle show FILE` shows the end of ours: renew it, upload the new "
		    "leaf until it is Active, then replace the file. For the server's look at "
		    "tls-expired.",
		.codes = {DIAGNOSIS_CLIENT_CERT_EXPIRED, DIAGNOSIS_TLS_EXPIRED},
	},
	{
		.says = "PFX or keystore cannot be read: password was incorrect",
		.also = "pfx p12 pkcs12 keystore password mac verify failure unsupported rc2-40-cbc "
		    "legacy key import",
		.means = "A PFX file that does not open: a wrong passphrase, or the old ciphers (RC2, "
		    "3DES) that Windows writes and many tools refuse. midrelay reads those as well.",
		.remedy = "Try `midrelay bundle show FILE --passphrase file:PATH`; `midrelay bundle "
		    "make` writes a PEM bundle from it that the MID Server's tools take.",
		.codes = {DIAGNOSIS_CLIENT_CERT_UNUSABLE},
	},
	{
		.says = "Upgrade download from install.service-now.com failed",
		.also = "upgrade autoupgrade download install package mid upgrade failing unable to "
		    "refresh packages",
		.means = "Upgrades come from install.service-now.com, not from the instance: the MID Server "
		    "goes there with settings of its own, and tests that way when it starts.",
		.remedy = "Set glide.mid.autoupgrade.proxy_host and _port to midrelay's listener: with `mode = "
		    "http`, connect_allow lets install.service-now.com through. Or leave them, with _user and "
		    "_password, at the company's proxy. Have install.service-now.com permitted there. No "
		    "client certificate is needed for it.",
		.codes = {DIAGNOSIS_PROXY_DENIED},
	},
	{
		.says = "400 Bad Request with two Authorization headers",
		.also = "duplicate authorization header skip_basic_auth basic auth twice",
		.means = "The instance refuses a request that carries Authorization twice. midrelay "
		    "changes no byte of a request in mode = tcp: both come from the MID Server or from "
		    "something before midrelay.",
		.remedy = "Look at mid.instance.skip_basic_auth and at whatever else adds the header on "
		    "the way to midrelay.",
		.codes = {DIAGNOSIS_OK},
	},
};
#define SYMPTOM_COUNT (sizeof(symptoms) / sizeof(symptoms[0]))

#define WORD_BYTES 48
#define MAX_WORDS 64

struct words {
	size_t count;
	char word[MAX_WORDS][WORD_BYTES];
};

static bool has_word(const struct words *words, const char *word)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		if (strcmp(words->word[i], word) == 0)
			return true;
	}
	return false;
}

/* Words that tell nothing. */
static bool is_filler(const char *word)
{
	static const char *const fillers[] = {"a", "an", "and", "as", "at", "be", "by", "for", "from", "has",
		"in", "is", "it", "its", "log", "my", "of", "on", "or", "says", "server", "mid", "the", "to", "was",
		"with", "error", "warn", "severe", "why", "does", "net", "com", "http", "https", NULL};
	const char *const *filler;

	for (filler = fillers; *filler != NULL; filler++) {
		if (strcmp(*filler, word) == 0)
			return true;
	}
	return false;
}

/* Letters and digits make words; each counts once. */
static void take_words(const char *text, struct words *words)
{
	char word[WORD_BYTES];
	size_t len = 0;

	for (;; text++) {
		if (isalnum((unsigned char)*text)) {
			if (len + 1 < sizeof(word))
				word[len++] = (char)tolower((unsigned char)*text);
			continue;
		}
		word[len] = '\0';
		if (len > 0 && words->count < MAX_WORDS && !is_filler(word) && !has_word(words, word))
			memcpy(words->word[words->count++], word, len + 1);
		len = 0;
		if (*text == '\0')
			return;
	}
}

/* What a hit weighs: a word of the name more than one of the further words. */
enum { WEIGHT_NAME = 3, WEIGHT_ALSO = 2 };

struct score {
	unsigned weight;   /* of all words that hit */
	unsigned of_text;  /* per cent of the text's words that hit */
	unsigned of_says;  /* per cent of the name's words that the text has */
	unsigned hits;
};

static struct score rate(const struct symptom *symptom, const struct words *text)
{
	struct words says = {0}, also = {0};
	struct score score = {0};
	unsigned in_says = 0;
	size_t i;

	take_words(symptom->says, &says);
	take_words(symptom->also, &also);
	for (i = 0; i < text->count; i++) {
		if (has_word(&says, text->word[i])) {
			in_says++;
			score.weight += WEIGHT_NAME;
		} else if (has_word(&also, text->word[i])) {
			score.weight += WEIGHT_ALSO;
		} else {
			continue;
		}
		score.hits++;
	}
	if (text->count > 0)
		score.of_text = 100 * score.hits / (unsigned)text->count;
	if (says.count > 0)
		score.of_says = 100 * in_says / (unsigned)says.count;
	return score;
}

static bool is_match(const struct score *score)
{
	return score->of_text >= 60 || (score->of_says >= 75 && score->hits >= 2);
}

/* The weight says how much fits, the share of the name how little of it is missing. */
static unsigned rank(const struct score *score)
{
	return score->weight * 100 + score->of_says;
}

size_t symptom_count(void)
{
	return SYMPTOM_COUNT;
}

const struct symptom *symptom_at(size_t i)
{
	midrelay_assert(i < SYMPTOM_COUNT);
	return &symptoms[i];
}

const struct symptom *symptom_find(const char *text, const struct symptom **near, size_t near_max,
    size_t *near_count)
{
	const struct symptom *best = NULL;
	unsigned ranks[SYMPTOM_COUNT], best_rank = 0;
	struct words words = {0};
	struct score score;
	size_t i, top;

	*near_count = 0;
	take_words(text, &words);
	for (i = 0; i < SYMPTOM_COUNT; i++) {
		score = rate(&symptoms[i], &words);
		ranks[i] = score.hits == 0 ? 0 : rank(&score);
		if (ranks[i] > best_rank && is_match(&score)) {
			best = &symptoms[i];
			best_rank = ranks[i];
		}
	}
	while (best == NULL && *near_count < near_max) {
		for (top = 0, i = 1; i < SYMPTOM_COUNT; i++) {
			if (ranks[i] > ranks[top])
				top = i;
		}
		if (ranks[top] == 0)
			break;
		near[(*near_count)++] = &symptoms[top];
		ranks[top] = 0;
	}
	return best;
}
