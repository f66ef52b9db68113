/* SPDX-License-Identifier: MIT */
/* Tells what of a model's tensors is sick from what healthy models have, too: padding, masks, ties,
 * unit norms, zero biases. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compute/stat/health.h"
#include "compute/stat/series.h"

const char *const tu_finding_words[TU_FINDINGS] = {
    "nan",          "nan_scale",     "inf",
    "zero",         "constant",      "dead_rows",
    "dead_columns", "constant_rows", "constant_columns",
    "duplicate",    "denormal",      "saturated"};

/* A line of fewer numbers may be constant by nature, as a kernel of four is; so may be a matrix of
 * fewer in all. */
enum { LINE_LEAST = 8, TWIN_LEAST = 64 };
/* Of the rows of an embedding this share may be unused, as those of padding are. */
#define UNUSED_ROWS 0.05
/* Denormals of narrow types are common; only where they are most, precision is lost.  In wide ones
 * they come of bytes that are no such numbers. */
#define DENORMAL_NARROW 0.5
#define DENORMAL_WIDE   0.01
/* Scaling puts the largest number of each block, and its neighbours, at the end of FP8. */
#define SATURATED_FP8 0.01

/* ---- What a tensor is ---- */

static bool has(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return true;
    return false;
}

/* Embeddings and output heads, which may be one, and whose rows are padded. */
static bool is_table(const struct tu_health *h)
{
    static const char *const parts[] = {"embed", "embd", "wte", "lm_head", "shared.weight", NULL};
    const char *name = h->tensor.name;
    return has(name, parts) || strcmp(name, "output.weight") == 0 ||
           strcmp(name, "model.output.weight") == 0;
}

/* Tables of positions and masks that programs store beside weights. */
static bool is_buffer(const struct tu_health *h)
{
    static const char *const parts[] = {"rotary",    "rope",        "inv_freq",       "cos_cache",
                                        "sin_cache", "position_id", "position_index", "cos_sin",
                                        "attn_mask", "causal_mask", "masked_bias",    NULL};
    return has(h->tensor.name, parts);
}

static bool is_scale(const struct tu_health *h)
{
    return strstr(h->tensor.name, "scale") != NULL;
}

static bool is_float(const struct tu_health *h)
{
    const struct tu_dtype *d = tu_dtype(h->tensor.dtype);
    return d->kind == TENSOR_KIND_FLOAT || d->kind == TENSOR_KIND_QUANT;
}

/* A mask: 0 with 1, or with a number that no softmax leaves anything of. */
static bool is_mask(const struct tu_health *h)
{
    double a = h->distinct[0], b = h->distinct[1];
    double other = a == 0 ? b : a;
    return h->kinds == 2 && (a == 0 || b == 0) && (other == 1 || other <= -1e4);
}

/* Whether it has rows and columns at all: dimensions of 1 do not count. */
static bool is_matrix(const struct tu_health *h)
{
    unsigned long_ones = 0;
    for (uint32_t i = 0; i < h->tensor.rank; i++)
        long_ones += h->tensor.shape[i] > 1;
    return long_ones > 1;
}

static uint64_t dimension(const struct tu_health *h, uint32_t from_last)
{
    const struct tu_tensor *t = &h->tensor;
    return t->rank > from_last ? t->shape[t->rank - 1 - from_last] : 1;
}

/* ---- By itself ---- */

static void judge_numbers(struct tu_health *h)
{
    const struct tu_dtype *d = tu_dtype(h->tensor.dtype);
    bool scales = d->kind == TENSOR_KIND_QUANT || d->code == TENSOR_F8_E8M0 || is_scale(h);
    double nonzero = (double)(h->finite - h->zeros);
    bool narrow = d->bytes == 1 || d->code == TENSOR_F16;
    h->found[TU_FINDING_NAN] = h->nan && !scales;
    h->found[TU_FINDING_NAN_SCALE] = (h->nan && scales) || (is_scale(h) && h->e8m0_nan);
    h->found[TU_FINDING_INF] = h->inf && !is_mask(h);
    h->found[TU_FINDING_DENORMAL] =
        h->denormals && (double)h->denormals > nonzero * (narrow ? DENORMAL_NARROW : DENORMAL_WIDE);
    double share =
        d->bytes == 1 ? fmax(SATURATED_FP8, 4 / (double)dimension(h, 0)) * (double)h->finite : 0;
    h->found[TU_FINDING_SATURATED] =
        (double)h->saturated > share && h->tensor.elements > 1 && !is_mask(h) && !is_buffer(h);
}

