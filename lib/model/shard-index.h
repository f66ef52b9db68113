/* SPDX-License-Identifier: MIT */
/* A shard index, which says in which file of a folder each tensor lies, held against the files. */
#ifndef TU_SHARD_INDEX_H
#define TU_SHARD_INDEX_H

#include "model/model.h"
#include "model/session.h"
#include "tree/value.h"

/* Leaves out of the models each tensor that the weight map says lies in another file: of a name
 * that two files hold, the one that it names is the model's.  Counts them in company, and the
 * tensors that it does not name at all, which stay, and tells the session of both.  A tensor that
 * is not where the map says is an error.  path is that of the index, in messages. */
int tu_shard_index_apply(struct tu_model *models, size_t count, const char *path,
                         const struct tensor_value *weight_map, const struct tu_session *session,
                         struct tu_company *company, struct tu_error *error) TU_MUST_CHECK;

#endif
