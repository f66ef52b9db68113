/* SPDX-License-Identifier: MIT */
/* A tensor and the fault that it gets: what the files of this folder share. */
#ifndef TU_FAULT_VICTIM_H
#define TU_FAULT_VICTIM_H

#include "compute/fault/fault.h"
#include "tensor/elements.h"

enum { TU_FAULT_PIECE = 256 * 1024 /* bytes that are copied at once */ };

/* Two tensors that change places: of the first, the bytes of the second are written. */
struct tu_fault_pair {
    const struct tu_tensor *tensor;
    struct tu_member other;
};

/* Changes numbers [column, column + n) of a row of the tensor. */
typedef void tu_edit_fn(const struct tu_victim *v, uint64_t row, uint64_t column, size_t n,
                        float *values);
/* The row that is written in place of a row. */
typedef uint64_t tu_row_fn(const struct tu_victim *v, uint64_t row);

struct tu_victim {
    struct tu_fault_work *work;
    const struct tu_tensor *tensor; /* its name, type and shape */
    struct tu_member member;        /* where its bytes are: elsewhere, of one that is exchanged */
    struct tu_geometry geometry;
    bool unchanged; /* the fault leaves this tensor of the model as it is */
    /* What becomes of it: its bytes up to `length` of `becomes`, with one of these changes. */
    struct tu_tensor becomes;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t span[2], span_length; /* two spans of bytes are exchanged */
    uint64_t at, count;            /* bytes that are replaced, from at on, */
    uint8_t *bytes;                /* by these; NULL: by zeros */
    bool transposed;
    uint64_t head_rows, turned;    /* ROPE: rows of a head, and those that rope turns */
    tu_row_fn *row_from;           /* rows in another order */
    uint64_t rows, row_bytes, row; /* rows.c, numbers.c: rows, and the numbers in one of them */
    tu_edit_fn *edit;              /* numbers are changed, in these rows and columns: */
    uint64_t first_row, end_row, first_column, end_column;
    double factor;
    uint8_t order[32]; /* MIX_COLUMNS: where each column of the group comes from */
    struct tu_low_rank *low_rank;
};

/* ---- victim.c ---- */

/* Fails, with why the tensor cannot have the fault. */
int tu_refuse(const struct tu_victim *v, struct tu_error *error, const char *why);
/* The n-th number for this tensor below a bound, which is not 0. */
uint64_t tu_choose(const struct tu_victim *v, uint64_t n, uint64_t bound);
/* Bytes as they are. */
int tu_read_original(const struct tu_victim *v, uint64_t offset, void *to, size_t length,
                     struct tu_error *error) TU_MUST_CHECK;
/* Takes the bytes that are to be replaced; what was taken before is let go. */
int tu_take_bytes(struct tu_victim *v, uint64_t at, uint64_t count,
                  struct tu_error *error) TU_MUST_CHECK;
/* Whether two spans of the tensor differ. */
int tu_spans_differ(const struct tu_victim *v, uint64_t first, uint64_t other, uint64_t length,
                    bool *differ, struct tu_error *error) TU_MUST_CHECK;
/* Whether what will be written differs from what is there, whose size it has. */
int tu_victim_changes(const struct tu_victim *v, bool *changes,
                      struct tu_error *error) TU_MUST_CHECK;
/* Whether two tensors of one size have other bytes. */
int tu_tensors_differ(const struct tu_member *a, const struct tu_member *b, bool *differ,
                      struct tu_error *error) TU_MUST_CHECK;
/* Bytes [from, from + length) of the tensor, as they are, to a sink. */
int tu_copy_bytes(const struct tu_victim *v, uint64_t from, uint64_t length, tu_sink_fn *sink,
                  void *context, struct tu_error *error) TU_MUST_CHECK;
/* Rows of the last dimension, of whole blocks: fills rows, row_bytes and row. */
int tu_victim_rows(struct tu_victim *v, struct tu_error *error) TU_MUST_CHECK;
/* The slices of the first dimension, of whole blocks: how many, and the bytes of one. */
int tu_victim_slices(const struct tu_victim *v, uint64_t *slices, uint64_t *length,
                     struct tu_error *error) TU_MUST_CHECK;

/* ---- What is settled once for an operand, by the group of the fault ---- */

/* Which tensors change places; each of them has another partner. */
int tu_pair_tensors(struct tu_fault_work *w, struct tu_error *error) TU_MUST_CHECK;
void tu_sort_pairs(struct tu_fault_work *w);
int tu_find_heads(struct tu_fault_work *w, struct tu_error *error) TU_MUST_CHECK;
int tu_find_vocabulary(struct tu_fault_work *w, struct tu_error *error) TU_MUST_CHECK;
int tu_find_experts(struct tu_fault_work *w, struct tu_error *error) TU_MUST_CHECK;
/* Changes a fact in a source record. */
int tu_change_fact(struct tu_fault_work *w, struct tensor_value *source,
                   struct tu_error *error) TU_MUST_CHECK;
/* The vocabulary that a source record states becomes the number of rows that are kept. */
int tu_state_vocabulary(struct tu_fault_work *w, struct tensor_value *source,
                        struct tu_error *error) TU_MUST_CHECK;

/* What becomes of a selected tensor, by the part that its name gives it. */
enum tu_fault_fate tu_role_fate(const struct tu_fault_work *w, const struct tu_tensor *t);

/* ---- The faults: each settles what is changed ---- */

typedef int tu_settle_fn(struct tu_victim *v, struct tu_error *error);
tu_settle_fn tu_fault_nan, tu_fault_bit, tu_fault_stale_scale, tu_fault_zero_block; /* bytes.c */
tu_settle_fn tu_fault_swap_rows, tu_fault_swap_heads, tu_fault_cut_rows;            /* rows.c */
tu_settle_fn tu_fault_rope_halves, tu_fault_rope_pairs;
tu_settle_fn tu_fault_transpose;                                                /* transpose.c */
tu_settle_fn tu_fault_channel, tu_fault_scale;                                  /* numbers.c */
tu_settle_fn tu_fault_zero_column, tu_fault_scale_column, tu_fault_mix_columns; /* columns.c */
tu_settle_fn tu_fault_fine_tune;                                                /* low-rank.c */
tu_settle_fn tu_fault_cut_vocabulary, tu_fault_drop_expert;                     /* roles.c */
tu_settle_fn tu_fault_exchange;                                                 /* fault.c */

/* Writes the elements of [a, b] as those of [b, a] lie. */
int tu_write_transposed(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                        struct tu_error *error) TU_MUST_CHECK;

/* ---- numbers.c ---- */

/* Some numbers of a row, and what they were. */
struct tu_edited {
    uint8_t *raw, *before;
    float *values, *old;
    size_t blocks; /* that there is room for */
};
int tu_edited_init(const struct tu_victim *v, struct tu_edited *e,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_edited_free(struct tu_edited *e);
/* Decodes n blocks at raw, changes what edit changes, and encodes the blocks that hold a number
 * that is another one now: whether a byte of them is. */
bool tu_edit_blocks(const struct tu_victim *v, struct tu_edited *e, uint64_t row,
                    uint64_t first_block, size_t n);
/* Checks that numbers can be made anew, and fills rows: of a tensor without two dimensions, all of
 * it is a row. */
int tu_victim_numbers(struct tu_victim *v, struct tu_error *error) TU_MUST_CHECK;
int tu_write_edited(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                    struct tu_error *error) TU_MUST_CHECK;

void tu_low_rank_free(struct tu_low_rank *low_rank);

#endif
