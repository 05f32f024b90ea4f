/* trusting: see trusting.h. */
#include "trusting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pki.h"
#include "tls/stream.h"

static void no_note(void *arg, const char *key, const char *text)
{
}

struct identity *trusting_identity(const struct identity_params *params, X509 *root)
{
	struct identity_params with_trust = *params;
	struct identity_faults faults;
	struct identity *identity;
	struct pki_text text = {0};
	char *dir = pki_dir_new(), *trust_file;

	pki_text_add_cert(&text, root);
	trust_file = pki_dir_write_text(dir, "trust.pem", &text, 0644);
	with_trust.trust = trust_file;
	identity = identity_new(&with_trust, no_note, NULL, &faults);
	assert_non_null(identity);
	stream_prepare_identity(identity);
	pki_text_free(&text);
	free(trust_file);
	pki_dir_remove(dir);
	return identity;
}
