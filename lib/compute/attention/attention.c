/* SPDX-License-Identifier: MIT */
/* Attention on the processor: passes over tiles of keys, on all threads. */
#include "config.h"

#include "compute/attention/attention.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "compute/blas.h"
#include "base/pipeline.h"

enum {
    TILE_QUERIES = 64,
    TILE_KEYS = 256,
    SPLIT_KEYS = 4096,      /* keys of a piece of work, where there are few queries */
    SPLIT_BELOW = 16,       /* pieces of work without splitting */
    BLAS_ROWS = 16,         /* rows from which on sgemm does the products */
    CACHE_ELEMENTS = 65536, /* of a tile of K or V, where it is used little */
    WIDE_SCORES = 8 << 20,  /* of a piece of exact attention */
};

/* ---- The problem ---- */

static bool product_fits(const uint64_t *factors, size_t count)
{
    uint64_t product = 1;
    for (size_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(product, factors[i], &product) || product >> 58)
            return false;
    return true;
}

int tu_attention_check(const struct tu_attention *a, struct tu_error *error)
{
    if (!a->batches || !a->queries || !a->heads || !a->kv_heads || !a->head_dim || !a->value_dim)
        return tu_fail(error, TU_EINVALID, "a dimension is 0");
    if (a->heads % a->kv_heads)
        return tu_fail(error, TU_EINVALID,
                       "%" PRIu64 " query heads cannot share %" PRIu64
                       " key heads: the number does not divide",
                       a->heads, a->kv_heads);
    uint64_t dim = a->head_dim > a->value_dim ? a->head_dim : a->value_dim;
    uint64_t length = a->queries > a->keys ? a->queries : a->keys;
    const uint64_t rows[] = {a->batches, length, a->heads, dim};
    const uint64_t scores[] = {a->batches, a->heads, a->queries, a->keys};
    return product_fits(rows, 4) && product_fits(scores, 4)
               ? 0
               : tu_fail(error, TU_EINVALID, "the dimensions are too large");
}

void tu_attention_slopes(uint64_t heads, float *slopes)
{
    uint64_t n = 1;
    while (n <= heads / 2)
        n *= 2;
    for (uint64_t h = 0; h < heads; h++)
        slopes[h] = (float)(h < n ? exp2(-8.0 * (double)(h + 1) / (double)n)
                                  : exp2(-4.0 * (double)(2 * (h - n) + 1) / (double)n));
}

/* The query's own place; negative where there are fewer keys than queries before it. */
static int64_t place(const struct tu_attention *a, uint64_t query)
{
    return (int64_t)query + (int64_t)a->keys - (int64_t)a->queries;
}

void tu_attention_seen(const struct tu_attention *a, uint64_t query, uint64_t *first, uint64_t *end)
{
    int64_t p = place(a, query), keys = (int64_t)a->keys;
    int64_t low = a->window && a->window <= (uint64_t)INT64_MAX ? p - (int64_t)a->window + 1 : 0;
    int64_t high = a->causal ? p + 1 : keys;
    *first = low > 0 ? (uint64_t)(low < keys ? low : keys) : 0;
    *end = high > 0 ? (uint64_t)high : 0;
    if (*end < *first)
        *end = *first;
}

/* The row of the mask for a query and head, or NULL. */
static const float *mask_row(const struct tu_attention *a, uint64_t head, uint64_t query)
{
    return a->mask ? a->mask + (head % a->mask_heads * a->queries + query) * a->keys : NULL;
}

/* ---- Work, in pieces that are put out in order ---- */

struct run {
    const struct tu_attention *a;
    const struct tu_attention_rows *rows;
    enum tu_attention_result result;
    const struct tu_attention_how *how;
    const struct tu_attention_sink *sink;
    uint64_t group;                   /* query heads that share a key head */
    uint64_t tile;                    /* queries of a piece */
    uint64_t split;                   /* keys of a piece */
    uint64_t batch, head, query, key; /* of the piece that is taken next; head 0 for OUT */
    struct state *merged;             /* of the splits of a tile so far */
    float *made;                      /* the rows of a tile */
};

