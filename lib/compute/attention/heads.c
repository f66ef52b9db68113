/* SPDX-License-Identifier: MIT */
/* Every head of an output against all pairs of a query and a key head, and the rule behind them. */
#include "config.h"

#include "compute/attention/heads.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cosines that differ less are the same: a head may resemble several candidates. */
static const double SAME = 1e-9;

/* A residual that float32 leaves; nothing else is looked for below. */
static const double NEARLY_EXACT = 1e-4;

/* ---- Cosines ---- */

struct comparison {
    struct tu_qkv *group;
    const struct tu_qkv_tensor *out;
    uint64_t heads, candidates, dim, position; /* queries so far, of all batches */
    double *row;                               /* of the output: [heads][dim] */
    double *dot, *own, *theirs; /* sums: [heads][candidates], [heads], [candidates] */
};

/* Candidate head c reads query head c % heads and key head c / heads: attention over heads *
 * kv_heads heads, of which the first ones all read the first key head, and so on. */
static int read_candidates(void *context, enum tu_attention_part part, uint64_t batch,
                           uint64_t first, uint64_t count, float *narrow, double *wide,
                           struct tu_error *error)
{
    struct comparison *c = context;
    const struct tu_attention *a = &c->group->attention;
    if (part != TU_ATTENTION_Q)
        return tu_qkv_read(c->group, part, batch, first, count, narrow, wide, error);
    uint64_t row = a->heads * a->head_dim;
    for (uint64_t i = 0; i < count; i++) {
        double *to = wide + i * row * a->kv_heads;
        if (tu_qkv_read(c->group, part, batch, first + i, 1, NULL, to, error) < 0)
            return -1;
        for (uint64_t g = 1; g < a->kv_heads; g++)
            memcpy(to + g * row, to, row * sizeof *to);
    }
    return 0;
}

