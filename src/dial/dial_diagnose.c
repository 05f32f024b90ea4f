/*
 * dial_diagnose: which diagnosis, and which of its causes, a failed resolution, connection or TLS session is.
 *
 * Answers for the mapping from what the system and the TLS layer report; what a proxy's answer means is
 * http_refusal's business, what a time-out means dial.c's.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "dial/dial_internal.h"

void dial_diagnose_resolve(struct dial *dial, int gai_error)
{
	struct diagnosis *d = &dial->result.diagnosis;
	char peer[192];

	dial_peer_text(dial, peer, sizeof(peer));
	switch (gai_error) {
	case EAI_AGAIN:
		diagnosis_set(d, DIAGNOSIS_RESOLVE_FAILED, "no name server gave an answer for %s, which is "
		    "%s: %s", dial->peer->host, peer, gai_strerror(gai_error));
		diagnosis_set_cause(d, DIAGNOSIS_CAUSE_RESOLVER_SILENT);
		break;
	case EAI_FAIL:
	case EAI_SYSTEM:
	case EAI_MEMORY:
		diagnosis_set(d, DIAGNOSIS_RESOLVE_FAILED, "the name service failed for %s, which is %s: %s",
		    dial->peer->host, peer, gai_strerror(gai_error));
		diagnosis_set_cause(d, DIAGNOSIS_CAUSE_RESOLVER_FAILED);
		break;
	default:
		diagnosis_set(d, DIAGNOSIS_RESOLVE_FAILED, "%s, which is %s, does not resolve: %s",
		    dial->peer->host, peer, gai_strerror(gai_error));
	}
}

struct verdict {
	enum diagnosis_code code;
	enum diagnosis_cause cause;
};

static struct verdict verdict_of_errno(const struct dial *dial, const struct connect_result *result)
{
	bool direct = dial_path(dial)->direct;

	switch (result->error) {
	case ECONNREFUSED:
		return (struct verdict){DIAGNOSIS_CONNECT_REFUSED,
		    direct ? DIAGNOSIS_CAUSE_TARGET_REFUSED : DIAGNOSIS_CAUSE_NONE};
	case ECONNRESET: /* the connection was taken, and reset before we looked */
		if (direct)
			return (struct verdict){DIAGNOSIS_TLS_CLOSED, DIAGNOSIS_CAUSE_NO_SERVER_HELLO};
		return (struct verdict){DIAGNOSIS_PROXY_CLOSED, DIAGNOSIS_CAUSE_NONE};
	case ETIMEDOUT:
		return (struct verdict){DIAGNOSIS_CONNECT_TIMEOUT, DIAGNOSIS_CAUSE_NONE};
	case EMFILE:
	case ENFILE:
		return (struct verdict){DIAGNOSIS_LOCAL_LIMIT, DIAGNOSIS_CAUSE_LIMIT_DESCRIPTORS};
	case ENOBUFS:
	case ENOMEM:
		return (struct verdict){DIAGNOSIS_LOCAL_LIMIT, DIAGNOSIS_CAUSE_LIMIT_MEMORY};
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		if (result->bad_source)
			return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE,
			    DIAGNOSIS_CAUSE_SOURCE_ADDRESS};
		/* ip(7): no port is free; a host without IPv6 says the same of an IPv6 address. */
		if (result->error == EADDRNOTAVAIL && result->addr.u.sa.sa_family == AF_INET)
			return (struct verdict){DIAGNOSIS_LOCAL_LIMIT, DIAGNOSIS_CAUSE_LIMIT_PORTS};
		return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE, DIAGNOSIS_CAUSE_NO_ROUTE};
	case ENETUNREACH:
	case ENETDOWN:
		return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE, DIAGNOSIS_CAUSE_NO_ROUTE};
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE, DIAGNOSIS_CAUSE_HOST_UNREACHABLE};
	case EACCES:
	case EPERM:
		return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE, DIAGNOSIS_CAUSE_FORBIDDEN_HERE};
	default:
		return (struct verdict){DIAGNOSIS_CONNECT_UNREACHABLE, DIAGNOSIS_CAUSE_NONE};
	}
}

void dial_diagnose_connect(struct dial *dial, const struct connect_result *result)
{
	struct verdict verdict = verdict_of_errno(dial, result);
	struct diagnosis *d = &dial->result.diagnosis;
	char peer[192], addr[ADDR_TEXT_BYTES], reason[128];

	diagnosis_set(d, verdict.code, "%s at %s: %s", dial_peer_text(dial, peer, sizeof(peer)),
	    addr_format(&result->addr, addr), strerror_r(result->error, reason, sizeof(reason)));
	diagnosis_set_cause(d, verdict.cause);
	if (verdict.cause == DIAGNOSIS_CAUSE_SOURCE_ADDRESS)
		diagnosis_append(d, " (source_address = %s)", dial_relay(dial)->source_address);
}

