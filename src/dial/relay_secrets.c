/* relay_secrets: see relay_secrets.h. */
#include "dial/relay_secrets.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/seal.h"

void relay_secrets_clear(struct relay_secrets *secrets)
{
	size_t i;

	for (i = 0; i < secrets->count; i++) {
		free(secrets->opened[i].ref);
		secret_free(secrets->opened[i].secret);
	}
	free(secrets->opened);
	memset(secrets, 0, sizeof(*secrets));
}

static const struct secret *find(const struct relay_secrets *secrets, const char *ref)
{
	size_t i;

	for (i = 0; secrets != NULL && i < secrets->count; i++) {
		if (strcmp(secrets->opened[i].ref, ref) == 0)
			return secrets->opened[i].secret;
	}
	return NULL;
}

static void keep(struct relay_secrets *secrets, const char *ref, const struct secret *secret)
{
	struct relay_opened *opened;

	if (find(secrets, ref) != NULL)
		return;
	secrets->opened = mem_realloc(secrets->opened, (secrets->count + 1) * sizeof(*secrets->opened));
	opened = &secrets->opened[secrets->count++];
	opened->ref = mem_strdup(ref);
	opened->secret = secret_dup(secret);
}

static struct secret *open_sealed(struct relay_secrets *secrets, const struct relay_secret_request *request,
    struct error *err)
{
	const struct secret *before = find(secrets->previous, request->ref);
	struct secret *secret = NULL;

	if (!seal_open_by(request->ref, request->identities, request->identity_count, &secret, err)) {
		if (before == NULL)
			return NULL;
		if (find(secrets, request->ref) == NULL)
			secrets->stale++;
		secret = secret_dup(before);
	}
	keep(secrets, request->ref, secret);
	return secret;
}

struct secret *relay_secrets_get(struct relay_secrets *secrets, const struct relay_secret_request *request,
    struct config_report *report)
{
	struct secret *secret = NULL;
	struct error err;

	if (secret_ref_kind(request->ref) == SECRET_REF_SEALED)
		secret = open_sealed(secrets, request, &err);
	else if (!secret_load(request->ref, &secret, &err))
		secret = NULL;
	if (secret == NULL)
		config_report_fault(report, request->line, "%s: %s", request->key, err.text);
	return secret;
}
