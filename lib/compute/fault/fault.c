/* SPDX-License-Identifier: MIT */
/* The table of faults, and how one is put into an operand and its tensors. */
#include "config.h"

#include "compute/fault/fault.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/fault/victim.h"
#include "model/facts/facts.h"
#include "model/select.h"

/* What is settled for an operand, for each tensor, and where the fault is not in each of them. */
static const struct {
    tu_settle_fn *settle;
    int (*prepare)(struct tu_fault_work *w, struct tu_error *error);
    int (*restate)(struct tu_fault_work *w, struct tensor_value *source, struct tu_error *error);
    const char *nothing; /* why nothing was damaged */
} faults[] = {
    [TU_FAULT_NAN] = {.settle = tu_fault_nan},
    [TU_FAULT_BIT] = {.settle = tu_fault_bit},
    [TU_FAULT_SWAP_ROWS] = {.settle = tu_fault_swap_rows},
    [TU_FAULT_SWAP_HEADS] = {.settle = tu_fault_swap_heads},
    [TU_FAULT_TRANSPOSE] = {.settle = tu_fault_transpose},
    [TU_FAULT_STALE_SCALE] = {.settle = tu_fault_stale_scale},
    [TU_FAULT_CHANNEL] = {.settle = tu_fault_channel},
    [TU_FAULT_ZERO_BLOCK] = {.settle = tu_fault_zero_block},
    [TU_FAULT_ZERO_COLUMN] = {.settle = tu_fault_zero_column},
    [TU_FAULT_SCALE_COLUMN] = {.settle = tu_fault_scale_column},
    [TU_FAULT_MIX_COLUMNS] = {.settle = tu_fault_mix_columns},
    [TU_FAULT_SCALE] = {.settle = tu_fault_scale},
    [TU_FAULT_FINE_TUNE] = {.settle = tu_fault_fine_tune},
    [TU_FAULT_CUT_ROWS] = {.settle = tu_fault_cut_rows},
    [TU_FAULT_EXCHANGE] = {tu_fault_exchange, tu_pair_tensors, NULL, NULL},
    [TU_FAULT_ROPE_HALVES] = {tu_fault_rope_halves, tu_find_heads, NULL,
                              "no selected tensor is q or k, or none has an order to lose"},
    [TU_FAULT_ROPE_PAIRS] = {tu_fault_rope_pairs, tu_find_heads, NULL,
                             "no selected tensor is q or k, or none has an order to lose"},
    [TU_FAULT_CUT_VOCABULARY] = {tu_fault_cut_vocabulary, tu_find_vocabulary, tu_state_vocabulary,
                                 "no selected tensor has a row for each token"},
    [TU_FAULT_DROP_EXPERT] = {tu_fault_drop_expert, tu_find_experts, NULL,
                              "no selected tensor is of an expert, or all of that one's are zero"},
    [TU_FAULT_FACT] = {NULL, NULL, tu_change_fact, NULL},
    [TU_FAULT_TRUNCATE] = {0}, /* the filter breaks off */
};

enum tu_fault_id tu_fault_by_name(const char *name)
{
    static const char *const names[] = {"",
#define NAME(ID, name) name,
                                        TU_FAULT_TABLE(NAME)
#undef NAME
    };
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum tu_fault_id)i;
    return TU_FAULT_NONE;
}

int tu_fault_check(const struct tu_fault_settings *s, struct tu_error *error)
{
    if (s->fault == TU_FAULT_NONE)
        return tu_fail(error, TU_EUSAGE, "--fault names what to put in");
    if (s->fault == TU_FAULT_SWAP_HEADS && s->heads == 0)
        return tu_fail(error, TU_EUSAGE, "--fault swap-heads needs --heads");
    if (!isnan(s->factor) && (!isfinite(s->factor) || s->factor == 1))
        return tu_fail(error, TU_EUSAGE, "--factor %g %s", s->factor,
                       s->factor == 1 ? "changes nothing" : "is no number to multiply by");
    if (!isfinite(s->size) || s->size <= 0)
        return tu_fail(error, TU_EUSAGE, "--size %g adds nothing (0.01 is a hundredth)", s->size);
    if (s->rows == 0)
        return tu_fail(error, TU_EUSAGE, "--rows 0 cuts nothing");
    if (s->fact && s->fault != TU_FAULT_FACT)
        return tu_fail(error, TU_EUSAGE, "--fact is for --fault fact");
    if (s->fact && tu_fact_by_name(s->fact, strlen(s->fact)) < 0)
        return tu_fail(error, TU_EUSAGE, "'%s' is no fact (tensor-facts(7) lists them)", s->fact);
    return 0;
}

