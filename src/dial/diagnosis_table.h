/* diagnosis_table: the rows behind diagnosis_info(); for diagnosis.c alone. */
#ifndef MIDRELAY_DIAL_DIAGNOSIS_TABLE_H
#define MIDRELAY_DIAL_DIAGNOSIS_TABLE_H

#include "dial/diagnosis.h"

extern const struct diagnosis_info diagnosis_table[DIAGNOSIS_CODE_COUNT];

#endif