/* What is known of some queries after some of the keys: rows are [query][head]. */
struct state {
    float *max;  /* [rows] */
    double *sum; /* [rows]: of exp(s - max) */
    double *out; /* [rows][value_dim]: of exp(s - max) * v */
};

struct piece {
    uint64_t batch, head, query, queries, key, keys;
    bool last; /* of the splits of its queries */
    struct state state;
    float *q, *packed;       /* [queries][heads][head_dim], and with a group's rows together */
    float *k, *v, *clean;    /* a tile; V without what is not finite */
    float *scores, *weighed; /* [rows of a group][keys of a tile], [rows][value_dim] */
    uint8_t *hidden;         /* [rows][keys]: which scores were -infinity */
    void *made;              /* rows of the result, but for OUT in float32 */
};

static void free_state(struct state *s)
{
    free(s->max);
    free(s->sum);
    free(s->out);
}

static int new_state(struct state *s, uint64_t rows, uint64_t dim, struct tu_error *error)
{
    s->max = calloc(rows, sizeof *s->max);
    s->sum = calloc(rows, sizeof *s->sum);
    s->out = calloc(rows * dim, sizeof *s->out);
    return s->max && s->sum && s->out ? 0 : tu_fail_memory(error);
}

static void clear_state(struct state *s, uint64_t rows, uint64_t dim)
{
    for (uint64_t r = 0; r < rows; r++)
        s->max[r] = -INFINITY;
    memset(s->sum, 0, rows * sizeof *s->sum);
    memset(s->out, 0, rows * dim * sizeof *s->out);
}

static float exp_of(const struct run *run, float x)
{
    run->how->kernels->attend.exp(&x, 1, 0);
    return x;
}

/* Puts a state in terms of a larger maximum. */
static void raise_max(const struct run *run, struct state *s, uint64_t row, float max)
{
    uint64_t dim = run->a->value_dim;
    if (s->max[row] == max)
        return;
    double factor = s->max[row] == -INFINITY ? 0 : (double)exp_of(run, s->max[row] - max);
    double *out = s->out + row * dim;
    if (isnan(max))
        factor = NAN;
    s->sum[row] *= factor;
    for (uint64_t c = 0; c < dim; c++)
        out[c] *= factor;
    s->max[row] = max;
}

static float larger(float x, float y)
{
    return isnan(x) || x > y ? x : y;
}

/* Adds what later keys gave. */
static void merge(const struct run *run, struct state *to, struct state *from, uint64_t rows)
{
    uint64_t dim = run->a->value_dim;
    for (uint64_t r = 0; r < rows; r++) {
        float max = larger(to->max[r], from->max[r]);
        if (max == -INFINITY)
            continue;
        raise_max(run, to, r, max);
        raise_max(run, from, r, max);
        to->sum[r] += from->sum[r];
        for (uint64_t c = 0; c < dim; c++)
            to->out[r * dim + c] += from->out[r * dim + c];
    }
}

/* Keys that a tile has. */
static uint64_t tile_keys(const struct run *run, uint64_t rows)
{
    const struct tu_attention *a = run->a;
    uint64_t dim = a->head_dim > a->value_dim ? a->head_dim : a->value_dim;
    uint64_t keys = CACHE_ELEMENTS / (a->kv_heads * dim) / 16 * 16;
    return rows >= BLAS_ROWS || keys > TILE_KEYS ? TILE_KEYS : keys < 16 ? 16 : keys;
}

static int new_buffers(const struct run *run, struct piece *p, struct tu_error *error)
{
    const struct tu_attention *a = run->a;
    uint64_t rows = run->tile * a->heads, group_rows = run->tile * run->group;
    p->q = calloc(rows * a->head_dim, sizeof *p->q);
    p->packed = calloc(rows * a->head_dim, sizeof *p->packed);
    p->k = calloc(TILE_KEYS * a->kv_heads * a->head_dim, sizeof *p->k);
    p->v = calloc(TILE_KEYS * a->kv_heads * a->value_dim, sizeof *p->v);
    p->clean = calloc(TILE_KEYS * a->kv_heads * a->value_dim, sizeof *p->clean);
    p->scores = calloc(group_rows * TILE_KEYS, sizeof *p->scores);
    p->hidden = calloc(group_rows * TILE_KEYS, sizeof *p->hidden);
    p->weighed = calloc(group_rows * a->value_dim, sizeof *p->weighed);
    if (!p->q || !p->packed || !p->k || !p->v || !p->clean || !p->scores || !p->hidden ||
        !p->weighed)
        return tu_fail_memory(error);
    return new_state(&p->state, rows, a->value_dim, error);
}

