/* SPDX-License-Identifier: MIT */
/*
 * A pass that goes on as a runtime does: the tokens that are given at once, then one token after
 * another, each the first of the largest logits, through a cache of keys and values.  Put out is
 * one trace over all of them, as if they had been given.
 */
#ifndef TU_TRACE_DECODE_H
#define TU_TRACE_DECODE_H

#include "stream/spool.h"
#include "trace/forward.h"
#include "trace/tokens.h"

struct tu_decoded;

/* Zero-initialise. */
struct tu_decoding {
    struct tu_arena arena;
    struct tu_spool spool;     /* what is wanted of each stage, step by step */
    struct tu_decoded *stages; /* by their order */
    size_t count, capacity;
    struct tu_keys keys;
    uint64_t total;     /* tokens in the end */
    double *logits;     /* of the last token */
    uint64_t ids, seen; /* how many those are, and came of the present stage */
};

/* Computes f, of which tu_forward_plan was called, and as many further tokens, whose ids it adds to
 * tokens; those of f are tokens'.  f->sink says what is wanted, and is not called otherwise. */
int tu_decode_run(struct tu_decoding *d, const struct tu_forward *f, uint64_t further,
                  struct tu_token_list *tokens, struct tu_error *error) TU_MUST_CHECK;
/* Puts all of it, stage by stage; of scores, zeros where a token came later. */
int tu_decode_put(const struct tu_decoding *d, const struct tu_stage_sink *sink,
                  struct tu_error *error) TU_MUST_CHECK;
void tu_decode_free(struct tu_decoding *d);

#endif
