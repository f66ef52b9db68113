/* SPDX-License-Identifier: MIT */
/* Two tensors that met: where their bytes are, and how they are seen so that they can be compared
 * element by element. */
#ifndef TU_PAIR_H
#define TU_PAIR_H

#include "base/digest.h"
#include "compare/oracle/oracle.h"
#include "compare/operands.h"
#include "map/partner.h"
#include "compare/side.h"

/* What pairs are settled by. */
struct tu_terms {
    const struct tu_kernels *kernels;
    enum tu_transposing transposing;
    bool oracle, full;
    const struct tu_partners *partners;
};

struct tu_pair {
    struct tu_arena arena; /* of the copies below */
    enum tu_match match;
    struct tu_tensor tensors[2]; /* a, b as they are compared */
    struct tu_tensor stored[2];
    int lead;       /* the side that led when it was found */
    bool left_over; /* the other side had it left, though one of the leading side is like it */
    bool present[2];
    struct tu_origin places[2];
    struct tu_comparison comparison;
    int cutter;          /* the side whose rows cut the tiles */
    uint64_t tile, next; /* elements of a tile; where the next one begins */
    struct tu_row row;   /* of a row that is longer than tiles are, as far as it was put */
    bool roped, padded;  /* as found by a map */
    float addend;        /* to the leading side */
    char transform[256], reason[256];
    /* Where one is transposed, tiles are blocks of a matrix instead, numbered by next. */
    const struct tu_view *blocks[2]; /* a, b; NULL: tiles are runs */
    uint64_t block_rows, block_columns;
    struct tu_row
        *block_sums; /* of the rows whose blocks are being put; NULL: a block has whole rows */
    struct tensor_value *known; /* the record, where the cache has it */
    char key[TU_DIGEST_TEXT];
    struct tu_partial sums;
    struct tu_apr_buckets buckets;
    bool has_full;
    struct tu_full_plan plan;
    struct tu_full full;
    struct tu_spool spools[2]; /* of tensors of streams that are to be read more than once */
    uint64_t heads[2];         /* of queries, and of keys and values; 0: not known */
    bool explained;            /* or tried to */
    struct tu_hypothesis hypothesis;
    /* Maxima of the tiles that were put, for those that are worked on meanwhile: they save work
     * and change no result. */
    _Atomic double max_diff, max_rel_diff;
};

/* Takes a tensor as one of the pair. */
int tu_pair_add(struct tu_pair *p, int i, const struct tu_origin *place,
                struct tu_error *error) TU_MUST_CHECK;
/* Decides how the two are compared, once both are there that will be. */
int tu_pair_settle(const struct tu_terms *terms, struct tu_pair *p,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_pair_free(struct tu_pair *p);

/* Lets a tensor stay that is in a stream: what was seen of it, behind its head, and the rest. */
int tu_pair_keep(struct tu_pair *p, int i, const void *seen, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;
/* One side as a view, which can be read in any order. */
const struct tu_view *tu_pair_view(const struct tu_terms *terms, struct tu_pair *p, int i,
                                   struct tu_error *error) TU_MUST_CHECK;
/* Whether what was compared, or cannot be since shapes differ, needs to be explained. */
bool tu_pair_puzzles(const struct tu_terms *terms, const struct tu_pair *p,
                     const struct tu_partial *sums);

struct tu_view_maker tu_pair_maker(const struct tu_terms *terms, struct tu_pair *p);
/* Whether shapes agree, but for leading and trailing ones. */
bool tu_same_shape(const struct tu_tensor *a, const struct tu_tensor *b);

#endif
