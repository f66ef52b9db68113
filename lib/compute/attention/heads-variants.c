/* SPDX-License-Identifier: MIT */
/* Attention with one thing done otherwise, and how far each is from an output. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/attention/heads-variants.h"

enum {
    MOST_MASK = 1 << 26, /* elements of a mask that is made */
    EVERY_WINDOW = 128, /* keys up to which all windows are tried; beyond, powers of two and near */
    GRID = 24,          /* scales and caps over a range */
    REFINEMENTS = 24,   /* of the best of them */
};

/* One way of doing it. */
struct trial {
    struct tu_attention a;
    const uint64_t *key_of, *value_of; /* of each query head, or NULL: as it should be */
    bool heads_first;                  /* the output lies [heads][queries] */
};

struct search {
    struct tu_qkv *group;
    const struct tu_qkv_tensor *out;
    const struct tu_session *session;
    struct tu_heads_variant *best;
    struct tu_error *error;
    float *mask;       /* [queries][keys] */
    float *sinks;      /* [heads] */
    uint64_t *maps[3]; /* [heads] each: by groups, mod, in reverse */
};

/* ---- One trial ---- */

struct trial_run {
    const struct search *s;
    const struct trial *t;
    uint64_t position; /* queries so far, of all batches */
    double *row;       /* of the output: [heads][value_dim] */
    double *off, *own; /* [heads]: sums of squares of the difference and of the output */
};

/* Rows of K or V with a head for each query head. */
static int read_mapped(void *context, enum tu_attention_part part, uint64_t batch, uint64_t first,
                       uint64_t count, float *narrow, double *wide, struct tu_error *error)
{
    const struct trial_run *r = context;
    const struct tu_attention *a = &r->s->group->attention;
    const uint64_t *map = part == TU_ATTENTION_K ? r->t->key_of : r->t->value_of;
    if (part == TU_ATTENTION_Q || !r->t->key_of)
        return tu_qkv_read(r->s->group, part, batch, first, count, narrow, wide, error);
    uint64_t dim = part == TU_ATTENTION_K ? a->head_dim : a->value_dim;
    double *row = malloc(a->kv_heads * dim * sizeof *row);
    int result = row ? 0 : tu_fail_memory(error);
    for (uint64_t i = 0; i < count && result == 0; i++) {
        result = tu_qkv_read(r->s->group, part, batch, first + i, 1, NULL, row, error);
        for (uint64_t h = 0; h < a->heads && result == 0; h++)
            memcpy(wide + (i * a->heads + h) * dim, row + map[h] * dim, dim * sizeof *row);
    }
    free(row);
    return result;
}

/* The next query's row of the output, whichever way it lies. */
static int read_row(struct trial_run *r, struct tu_error *error)
{
    const struct tu_attention *a = &r->s->group->attention;
    uint64_t at = r->position++, dim = a->value_dim;
    if (!r->t->heads_first)
        return tu_qkv_elements(r->s->out, at * a->heads * dim, a->heads * dim, r->row, error);
    uint64_t batch = at / a->queries, query = at % a->queries;
    for (uint64_t h = 0; h < a->heads; h++)
        if (tu_qkv_elements(r->s->out, ((batch * a->heads + h) * a->queries + query) * dim, dim,
                            r->row + h * dim, error) < 0)
            return -1;
    return 0;
}

static int take_rows(void *context, const void *values, size_t count, struct tu_error *error)
{
    struct trial_run *r = context;
    const struct tu_attention *a = &r->s->group->attention;
    const double *made = values;
    uint64_t dim = a->value_dim, row = a->heads * dim;
    for (uint64_t i = 0; i < count / row; i++, made += row) {
        if (read_row(r, error) < 0)
            return -1;
        for (uint64_t j = 0; j < row; j++) {
            double off = r->row[j] - made[j];
            r->off[j / dim] += off * off;
            r->own[j / dim] += r->row[j] * r->row[j];
        }
    }
    return 0;
}