/* ---- An operand ---- */

static void forget_operand(struct tu_fault_work *w)
{
    tu_arena_free(&w->arena);
    free(w->pairs);
    w->pairs = NULL;
    w->pair_count = 0;
    w->head_rows = w->turned = w->vocabulary = w->kept = w->experts = w->expert = 0;
}

int tu_fault_operand(struct tu_fault_work *w, const struct tu_operand *operand,
                     struct tensor_value *source, struct tu_error *error)
{
    enum tu_fault_id fault = w->settings->fault;
    forget_operand(w);
    w->operand = operand;
    if (faults[fault].prepare && faults[fault].prepare(w, error) < 0)
        return -1;
    return faults[fault].restate ? faults[fault].restate(w, source, error) : 0;
}

void tu_fault_close(struct tu_fault_work *w)
{
    forget_operand(w);
}

int tu_fault_end(const struct tu_fault_work *w, struct tu_error *error)
{
    const char *why = faults[w->settings->fault].nothing;
    struct tu_error unmet = {0};
    if (w->damaged)
        return 0;
    if (tu_selection_check(&w->session->selection, &unmet) < 0)
        return tu_fail(error, TU_EUSAGE, "nothing was damaged: %s", unmet.text);
    return tu_fail(error, TU_EUSAGE, "nothing was damaged: %s",
                   why ? why : "no tensor is selected (see --match, --exclude, --layers, --dtype)");
}

