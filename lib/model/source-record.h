/* SPDX-License-Identifier: MIT */
/* The `source` records of a stream: a model, what its file was when it was read, and its metadata.
 */
#ifndef TU_SOURCE_RECORD_H
#define TU_SOURCE_RECORD_H

#include "model/model.h"

struct tu_model_facts;

/* The `source` record of a model, with the facts that it states, if they are given. */
int tu_source_record(const struct tu_model *m, const struct tu_model_facts *facts, uint64_t id,
                     struct tu_arena *arena, struct tensor_value *out,
                     struct tu_error *error) TU_MUST_CHECK;

/* The `source` record of a model that was compared: which operand ("a", "b") it is, and without
 * metadata. */
int tu_compared_source(const struct tu_model *m, uint64_t id, const char *operand,
                       struct tu_arena *arena, struct tensor_value *out,
                       struct tu_error *error) TU_MUST_CHECK;

/* The same of a record that came in a stream. */
int tu_passed_source(const struct tensor_value *record, uint64_t id, const char *operand,
                     struct tu_arena *arena, struct tensor_value *out,
                     struct tu_error *error) TU_MUST_CHECK;

/* The `artifact` record of another file that results depend on, as "map": as it was when it was
 * read. */
int tu_artifact_record(const char *role, const char *path, const struct stat *read,
                       struct tu_arena *arena, struct tensor_value *out,
                       struct tu_error *error) TU_MUST_CHECK;

/* The same of a file that is known by a name on any machine, wherever it lies: its digest says what
 * it is. */
int tu_named_artifact_record(const char *role, const char *name, uint64_t bytes, const char *sha256,
                             struct tu_arena *arena, struct tensor_value *out,
                             struct tu_error *error) TU_MUST_CHECK;

/* The metadata in a `source` record, with the types that its meta_types states: values that do not
 * fit a type keep the one they have. */
int tu_source_metadata(const struct tensor_value *record, struct tu_arena *arena,
                       struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;

#endif
