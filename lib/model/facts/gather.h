/* SPDX-License-Identifier: MIT */
/* What an operand states of itself, collected: its metadata, the files beside it, its small
 * tensors. */
#ifndef TU_FACTS_GATHER_H
#define TU_FACTS_GATHER_H

#include "model/facts/facts.h"
#include "model/operand.h"

/* The facts of a model that is files.  Where a config.json lies beside files of a format that
 * states facts itself, beside has those of config.json; else its dialect is NONE.  tokens: whether
 * to read tokenizer.json, which may have many megabytes. */
struct tu_gathered {
    struct tu_model_facts facts, beside;
};
int tu_gather_operand(const struct tu_operand *o, bool tokens, struct tu_arena *arena,
                      struct tu_gathered *out, struct tu_error *error) TU_MUST_CHECK;

/* Whether a path is one of facts alone: a config.json or params.json, or a folder that holds one of
 * them and no model. */
bool tu_states_facts_alone(const char *path);
/* The facts of such a path. */
int tu_gather_path(const char *path, bool tokens, struct tu_arena *arena,
                   struct tu_model_facts *out, struct tu_error *error) TU_MUST_CHECK;

/* The facts of a `source` record of a stream: those that it carries, else those of its metadata. */
int tu_gather_record(const struct tensor_value *record, struct tu_arena *arena,
                     struct tu_model_facts *out, struct tu_error *error) TU_MUST_CHECK;

#endif