/* ---- A tile of keys ---- */

/* Rows of queries that share a key head lie together: [kv_head][query][head of the group][dim]. */
static void pack_queries(const struct run *run, struct piece *p)
{
    const struct tu_attention *a = run->a;
    size_t bytes = run->group * a->head_dim * sizeof *p->q;
    float *to = p->packed;
    for (uint64_t g = 0; g < a->kv_heads; g++)
        for (uint64_t i = 0; i < p->queries; i++) {
            memcpy(to, p->q + (i * a->heads + g * run->group) * a->head_dim, bytes);
            to += run->group * a->head_dim;
        }
}

static void score_tile(const struct run *run, struct piece *p, uint64_t g, uint64_t keys)
{
    const struct tu_attention *a = run->a;
    uint64_t rows = p->queries * run->group, stride = a->kv_heads * a->head_dim;
    const float *q = p->packed + g * rows * a->head_dim, *k = p->k + g * a->head_dim;
    if (rows >= BLAS_ROWS)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)keys, (int)a->head_dim,
                    1, q, (int)a->head_dim, k, (int)stride, 0, p->scores, (int)keys);
    else
        run->how->kernels->attend.scores(q, a->head_dim, rows, k, stride, keys, a->head_dim,
                                         p->scores);
}

/* Everything that happens to a row of scores before the softmax: keys [key, key + n). */
static void finish_scores(const struct run *run, uint64_t head, uint64_t query, uint64_t key,
                          uint64_t n, float *s)
{
    const struct tu_attention *a = run->a;
    uint64_t first, end;
    float scale = (float)a->scale;
    for (uint64_t j = 0; j < n; j++)
        s[j] *= scale;
    if (a->soft_cap != 0)
        run->how->kernels->attend.cap(s, n, (float)a->soft_cap);
    if (a->slopes) {
        int64_t away = (int64_t)key - place(a, query);
        for (uint64_t j = 0; j < n; j++)
            s[j] += a->slopes[head] * (float)(away + (int64_t)j);
    }
    const float *mask = mask_row(a, head, query);
    for (uint64_t j = 0; mask && j < n; j++)
        s[j] = mask[key + j] == -INFINITY ? -INFINITY : s[j] + mask[key + j];
    tu_attention_seen(a, query, &first, &end);
    for (uint64_t j = 0; j < n && key + j < first; j++)
        s[j] = -INFINITY;
    for (uint64_t j = end > key ? end - key : 0; j < n; j++)
        s[j] = -INFINITY;
}

/* A row of scores becomes exp(s - max), with the state's maximum raised to theirs. */
static void soften_row(const struct run *run, struct state *state, uint64_t row, float *s,
                       uint64_t n)
{
    const struct tu_attend_kernels *kernels = &run->how->kernels->attend;
    float max = larger(state->max[row], kernels->max(s, n));
    if (max == -INFINITY) {
        memset(s, 0, n * sizeof *s);
        return;
    }
    raise_max(run, state, row, max);
    state->sum[row] += (double)kernels->exp(s, n, max);
}

static void weigh_tile(const struct run *run, struct piece *p, const float *v, uint64_t keys)
{
    const struct tu_attention *a = run->a;
    uint64_t rows = p->queries * run->group, stride = a->kv_heads * a->value_dim;
    if (rows >= BLAS_ROWS)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)a->value_dim,
                    (int)keys, 1, p->scores, (int)keys, v, (int)stride, 0, p->weighed,
                    (int)a->value_dim);
    else
        run->how->kernels->attend.weigh(p->scores, rows, v, stride, keys, a->value_dim, p->weighed);
}

/* Adds the values that are not finite, which weigh_tile got as 0, where their keys are not hidden.
 */
