/* SPDX-License-Identifier: MIT */
/* What comes of a comparison of two operands, a name at a time, and what may be asked of it. */
#ifndef TU_RESULT_H
#define TU_RESULT_H

#include "compare/apr/buckets.h"
#include "compare/metrics/full.h"
#include "compare/metrics/logits.h"
#include "compare/oracle/oracle.h"
#include "compare/metrics/sums.h"

struct tu_cache;

enum tu_match {
    TU_MATCH_BOTH,
    TU_MATCH_SHAPES,      /* both, but their shapes differ */
    TU_MATCH_POPULATIONS, /* both, but what they hold values of differs */
    TU_MATCH_ONLY_A,
    TU_MATCH_ONLY_B,
    TU_MATCH_EXTRA,    /* one side alone, whose map says that it needs no partner */
    TU_MATCH_SIDE,     /* one side alone, of a packed checkpoint, which is no weight */
    TU_MATCH_NOT_REAL, /* both, but a type does not decode to real numbers */
};

/* The result for one name. */
struct tu_pair_result {
    enum tu_match match;
    const struct tu_tensor *a, *b; /* as they are stored; NULL where there is none */
    const char *name;              /* of the pair: that of a, or what is left over */
    const char *name_a, *name_b;   /* where they are others, or NULL */
    const char *transform;         /* what was done to make them alike, or NULL */
    const char *reason;            /* why the match is what it is, or the reading; or NULL */
    bool layout;                   /* another reading fits than the one that is stated */
    uint64_t rows_only[2];         /* rows that one side alone has, which are not compared */
    uint64_t elements;             /* that were, or would be, compared */
    uint64_t missing_slots;        /* of those, slots whose expert one side alone has chosen */
    uint64_t hidden;               /* those that a mask hides, and that were not */
    uint64_t row;                  /* BOTH: elements of what is taken for a row */
    struct tu_partial sums;        /* BOTH, unless the record is known */
    struct tu_resolution resolution;
    bool shifted; /* something was added to a side */
    struct tu_columns_metrics columns;
    uint64_t column_rows; /* that were looked at for columns */
    bool counted;         /* NOT_REAL: how many are equal, and which is the first that is not */
    uint64_t identical, first_diff;
    /* With a cache: the record as it was put out before, or NULL, and then the key under which
     * tu_cache_store keeps it. */
    struct tu_cache *cache;
    const struct tensor_value *known;
    const char *key;
    /* BOTH, where the options want them; else NULL. */
    const struct tu_apr_buckets *buckets;
    /* BOTH, where it was asked for and there are elements; else NULL. */
    const struct tu_full *full;
    const struct tu_full_metrics *full_metrics;
    const struct tu_logits *logits; /* BOTH, of logits, where full is there; else NULL */
    struct tu_hypothesis hypothesis;
};

enum tu_transposing {
    TU_TRANSPOSE_AUTO,  /* [a,b] against [b,a] is another layout, which the oracle explains */
    TU_TRANSPOSE_NEVER, /* it is a mismatch */
    TU_TRANSPOSE_ALWAYS,
    TU_TRANSPOSE_EITHER, /* as the numbers have it, which is for apr diff alone */
};

/* How tensors that are stored in other ways meet. */
struct tu_pair_options {
    const char *map; /* auto, none, a file or the name of a map */
    enum tu_transposing transposing;
    bool facts;  /* first compare what both models say of themselves */
    bool oracle; /* look for an explanation where two disagree */
    /* A folder of results from before (cache.h), for operands that are files; NULL: none. */
    const char *cache;
    bool buckets; /* count them, too */
    bool full;    /* look at what full.h names, too */
};

/* What becomes of the results: called in order, from one thread at a time. */
struct tu_pair_sink {
    int (*pair)(void *context, const struct tu_pair_result *result, struct tu_error *error);
    /* A record of a kind that is not compared, which stood in a stream before what comes next. */
    int (*record)(void *context, const struct tensor_value *map, struct tu_error *error);
    void *context;
};

#endif
