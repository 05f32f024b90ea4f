/* seal_internal: what seal.c and seal_recipients.c share; for nobody else. */
#ifndef MIDRELAY_TLS_SEAL_INTERNAL_H
#define MIDRELAY_TLS_SEAL_INTERNAL_H

#include "tls/seal.h"

struct seal_recipients {
	STACK_OF(X509) *certs; /* each counted, each key once */
};

#endif
