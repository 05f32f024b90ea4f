/*
 * judge: see judge.h.
 *
 * Answers for the rules and for the words of the verdict; where the evidence comes from is evidence.c's.
 */
#include "tls/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A sentence has room for its reasons and one name of this length. */
#define SENTENCE_NAME_CHARS 100

static char **copy_texts(char **from, size_t count)
{
	char **to = mem_calloc(count, sizeof(*to));
	size_t i;

	for (i = 0; i < count; i++)
		to[i] = mem_strdup(from[i]);
	return to;
}

static void free_texts(char **texts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void judge_rules_copy(struct judge_rules *to, const struct judge_rules *from)
{
	*to = *from;
	to->pins = copy_texts(from->pins, from->pin_count);
	to->issuers = copy_texts(from->issuers, from->issuer_count);
}

void judge_rules_clear(struct judge_rules *rules)
{
	free_texts(rules->pins, rules->pin_count);
	free_texts(rules->issuers, rules->issuer_count);
	memset(rules, 0, sizeof(*rules));
}

static void PRINTF_LIKE(2, 3) add(struct tls_fault *fault, const char *fmt, ...)
{
	size_t used = strlen(fault->sentence);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fault->sentence + used, sizeof(fault->sentence) - used, fmt, ap);
	va_end(ap);
}

static unsigned find_reasons(const struct judge_rules *rules, const struct judge_evidence *evidence)
{
	unsigned reasons = 0;

	if (rules->inspection == JUDGE_INSPECTION_OFF)
		return 0;
	if (evidence->product != NULL)
		reasons |= JUDGE_REASON_PRODUCT;
	if (evidence->chain.kind != TLS_FAULT_NONE)
		return reasons;
	if (evidence->trust_system && evidence->pin != JUDGE_MATCHED && evidence->sct == 0)
		reasons |= JUDGE_REASON_NO_SCT;
	if (evidence->trust_system && evidence->origin == JUDGE_ORIGIN_LOCAL)
		reasons |= JUDGE_REASON_LOCAL_ANCHOR;
	return reasons;
}

/* What else is wrong, behind the word "inspected": it says the same, and is what remains once that is put right. */
static void add_further(const struct judge_evidence *evidence, struct tls_fault *fault)
{
	if (evidence->chain.kind != TLS_FAULT_NONE)
		add(fault, "; %s", evidence->chain.sentence);
	else if (!evidence->cert_requested)
		add(fault, "; it did not ask for a client certificate");
	if (evidence->pin == JUDGE_NOT_MATCHED)
		add(fault, "; no public key in the chain is pinned");
	if (evidence->expect_issuer == JUDGE_NOT_MATCHED)
		add(fault, "; no issuer is an expected one");
	if (evidence->staple == JUDGE_STAPLE_REFUSED)
		add(fault, "; %s", evidence->staple_text);
}

static void describe_inspected(const char *host, const struct judge_evidence *evidence, struct tls_fault *fault)
{
	const char *between = ": ";

	fault->kind = TLS_FAULT_INSPECTED;
	fault->sentence[0] = '\0';
	add(fault, "%s looks inspected", host);
	if ((evidence->reasons & JUDGE_REASON_PRODUCT) != 0) {
		add(fault, "%sthe issuer names %s", between, evidence->product);
		between = ", ";
	}
	if ((evidence->reasons & JUDGE_REASON_LOCAL_ANCHOR) != 0) {
		add(fault, "%sthe CA %.*s was added to this system's store locally", between, SENTENCE_NAME_CHARS,
		    evidence->anchor);
		between = ", ";
	}
	if ((evidence->reasons & JUDGE_REASON_NO_SCT) != 0)
		add(fault, "%sno SCT came with the certificate although trust = system", between);
	add(fault, "; it was issued by %.*s", SENTENCE_NAME_CHARS, evidence->issuer);
	add_further(evidence, fault);
}

/* The first demand that was not met, beyond the chain. */
static void describe_refused(const struct judge_rules *rules, const char *host, const struct judge_evidence *evidence,
    struct tls_fault *fault)
{
	if (evidence->staple == JUDGE_STAPLE_REFUSED) {
		fault->kind = TLS_FAULT_REVOKED;
		add(fault, "%s: %s", host, evidence->staple_text);
	} else if (evidence->pin == JUDGE_NOT_MATCHED) {
		fault->kind = TLS_FAULT_PIN;
		add(fault, "no public key in the chain of %s is pinned (issued by %s)", host, evidence->issuer);
	} else if (evidence->expect_issuer == JUDGE_NOT_MATCHED) {
		fault->kind = TLS_FAULT_ISSUER;
		add(fault, "no issuer in the chain of %s contains \"%.60s\"%s (issued by %s)", host,
		    rules->issuer_count > 0 ? rules->issuers[0] : "",
		    rules->issuer_count > 1 ? " or another expected name" : "", evidence->issuer);
	}
}

