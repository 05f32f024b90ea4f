/*
 * diagnosis_table: what can go wrong: a row for each code, in the order of the stages.
 *
 * It answers for names, stages, meanings, remedies and RFC 9209 types; not for when a code applies: that is
 * decided where the fact is seen.  doc/diagnoses.md has a section for each code (tests/check-diagnoses.sh).
 */
#include "dial/diagnosis_table.h"

/*
 * proxy_status: RFC 9209 section 2.3.  What our own settings lack or have wrong (credentials, a client
 * certificate that cannot be used) is proxy_configuration_error; a proxy that says no by policy is
 * http_request_denied; one that reports that *it* cannot reach the target is destination_unavailable.
 */
const struct diagnosis_info diagnosis_table[] = {
	[DIAGNOSIS_OK] = {
		.code = DIAGNOSIS_OK,
		.name = "ok",
		.stage = DIAGNOSIS_STAGE_RELAY,
		.meaning = "The connection was relayed and both sides ended it properly.",
		.remedy = "Nothing to do.",
		.proxy_status = "", .http_status = 200,
	},
	[DIAGNOSIS_LOCAL_DENIED] = {
		.code = DIAGNOSIS_LOCAL_DENIED,
		.name = "local-denied",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "A client connected that allow_address, allow_user or listen_client_ca does not "
		    "permit, or whose owner cannot be told.",
		.remedy = "If it is the MID Server, add its address to allow_address, or the account that "
		    "its service runs as to allow_user; if not, find out which program the log line's peer "
		    "belongs to.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_LOCAL_LIMIT] = {
		.code = DIAGNOSIS_LOCAL_LIMIT,
		.name = "local-limit",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "max_connections local connections are open already, or the process is out of "
		    "descriptors.",
		.remedy = "Raise max_connections, and the open-files limit with it (LimitNOFILE= in the "
		    "systemd unit: two descriptors a connection and some to spare); a MID Server holds "
		    "about 60 connections, so look for a client that never closes its own.",
		.proxy_status = "connection_limit_reached", .http_status = 503,
	},
	[DIAGNOSIS_LOCAL_SPOKE_TLS] = {
		.code = DIAGNOSIS_LOCAL_SPOKE_TLS,
		.name = "local-spoke-tls",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "The client began a TLS handshake on a listener that takes plain TCP.",
		.remedy = "Point the client at this listener with http:// instead of https:// (in the MID "
		    "Server's config.xml the parameter `url`), and restart the client.",
		.proxy_status = "http_request_error", .http_status = 502,
	},
	[DIAGNOSIS_LOCAL_BAD_REQUEST] = {
		.code = DIAGNOSIS_LOCAL_BAD_REQUEST,
		.name = "local-bad-request",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "With mode = http, a client's request is no HTTP/1.1 that has one meaning only, "
		    "or it is for a foreign host or from a foreign web page; nothing of it was sent on.",
		.remedy = "If it is the MID Server, report the sentence to the authors, and use `mode = tcp` "
		    "meanwhile; a foreign Host or Origin means that another program or a web page found the "
		    "listener: find out which by the log line's peer, or call the relay by its listen "
		    "address, localhost or the target's name.",
		.proxy_status = "http_request_error", .http_status = 400,
	},
	[DIAGNOSIS_LOCAL_CONNECT_DENIED] = {
		.code = DIAGNOSIS_LOCAL_CONNECT_DENIED,
		.name = "local-connect-denied",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "With mode = http, a client asked for a CONNECT to a host that is not in "
		    "connect_allow, or to the target itself.",
		.remedy = "For the target, give the client its URL with http:// instead of https:// (in the "
		    "MID Server's config.xml the parameter `url`); add another host to connect_allow if the "
		    "client has business there.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_LOCAL_TLS] = {
		.code = DIAGNOSIS_LOCAL_TLS,
		.name = "local-tls",
		.stage = DIAGNOSIS_STAGE_LOCAL,
		.meaning = "A client of a tls:// listener did not finish the TLS handshake; nothing was dialled "
		    "for it.",
		.remedy = "The sentence says what the client did: one that is too slow or too old needs "
		    "tls_timeout raised, or TLS 1.2; run `openssl s_client -connect ADDRESS` to see what it "
		    "meets.",
		.proxy_status = "http_request_error", .http_status = 502,
	},
	[DIAGNOSIS_RESOLVE_FAILED] = {
		.code = DIAGNOSIS_RESOLVE_FAILED,
		.name = "resolve-failed",
		.stage = DIAGNOSIS_STAGE_RESOLVE,
		.meaning = "The name of the proxy, or of the target on a direct path, has no address.",
		.remedy = "Run `getent ahosts NAME` on this host with the name in the sentence: correct "
		    "it in the configuration if it is misspelt, else ask for it to be put into DNS, or mend "
		    "the search domains in /etc/resolv.conf or /etc/hosts; behind a proxy the target's "
		    "own name need not resolve here.",
		.proxy_status = "dns_error", .http_status = 502,
	},
	[DIAGNOSIS_RESOLVE_TIMEOUT] = {
		.code = DIAGNOSIS_RESOLVE_TIMEOUT,
		.name = "resolve-timeout",
		.stage = DIAGNOSIS_STAGE_RESOLVE,
		.meaning = "No name server answered within connect_timeout.",
		.remedy = "Check that the name servers in /etc/resolv.conf are reachable from this host "
		    "(UDP and TCP port 53) and remove dead ones; a numeric address in `proxy`, or "
		    "target_address on a direct path, does without them for the night.",
		.proxy_status = "dns_timeout", .http_status = 504,
	},
	[DIAGNOSIS_CONNECT_REFUSED] = {
		.code = DIAGNOSIS_CONNECT_REFUSED,
		.name = "connect-refused",
		.stage = DIAGNOSIS_STAGE_CONNECT,
		.meaning = "The address answered, but nothing accepts connections on that port.",
		.remedy = "Compare the port in `proxy` with the one that the proxy's operators name (3128, "
		    "8080 and 9090 are usual) and ask them whether the service is running.",
		.proxy_status = "connection_refused", .http_status = 502,
	},
	[DIAGNOSIS_CONNECT_TIMEOUT] = {
		.code = DIAGNOSIS_CONNECT_TIMEOUT,
		.name = "connect-timeout",
		.stage = DIAGNOSIS_STAGE_CONNECT,
		.meaning = "Nothing came back from the address within connect_timeout: packets are dropped "
		    "on the way.",
		.remedy = "Ask the network team to permit this host's address to the address and port in "
		    "the sentence, both named; a host that may only go through a proxy must not have "
		    "`direct` in its list.",
		.proxy_status = "connection_timeout", .http_status = 504,
	},
	[DIAGNOSIS_CONNECT_UNREACHABLE] = {
		.code = DIAGNOSIS_CONNECT_UNREACHABLE,
		.name = "connect-unreachable",
		.stage = DIAGNOSIS_STAGE_CONNECT,
		.meaning = "This host, or a router, says that there is no way to the address.",
		.remedy = "Run `ip route get ADDRESS` with the address in the sentence, as the account that "
		    "midrelay runs as, and give the network team what it says together with the error in "
		    "the sentence.",
		.proxy_status = "destination_ip_unroutable", .http_status = 502,
	},
	[DIAGNOSIS_CONNECT_LOOP] = {
		.code = DIAGNOSIS_CONNECT_LOOP,
		.name = "connect-loop",
		.stage = DIAGNOSIS_STAGE_CONNECT,
		.meaning = "The proxy or target resolves to a listener of this very process.",
		.remedy = "The hosts file maps the target to this machine for the client's sake: give the "
		    "relay a proxy, or set target_address to the target's real address.",
		.proxy_status = "proxy_loop_detected", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_AUTH_REQUIRED] = {
		.code = DIAGNOSIS_PROXY_AUTH_REQUIRED,
		.name = "proxy-auth-required",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy wants Basic credentials and none are configured for it.",
		.remedy = "Set proxy_user and proxy_password in the relay (or user and password in the "
		    "[proxy NAME] section that it lists), for example proxy_password = "
		    "file:/etc/midrelay/proxy-password, and reload.",
		.proxy_status = "proxy_configuration_error", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_AUTH_REJECTED] = {
		.code = DIAGNOSIS_PROXY_AUTH_REJECTED,
		.name = "proxy-auth-rejected",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy takes Basic credentials, got ours, and does not accept them.",
		.remedy = "Try the same account by hand with `curl -v --proxy-basic -x PROXY -U USER "
		    "https://TARGET/`; if that fails too, the password has changed or expired, the account "
		    "is locked, or it is wanted as DOMAIN\\user or user@domain.",
		.proxy_status = "proxy_configuration_error", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_AUTH_NTLM_ONLY] = {
		.code = DIAGNOSIS_PROXY_AUTH_NTLM_ONLY,
		.name = "proxy-auth-ntlm-only",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy offers only Windows authentication: NTLM, Negotiate or Kerberos.",
		.remedy = "ServiceNow's MID Server and midrelay speak Basic only, so no setting here "
		    "helps: ask the proxy's operators to offer Basic to this host, or to let this host "
		    "reach the target without authentication.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_AUTH_UNSUPPORTED] = {
		.code = DIAGNOSIS_PROXY_AUTH_UNSUPPORTED,
		.name = "proxy-auth-unsupported",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy wants authentication and names no scheme that midrelay speaks, or "
		    "none at all.",
		.remedy = "Show the proxy's operators the status line and the schemes in the sentence, "
		    "and ask for Basic on CONNECT, or for a rule that lets this host reach the target "
		    "without authentication.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_DENIED] = {
		.code = DIAGNOSIS_PROXY_DENIED,
		.name = "proxy-denied",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy's policy forbids this CONNECT (403): who we are is not in question, "
		    "where we want to go is.",
		.remedy = "Ask the proxy's operators to permit CONNECT to the host and port in the "
		    "sentence from this host's address (and for this account), exempt from TLS inspection; "
		    "other paths are not tried after a 403.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_UPSTREAM_FAILED] = {
		.code = DIAGNOSIS_PROXY_UPSTREAM_FAILED,
		.name = "proxy-upstream-failed",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy accepted us but could not itself reach the target.",
		.remedy = "Check the spelling of `target` first; if it is right, the proxy does not say "
		    "whether its name service, its firewall or a proxy behind it is at fault: give its "
		    "operators the sentence and the time, and ask what its own log says of this CONNECT.",
		.proxy_status = "destination_unavailable", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_STATUS] = {
		.code = DIAGNOSIS_PROXY_STATUS,
		.name = "proxy-status",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The answer to CONNECT has a status that no other code covers.",
		.remedy = "Look up the status in the sentence, and who answered (Server, Via): make sure "
		    "that `proxy` names a forward proxy that permits CONNECT, and give its operators the "
		    "sentence and the time.",
		.proxy_status = "http_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_MALFORMED] = {
		.code = DIAGNOSIS_PROXY_MALFORMED,
		.name = "proxy-malformed",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "What answered the CONNECT does not speak HTTP/1.x, or its reply exceeds every "
		    "reasonable bound.",
		.remedy = "The sentence says what came instead: the port in `proxy` is another "
		    "service's; put the HTTP proxy's own port there.",
		.proxy_status = "http_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_CLOSED] = {
		.code = DIAGNOSIS_PROXY_CLOSED,
		.name = "proxy-closed",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy closed or reset the connection before its reply to CONNECT was "
		    "complete.",
		.remedy = "Ask the proxy's operators whether this host's address is in its access list and "
		    "what its log says at this second: some hang up on strangers without a word; if its "
		    "port wants TLS, write https:// in `proxy`.",
		.proxy_status = "connection_terminated", .http_status = 502,
	},
	[DIAGNOSIS_PROXY_TIMEOUT] = {
		.code = DIAGNOSIS_PROXY_TIMEOUT,
		.name = "proxy-timeout",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "The proxy took the connection but gave no complete answer to CONNECT within "
		    "proxy_timeout; with an https:// proxy, its TLS handshake counts in that.",
		.remedy = "If the sentence says that credentials were sent, try once without them: some "
		    "proxies fall silent when they get any that they do not want; otherwise the proxy is "
		    "overloaded or waits for a target that it cannot reach.",
		.proxy_status = "http_response_timeout", .http_status = 504,
	},
	[DIAGNOSIS_PROXY_TLS] = {
		.code = DIAGNOSIS_PROXY_TLS,
		.name = "proxy-tls",
		.stage = DIAGNOSIS_STAGE_PROXY,
		.meaning = "TLS with an https:// proxy failed: it is not the proxy that it should be, "
		    "does not speak TLS, or refused us; no credentials were sent to it unless its "
		    "certificate verified.",
		.remedy = "An https:// proxy needs a certificate that verifies, for the name it is "
		    "listed by: the sentence says what its TLS ended with; give it, with the time, to the "
		    "proxy's operators, and compare tls_min and tls_max where it names versions.",
		.proxy_status = "tls_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_INSPECTED] = {
		.code = DIAGNOSIS_TLS_INSPECTED,
		.name = "tls-inspected",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "What answered for the target looks like a proxy that inspects TLS; our "
		    "certificate and data were not sent to it.",
		.remedy = "Have the target exempted from TLS inspection on the proxy that the path names; a "
		    "client certificate cannot pass an inspecting proxy. If the target has a private CA on "
		    "purpose, name that CA with `trust`; `pin` the public key of its CA where no timestamps "
		    "(SCTs) come with the certificate.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_UNTRUSTED] = {
		.code = DIAGNOSIS_TLS_UNTRUSTED,
		.name = "tls-untrusted",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The server's certificate does not chain to a trusted CA; nothing of ours was "
		    "sent to it.",
		.remedy = "Look at the issuer in the sentence: if it is your company's or a security "
		    "product's, the path is inspected and the target must be exempt from TLS inspection on "
		    "the proxy; if the target has a private CA on purpose, name that CA with `trust`; if "
		    "it is a public CA, update ca-certificates.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_HOSTNAME] = {
		.code = DIAGNOSIS_TLS_HOSTNAME,
		.name = "tls-hostname",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The server's certificate is trusted but was issued for other names than the "
		    "target's.",
		.remedy = "Set `target` to a name that the certificate bears (the sentence lists them); "
		    "when the target is right, target_address or the DNS answer leads to another machine.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_EXPIRED] = {
		.code = DIAGNOSIS_TLS_EXPIRED,
		.name = "tls-expired",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "A certificate in the server's chain has expired or is not valid yet.",
		.remedy = "Compare this host's clock (`timedatectl`) with the dates in the sentence; if "
		    "the clock is right, the target's operators must renew: for an instance, open a case "
		    "with ServiceNow.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_REVOKED] = {
		.code = DIAGNOSIS_TLS_REVOKED,
		.name = "tls-revoked",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The server's certificate is revoked, or what `revocation` asks for does not "
		    "prove that it is not.",
		.remedy = "Revoked: the target's operators must replace the certificate; do not go round "
		    "this. A list that is missing or out of date: fetch it anew into crl_file (the sentence "
		    "names its issuer) and reload. No staple: the server sends none, so take `staple` out of "
		    "`revocation`.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_PIN] = {
		.code = DIAGNOSIS_TLS_PIN,
		.name = "tls-pin",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "No certificate in the server's verified chain has a public key that `pin` lists.",
		.remedy = "Look at the chain in the sentence: if it is your company's or a security "
		    "product's, the path is inspected. If the server moved to another CA, as announced by "
		    "its operators, change `pin`; a pin of the server's own certificate ends with its next "
		    "renewal, so pin a CA.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_ISSUER] = {
		.code = DIAGNOSIS_TLS_ISSUER,
		.name = "tls-issuer",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "No issuer in the server's verified chain has a name that `expect_issuer` lists.",
		.remedy = "Look at the issuer in the sentence: if it is your company's or a security "
		    "product's, the path is inspected. If the server moved to another CA, as announced by "
		    "its operators, change `expect_issuer`.",
		.proxy_status = "tls_certificate_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_VERSION] = {
		.code = DIAGNOSIS_TLS_VERSION,
		.name = "tls-version",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The server and midrelay have no TLS version, cipher or group in common.",
		.remedy = "Compare tls_min, tls_max, tls_ciphers, tls_ciphersuites and tls_groups with "
		    "what the sentence names; the defaults suit an instance, so remove first what was set "
		    "by hand.",
		.proxy_status = "tls_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_ALERT] = {
		.code = DIAGNOSIS_TLS_ALERT,
		.name = "tls-alert",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The server ended the handshake with an alert that is not about our certificate.",
		.remedy = "The alert's name is in the sentence: give it, with the target's name and the "
		    "time, to the target's operators; when another path works, the alert comes from this "
		    "path's proxy.",
		.proxy_status = "tls_alert_received", .http_status = 502,
	},
	[DIAGNOSIS_TLS_NOT_TLS] = {
		.code = DIAGNOSIS_TLS_NOT_TLS,
		.name = "tls-not-tls",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "What answered inside the tunnel does not speak TLS.",
		.remedy = "Another service answers on this port: check the port in `target` (443 if left "
		    "out), and ask the proxy's operators where the tunnel of this CONNECT ends.",
		.proxy_status = "tls_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_TLS_CLOSED] = {
		.code = DIAGNOSIS_TLS_CLOSED,
		.name = "tls-closed",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The connection was closed or reset in the middle of the TLS handshake.",
		.remedy = "It broke off when the server had begun to answer: a filter that reads the "
		    "server's certificate does this, or a lossy path; ask the network team for its log at "
		    "this second, and compare with another path (`direct`, or another proxy).",
		.proxy_status = "connection_terminated", .http_status = 502,
	},
	[DIAGNOSIS_TLS_TIMEOUT] = {
		.code = DIAGNOSIS_TLS_TIMEOUT,
		.name = "tls-timeout",
		.stage = DIAGNOSIS_STAGE_TLS,
		.meaning = "The tunnel is open but the TLS handshake did not finish within tls_timeout.",
		.remedy = "When every attempt ends so, large packets are lost on the way (path MTU: try "
		    "`ping -M do -s 1400` to the proxy) or a filter swallows the ClientHello; when some "
		    "do, the path is slow: raise tls_timeout and keep setup_timeout below 10s.",
		.proxy_status = "connection_timeout", .http_status = 504,
	},
	[DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED] = {
		.code = DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED,
		.name = "client-cert-not-requested",
		.stage = DIAGNOSIS_STAGE_CLIENT_CERT,
		.meaning = "The server did not ask for the client certificate that is configured.",
		.remedy = "On an instance, make sure that mutual authentication is switched on (ADCv2 and "
		    "an active CA chain); if it is, something on the path answers in the instance's place; "
		    "only for a target that needs no certificate set require_client_cert_request = no.",
		.proxy_status = "tls_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_CLIENT_CERT_REJECTED] = {
		.code = DIAGNOSIS_CLIENT_CERT_REJECTED,
		.name = "client-cert-rejected",
		.stage = DIAGNOSIS_STAGE_CLIENT_CERT,
		.meaning = "The server asked for our certificate, got it, and ended the connection with an "
		    "alert.",
		.remedy = "Upload the CA chain and the leaf of this bundle to the instance and see that both "
		    "are Active there, before the relay uses them; compare the fingerprint in the log "
		    "with the uploaded one.",
		.proxy_status = "tls_alert_received", .http_status = 502,
	},
	[DIAGNOSIS_CLIENT_CERT_EXPIRED] = {
		.code = DIAGNOSIS_CLIENT_CERT_EXPIRED,
		.name = "client-cert-expired",
		.stage = DIAGNOSIS_STAGE_CLIENT_CERT,
		.meaning = "The configured client certificate has expired or is not valid yet; this relay "
		    "is stopped.",
		.remedy = "Get it renewed, upload the new leaf to the instance until it is Active, then "
		    "replace the files of client_bundle: they are read again without a restart, or at once "
		    "with SIGHUP.",
		.proxy_status = "proxy_configuration_error", .http_status = 502,
	},
	[DIAGNOSIS_CLIENT_CERT_UNUSABLE] = {
		.code = DIAGNOSIS_CLIENT_CERT_UNUSABLE,
		.name = "client-cert-unusable",
		.stage = DIAGNOSIS_STAGE_CLIENT_CERT,
		.meaning = "The configured client certificate cannot be used: its key fails to sign, or "
		    "has no algorithm that the server accepts.",
		.remedy = "Check the pair with `midrelay config`; the key must be RSA of 2048 bits or more "
		    "or on the curve P-256 or P-384, and readable by the account that midrelay runs as: if "
		    "the server accepts only other algorithms (the sentence names them), have the "
		    "certificate issued for such a key.",
		.proxy_status = "proxy_configuration_error", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_CERT_REFUSED] = {
		.code = DIAGNOSIS_INSTANCE_CERT_REFUSED,
		.name = "instance-cert-refused",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "The instance took the TLS handshake and then answered with its page for a client "
		    "certificate that it refuses (HTTP 400), or for none.",
		.remedy = "See on the instance that this leaf and its CA chain are uploaded and Active "
		    "(compare the fingerprint in the log), then try `midrelay check`; after a renewal upload "
		    "first, and swap the files when the new leaf is Active; if none was sent, set "
		    "client_bundle.",
		.proxy_status = "http_request_denied", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_NOT_ADCV2] = {
		.code = DIAGNOSIS_INSTANCE_NOT_ADCV2,
		.name = "instance-not-adcv2",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "The instance answers, but not from the edge (ADCv2) that mutual authentication "
		    "needs: /adcv2/server is not there.",
		.remedy = "Check that `target` is the instance's own name, and not a portal's or a load "
		    "balancer's; if it is, open a case with ServiceNow to have the instance moved to ADCv2.",
		.proxy_status = "destination_unavailable", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT] = {
		.code = DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT,
		.name = "instance-no-tls-support",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "The instance is behind ADCv2, but its answer to /adcv2/supports_tls does not say "
		    "that mutual authentication is ready.",
		.remedy = "Activate certificate-based authentication on the instance, upload an active CA "
		    "chain and try again after some minutes; if the answer in the sentence stays the same, "
		    "give it to ServiceNow in a case.",
		.proxy_status = "destination_unavailable", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_HIBERNATING] = {
		.code = DIAGNOSIS_INSTANCE_HIBERNATING,
		.name = "instance-hibernating",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "The instance sleeps: it answers every request with the same page, as developer "
		    "instances do after a time without use.",
		.remedy = "Wake it on developer.servicenow.com (sign in as its owner, and wait some "
		    "minutes), then try again; nothing is wrong on this host or on the path.",
		.proxy_status = "destination_unavailable", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_STATUS] = {
		.code = DIAGNOSIS_INSTANCE_STATUS,
		.name = "instance-status",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "The path to the instance works, and the instance's answer has a status, or a "
		    "form, that no other code covers.",
		.remedy = "Read the status in the sentence: 5xx is the instance's own trouble or its "
		    "maintenance (see its status page), 429 is its limit on requests, a redirect or 404 says "
		    "that `target` is not an instance.",
		.proxy_status = "http_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_INSTANCE_MALFORMED] = {
		.code = DIAGNOSIS_INSTANCE_MALFORMED,
		.name = "instance-malformed",
		.stage = DIAGNOSIS_STAGE_INSTANCE,
		.meaning = "With mode = http, the target's answer is no HTTP/1.1 that has one meaning only; "
		    "nothing more of it was passed on.",
		.remedy = "Compare with `mode = tcp`, which passes every byte: if the client is content with "
		    "it, stay there and report the sentence to the authors; else something between midrelay "
		    "and the instance writes into its answers.",
		.proxy_status = "http_protocol_error", .http_status = 502,
	},
	[DIAGNOSIS_RELAY_TRUNCATED] = {
		.code = DIAGNOSIS_RELAY_TRUNCATED,
		.name = "relay-truncated",
		.stage = DIAGNOSIS_STAGE_RELAY,
		.meaning = "The target's side ended without close_notify, so its last bytes may be "
		    "missing; the client was reset instead of given a clean end.",
		.remedy = "A few a day are a peer's bad habit; many at the same age of connection are a "
		    "proxy's or firewall's idle limit: compare duration_ms of these session lines and set "
		    "keepalive below it.",
		.proxy_status = "http_response_incomplete", .http_status = 502,
	},
	[DIAGNOSIS_RELAY_RESET] = {
		.code = DIAGNOSIS_RELAY_RESET,
		.name = "relay-reset",
		.stage = DIAGNOSIS_STAGE_RELAY,
		.meaning = "One side reset an established connection; the sentence says which.",
		.remedy = "When it was the client, look for a restart or an error in agent0.log.0 at that "
		    "second; when it was the target's side, ask the proxy's operators about a restart or a "
		    "limit on bytes or on time.",
		.proxy_status = "connection_terminated", .http_status = 502,
	},
	[DIAGNOSIS_RELAY_IDLE] = {
		.code = DIAGNOSIS_RELAY_IDLE,
		.name = "relay-idle",
		.stage = DIAGNOSIS_STAGE_RELAY,
		.meaning = "No byte moved either way for idle_timeout, or after one side was done for "
		    "half_close_timeout.",
		.remedy = "Usually nothing to do: the client connects again by itself; if a long request "
		    "was cut, raise the time-out that the sentence names.",
		.proxy_status = "connection_read_timeout", .http_status = 504,
	},
	[DIAGNOSIS_RELAY_DRAINED] = {
		.code = DIAGNOSIS_RELAY_DRAINED,
		.name = "relay-drained",
		.stage = DIAGNOSIS_STAGE_RELAY,
		.meaning = "midrelay was told to stop and this connection was still open after "
		    "drain_timeout.",
		.remedy = "Nothing is wrong; to let longer transfers finish, stop the MID Server first or "
		    "raise drain_timeout (and TimeoutStopSec= in the unit above it).",
		.proxy_status = "connection_terminated", .http_status = 503,
	},
};
_Static_assert(sizeof(diagnosis_table) / sizeof(diagnosis_table[0]) == DIAGNOSIS_CODE_COUNT,
    "every code has its row");