static enum diagnosis_cause cause_of_detail(enum tls_fault_detail detail)
{
	switch (detail) {
	case TLS_FAULT_NO_DETAIL:
		break;
	case TLS_FAULT_PAGE:
		return DIAGNOSIS_CAUSE_PAGE;
	case TLS_FAULT_PLAIN_HTTP:
		return DIAGNOSIS_CAUSE_PLAIN_HTTP;
	case TLS_FAULT_NO_ANSWER:
		return DIAGNOSIS_CAUSE_NO_SERVER_HELLO;
	case TLS_FAULT_AFTER_CERT:
		return DIAGNOSIS_CAUSE_AFTER_CERT;
	case TLS_FAULT_UNRECOGNIZED_NAME:
		return DIAGNOSIS_CAUSE_ALERT_NAME;
	case TLS_FAULT_HANDSHAKE_FAILURE:
		return DIAGNOSIS_CAUSE_ALERT_HANDSHAKE;
	case TLS_FAULT_ENDED_HERE:
		return DIAGNOSIS_CAUSE_ENDED_HERE;
	case TLS_FAULT_NO_CERT:
		return DIAGNOSIS_CAUSE_NONE_CONFIGURED;
	}
	return DIAGNOSIS_CAUSE_NONE;
}

static enum diagnosis_cause cause_at_proxy(enum tls_fault_kind kind)
{
	switch (kind) {
	case TLS_FAULT_UNTRUSTED:
	case TLS_FAULT_INSPECTED:
		return DIAGNOSIS_CAUSE_PROXY_UNTRUSTED;
	case TLS_FAULT_HOSTNAME:
		return DIAGNOSIS_CAUSE_PROXY_HOSTNAME;
	case TLS_FAULT_EXPIRED:
		return DIAGNOSIS_CAUSE_PROXY_EXPIRED;
	case TLS_FAULT_NOT_TLS:
		return DIAGNOSIS_CAUSE_PROXY_PLAIN;
	case TLS_FAULT_CERT_REJECTED:
	case TLS_FAULT_CERT_UNUSABLE:
		return DIAGNOSIS_CAUSE_PROXY_WANTS_CERT;
	case TLS_FAULT_NONE:
	case TLS_FAULT_REVOKED:
	case TLS_FAULT_PIN:
	case TLS_FAULT_ISSUER:
	case TLS_FAULT_VERSION:
	case TLS_FAULT_ALERT:
	case TLS_FAULT_CLOSED:
	case TLS_FAULT_CERT_NOT_REQUESTED:
	case TLS_FAULT_OUTER:
		break;
	}
	return DIAGNOSIS_CAUSE_NONE;
}

void dial_set_fault_cause(struct diagnosis *diagnosis, const struct tls_fault *fault)
{
	if (diagnosis->code == DIAGNOSIS_PROXY_TLS)
		diagnosis_set_cause(diagnosis, cause_at_proxy(fault->kind));
	else
		diagnosis_set_cause(diagnosis, cause_of_detail(fault->detail));
}

static enum diagnosis_code code_of_fault(enum tls_fault_kind kind)
{
	switch (kind) {
	case TLS_FAULT_INSPECTED:
		return DIAGNOSIS_TLS_INSPECTED;
	case TLS_FAULT_UNTRUSTED:
		return DIAGNOSIS_TLS_UNTRUSTED;
	case TLS_FAULT_HOSTNAME:
		return DIAGNOSIS_TLS_HOSTNAME;
	case TLS_FAULT_EXPIRED:
		return DIAGNOSIS_TLS_EXPIRED;
	case TLS_FAULT_REVOKED:
		return DIAGNOSIS_TLS_REVOKED;
	case TLS_FAULT_PIN:
		return DIAGNOSIS_TLS_PIN;
	case TLS_FAULT_ISSUER:
		return DIAGNOSIS_TLS_ISSUER;
	case TLS_FAULT_VERSION:
		return DIAGNOSIS_TLS_VERSION;
	case TLS_FAULT_ALERT:
		return DIAGNOSIS_TLS_ALERT;
	case TLS_FAULT_NOT_TLS:
		return DIAGNOSIS_TLS_NOT_TLS;
	case TLS_FAULT_NONE:
	case TLS_FAULT_CLOSED:
		return DIAGNOSIS_TLS_CLOSED;
	case TLS_FAULT_CERT_NOT_REQUESTED:
		return DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED;
	case TLS_FAULT_CERT_REJECTED:
		return DIAGNOSIS_CLIENT_CERT_REJECTED;
	case TLS_FAULT_CERT_UNUSABLE:
		return DIAGNOSIS_CLIENT_CERT_UNUSABLE;
	case TLS_FAULT_OUTER:
		return DIAGNOSIS_PROXY_TLS;
	}
	return DIAGNOSIS_TLS_CLOSED;
}

void dial_diagnose_stream(const struct stream *stream, struct diagnosis *diagnosis)
{
	const struct tls_fault *fault = stream_fault(stream);

	diagnosis_set(diagnosis, code_of_fault(fault->kind), "%s%s",
	    fault->kind == TLS_FAULT_OUTER ? "TLS with the proxy: " : "",
	    fault->kind == TLS_FAULT_NONE ? "the TLS session ended within its handshake" : fault->sentence);
	dial_set_fault_cause(diagnosis, fault);
}