static void judge_lines(struct tu_health *h)
{
    uint64_t rows = h->tensor.elements / dimension(h, 0);
    double unused = is_table(h) ? UNUSED_ROWS * (double)rows : 0;
    if (dimension(h, 0) >= LINE_LEAST) {
        h->found[TU_FINDING_DEAD_ROWS] = (double)h->rows.dead > unused;
        h->found[TU_FINDING_CONSTANT_ROWS] = (double)h->rows.constant > unused;
    }
    if (dimension(h, 1) >= LINE_LEAST) {
        h->found[TU_FINDING_DEAD_COLUMNS] = h->columns.dead > 0;
        h->found[TU_FINDING_CONSTANT_COLUMNS] = h->columns.constant > 0;
    }
}

/* A tensor that holds one number has no rows to speak of. */
static void judge_one(struct tu_health *h)
{
    if (!h->real || h->seen == 0)
        return;
    judge_numbers(h);
    if (!is_float(h) || !is_matrix(h) || is_mask(h) || is_buffer(h))
        return;
    bool one = h->kinds == 1 && h->finite == h->seen;
    h->found[TU_FINDING_ZERO] = one && h->distinct[0] == 0;
    h->found[TU_FINDING_CONSTANT] = one && h->distinct[0] != 0 && !is_scale(h);
    if (!one && !is_scale(h))
        judge_lines(h);
}

/* ---- Together ---- */

/* Whole numbers of 64 bits are indices. */
static bool may_have_twin(const struct tu_health *h)
{
    enum tensor_dtype d = h->tensor.dtype;
    bool index = d == TENSOR_I64 || d == TENSOR_U64 || d == TENSOR_BOOL;
    return is_matrix(h) && h->tensor.elements >= TWIN_LEAST && h->kinds != 1 && !index &&
           !is_mask(h) && !is_buffer(h) && !is_scale(h) && !tu_scope_is_known(&h->tensor.scope);
}

static int compare_bytes(const void *a, const void *b)
{
    const struct tu_health *x = *(struct tu_health *const *)a, *y = *(struct tu_health *const *)b;
    int order = strcmp(x->digest, y->digest);
    if (order)
        return order;
    if (x->tensor.nbytes != y->tensor.nbytes)
        return (x->tensor.nbytes > y->tensor.nbytes) - (x->tensor.nbytes < y->tensor.nbytes);
    if (x->tensor.dtype != y->tensor.dtype)
        return (x->tensor.dtype > y->tensor.dtype) - (x->tensor.dtype < y->tensor.dtype);
    return (x > y) - (x < y);
}

static bool are_twins(const struct tu_health *x, const struct tu_health *y)
{
    return strcmp(x->digest, y->digest) == 0 && x->tensor.nbytes == y->tensor.nbytes &&
           x->tensor.dtype == y->tensor.dtype;
}

/* An embedding that is stored again as the output head, or as that of a decoder, is tied. */
static void find_twins(struct tu_health **sorted, size_t count)
{
    for (size_t i = 1, first = 0; i < count; i++) {
        if (!are_twins(sorted[first], sorted[i])) {
            first = i;
            continue;
        }
        if (is_table(sorted[first]) && is_table(sorted[i]))
            continue;
        sorted[i]->twin = sorted[first];
        sorted[i]->found[TU_FINDING_DUPLICATE] = true;
    }
}

/* The same tensor in each layer: by role. */
struct sibling {
    struct tu_series_member member;
    struct tu_health *health;
};

static int compare_roles(const void *a, const void *b)
{
    const struct sibling *x = a, *y = b;
    return strcmp(x->member.role, y->member.role);
}

/* A vector of zeros may be a bias that was never trained, or a norm that is stored less 1; but not
 * where the same vector of other layers is none. */
static void find_zero_vectors(struct sibling *s, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        bool others = false;
        for (to = from; to < count && compare_roles(&s[from], &s[to]) == 0; to++)
            others |= s[to].health->zeros != s[to].health->seen;
        for (size_t i = from; others && i < to; i++)
            if (s[i].health->zeros == s[i].health->seen)
                s[i].health->found[TU_FINDING_ZERO] = true;
    }
}