static int compare_pairs(const void *a, const void *b)
{
    const struct tu_fault_pair *x = a, *y = b;
    return (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

static const struct tu_fault_pair *find_pair(const struct tu_fault_work *w,
                                             const struct tu_tensor *t)
{
    const struct tu_fault_pair key = {.tensor = t};
    return w->pair_count ? bsearch(&key, w->pairs, w->pair_count, sizeof *w->pairs, compare_pairs)
                         : NULL;
}

void tu_sort_pairs(struct tu_fault_work *w)
{
    qsort(w->pairs, w->pair_count, sizeof *w->pairs, compare_pairs);
}

enum tu_fault_fate tu_fault_fate(struct tu_fault_work *w, const struct tu_tensor *t)
{
    enum tu_fault_fate fate = TU_FAULT_CHANGE;
    if (w->settings->fault == TU_FAULT_EXCHANGE)
        return find_pair(w, t) ? TU_FAULT_CHANGE : TU_FAULT_PASS;
    if (w->settings->fault == TU_FAULT_FACT || !tu_selects(&w->session->selection, t))
        return TU_FAULT_PASS;
    if (faults[w->settings->fault].nothing)
        fate = tu_role_fate(w, t);
    w->damaged += fate == TU_FAULT_LEAVE_OUT;
    return fate;
}

/* ---- A tensor ---- */

int tu_fault_exchange(struct tu_victim *v, struct tu_error *error)
{
    (void)error;
    v->member = find_pair(v->work, v->tensor)->other;
    return 0;
}

static int settle(struct tu_victim *v, struct tu_error *error)
{
    enum tu_fault_id fault = v->work->settings->fault;
    if (tu_tensor_check(&v->becomes, &v->geometry, error) < 0)
        return -1;
    memcpy(v->shape, v->tensor->shape, v->tensor->rank * sizeof *v->shape);
    v->becomes.shape = v->shape;
    if (v->geometry.elements == 0)
        return tu_refuse(v, error, "it has no elements");
    return faults[fault].settle ? faults[fault].settle(v, error) : 0;
}

struct tu_victim *tu_victim_open(struct tu_fault_work *w, const struct tu_member *member,
                                 struct tu_tensor *becomes, struct tu_error *error)
{
    struct tu_victim *v = calloc(1, sizeof *v);
    if (!v) {
        tu_fail_memory(error);
        return NULL;
    }
    v->work = w;
    v->member = *member;
    v->tensor = member->tensor;
    v->becomes = *member->tensor;
    if (settle(v, error) < 0) {
        tu_victim_close(v);
        return NULL;
    }
    w->damaged += !v->unchanged;
    *becomes = v->becomes;
    return v;
}

void tu_victim_close(struct tu_victim *v)
{
    free(v->bytes);
    tu_low_rank_free(v->low_rank);
    free(v);
}

/* ---- Writing ---- */

/* Bytes that another span holds are read from there, up to the end of the span. */
static uint64_t place_of(const struct tu_victim *v, uint64_t offset, size_t *length)
{
    for (int i = 0; i < 2; i++) {
        uint64_t here = v->span[i], there = v->span[!i];
        if (offset < here && here - offset < *length)
            *length = (size_t)(here - offset);
        if (offset >= here && offset - here < v->span_length) {
            uint64_t left = v->span_length - (offset - here);
            *length = left < *length ? (size_t)left : *length;
            return there + (offset - here);
        }
    }
    return offset;
}

static int read_patched(const struct tu_victim *v, uint64_t offset, uint8_t *to, size_t length,
                        struct tu_error *error)
{
    for (size_t done = 0, n; done < length; done += n) {
        n = length - done;
        uint64_t from = place_of(v, offset + done, &n);
        if (tu_read_original(v, from, to + done, n, error) < 0)
            return -1;
    }
    uint64_t first = offset > v->at ? offset : v->at, end = v->at + v->count;
    end = end < offset + length ? end : offset + length;
    if (first < end && v->bytes)
        memcpy(to + (first - offset), v->bytes + (first - v->at), end - first);
    else if (first < end)
        memset(to + (first - offset), 0, end - first);
    return 0;
}

static int write_patched(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                         struct tu_error *error)
{
    uint8_t *buffer = malloc(TU_FAULT_PIECE);
    int result = buffer ? 0 : tu_fail_memory(error);
    for (uint64_t at = 0, n; at < v->becomes.nbytes && result == 0; at += n) {
        n = v->becomes.nbytes - at < TU_FAULT_PIECE ? v->becomes.nbytes - at : TU_FAULT_PIECE;
        result = read_patched(v, at, buffer, (size_t)n, error);
        if (result == 0)
            result = sink(context, buffer, (size_t)n, error);
    }
    free(buffer);
    return result;
}

static int write_ordered(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                         struct tu_error *error)
{
    uint64_t head = v->geometry.dtype->head;
    if (tu_copy_bytes(v, 0, head, sink, context, error) < 0)
        return -1;
    for (uint64_t row = 0; row < v->rows; row++)
        if (tu_copy_bytes(v, head + v->row_from(v, row) * v->row_bytes, v->row_bytes, sink, context,
                          error) < 0)
            return -1;
    return 0;
}

int tu_victim_write(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                    struct tu_error *error)
{
    if (v->transposed)
        return tu_write_transposed(v, sink, context, error);
    if (v->row_from)
        return write_ordered(v, sink, context, error);
    return v->edit ? tu_write_edited(v, sink, context, error)
                   : write_patched(v, sink, context, error);
}

/* What is to be written, held against what is there, up to the first difference. */
struct comparison {
    const struct tu_victim *v;
    uint64_t at;
    bool differs;
};

static int compare_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    struct comparison *c = context;
    uint8_t there[4096];
    for (size_t done = 0, n; done < length; done += n) {
        n = length - done < sizeof there ? length - done : sizeof there;
        if (tu_read_original(c->v, c->at, there, n, error) < 0)
            return -1;
        c->at += n;
        c->differs = memcmp(there, (const uint8_t *)bytes + done, n) != 0;
        if (c->differs)
            return -1; /* without an error: it is known now */
    }
    return 0;
}

int tu_victim_changes(const struct tu_victim *v, bool *changes, struct tu_error *error)
{
    struct comparison c = {.v = v};
    int result = tu_victim_write(v, compare_bytes, &c, error);
    *changes = c.differs;
    return c.differs ? 0 : result;
}
