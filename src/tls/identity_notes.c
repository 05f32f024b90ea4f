/*
 * identity_notes: hands on, as warnings, what bundle_findings says about a client certificate that is accepted.  What
 * cannot work anywhere is refused by identity.c.
 */
#include "tls/identity_notes.h"

#include <stdio.h>

#include "tls/bundle_findings.h"

#define NOTE_TEXT_BYTES 1600

void identity_notes(
    X509 *leaf, STACK_OF(X509) *chain, size_t left_out, const char *key, identity_note_fn *note, void *arg)
{
	struct bundle_findings findings = {0};
	char text[NOTE_TEXT_BYTES];
	size_t i;

	bundle_examine_chain(leaf, chain, left_out, BUNDLE_PURPOSE_CLIENT, &findings);
	for (i = 0; i < findings.count; i++) {
		const struct bundle_finding *finding = &findings.items[i];

		snprintf(text, sizeof(text), "%s%s%s; %s", finding->where, *finding->where == '\0' ? "" : ": ",
		    finding->text, finding->remedy);
		note(arg, key, text);
	}
	bundle_findings_clear(&findings);
}