static int judge_vectors(struct tu_health *all, size_t count, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct sibling *siblings = calloc(count + 1, sizeof *siblings);
    size_t used = 0;
    int result = siblings ? 0 : tu_fail_memory(error);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct tu_health *h = &all[i];
        if (!h->real || h->seen < 2 || is_matrix(h) || !is_float(h) || is_buffer(h))
            continue;
        siblings[used].health = h;
        result = tu_series_describe(&h->tensor, &arena, &siblings[used].member, error);
        used += siblings[used].member.has_layer;
    }
    if (result == 0 && used) {
        qsort(siblings, used, sizeof *siblings, compare_roles);
        find_zero_vectors(siblings, used);
    }
    free(siblings);
    tu_arena_free(&arena);
    return result;
}

int tu_health_judge(struct tu_health *all, size_t count, struct tu_error *error)
{
    struct tu_health **sorted = reallocarray(NULL, count + 1, sizeof *sorted);
    size_t used = 0;
    if (!sorted)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++) {
        judge_one(&all[i]);
        if (may_have_twin(&all[i]))
            sorted[used++] = &all[i];
    }
    if (used)
        qsort(sorted, used, sizeof *sorted, compare_bytes);
    find_twins(sorted, used);
    free(sorted);
    return judge_vectors(all, count, error);
}

/* ---- Words ---- */

static void say_lines(const char *what, uint64_t count, uint64_t first, char *out, size_t size)
{
    snprintf(out, size, "%" PRIu64 " %s, the first of them %" PRIu64, count, what, first);
}

static void say_nonfinite(const struct tu_health *h, enum tu_finding finding, char *out,
                          size_t size)
{
    bool quantized = tu_dtype(h->tensor.dtype)->kind == TENSOR_KIND_QUANT;
    bool nan = finding == TU_FINDING_NAN;
    if (finding == TU_FINDING_NAN_SCALE)
        snprintf(out, size, "%" PRIu64 " of %" PRIu64 " values are %s", h->nan + h->e8m0_nan,
                 h->seen, quantized ? "NaN by the scale of their block" : "scales that are NaN");
    else
        snprintf(out, size,
                 "%" PRIu64 " of %" PRIu64 " values are %s, the first not finite is %" PRIu64,
                 nan ? h->nan : h->inf, h->seen, nan ? "NaN" : "infinite", h->first_bad);
}

void tu_health_say(const struct tu_health *h, enum tu_finding finding, char *out, size_t size)
{
    char name[256];
    double nonzero = (double)(h->finite - h->zeros);
    switch (finding) {
    case TU_FINDING_NAN:
    case TU_FINDING_INF:
    case TU_FINDING_NAN_SCALE:
        say_nonfinite(h, finding, out, size);
        return;
    case TU_FINDING_ZERO:
        snprintf(out, size,
                 is_matrix(h) ? "all values are 0"
                              : "all values are 0, those of other layers are not");
        return;
    case TU_FINDING_CONSTANT:
        snprintf(out, size, "all values are %.9g", h->distinct[0]);
        return;
    case TU_FINDING_DEAD_ROWS:
        say_lines("rows of zeros", h->rows.dead, h->rows.first_dead, out, size);
        return;
    case TU_FINDING_DEAD_COLUMNS:
        say_lines("columns of zeros", h->columns.dead, h->columns.first_dead, out, size);
        return;
    case TU_FINDING_CONSTANT_ROWS:
        say_lines("rows of one number", h->rows.constant, h->rows.first_constant, out, size);
        return;
    case TU_FINDING_CONSTANT_COLUMNS:
        say_lines("columns of one number", h->columns.constant, h->columns.first_constant, out,
                  size);
        return;
    case TU_FINDING_DUPLICATE:
        tu_escape(h->twin->tensor.name, strlen(h->twin->tensor.name), name, sizeof name);
        snprintf(out, size, "the same bytes as '%s'", name);
        return;
    case TU_FINDING_DENORMAL:
        snprintf(out, size, "%.3g%% of the values that are not 0 are denormals of %s",
                 100 * (double)h->denormals / nonzero, tu_dtype(h->tensor.dtype)->name);
        return;
    case TU_FINDING_SATURATED:
        snprintf(out, size, "%" PRIu64 " of %" PRIu64 " values are the largest that %s has",
                 h->saturated, h->seen, tu_dtype(h->tensor.dtype)->name);
        return;
    case TU_FINDINGS:
        break;
    }
    *out = '\0';
}
