/*
 * diagnosis_cause: the causes that one code stands for, where their remedies differ.
 *
 * Answers for their names and remedies; not for when a cause applies: that is decided where the fact is seen.
 */
#include "base/mem.h"
#include "dial/diagnosis.h"

static const struct diagnosis_cause_info causes[] = {
	[DIAGNOSIS_CAUSE_NONE] = {
		.cause = DIAGNOSIS_CAUSE_NONE, .code = DIAGNOSIS_OK, .name = "", .when = "", .remedy = "",
	},
	[DIAGNOSIS_CAUSE_LOCAL_CERT] = {
		.cause = DIAGNOSIS_CAUSE_LOCAL_CERT, .code = DIAGNOSIS_LOCAL_DENIED,
		.name = "certificate",
		.when = "listen_client_ca demands a certificate, and the client showed none that verifies",
		.remedy = "If it is the MID Server, give it a client certificate from a CA in "
		    "listen_client_ca, or add that CA there; if not, find out which program the log line's "
		    "peer belongs to.",
	},
	[DIAGNOSIS_CAUSE_LIMIT_DESCRIPTORS] = {
		.cause = DIAGNOSIS_CAUSE_LIMIT_DESCRIPTORS, .code = DIAGNOSIS_LOCAL_LIMIT,
		.name = "descriptors",
		.when = "the process, or the system, has no file descriptor left",
		.remedy = "Raise the open-files limit (LimitNOFILE= in the systemd unit: two descriptors a "
		    "connection and some to spare), or lower max_connections below half of it; look for a "
		    "client that never closes its connections.",
	},
	[DIAGNOSIS_CAUSE_LIMIT_PORTS] = {
		.cause = DIAGNOSIS_CAUSE_LIMIT_PORTS, .code = DIAGNOSIS_LOCAL_LIMIT,
		.name = "ports",
		.when = "every local port towards that address is in use",
		.remedy = "Widen net.ipv4.ip_local_port_range, or list a second address of the proxy; `ss "
		    "-tan` shows who holds the ports (many in TIME-WAIT: a client that opens a connection "
		    "for every request).",
	},
	[DIAGNOSIS_CAUSE_LIMIT_MEMORY] = {
		.cause = DIAGNOSIS_CAUSE_LIMIT_MEMORY, .code = DIAGNOSIS_LOCAL_LIMIT,
		.name = "memory",
		.when = "the kernel or a library has no memory for a connection",
		.remedy = "Give the service more memory (MemoryMax= in the systemd unit, the container's "
		    "limit), or lower max_connections.",
	},
	[DIAGNOSIS_CAUSE_LIMIT_DIALS] = {
		.cause = DIAGNOSIS_CAUSE_LIMIT_DIALS, .code = DIAGNOSIS_LOCAL_LIMIT,
		.name = "dials",
		.when = "too many clients of one relay came at once, and this one's turn to be dialled for did "
		    "not come within setup_timeout",
		.remedy = "If a path-failed line stands before this one, that path is what everybody waits for: "
		    "mend it. Otherwise the clients come faster than the paths answer: spread their start, or "
		    "raise setup_timeout (a MID Server itself gives up after 10 seconds).",
	},
	[DIAGNOSIS_CAUSE_LOCAL_CA] = {
		.cause = DIAGNOSIS_CAUSE_LOCAL_CA, .code = DIAGNOSIS_LOCAL_TLS,
		.name = "local-ca",
		.when = "the client does not trust the local CA of listen_cert = auto",
		.remedy = "Import the local CA into the client's trust store: `midrelay bundle show --local-ca` "
		    "prints it and the keytool line for Java; then restart the client.",
	},
	[DIAGNOSIS_CAUSE_LOCAL_UNTRUSTED] = {
		.cause = DIAGNOSIS_CAUSE_LOCAL_UNTRUSTED, .code = DIAGNOSIS_LOCAL_TLS,
		.name = "untrusted",
		.when = "the client does not accept the certificate in the file of listen_cert",
		.remedy = "Check with `midrelay bundle show FILE` that the certificate is for the name in the "
		    "client's url, is within its validity and comes with its intermediates, and import its "
		    "root into the client's trust store.",
	},
	[DIAGNOSIS_CAUSE_LOCAL_PLAIN] = {
		.cause = DIAGNOSIS_CAUSE_LOCAL_PLAIN, .code = DIAGNOSIS_LOCAL_TLS,
		.name = "plain",
		.when = "the client sent no TLS",
		.remedy = "This listener is tls://: point the client at it with https:// (in the MID Server's "
		    "config.xml the parameter `url`), or list a plain address in listen for it.",
	},
	[DIAGNOSIS_CAUSE_RESOLVER_SILENT] = {
		.cause = DIAGNOSIS_CAUSE_RESOLVER_SILENT, .code = DIAGNOSIS_RESOLVE_FAILED,
		.name = "no-answer",
		.when = "no name server gave an answer (EAI_AGAIN), which says nothing of the name",
		.remedy = "Check that the name servers in /etc/resolv.conf run and are reachable from this "
		    "host (UDP and TCP port 53): `getent ahosts NAME` must work for any name; a numeric "
		    "address in `proxy`, or target_address on a direct path, does without them meanwhile.",
	},
	[DIAGNOSIS_CAUSE_RESOLVER_FAILED] = {
		.cause = DIAGNOSIS_CAUSE_RESOLVER_FAILED, .code = DIAGNOSIS_RESOLVE_FAILED,
		.name = "resolver-failed",
		.when = "the name service on this host failed for good",
		.remedy = "Something is wrong with the name service, not with the name: look at the hosts "
		    "line of /etc/nsswitch.conf and at what /etc/resolv.conf names, and try `getent ahosts "
		    "NAME` as the account that midrelay runs as.",
	},
	[DIAGNOSIS_CAUSE_TARGET_REFUSED] = {
		.cause = DIAGNOSIS_CAUSE_TARGET_REFUSED, .code = DIAGNOSIS_CONNECT_REFUSED,
		.name = "target",
		.when = "it was the target itself, on a direct path",
		.remedy = "Check the port in `target` (443 if left out) and what its name leads to (DNS, the "
		    "hosts file, target_address); if both are right, a firewall refuses politely, and the "
		    "way out is a proxy.",
	},
	[DIAGNOSIS_CAUSE_NO_ROUTE] = {
		.cause = DIAGNOSIS_CAUSE_NO_ROUTE, .code = DIAGNOSIS_CONNECT_UNREACHABLE,
		.name = "no-route",
		.when = "this host has no route to the address (ENETUNREACH)",
		.remedy = "Run `ip route get ADDRESS` with the address in the sentence: look for an "
		    "interface that is down, a missing default route, a VPN that is not up, or an IPv6 "
		    "address on a host without IPv6.",
	},
	[DIAGNOSIS_CAUSE_HOST_UNREACHABLE] = {
		.cause = DIAGNOSIS_CAUSE_HOST_UNREACHABLE, .code = DIAGNOSIS_CONNECT_UNREACHABLE,
		.name = "host-unreachable",
		.when = "a router or firewall on the way, or the neighbour on this network, says so "
		    "(EHOSTUNREACH)",
		.remedy = "The packets leave this host and are turned down on the way: ask the network team "
		    "to permit this host's address to the address and port in the sentence; on the same "
		    "network the machine is off or has another address.",
	},
	[DIAGNOSIS_CAUSE_FORBIDDEN_HERE] = {
		.cause = DIAGNOSIS_CAUSE_FORBIDDEN_HERE, .code = DIAGNOSIS_CONNECT_UNREACHABLE,
		.name = "forbidden-here",
		.when = "this host itself forbids it (EACCES, EPERM)",
		.remedy = "The packets never leave this host: look for a rule in its own firewall (`nft list "
		    "ruleset`, `iptables -S OUTPUT`), a prohibit route, SELinux, a container's network "
		    "policy, or IPAddressDeny= in the systemd unit.",
	},
	[DIAGNOSIS_CAUSE_SOURCE_ADDRESS] = {
		.cause = DIAGNOSIS_CAUSE_SOURCE_ADDRESS, .code = DIAGNOSIS_CONNECT_UNREACHABLE,
		.name = "source-address",
		.when = "source_address does not fit",
		.remedy = "Set source_address to an address that this host has (`ip address`) and that is of "
		    "the same family as the one in the sentence, or remove it.",
	},
	[DIAGNOSIS_CAUSE_QUOTA] = {
		.cause = DIAGNOSIS_CAUSE_QUOTA, .code = DIAGNOSIS_PROXY_AUTH_REJECTED,
		.name = "quota",
		.when = "the reason phrase speaks of a quota or limit",
		.remedy = "The account is known, but what it may use is used up: ask the proxy's operators "
		    "to raise or renew the quota that the sentence names; the password is not at fault.",
	},
	[DIAGNOSIS_CAUSE_NO_SCHEME] = {
		.cause = DIAGNOSIS_CAUSE_NO_SCHEME, .code = DIAGNOSIS_PROXY_AUTH_UNSUPPORTED,
		.name = "no-scheme",
		.when = "no authentication scheme is offered at all",
		.remedy = "No credentials can help where none are asked for: it often means a used-up quota, "
		    "or that this host is not registered there; ask the proxy's operators what their reason "
		    "phrase stands for.",
	},
	[DIAGNOSIS_CAUSE_BLOCK_PAGE] = {
		.cause = DIAGNOSIS_CAUSE_BLOCK_PAGE, .code = DIAGNOSIS_PROXY_DENIED,
		.name = "block-page",
		.when = "the 403 is the block page of a web filter",
		.remedy = "A web filter blocks the target by its category or reputation: ask the proxy's "
		    "operators to put the host in the sentence on the list of permitted ones, exempt from "
		    "TLS inspection; other paths are not tried after a 403.",
	},
	[DIAGNOSIS_CAUSE_PROXY_DNS] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_DNS, .code = DIAGNOSIS_PROXY_UPSTREAM_FAILED,
		.name = "dns",
		.when = "the proxy says that it could not resolve the target's name",
		.remedy = "Check the spelling of `target`; if it is right, the proxy's own name service does "
		    "not know the name: its operators must let the proxy resolve it.",
	},
	[DIAGNOSIS_CAUSE_PROXY_CONNECT] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_CONNECT, .code = DIAGNOSIS_PROXY_UPSTREAM_FAILED,
		.name = "connect",
		.when = "the proxy says that it could not connect to the target",
		.remedy = "Check name and port of `target`; if they are right, the firewall behind the proxy "
		    "must let the proxy through to them: give its operators the sentence and the time.",
	},
	[DIAGNOSIS_CAUSE_PROXY_FORWARD] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_FORWARD, .code = DIAGNOSIS_PROXY_UPSTREAM_FAILED,
		.name = "forward",
		.when = "the proxy says that it has no way to pass the request on",
		.remedy = "Check the spelling of `target` first: Squid says so of a name that it cannot "
		    "resolve, too; if it is right, the proxy's operators must look at the way from the proxy "
		    "to the target (its name service, and the next proxy, if there is one).",
	},
	[DIAGNOSIS_CAUSE_PORTAL] = {
		.cause = DIAGNOSIS_CAUSE_PORTAL, .code = DIAGNOSIS_PROXY_STATUS,
		.name = "portal",
		.when = "the answer is a redirect, or a 511: a captive portal, a login or a block page",
		.remedy = "Somebody must log this host in at the address in the sentence, which a service "
		    "cannot do by itself: ask for this host, or for the target, to be exempt from the "
		    "portal.",
	},
	[DIAGNOSIS_CAUSE_NO_PROXY] = {
		.cause = DIAGNOSIS_CAUSE_NO_PROXY, .code = DIAGNOSIS_PROXY_STATUS,
		.name = "no-proxy",
		.when = "the answer is that of a web server that does not know CONNECT (400, 404, 405, 501)",
		.remedy = "A web server, a reverse proxy or an application answers there: put the host and "
		    "port of a forward proxy that permits CONNECT into `proxy`.",
	},
	[DIAGNOSIS_CAUSE_TOO_MANY] = {
		.cause = DIAGNOSIS_CAUSE_TOO_MANY, .code = DIAGNOSIS_PROXY_STATUS,
		.name = "too-many",
		.when = "the answer is 429 Too Many Requests",
		.remedy = "Too many connections were asked for in a short time: lower the MID Server's "
		    "thread count, or ask the proxy's operators for a higher limit for this host.",
	},
	[DIAGNOSIS_CAUSE_MALFORMED_WANTS_TLS] = {
		.cause = DIAGNOSIS_CAUSE_MALFORMED_WANTS_TLS, .code = DIAGNOSIS_PROXY_MALFORMED,
		.name = "wants-tls",
		.when = "a TLS record came in answer to plain HTTP",
		.remedy = "This port of the proxy speaks TLS: write https:// instead of http:// in `proxy`, "
		    "or use its port for plain HTTP.",
	},
	[DIAGNOSIS_CAUSE_BROKEN_REPLY] = {
		.cause = DIAGNOSIS_CAUSE_BROKEN_REPLY, .code = DIAGNOSIS_PROXY_MALFORMED,
		.name = "broken-reply",
		.when = "it is an HTTP/1.x reply that breaks a rule or a bound",
		.remedy = "The proxy, or something in front of it, is broken or puts far too much into its "
		    "reply: show its operators the sentence.",
	},
	[DIAGNOSIS_CAUSE_WRONG_PORT] = {
		.cause = DIAGNOSIS_CAUSE_WRONG_PORT, .code = DIAGNOSIS_PROXY_CLOSED,
		.name = "wrong-port",
		.when = "what came before the end was no HTTP",
		.remedy = "The port in `proxy` is another service's, which the sentence names: put the HTTP "
		    "proxy's own port there.",
	},
	[DIAGNOSIS_CAUSE_PROXY_HANDSHAKE] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_HANDSHAKE, .code = DIAGNOSIS_PROXY_TIMEOUT,
		.name = "handshake",
		.when = "the TLS handshake with an https:// proxy did not end",
		.remedy = "The port may speak plain HTTP and wait for a request (write http:// then), or "
		    "large packets are lost on the way (path MTU): try `openssl s_client -connect "
		    "PROXY:PORT`.",
	},
	[DIAGNOSIS_CAUSE_PROXY_UNTRUSTED] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_UNTRUSTED, .code = DIAGNOSIS_PROXY_TLS,
		.name = "untrusted",
		.when = "the proxy's certificate does not chain to a trusted CA",
		.remedy = "For a private CA of the proxy, name it in `proxy_trust` (`trust` is for the "
		    "target alone); if its issuer is unknown to the proxy's operators, another program "
		    "answers on that port.",
	},
	[DIAGNOSIS_CAUSE_PROXY_HOSTNAME] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_HOSTNAME, .code = DIAGNOSIS_PROXY_TLS,
		.name = "hostname",
		.when = "the proxy's certificate is for other names",
		.remedy = "List the proxy by a name that its certificate bears (the sentence has them); an "
		    "address or a short name is not enough.",
	},
	[DIAGNOSIS_CAUSE_PROXY_EXPIRED] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_EXPIRED, .code = DIAGNOSIS_PROXY_TLS,
		.name = "expired",
		.when = "the proxy's certificate has expired or is not valid yet",
		.remedy = "Compare this host's clock (`timedatectl`) with the dates in the sentence; if the "
		    "clock is right, the proxy's operators must renew its certificate.",
	},
	[DIAGNOSIS_CAUSE_PROXY_PLAIN] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_PLAIN, .code = DIAGNOSIS_PROXY_TLS,
		.name = "not-tls",
		.when = "the proxy does not speak TLS on that port",
		.remedy = "Write http:// instead of https:// in `proxy`, or use the port on which the proxy "
		    "speaks TLS.",
	},
	[DIAGNOSIS_CAUSE_PROXY_WANTS_CERT] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_WANTS_CERT, .code = DIAGNOSIS_PROXY_TLS,
		.name = "wants-certificate",
		.when = "the proxy demands a client certificate, or refuses the one it got",
		.remedy = "Name a certificate that the proxy accepts in `proxy_client_bundle`, and have its "
		    "CA entered there; it is never the one for the target.",
	},
	[DIAGNOSIS_CAUSE_PROXY_OWN_CERT] = {
		.cause = DIAGNOSIS_CAUSE_PROXY_OWN_CERT, .code = DIAGNOSIS_PROXY_TLS,
		.name = "own-certificate",
		.when = "the certificate in proxy_client_bundle has expired or is not valid yet",
		.remedy = "Have the certificate in `proxy_client_bundle` renewed and replace the file: it is "
		    "read again without a restart; if it is not valid yet, compare this host's clock "
		    "(`timedatectl`).",
	},
	[DIAGNOSIS_CAUSE_ALERT_NAME] = {
		.cause = DIAGNOSIS_CAUSE_ALERT_NAME, .code = DIAGNOSIS_TLS_ALERT,
		.name = "unrecognized-name",
		.when = "the alert is unrecognized_name",
		.remedy = "This server does not serve the host in `target`: correct it, or what it leads to "
		    "(target_address, DNS, the hosts file).",
	},
	[DIAGNOSIS_CAUSE_ALERT_HANDSHAKE] = {
		.cause = DIAGNOSIS_CAUSE_ALERT_HANDSHAKE, .code = DIAGNOSIS_TLS_ALERT,
		.name = "handshake-failure",
		.when = "the alert is handshake_failure or insufficient_security",
		.remedy = "Server and midrelay have no cipher, group or signature algorithm in common: "
		    "remove tls_ciphers, tls_ciphersuites and tls_groups if they were set by hand; else the "
		    "target's operators must permit what is usual today (a server with nothing but static "
		    "RSA is not served).",
	},
	[DIAGNOSIS_CAUSE_ENDED_HERE] = {
		.cause = DIAGNOSIS_CAUSE_ENDED_HERE, .code = DIAGNOSIS_TLS_ALERT,
		.name = "ended-here",
		.when = "no alert came: it was midrelay's side that could not go on",
		.remedy = "What the server sent, or our own key, does not do for the reason in the sentence: "
		    "compare with another path; if all paths end so, show the sentence to the target's "
		    "operators.",
	},
	[DIAGNOSIS_CAUSE_PAGE] = {
		.cause = DIAGNOSIS_CAUSE_PAGE, .code = DIAGNOSIS_TLS_NOT_TLS,
		.name = "page",
		.when = "a web page came in place of TLS: a block page, or a captive portal",
		.remedy = "Behind a proxy that said yes this is its block page or a login portal: the target "
		    "must be permitted there, for this host, without TLS inspection and without a login. On "
		    "a direct path it is a captive portal, or `target` has the port of a web server.",
	},
	[DIAGNOSIS_CAUSE_PLAIN_HTTP] = {
		.cause = DIAGNOSIS_CAUSE_PLAIN_HTTP, .code = DIAGNOSIS_TLS_NOT_TLS,
		.name = "plain-http",
		.when = "a plain HTTP response came in place of TLS",
		.remedy = "Read its status in the sentence: 400 is a web server's answer to TLS on its plain "
		    "port, so check the port in `target`; 302, 403 or 511 behind a proxy that said yes is a "
		    "portal or a block, and the target must be permitted there; 502 or 503 is a proxy that "
		    "could not reach the target.",
	},
	[DIAGNOSIS_CAUSE_NO_SERVER_HELLO] = {
		.cause = DIAGNOSIS_CAUSE_NO_SERVER_HELLO, .code = DIAGNOSIS_TLS_CLOSED,
		.name = "no-answer",
		.when = "it was closed or reset without an answer to the ClientHello",
		.remedy = "A firewall that filters by server name does this, or a proxy that says yes before "
		    "it has reached the target: ask whether the target's name is permitted there, and "
		    "compare with another path (`direct`, or another proxy).",
	},
	[DIAGNOSIS_CAUSE_AFTER_CERT] = {
		.cause = DIAGNOSIS_CAUSE_AFTER_CERT, .code = DIAGNOSIS_TLS_CLOSED,
		.name = "after-certificate",
		.when = "it was closed or reset after our client certificate had been sent",
		.remedy = "Mostly this is a server that does not accept the certificate and gives no alert: "
		    "see that the CA chain and the leaf of this bundle are uploaded to the instance and "
		    "Active; if they are, a filter on the way cuts mutual TLS.",
	},
	[DIAGNOSIS_CAUSE_NONE_CONFIGURED] = {
		.cause = DIAGNOSIS_CAUSE_NONE_CONFIGURED, .code = DIAGNOSIS_CLIENT_CERT_REJECTED,
		.name = "none-configured",
		.when = "the server demands a client certificate and none is configured",
		.remedy = "Set client_bundle (or client_cert and client_key) in the relay to the certificate "
		    "that was issued for this MID Server, and reload.",
	},
	[DIAGNOSIS_CAUSE_NOT_YET_VALID] = {
		.cause = DIAGNOSIS_CAUSE_NOT_YET_VALID, .code = DIAGNOSIS_CLIENT_CERT_EXPIRED,
		.name = "not-yet-valid",
		.when = "the certificate is not valid yet",
		.remedy = "Compare this host's clock (`timedatectl`) with the date in the sentence; if the "
		    "clock is right, put the former certificate back until that date.",
	},
};
_Static_assert(sizeof(causes) / sizeof(causes[0]) == DIAGNOSIS_CAUSE_COUNT, "every cause has its row");

const struct diagnosis_cause_info *diagnosis_cause_info(enum diagnosis_cause cause)
{
	midrelay_assert((unsigned)cause < DIAGNOSIS_CAUSE_COUNT);
	return &causes[cause];
}