static int run_trial(const struct search *s, const struct trial *t, double *residual)
{
    struct tu_attention a = t->a;
    struct trial_run r = {.s = s, .t = t};
    if (t->key_of)
        a.kv_heads = a.heads;
    r.row = calloc(a.heads * a.value_dim, sizeof *r.row);
    r.off = calloc(2 * a.heads, sizeof *r.off);
    const struct tu_attention_rows rows = {.read = read_mapped, .context = &r};
    const struct tu_attention_sink sink = {.put = take_rows, .context = &r};
    const struct tu_attention_how how = {
        .wide = true, .threads = (unsigned)s->session->threads, .kernels = s->session->kernels};
    int result = r.row && r.off ? tu_attention_check(&a, s->error) : tu_fail_memory(s->error);
    r.own = r.off + a.heads;
    if (result == 0)
        result = tu_attend(&a, &rows, TU_ATTENTION_OUT, &how, &sink, s->error);
    *residual = 0;
    for (uint64_t h = 0; h < a.heads && result == 0; h++) {
        double one = r.off[h] == 0 ? 0 : sqrt(r.off[h] / r.own[h]);
        *residual = one <= *residual ? *residual : one;
    }
    free(r.row);
    free(r.off);
    return result;
}

/* Keeps the trial if it is the best so far. */
static int try(struct search *s, const struct trial *t, const char *text)
{
    double residual;
    if (run_trial(s, t, &residual) < 0)
        return -1;
    if (!*s->best->text || residual < s->best->residual) {
        s->best->residual = residual;
        snprintf(s->best->text, sizeof s->best->text, "%s", text);
    }
    return 0;
}

static struct trial as_stated(const struct search *s)
{
    return (struct trial){.a = s->group->attention};
}

/* ---- Masks ---- */

/* Which keys a query sees: those up to its own place, with as many of them as a window has, and
 * none of the last ones. */
struct sight {
    bool causal, from_start; /* from_start: query i stands at key i, not at the end */
    uint64_t window, hidden;
};

static int try_sight(struct search *s, const struct sight *sight, const char *text)
{
    struct trial t = as_stated(s);
    const struct tu_attention *a = &s->group->attention;
    if (!s->mask)
        return 0;
    for (uint64_t i = 0; i < a->queries; i++)
        for (uint64_t j = 0; j < a->keys; j++) {
            uint64_t own = sight->from_start ? i : i + a->keys - a->queries;
            bool sees = (!sight->causal || j <= own) && j + sight->hidden < a->keys &&
                        (!sight->window || j + sight->window > own);
            s->mask[i * a->keys + j] = sees ? 0 : -INFINITY;
        }
    t.a.causal = false;
    t.a.window = 0;
    t.a.mask = s->mask;
    t.a.mask_heads = 1;
    return try(s, &t, text);
}

static bool is_likely(uint64_t window, uint64_t keys)
{
    for (uint64_t power = 1; power <= keys; power *= 2)
        if (window + 1 == power || window == power || window == power + 1)
            return true;
    return false;
}

static int try_windows(struct search *s, bool from_start)
{
    const struct tu_attention *a = &s->group->attention;
    for (uint64_t window = 1; window < a->keys; window++) {
        char text[80];
        struct sight sight = {.causal = true, .window = window, .from_start = from_start};
        if (a->keys > EVERY_WINDOW && !is_likely(window, a->keys))
            continue;
        snprintf(text, sizeof text, "a window of %" PRIu64 " keys%s", window,
                 from_start ? ", with query i at key i" : "");
        if (try_sight(s, &sight, text) < 0)
            return -1;
    }
    return 0;
}

static int try_masks(struct search *s)
{
    const struct tu_attention *a = &s->group->attention;
    if (a->mask || a->queries > a->keys || a->queries * a->keys > MOST_MASK)
        return 0;
    s->mask = malloc(a->queries * a->keys * sizeof *s->mask);
    if (!s->mask)
        return tu_fail_memory(s->error);
    const struct sight all = {0}, causal = {.causal = true},
                       start = {.causal = true, .from_start = true};
    if (((a->causal || a->window) && try_sight(s, &all, "every query sees all keys") < 0) ||
        ((!a->causal || a->window) &&
         try_sight(s, &causal, "a query sees no later keys (causal), and all before") < 0) ||
        (a->queries != a->keys &&
         try_sight(s, &start, "a query sees no later keys, with query i at key i") < 0))
        return -1;
    for (uint64_t hidden = 1; hidden <= 4 && hidden < a->keys; hidden++) {
        char text[80];
        const struct sight last = {.causal = a->causal, .window = a->window, .hidden = hidden};
        snprintf(text, sizeof text, "the last %" PRIu64 " key%s not seen", hidden,
                 hidden == 1 ? " is" : "s are");
        if (try_sight(s, &last, text) < 0)
            return -1;
    }
    return try_windows(s, false) < 0 || (a->queries != a->keys && try_windows(s, true) < 0) ? -1
                                                                                            : 0;
}

/* ---- Scales and caps ---- */