static void weigh_special(const struct run *run, struct piece *p, uint64_t g, uint64_t keys)
{
    const struct tu_attention *a = run->a;
    uint64_t rows = p->queries * run->group, dim = a->value_dim;
    for (uint64_t j = 0; j < keys; j++)
        for (uint64_t c = 0; c < dim; c++) {
            float v = p->v[(j * a->kv_heads + g) * dim + c];
            for (uint64_t r = 0; !isfinite(v) && r < rows; r++)
                if (!p->hidden[r * keys + j])
                    p->weighed[r * dim + c] += p->scores[r * keys + j] * v;
        }
}

/* Whether all values are finite; if not, makes a copy in which the others are 0. */
static bool clean_values(const struct run *run, struct piece *p, uint64_t keys)
{
    uint64_t n = keys * run->a->kv_heads * run->a->value_dim;
    if (run->how->kernels->attend.finite(p->v, n))
        return true;
    for (uint64_t i = 0; i < n; i++)
        p->clean[i] = isfinite(p->v[i]) ? p->v[i] : 0;
    return false;
}

/* The rows of one key head against keys [key, key + keys), whose K and V are in the piece. */
static void attend_group(const struct run *run, struct piece *p, uint64_t g, uint64_t key,
                         uint64_t keys, bool clean)
{
    const struct tu_attention *a = run->a;
    uint64_t rows = p->queries * run->group, dim = a->value_dim;
    score_tile(run, p, g, keys);
    for (uint64_t r = 0; r < rows; r++) {
        uint64_t i = r / run->group, head = g * run->group + r % run->group;
        float *s = p->scores + r * keys;
        finish_scores(run, head, p->query + i, key, keys, s);
        for (uint64_t j = 0; !clean && j < keys; j++)
            p->hidden[r * keys + j] = s[j] == -INFINITY;
        soften_row(run, &p->state, i * a->heads + head, s, keys);
    }
    weigh_tile(run, p, (clean ? p->v : p->clean) + g * dim, keys);
    if (!clean)
        weigh_special(run, p, g, keys);
    for (uint64_t r = 0; r < rows; r++) {
        uint64_t row = r / run->group * a->heads + g * run->group + r % run->group;
        for (uint64_t c = 0; c < dim; c++)
            p->state.out[row * dim + c] += (double)p->weighed[r * dim + c];
    }
}

/* The keys that any of the piece's queries sees by its place. */
static void bound_keys(const struct run *run, const struct piece *p, uint64_t *first, uint64_t *end)
{
    uint64_t ignored;
    tu_attention_seen(run->a, p->query, first, &ignored);
    tu_attention_seen(run->a, p->query + p->queries - 1, &ignored, end);
    if (*first < p->key)
        *first = p->key;
    if (*end > p->key + p->keys)
        *end = p->key + p->keys;
}

static int attend_piece(const struct run *run, struct piece *p, struct tu_error *error)
{
    const struct tu_attention_rows *rows = run->rows;
    uint64_t n, first, end, tile = tile_keys(run, p->queries * run->group);
    if (!p->q && new_buffers(run, p, error) < 0)
        return -1;
    clear_state(&p->state, p->queries * run->a->heads, run->a->value_dim);
    bound_keys(run, p, &first, &end);
    if (rows->read(rows->context, TU_ATTENTION_Q, p->batch, p->query, p->queries, p->q, NULL,
                   error) < 0)
        return -1;
    pack_queries(run, p);
    for (uint64_t key = first / tile * tile; key < end; key += n) {
        n = end - key < tile ? end - key : tile;
        if (rows->read(rows->context, TU_ATTENTION_K, p->batch, key, n, p->k, NULL, error) < 0 ||
            rows->read(rows->context, TU_ATTENTION_V, p->batch, key, n, p->v, NULL, error) < 0)
            return -1;
        bool clean = clean_values(run, p, n);
        for (uint64_t g = 0; g < run->a->kv_heads; g++)
            attend_group(run, p, g, key, n, clean);
    }
    return 0;
}

/* ---- Rows of scores and weights ---- */

