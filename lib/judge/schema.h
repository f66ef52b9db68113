/* SPDX-License-Identifier: MIT */
/* What records may say: the fields there are, the form of each, and the words of a status. */
#ifndef TU_SCHEMA_H
#define TU_SCHEMA_H

#include "base/error.h"
#include "tree/value.h"

/* Whether some kind of record has a field of this name, or it follows from others (field.h). */
bool tu_schema_has(const char *field);
/* The field whose name is most like one that is none; NULL where nothing is like it. */
const char *tu_schema_nearest(const char *field);

/* What tensor-origin says of a stage. */
enum { TU_ORIGIN_VERDICTS = 7 };
extern const char
    *const tu_origin_verdicts[TU_ORIGIN_VERDICTS]; /* "clean", "carried", "made", ... */

/* What tensor-stat --health finds. */
enum { TU_HEALTH_FINDINGS = 12 };
extern const char *const tu_health_findings[TU_HEALTH_FINDINGS]; /* "nan", "dead_rows", ... */

/* Whether a record says what one of its kind may say: its name is text, its status a known word,
 * the element types of a compare record are those of tensor-types(7), its counts are natural
 * numbers, and its numbers are finite where its status lets them be.  The message names the tensor
 * and the field.  Fields that are not known are passed over. */
int tu_schema_check(const struct tensor_value *record, struct tu_error *error) TU_MUST_CHECK;

#endif
