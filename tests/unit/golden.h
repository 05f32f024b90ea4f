/* golden: what is printed, held against a file in tests/; UPDATE_GOLDEN=1 writes the file anew. */
#ifndef MIDRELAY_TESTS_UNIT_GOLDEN_H
#define MIDRELAY_TESTS_UNIT_GOLDEN_H

/* `name`: from tests/ on.  Fails the test where the file is missing or says something else. */
void golden_assert(const char *name, const char *text);

#endif
