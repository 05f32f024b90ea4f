/*
 * symptoms: what a MID Server, its log or its instance says when something is wrong, found by words, and
 * which diagnoses to look at.  The table for `explain`; nothing at run time depends on it.
 */
#ifndef MIDRELAY_DIAL_SYMPTOMS_H
#define MIDRELAY_DIAL_SYMPTOMS_H

#include <stddef.h>

#include "dial/diagnosis.h"

#define SYMPTOM_CODES 8

/* All strings static. */
struct symptom {
	const char *says;   /* as it is seen: its name */
	const char *also;   /* further words by which it is found */
	const char *means;  /* how it comes about with midrelay in place */
	const char *remedy; /* what to do */
	enum diagnosis_code codes[SYMPTOM_CODES]; /* to look at; DIAGNOSIS_OK ends the list */
};

size_t symptom_count(void);
const struct symptom *symptom_at(size_t i);

/*
 * The symptom whose words the text has (upper and lower case alike): most of the text's own words, or, in a
 * longer text such as a whole line of a log, most of the symptom's.  Or NULL; then up to `near_max` symptoms
 * that have some word of it stand in `near`, the likeliest first, and *near_count says how many.
 */
const struct symptom *symptom_find(const char *text, const struct symptom **near, size_t near_max,
    size_t *near_count);

#endif
