/* SPDX-License-Identifier: MIT */
/* The keys that describe a tensor in a record, read and put. */
#ifndef TU_STREAM_RECORD_H
#define TU_STREAM_RECORD_H

#include "base/arena.h"
#include "base/error.h"
#include "tensor/tensor.h"
#include "tree/value.h"

/* Fills a tensor from the keys of a `tensor` record (or of a row of an `index`). */
int tu_tensor_from_value(const struct tensor_value *map, struct tu_arena *arena,
                         struct tu_tensor *t, struct tu_geometry *geometry,
                         struct tu_error *error) TU_MUST_CHECK;

/* The `tensor` record that tu_writer_tensor writes. */
int tu_tensor_record(const struct tu_tensor *t, const struct tensor_value *extra,
                     struct tu_arena *arena, struct tensor_value *out, struct tu_error *error);

/* Puts the keys that describe a tensor into a record that is being built. */
int tu_put_tensor(struct tu_builder *b, const struct tu_tensor *t, struct tu_error *error);
/* Puts what stands beside that in its record, or nothing where extra is NULL. */
int tu_put_extra(struct tu_builder *b, const struct tu_tensor *t, const struct tensor_value *extra,
                 struct tu_error *error);

#endif