static double dot(const double *x, const double *y, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* One query's candidates against the row of the output. */
static void add_row(struct comparison *c, const double *candidates)
{
    for (uint64_t h = 0; h < c->heads; h++)
        c->own[h] += dot(c->row + h * c->dim, c->row + h * c->dim, c->dim);
    for (uint64_t k = 0; k < c->candidates; k++) {
        const double *made = candidates + k * c->dim;
        c->theirs[k] += dot(made, made, c->dim);
        for (uint64_t h = 0; h < c->heads; h++)
            c->dot[h * c->candidates + k] += dot(c->row + h * c->dim, made, c->dim);
    }
}

static int take_candidates(void *context, const void *values, size_t count, struct tu_error *error)
{
    struct comparison *c = context;
    uint64_t row = c->candidates * c->dim, own = c->heads * c->dim;
    for (uint64_t i = 0; i < count / row; i++) {
        if (tu_qkv_elements(c->out, c->position++ * own, own, c->row, error) < 0)
            return -1;
        add_row(c, (const double *)values + i * row);
    }
    return 0;
}

/* An array over heads, once for each key head. */
static float *repeat(const float *from, uint64_t heads, uint64_t times)
{
    float *all = malloc(heads * times * sizeof *all);
    for (uint64_t i = 0; all && i < heads * times; i++)
        all[i] = from[i % heads];
    return all;
}

static int compare_all(struct comparison *c, const struct tu_session *session,
                       struct tu_error *error)
{
    struct tu_attention a = c->group->attention;
    float *slopes = NULL, *sinks = NULL;
    a.heads *= a.kv_heads;
    if ((a.slopes && !(a.slopes = slopes = repeat(a.slopes, c->heads, a.kv_heads))) ||
        (a.sinks && !(a.sinks = sinks = repeat(a.sinks, c->heads, a.kv_heads)))) {
        free(slopes);
        return tu_fail_memory(error);
    }
    const struct tu_attention_rows rows = {.read = read_candidates, .context = c};
    const struct tu_attention_sink sink = {.put = take_candidates, .context = c};
    const struct tu_attention_how how = {
        .wide = true, .threads = (unsigned)session->threads, .kernels = session->kernels};
    int result = tu_attention_check(&a, error);
    if (result == 0)
        result = tu_attend(&a, &rows, TU_ATTENTION_OUT, &how, &sink, error);
    free(slopes);
    free(sinks);
    return result;
}

/* Sums become cosines, [output head][query head][key head]. */
static void make_cosines(const struct comparison *c, struct tu_heads *heads)
{
    for (uint64_t h = 0; h < c->heads; h++)
        for (uint64_t k = 0; k < c->candidates; k++) {
            uint64_t q = k % c->heads, g = k / c->heads;
            uint64_t at = (h * heads->heads + q) * heads->kv_heads + g;
            double dot = c->dot[h * c->candidates + k], own = c->own[h], theirs = c->theirs[k];
            double off = own - 2 * dot + theirs;
            heads->cosine[at] = dot / sqrt(own * theirs);
            heads->residual[at] = own == 0 && theirs == 0 ? 0 : sqrt(off > 0 ? off / own : 0);
        }
}

/* ---- Mappings ---- */

double tu_heads_cosine(const struct tu_heads *s, uint64_t head, uint64_t query, uint64_t key)
{
    return s->cosine[(head * s->heads + query) * s->kv_heads + key];
}

/* A mapping to be filled: key[h] and query[h] are h's group and h at first. */
static struct tu_head_mapping *add_mapping(struct tu_heads *s, const char *format, ...)
    TU_PRINTF(2, 3);
static struct tu_head_mapping *add_mapping(struct tu_heads *s, const char *format, ...)
{
    char text[128];
    va_list arguments;
    struct tu_head_mapping *m = &s->mappings[s->mapping_count];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    *m = (struct tu_head_mapping){.text = tu_arena_copy(&s->arena, text, strlen(text)),
                                  .query = tu_arena_alloc(&s->arena, s->heads * sizeof *m->query),
                                  .key = tu_arena_alloc(&s->arena, s->heads * sizeof *m->key)};
    if (!m->text || !m->query || !m->key)
        return NULL;
    s->mapping_count++;
    for (uint64_t h = 0; h < s->heads; h++) {
        m->query[h] = h;
        m->key[h] = h * s->kv_heads / s->heads;
    }
    return m;
}

static bool add_simple(struct tu_heads *s)
{
    uint64_t kv = s->kv_heads, group = s->heads / kv;
    struct tu_head_mapping *m =
        add_mapping(s, "query head h reads key head floor(h / %" PRIu64 ")", group);
    if (!m)
        return false;
    m->right = true;
    if (!(m = add_mapping(s, "query head h reads key head h mod %" PRIu64, kv)))
        return false;
    for (uint64_t h = 0; h < s->heads; h++)
        m->key[h] = h % kv;
    if (!(m = add_mapping(s, "query head h reads key head %" PRIu64 " - floor(h / %" PRIu64 ")",
                          kv - 1, group)))
        return false;
    for (uint64_t h = 0; h < s->heads; h++)
        m->key[h] = kv - 1 - h / group;
    return true;
}

/* Groups of another size, as those of a power of two. */
static bool add_sizes(struct tu_heads *s)
{
    uint64_t kv = s->kv_heads, group = s->heads / kv;
    for (uint64_t size = 1; size < 2 * s->heads; size *= 2) {
        if (size == group)
            continue;
        struct tu_head_mapping *m =
            add_mapping(s, "query head h reads key head min(floor(h / %" PRIu64 "), %" PRIu64 ")",
                        size, kv - 1);
        if (!m)
            return false;
        for (uint64_t h = 0; h < s->heads; h++)
            m->key[h] = h / size < kv ? h / size : kv - 1;
    }
    return true;
}

static bool add_shifts(struct tu_heads *s)
{
    uint64_t kv = s->kv_heads, group = s->heads / kv;
    for (uint64_t shift = 0; shift < kv && kv > 1; shift++) {
        struct tu_head_mapping *same =
            add_mapping(s, "every query head reads key head %" PRIu64, shift);
        struct tu_head_mapping *moved =
            same && shift ? add_mapping(s,
                                        "query head h reads key head (floor(h / %" PRIu64
                                        ") + %" PRIu64 ") mod %" PRIu64,
                                        group, shift, kv)
                          : same;
        if (!moved)
            return false;
        for (uint64_t h = 0; h < s->heads; h++) {
            if (shift)
                moved->key[h] = (h / group + shift) % kv;
            same->key[h] = shift;
        }
    }
    return true;
}

/* Outputs in another order than their queries. */
static bool add_orders(struct tu_heads *s)
{
    uint64_t kv = s->kv_heads, group = s->heads / kv;
    struct tu_head_mapping *m = add_mapping(
        s, "output head h is query head (h mod %" PRIu64 ") * %" PRIu64 " + floor(h / %" PRIu64 ")",
        kv, group, kv);
    struct tu_head_mapping *n = m ? add_mapping(s,
                                                "output head h is query head (h mod %" PRIu64
                                                ") * %" PRIu64 " + floor(h / %" PRIu64 ")",
                                                group, kv, group)
                                  : NULL;
    struct tu_head_mapping *r =
        n ? add_mapping(s, "output head h is query head %" PRIu64 " - h", s->heads - 1) : NULL;
    if (!r)
        return false;
    for (uint64_t h = 0; h < s->heads; h++) {
        m->query[h] = h % kv * group + h / kv;
        n->query[h] = h % group * kv + h / group;
        r->query[h] = s->heads - 1 - h;
        m->key[h] = m->query[h] / group;
        n->key[h] = n->query[h] / group;
        r->key[h] = r->query[h] / group;
    }
    return true;
}

/* What each head resembles most, whatever the rule behind it. */
static bool add_best(struct tu_heads *s)
{
    struct tu_head_mapping *m = add_mapping(s, "no simple rule: see the heads");
    for (uint64_t h = 0; m && h < s->heads; h++)
        tu_heads_best(s, h, &m->query[h], &m->key[h]);
    return m != NULL;
}

static void rate(const struct tu_heads *s, struct tu_head_mapping *m)
{
    m->least = INFINITY;
    m->residual = 0;
    for (uint64_t h = 0; h < s->heads; h++) {
        double cosine = tu_heads_cosine(s, h, m->query[h], m->key[h]);
        double residual = s->residual[(h * s->heads + m->query[h]) * s->kv_heads + m->key[h]];
        if (!(residual <= m->residual))
            m->residual = residual;
        if (!(cosine >= m->least))
            m->least = cosine;
    }
}

/* Puts the best one first; of equals the one that was added first, so that the plainest explains.
 */
static void choose(struct tu_heads *s)
{
    size_t best = 0;
    for (size_t i = 0; i < s->mapping_count; i++) {
        rate(s, &s->mappings[i]);
        if (i && s->mappings[i].least > s->mappings[best].least + SAME)
            best = i;
        else if (i && isnan(s->mappings[best].least) && !isnan(s->mappings[i].least))
            best = i;
    }
    struct tu_head_mapping first = s->mappings[best];
    memmove(s->mappings + 1, s->mappings, best * sizeof *s->mappings);
    s->mappings[0] = first;
}

static int find_mapping(struct tu_heads *s, struct tu_error *error)
{
    size_t most = 80 + 2 * (size_t)s->kv_heads;
    s->mappings = tu_arena_alloc(&s->arena, most * sizeof *s->mappings);
    if (!s->mappings || !add_simple(s) || !add_orders(s) || !add_sizes(s) || !add_shifts(s) ||
        !add_best(s))
        return tu_fail_memory(error);
    choose(s);
    return 0;
}

/* ---- What it was made with ---- */

/* A residual that another way may leave where it explains the output so much better. */
static double far_below(double residual)
{
    return residual / 4;
}

/* Whether the right pairing made the output; where it did not to the last digits, other ways of
 * attending with it are tried. */
static int explain(struct tu_qkv *group, const struct tu_qkv_tensor *out,
                   const struct tu_session *session, struct tu_heads *s, struct tu_error *error)
{
    const struct tu_head_mapping *best = &s->mappings[0];
    for (size_t i = 0; i < s->mapping_count; i++)
        if (s->mappings[i].right) {
            s->right_cosine = s->mappings[i].least;
            s->right_residual = s->mappings[i].residual;
        }
    s->right = best->right && best->residual <= TU_HEADS_EXPLAINED;
    if (best->residual <= NEARLY_EXACT)
        return 0;
    struct tu_heads_variant variant;
    if (tu_heads_find_variant(group, out, session, &variant, error) < 0)
        return -1;
    if (variant.residual <= TU_HEADS_EXPLAINED && !(variant.residual > far_below(best->residual))) {
        s->variant = variant;
        s->right = false;
    }
    return 0;
}

/* ---- The interface ---- */

void tu_heads_best(const struct tu_heads *s, uint64_t head, uint64_t *query, uint64_t *key)
{
    *query = head;
    *key = head * s->kv_heads / s->heads;
    for (uint64_t q = 0; q < s->heads; q++)
        for (uint64_t g = 0; g < s->kv_heads; g++) {
            double now = tu_heads_cosine(s, head, q, g),
                   best = tu_heads_cosine(s, head, *query, *key);
            if (now > best + SAME || (isnan(best) && !isnan(now))) {
                *query = q;
                *key = g;
            }
        }
}

int tu_heads_compare(struct tu_qkv *group, const struct tu_qkv_tensor *out,
                     const struct tu_session *session, struct tu_heads *s, struct tu_error *error)
{
    const struct tu_attention *a = &group->attention;
    struct comparison c = {.group = group,
                           .out = out,
                           .heads = a->heads,
                           .candidates = a->heads * a->kv_heads,
                           .dim = a->value_dim};
    *s = (struct tu_heads){.heads = a->heads, .kv_heads = a->kv_heads};
    s->cosine = tu_arena_alloc(&s->arena, c.heads * c.candidates * sizeof *s->cosine);
    s->residual = tu_arena_alloc(&s->arena, c.heads * c.candidates * sizeof *s->residual);
    c.row = calloc(c.heads * c.dim, sizeof *c.row);
    c.dot = calloc(c.heads * c.candidates, sizeof *c.dot);
    c.own = calloc(c.heads, sizeof *c.own);
    c.theirs = calloc(c.candidates, sizeof *c.theirs);
    int result = s->cosine && s->residual && c.row && c.dot && c.own && c.theirs
                     ? compare_all(&c, session, error)
                     : tu_fail_memory(error);
    if (result == 0) {
        make_cosines(&c, s);
        result = find_mapping(s, error);
    }
    if (result == 0)
        result = explain(group, out, session, s, error);
    free(c.row);
    free(c.dot);
    free(c.own);
    free(c.theirs);
    if (result < 0)
        tu_heads_free(s);
    return result;
}

void tu_heads_free(struct tu_heads *s)
{
    tu_arena_free(&s->arena);
    *s = (struct tu_heads){0};
}
