/* hostile_identity: the identities that fuzz_judge dials with, one for each set of rules, made once. */
#ifndef MIDRELAY_TESTS_FUZZ_HOSTILE_IDENTITY_H
#define MIDRELAY_TESTS_FUZZ_HOSTILE_IDENTITY_H

#include "hostile_input.h"
#include "tls/identity.h"

/*
 * As the input demands, with the input's anchors and lists alone in its store; borrowed, until the next call.
 */
struct identity *hostile_identity(const struct hostile_input *input);

#endif
