/* SPDX-License-Identifier: MIT */
/*
 * Two operands matched by name.  Each tensor of either side comes up once: with its partner, or
 * alone.  Streams are read as they come; what has to wait for its partner waits in a temporary
 * file.
 */
#ifndef TU_PAIRS_H
#define TU_PAIRS_H

#include "compare.h"
#include "operand.h"

enum tu_match {
    TU_MATCH_BOTH,
    TU_MATCH_SHAPES, /* both, but their shapes differ */
    TU_MATCH_ONLY_A,
    TU_MATCH_ONLY_B,
    TU_MATCH_NOT_REAL, /* both, but a type does not decode to real numbers */
};

/* The result for one name. */
struct tu_pair_result {
    enum tu_match match;
    const struct tu_tensor *a, *b; /* NULL where there is none */
    struct tu_partial sums;        /* BOTH */
};

/* What becomes of the results: called in order, from one thread at a time. */
struct tu_pair_sink {
    int (*pair)(const struct tu_pair_result *result, struct tu_error *error);
    /* A record of a kind that is not compared, which stood in a stream before what comes next. */
    int (*record)(const struct tensor_value *map, struct tu_error *error);
};

/* Compares every selected tensor of a and b (paths, or "-") on all of the tool's threads. */
int tu_compare_operands(struct tu_tool *tool, const char *a, const char *b,
                        const struct tu_pair_sink *sink, struct tu_error *error) TU_MUST_CHECK;

#endif
