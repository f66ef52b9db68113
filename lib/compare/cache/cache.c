/* SPDX-License-Identifier: MIT */
/* Finds a record by all that it follows from, and keeps it under that. */
#include "config.h"

#include "compare/cache/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/cache/fingerprint.h"
#include "tree/msgpack.h"
#include "compare/cache/store.h"

/* Pairs that are less alike are compared anew each time: why they disagree may depend on other
 * tensors, too. */
#define ALIKE 0.9

struct tu_cache {
    struct tu_store store;
    const struct tu_pair_options *options;
    struct tu_fingerprints *prints;
};

struct tu_cache *tu_cache_open(const struct tu_pair_options *options, struct tu_error *error)
{
    struct tu_cache *c = calloc(1, sizeof *c);
    if (!c) {
        tu_fail_memory(error);
        return NULL;
    }
    c->options = options;
    if (tu_store_open(&c->store, options->cache, error) == 0)
        c->prints = tu_fingerprints_open(&c->store, error);
    if (c->prints)
        return c;
    free(c);
    return NULL;
}

void tu_cache_close(struct tu_cache *c)
{
    if (c)
        tu_fingerprints_close(c->prints);
    free(c);
}

int tu_cache_learn(struct tu_cache *c, struct tu_session *session, const struct tu_member *members,
                   size_t count, struct tu_error *error)
{
    return tu_fingerprints_learn(c->prints, session, members, count, error);
}

/* ---- Keys ---- */

/* The description of a pair, whose digest is the key. */
struct description {
    struct tu_cache *cache;
    FILE *out;
    bool known;   /* all of it can be described */
    bool settled; /* the bytes of all tensors stay what they are */
};

static void put_text(FILE *out, const char *label, const char *text)
{
    fprintf(out, "%s %zu %s\n", label, text ? strlen(text) : 0, text ? text : "-");
}

static void put_shape(FILE *out, const struct tu_tensor *t)
{
    fprintf(out, " %d %d %" PRIu32, (int)t->dtype, (int)t->packing, t->rank);
    for (uint32_t i = 0; i < t->rank; i++)
        fprintf(out, " %" PRIu64, t->shape[i]);
}

static int put_member(struct description *d, struct tu_member m, struct tu_error *error)
{
    struct tu_fingerprint print;
    bool has;
    if (tu_fingerprint_of(d->cache->prints, m, &print, &has, error) < 0)
        return -1;
    d->known &= has;
    d->settled &= has && print.settled;
    fputs("tensor", d->out);
    put_shape(d->out, m.tensor);
    fprintf(d->out, " %s\n", has ? print.sha256 : "-");
    return 0;
}

static void put_axes(FILE *out, const struct tu_axes *axes)
{
    for (uint32_t i = 0; i < axes->rank; i++)
        fprintf(out, " %" PRIu64 "*%" PRIu64, axes->length[i], axes->stride[i]);
}

/* Whether what tells a view of its kind from others is all here.  Others are not looked up. */
static bool is_describable(const struct tu_view *v)
{
    switch (v->kind) {
    case TU_VIEW_LEAF:
    case TU_VIEW_PART:
    case TU_VIEW_ROPE:
    case TU_VIEW_ORDER:
    case TU_VIEW_JOIN:
    case TU_VIEW_TRANSPOSE:
    case TU_VIEW_COLUMNS:
        return true;
    default:
        return false;
    }
}

static int put_view(struct description *d, const struct tu_view *v, struct tu_error *error)
{
    d->known &= is_describable(v);
    if (!d->known)
        return 0;
    fprintf(d->out, "view %d", (int)v->kind);
    put_shape(d->out, &v->tensor);
    fprintf(d->out, " %" PRIu64 " %" PRIu64 " %d", v->offset, v->heads, v->undo);
    put_axes(d->out, &v->axes);
    fprintf(d->out, " of %zu\n", v->count);
    if (v->kind == TU_VIEW_LEAF)
        return put_member(d, v->leaf, error);
    for (size_t i = 0; i < v->count; i++)
        if (put_view(d, v->of[i], error) < 0)
            return -1;
    return 0;
}