static int score_head(const struct run *run, struct piece *p, struct tu_error *error)
{
    const struct tu_attention *a = run->a;
    const struct tu_attention_rows *rows = run->rows;
    uint64_t g = p->head / run->group, stride = a->kv_heads * a->head_dim;
    float *made = p->made;
    for (uint64_t key = 0, n; key < a->keys; key += n) {
        n = a->keys - key < TILE_KEYS ? a->keys - key : TILE_KEYS;
        if (rows->read(rows->context, TU_ATTENTION_K, p->batch, key, n, p->k, NULL, error) < 0)
            return -1;
        for (uint64_t i = 0; i < p->queries; i++) {
            float *s = made + i * a->keys + key;
            run->how->kernels->attend.scores(p->q + (i * a->heads + p->head) * a->head_dim,
                                             a->head_dim, 1, p->k + g * a->head_dim, stride, n,
                                             a->head_dim, s);
            finish_scores(run, p->head, p->query + i, key, n, s);
        }
    }
    return 0;
}

/* A row of scores becomes weights. */
static void weigh_row(const struct run *run, uint64_t head, float *s)
{
    const struct tu_attention *a = run->a;
    const struct tu_attend_kernels *kernels = &run->how->kernels->attend;
    float max = kernels->max(s, a->keys);
    if (max == -INFINITY) {
        memset(s, 0, a->keys * sizeof *s);
        return;
    }
    if (a->sinks)
        max = larger(max, a->sinks[head]);
    double sum = 0;
    for (uint64_t j = 0; j < a->keys; j += TILE_KEYS)
        sum += (double)kernels->exp(s + j, a->keys - j < TILE_KEYS ? a->keys - j : TILE_KEYS, max);
    if (a->sinks)
        sum += (double)exp_of(run, a->sinks[head] - max);
    for (uint64_t j = 0; j < a->keys; j++)
        s[j] = (float)((double)s[j] / sum);
}

static int stage_piece(const struct run *run, struct piece *p, struct tu_error *error)
{
    const struct tu_attention *a = run->a;
    if (!p->q && new_buffers(run, p, error) < 0)
        return -1;
    if (!p->made && !(p->made = calloc(run->tile * a->keys + 1, sizeof(float))))
        return tu_fail_memory(error);
    if (run->rows->read(run->rows->context, TU_ATTENTION_Q, p->batch, p->query, p->queries, p->q,
                        NULL, error) < 0 ||
        score_head(run, p, error) < 0)
        return -1;
    for (uint64_t i = 0; run->result == TU_ATTENTION_WEIGHTS && i < p->queries; i++)
        weigh_row(run, p->head, (float *)p->made + i * a->keys);
    return 0;
}

/* ---- The pipeline ---- */

static uint64_t smaller(uint64_t x, uint64_t y)
{
    return x < y ? x : y;
}

/* Pieces go over batches, heads (but OUT, which takes all at once), queries and keys. */
static int take(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct piece *p = slot;
    const struct tu_attention *a = run->a;
    (void)error;
    if (run->batch == a->batches)
        return 0;
    p->batch = run->batch;
    p->head = run->head;
    p->query = run->query;
    p->queries = smaller(run->tile, a->queries - p->query);
    p->key = run->key;
    p->keys = smaller(run->split, a->keys - p->key);
    p->last = p->key + p->keys == a->keys;
    run->key = p->last ? 0 : p->key + p->keys;
    if (p->last)
        run->query += p->queries;
    if (run->query == a->queries) {
        run->query = 0;
        run->head++;
    }
    if (run->head == (run->result == TU_ATTENTION_OUT ? 1 : a->heads)) {
        run->head = 0;
        run->batch++;
    }
    return 1;
}

static int work_wide(const struct run *run, struct piece *p, struct tu_error *error)
{
    const struct tu_attention *a = run->a;
    bool out = run->result == TU_ATTENTION_OUT;
    const struct tu_attention_range range = {.batch = p->batch,
                                             .head = p->head,
                                             .heads = out ? a->heads : 1,
                                             .query = p->query,
                                             .queries = p->queries};
    uint64_t row = out ? a->heads * a->value_dim : a->keys;
    if (!p->made && !(p->made = calloc(run->tile * row + 1, sizeof(double))))
        return tu_fail_memory(error);
    return tu_attend_exactly(a, run->rows, run->result, &range, p->made, error);
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    (void)scratch;
    const struct run *run = context;
    struct piece *p = slot;
    if (run->how->wide)
        return work_wide(run, p, error);
    return run->result == TU_ATTENTION_OUT ? attend_piece(run, p, error)
                                           : stage_piece(run, p, error);
}