bool judge_server(const struct judge_rules *rules, const char *host, struct judge_evidence *evidence,
    struct tls_fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	evidence->reasons = find_reasons(rules, evidence);
	/* A chain that fails refuses in any case; `inspection` decides about one that verifies. */
	if (evidence->reasons != 0 &&
	    (evidence->chain.kind != TLS_FAULT_NONE || rules->inspection == JUDGE_INSPECTION_REFUSE))
		describe_inspected(host, evidence, fault);
	else if (evidence->chain.kind != TLS_FAULT_NONE)
		*fault = evidence->chain;
	else
		describe_refused(rules, host, evidence, fault);
	return fault->kind == TLS_FAULT_NONE;
}

static struct judge_piece *PRINTF_LIKE(4, 5)
    add_piece(struct judge_piece *piece, const char *name, const char *says, const char *fmt, ...)
{
	va_list ap;

	piece->name = name;
	piece->says = says;
	va_start(ap, fmt);
	vsnprintf(piece->seen, sizeof(piece->seen), fmt, ap);
	va_end(ap);
	return piece + 1;
}

static const char *origin_text(const struct judge_evidence *evidence)
{
	switch (evidence->origin) {
	case JUDGE_ORIGIN_UNKNOWN:
		return "";
	case JUDGE_ORIGIN_DISTRIBUTION:
		return ", of the distribution";
	case JUDGE_ORIGIN_LOCAL:
		return ", added to this system locally";
	}
	return "";
}

static struct judge_piece *add_match(struct judge_piece *piece, const char *name, enum judge_match match)
{
	switch (match) {
	case JUDGE_NOT_DEMANDED:
		break;
	case JUDGE_MATCHED:
		return add_piece(piece, name, "as demanded", "matches");
	case JUDGE_NOT_MATCHED:
		return add_piece(piece, name, "refuses", "does not match");
	}
	return piece;
}

static struct judge_piece *add_staple(struct judge_piece *piece, const struct judge_evidence *evidence)
{
	switch (evidence->staple) {
	case JUDGE_STAPLE_NOT_DEMANDED:
		break;
	case JUDGE_STAPLE_GOOD:
		return add_piece(piece, "staple", "as demanded", "good");
	case JUDGE_STAPLE_REFUSED:
		return add_piece(piece, "staple", "refuses", "%s", evidence->staple_text);
	}
	return piece;
}

static struct judge_piece *add_sct(struct judge_piece *piece, const struct judge_evidence *evidence)
{
	if (evidence->sct == 0)
		return add_piece(piece, "sct",
		    (evidence->reasons & JUDGE_REASON_NO_SCT) != 0 ? "inspected" : "", "none");
	return add_piece(piece, "sct", "weak evidence of a public CA", "%s%s%s",
	    (evidence->sct & JUDGE_SCT_CERT) != 0 ? "certificate" : "",
	    (evidence->sct & JUDGE_SCT_TLS) != 0 ? " TLS" : "",
	    (evidence->sct & JUDGE_SCT_STAPLE) != 0 ? " staple" : "");
}

size_t judge_pieces(const struct judge_evidence *evidence, struct judge_piece pieces[JUDGE_MAX_PIECES])
{
	struct judge_piece *at = pieces;

	if (evidence->resumed)
		return (size_t)(add_piece(at, "session", "the verdict of that session holds", "resumed") - pieces);
	if (evidence->chain.kind != TLS_FAULT_NONE)
		at = add_piece(at, "chain", "refuses", "%s", evidence->chain.sentence);
	else
		at = add_piece(at, "chain", evidence->origin == JUDGE_ORIGIN_LOCAL ? "inspected" : "as demanded",
		    "verified by %s%s", evidence->anchor, origin_text(evidence));
	at = add_piece(at, "certificate", "", "%s until %s", evidence->subject, evidence->not_after);
	at = add_piece(at, "issuer", evidence->product != NULL ? "inspected" : "", "%s%s%s", evidence->issuer,
	    evidence->product != NULL ? ", naming " : "", evidence->product != NULL ? evidence->product : "");
	if (evidence->chain.kind == TLS_FAULT_NONE) {
		at = add_piece(at, "name", "as demanded", "matches");
		at = add_match(at, "pin", evidence->pin);
		at = add_match(at, "expect_issuer", evidence->expect_issuer);
		at = add_staple(at, evidence);
		if (evidence->crl)
			at = add_piece(at, "crl", "as demanded", "good");
		at = add_sct(at, evidence);
		at = add_piece(at, "client-cert",
		    evidence->cert_requested ? "as an instance does" : "as most inspecting proxies do", "%s",
		    evidence->cert_requested ? "asked for" : "not asked for");
	}
	midrelay_assert((size_t)(at - pieces) <= JUDGE_MAX_PIECES);
	return (size_t)(at - pieces);
}

const char *judge_evidence_text(const struct judge_evidence *evidence, char *buf, size_t buf_bytes)
{
	struct judge_piece pieces[JUDGE_MAX_PIECES];
	size_t count = judge_pieces(evidence, pieces), used = 0, i;

	buf[0] = '\0';
	for (i = 0; i < count && used < buf_bytes; i++)
		used += (size_t)snprintf(buf + used, buf_bytes - used, "%s%s: %s%s%s%s", i == 0 ? "" : "; ",
		    pieces[i].name, pieces[i].seen, pieces[i].says[0] == '\0' ? "" : " (", pieces[i].says,
		    pieces[i].says[0] == '\0' ? "" : ")");
	return buf;
}
