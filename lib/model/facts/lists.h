/* SPDX-License-Identifier: MIT */
/* Digests of lists of tokens, which are facts. */
#ifndef TU_LISTS_H
#define TU_LISTS_H

#include "base/digest.h"
#include "model/facts/desk.h"

/* Items of a list, at most. */
#define TU_LIST_MAX (1 << 24)

/* NULL, and the desk has failed, without memory. */
struct tu_digest *tu_list_begin(struct tu_desk *d);
void tu_list_put_number(struct tu_digest *digest, uint64_t number);
/* A token: its id and its text. */
void tu_list_put_text(struct tu_digest *digest, uint64_t id, const char *text, size_t length);
void tu_list_put_token(struct tu_digest *digest, uint64_t id, const struct tensor_value *text);
/* Its id and its score. */
void tu_list_put_score(struct tu_digest *digest, uint64_t id, float score);
/* The digest of so many items becomes a fact, and is freed. */
void tu_list_end(struct tu_desk *d, struct tu_digest *digest, enum tu_fact_id id, size_t count,
                 const char *key);

#endif