/* The state after all keys becomes the output. */
static void finish_state(const struct run *run, struct state *s, uint64_t rows)
{
    const struct tu_attention *a = run->a;
    for (uint64_t r = 0; r < rows; r++) {
        float *out = run->made + r * a->value_dim;
        if (a->sinks && s->max[r] != -INFINITY) {
            float sink = a->sinks[r % a->heads];
            raise_max(run, s, r, larger(s->max[r], sink));
            s->sum[r] += (double)exp_of(run, sink - s->max[r]);
        }
        bool empty = s->max[r] == -INFINITY;
        for (uint64_t c = 0; c < a->value_dim; c++)
            out[c] = empty ? 0 : (float)(s->out[r * a->value_dim + c] / s->sum[r]);
    }
}

static int put_out(struct run *run, struct piece *p, struct tu_error *error)
{
    uint64_t rows = p->queries * run->a->heads;
    struct state *state = &p->state;
    if (run->split < run->a->keys) {
        if (p->key == 0)
            clear_state(run->merged, rows, run->a->value_dim);
        merge(run, run->merged, state, rows);
        state = run->merged;
    }
    if (!p->last)
        return 0;
    finish_state(run, state, rows);
    return run->sink->put(run->sink->context, run->made, rows * run->a->value_dim, error);
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct run *run = context;
    struct piece *p = slot;
    const struct tu_attention *a = run->a;
    if (!run->how->wide && run->result == TU_ATTENTION_OUT)
        return put_out(run, p, error);
    uint64_t row = run->result == TU_ATTENTION_OUT ? a->heads * a->value_dim : a->keys;
    return run->sink->put(run->sink->context, p->made, p->queries * row, error);
}

static void release(void *context, void *slot)
{
    struct piece *p = slot;
    (void)context;
    free(p->q);
    free(p->packed);
    free(p->k);
    free(p->v);
    free(p->clean);
    free(p->scores);
    free(p->hidden);
    free(p->weighed);
    free(p->made);
    free_state(&p->state);
}

/* How the work is cut depends on the problem alone, so that threads change no bit. */
static void cut(struct run *run)
{
    const struct tu_attention *a = run->a;
    bool out = run->result == TU_ATTENTION_OUT;
    run->tile = smaller(TILE_QUERIES, a->queries);
    run->split = a->keys;
    if (run->how->wide || !out) {
        uint64_t row = a->keys * (out ? a->heads : 1);
        uint64_t most = row ? WIDE_SCORES / row : TILE_QUERIES;
        run->tile = smaller(run->tile, most ? most : 1);
    } else if ((a->queries + run->tile - 1) / run->tile * a->batches < SPLIT_BELOW) {
        run->split = SPLIT_KEYS;
    }
}

int tu_attend(const struct tu_attention *a, const struct tu_attention_rows *rows,
              enum tu_attention_result result, const struct tu_attention_how *how,
              const struct tu_attention_sink *sink, struct tu_error *error)
{
    struct state merged = {0};
    struct run run = {.a = a,
                      .rows = rows,
                      .result = result,
                      .how = how,
                      .sink = sink,
                      .merged = &merged,
                      .group = a->heads / a->kv_heads};
    const struct tu_pipeline pipeline = {.context = &run,
                                         .slot_size = sizeof(struct piece),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release};
    cut(&run);
    tu_blas_alone();
    int made = 0;
    if (!how->wide && result == TU_ATTENTION_OUT) {
        run.made = calloc(run.tile * a->heads * a->value_dim, sizeof *run.made);
        made = run.made ? new_state(&merged, run.tile * a->heads, a->value_dim, error)
                        : tu_fail_memory(error);
    }
    if (made == 0)
        made = tu_pipeline_run(&pipeline, how->threads, error);
    free_state(&merged);
    free(run.made);
    return made;
}