static void put_scope(FILE *out, const struct tu_scope *p)
{
    put_text(out, "stage", p->stage);
    if (p->has_layer)
        fprintf(out, "layer %" PRIu64 "\n", p->layer);
    if (p->has_tokens)
        fprintf(out, "tokens %" PRIu64 " %" PRIu64 "\n", p->tokens[0], p->tokens[1]);
}

static int put_side(struct description *d, const struct tu_cache_pair *pair, int i,
                    struct tu_error *error)
{
    const struct tu_tensor *stored = i ? pair->result->b : pair->result->a;
    fprintf(d->out, "side %d", i);
    put_shape(d->out, stored);
    fputc('\n', d->out);
    put_scope(d->out, &stored->scope);
    return pair->views[i] ? put_view(d, pair->views[i], error)
                          : put_member(d, pair->members[i], error);
}

static int describe(struct description *d, const struct tu_cache_pair *pair, struct tu_error *error)
{
    const struct tu_pair_result *r = pair->result;
    fprintf(d->out, "compare %s\n", tu_definition);
    put_text(d->out, "metrics", d->cache->options->full ? "full" : "basic");
    put_text(d->out, "oracle", d->cache->options->oracle ? "auto" : "never");
    put_text(d->out, "name", r->name);
    put_text(d->out, "name_a", r->name_a);
    put_text(d->out, "name_b", r->name_b);
    put_text(d->out, "transform", r->transform);
    put_text(d->out, "reason", r->reason);
    fprintf(d->out, "elements %" PRIu64 " row %" PRIu64 " lead %d addend %a\n", r->elements, r->row,
            pair->lead, (double)pair->addend);
    return put_side(d, pair, 0, error) < 0 ? -1 : put_side(d, pair, 1, error);
}

static int make_key(struct tu_cache *c, const struct tu_cache_pair *pair, struct description *d,
                    char key[static TU_DIGEST_TEXT], struct tu_error *error)
{
    char *text = NULL;
    size_t length = 0;
    *d = (struct description){.cache = c, .known = true, .settled = true};
    d->out = open_memstream(&text, &length);
    if (!d->out)
        return tu_fail_memory(error);
    int result = describe(d, pair, error);
    bool whole = !ferror(d->out);
    if ((fclose(d->out) != 0 || !whole) && result == 0)
        result = tu_fail_memory(error);
    if (result == 0)
        result = tu_sha256(text, length, key, error);
    free(text);
    return result;
}

/* ---- Records ---- */

/* One whole record about this name, and nothing behind it. */
static bool read_record(const char *bytes, size_t length, const char *name, struct tu_arena *arena,
                        struct tensor_value *out)
{
    struct tu_scan scan = {0};
    struct tu_error ignored = {0};
    return tu_scan_object(&scan, (const uint8_t *)bytes, length) == 1 && scan.position == length &&
           tu_unpack((const uint8_t *)bytes, length, arena, out, &ignored) == 0 &&
           tu_value_equals(tu_value_get(out, "kind"), "compare") &&
           tu_value_equals(tu_value_get(out, "name"), name);
}

int tu_cache_find(struct tu_cache *c, const struct tu_cache_pair *pair, struct tu_arena *arena,
                  char key[static TU_DIGEST_TEXT], struct tensor_value *out, struct tu_error *error)
{
    struct description d;
    size_t length;
    if (make_key(c, pair, &d, key, error) < 0)
        return -1;
    char *bytes = d.known ? tu_store_get(&c->store, TU_STORE_PAIRS, key, &length) : NULL;
    bool found = bytes && read_record(bytes, length, pair->result->name, arena, out);
    free(bytes);
    if (!d.known || !d.settled)
        *key = '\0';
    return found;
}

static bool is_alike(const struct tensor_value *record)
{
    double cosine;
    return tu_value_equals(tu_value_get(record, "status"), "ok") &&
           tu_value_number(tu_value_get(record, "cosine_similarity"), &cosine) && cosine >= ALIKE;
}

int tu_cache_store(struct tu_cache *c, const char *key, const struct tensor_value *record,
                   struct tu_error *error)
{
    char *bytes;
    size_t length;
    if (!*key || !is_alike(record) || !tu_fingerprints_hold(c->prints))
        return 0;
    if (tu_pack(record, &bytes, &length, error) < 0)
        return -1;
    int result = tu_store_put(&c->store, TU_STORE_PAIRS, key, bytes, length, error);
    free(bytes);
    return result;
}
