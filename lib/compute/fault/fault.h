/* SPDX-License-Identifier: MIT */
/*
 * Known faults, put into the tensors of a model or into what it says of itself, so that a gate can
 * prove that it fails.
 *
 * How to add one: a row of TU_FAULT_TABLE; its functions in the file of its group (bytes.c, rows.c,
 * transpose.c, numbers.c, columns.c, low-rank.c, roles.c, statements.c) and its line of the table
 * in fault.c; then its paragraph in tensor-fault(1), its place in the list of scripts/gate-power,
 * and a test in tests/filters/fault.bats.
 *
 * Nothing is held in memory but a few rows, or some columns, of one tensor.
 */
#ifndef TU_FAULT_H
#define TU_FAULT_H

#include "compute/convert.h"
#include "model/operand.h"

/* X(ID, name) */
/* clang-format off */
#define TU_FAULT_TABLE(X) \
    X(NAN, "nan") \
    X(BIT, "bit") \
    X(SWAP_ROWS, "swap-rows") \
    X(SWAP_HEADS, "swap-heads") \
    X(TRANSPOSE, "transpose") \
    X(STALE_SCALE, "stale-scale") \
    X(CHANNEL, "channel") \
    X(ZERO_BLOCK, "zero-block") \
    X(ZERO_COLUMN, "zero-column") \
    X(SCALE_COLUMN, "scale-column") \
    X(MIX_COLUMNS, "mix-columns") \
    X(SCALE, "scale") \
    X(FINE_TUNE, "fine-tune") \
    X(CUT_ROWS, "cut-rows") \
    X(EXCHANGE, "exchange") \
    X(ROPE_HALVES, "rope-halves") \
    X(ROPE_PAIRS, "rope-pairs") \
    X(CUT_VOCABULARY, "cut-vocabulary") \
    X(DROP_EXPERT, "drop-expert") \
    X(FACT, "fact") \
    X(TRUNCATE, "truncate")
/* clang-format on */

enum tu_fault_id {
    TU_FAULT_NONE,
#define TU_FAULT_ID(ID, name) TU_FAULT_##ID,
    TU_FAULT_TABLE(TU_FAULT_ID)
#undef TU_FAULT_ID
};

/* How a fault is to be put in. */
struct tu_fault_settings {
    enum tu_fault_id fault;
    uint64_t seed;    /* chooses the place */
    uint64_t heads;   /* parts of a tensor's rows; 0: not said */
    uint64_t rows;    /* that are cut off */
    double factor;    /* NaN: not said */
    double size;      /* Frobenius norm of what is added, over that of the tensor */
    const char *fact; /* its name (tensor-facts(7)); NULL: any */
};

/* The fault of a name; NONE if there is none. */
enum tu_fault_id tu_fault_by_name(const char *name);
/* Whether the settings make sense together, and give a fault something to do. */
int tu_fault_check(const struct tu_fault_settings *s, struct tu_error *error) TU_MUST_CHECK;

/* A fault and the operand that it is put into. */
struct tu_fault_work {
    const struct tu_session *session; /* its selection says which tensors get it */
    const struct tu_fault_settings *settings;
    const struct tu_operand *operand; /* that is read; not a stream */
    struct tu_arena arena;            /* of what follows, which is the operand's */
    uint64_t head_rows, turned;       /* ROPE: rows of a head, and those that rope turns; 0: not
                                         known */
    uint64_t vocabulary, kept;        /* CUT_VOCABULARY: rows that there are, and stay */
    uint64_t experts, expert;         /* DROP_EXPERT: how many there are, and which one goes */
    struct tu_fault_pair *pairs;      /* EXCHANGE: sorted by tensor */
    size_t pair_count;
    uint64_t damaged; /* tensors and facts of all operands */
};

/* Begins with another operand, whose source record comes first; settles what all of its tensors
 * have in common.  The record is changed where the fault is one of what it says; what it is changed
 * to lives until the next operand. */
int tu_fault_operand(struct tu_fault_work *w, const struct tu_operand *operand,
                     struct tensor_value *source, struct tu_error *error) TU_MUST_CHECK;
void tu_fault_close(struct tu_fault_work *w);
/* At the end of all operands: fails if nothing was damaged. */
int tu_fault_end(const struct tu_fault_work *w, struct tu_error *error) TU_MUST_CHECK;

/* What becomes of a tensor. */
enum tu_fault_fate { TU_FAULT_PASS, TU_FAULT_CHANGE, TU_FAULT_LEAVE_OUT };
/* Counts what is left out. */
enum tu_fault_fate tu_fault_fate(struct tu_fault_work *w, const struct tu_tensor *t);

/* A tensor that gets the fault: fault.c and its neighbours know what is in it. */
struct tu_victim;
/* Chooses the place; gives the tensor as it will be, which lives as long as the victim.  Fails, as
 * a matter of usage, where the tensor cannot have the fault or would be what it is. */
struct tu_victim *tu_victim_open(struct tu_fault_work *w, const struct tu_member *member,
                                 struct tu_tensor *becomes, struct tu_error *error);
/* Writes its bytes. */
int tu_victim_write(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                    struct tu_error *error) TU_MUST_CHECK;
void tu_victim_close(struct tu_victim *v);

#endif