/* The scale or cap that fits best, over a range and then by halving steps around the best. */
static int try_number(struct search *s, bool cap, double low, double high)
{
    struct trial t = as_stated(s);
    double *number = cap ? &t.a.soft_cap : &t.a.scale, best = NAN, least = INFINITY, residual;
    double step = pow(high / low, 1.0 / GRID);
    for (int i = 0; i < GRID + 2 * REFINEMENTS; i++) {
        if (i < GRID)
            *number = low * pow(step, i + 0.5);
        else if ((i - GRID) % 2 == 0)
            step = sqrt(step), *number = best * step;
        else
            *number = best / step;
        if (run_trial(s, &t, &residual) < 0)
            return -1;
        if (residual < least) {
            least = residual;
            best = *number;
        }
    }
    char text[80];
    *number = best;
    snprintf(text, sizeof text, cap ? "scores capped at %.4g" : "scores scaled by %.6g", best);
    return try(s, &t, text);
}

static int try_numbers(struct search *s)
{
    struct trial t = as_stated(s);
    double scale = t.a.scale;
    t.a.soft_cap = 0;
    if (s->group->attention.soft_cap != 0 && try(s, &t, "scores without a soft cap") < 0)
        return -1;
    return try_number(s, false, scale / 16, scale * 16) < 0 || try_number(s, true, 1, 200) < 0 ? -1
                                                                                               : 0;
}

/* ---- Sinks, heads, layout ---- */

static int try_sinks(struct search *s)
{
    struct trial t = as_stated(s);
    const struct tu_attention *a = &s->group->attention;
    s->sinks = calloc(a->heads, sizeof *s->sinks);
    if (!s->sinks)
        return tu_fail_memory(s->error);
    t.a.sinks = s->sinks;
    if (try(s, &t, "a sink of 0 for every head") < 0)
        return -1;
    if (!a->sinks)
        return 0;
    for (uint64_t h = 0; h < a->heads; h++)
        s->sinks[h] = a->sinks[a->heads - 1 - h];
    if (try(s, &t, "sinks in reverse") < 0)
        return -1;
    t.a.sinks = NULL;
    return try(s, &t, "sinks left out");
}

static int try_maps(struct search *s)
{
    const struct tu_attention *a = &s->group->attention;
    uint64_t group = a->heads / a->kv_heads;
    char floor[48], mod[48], reverse[48];
    const char *const names[] = {floor, mod, reverse};
    snprintf(floor, sizeof floor, "floor(h / %" PRIu64 ")", group);
    snprintf(mod, sizeof mod, "h mod %" PRIu64, a->kv_heads);
    snprintf(reverse, sizeof reverse, "%" PRIu64 " - floor(h / %" PRIu64 ")", a->kv_heads - 1,
             group);
    for (int i = 0; i < 3; i++)
        if (!(s->maps[i] = calloc(a->heads, sizeof **s->maps)))
            return tu_fail_memory(s->error);
    for (uint64_t h = 0; h < a->heads; h++) {
        s->maps[0][h] = h / group;
        s->maps[1][h] = h % a->kv_heads;
        s->maps[2][h] = a->kv_heads - 1 - h / group;
    }
    for (int k = 0; k < 3 && a->kv_heads > 1; k++)
        for (int v = 0; v < 3; v++) {
            struct trial t = as_stated(s);
            char text[128];
            if (k == v)
                continue;
            t.key_of = s->maps[k];
            t.value_of = s->maps[v];
            snprintf(text, sizeof text, "query head h reads key head %s and value head %s",
                     names[k], names[v]);
            if (try(s, &t, text) < 0)
                return -1;
        }
    return 0;
}

static int try_layout(struct search *s)
{
    struct trial t = as_stated(s);
    t.heads_first = true;
    return s->group->attention.queries > 1
               ? try(s, &t,
                     "the output lies [heads, queries, head_dim], not [queries, heads, head_dim]")
               : 0;
}

int tu_heads_find_variant(struct tu_qkv *group, const struct tu_qkv_tensor *out,
                          const struct tu_session *session, struct tu_heads_variant *best,
                          struct tu_error *error)
{
    struct search s = {
        .group = group, .out = out, .session = session, .best = best, .error = error};
    *best = (struct tu_heads_variant){.residual = INFINITY};
    int result = try_layout(&s) < 0 || try_sinks(&s) < 0 || try_maps(&s) < 0 || try_masks(&s) < 0 ||
                         try_numbers(&s) < 0
                     ? -1
                     : 0;
    free(s.mask);
    free(s.sinks);
    for (int i = 0; i < 3; i++)
        free(s.maps[i]);
    return result;
}
