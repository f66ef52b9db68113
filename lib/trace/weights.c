/* SPDX-License-Identifier: MIT */
/* Finds weights through the maps, checks their shapes, and reads the small ones. */
#include "config.h"

#include "trace/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/name.h"

static int catalogue(struct tu_weights *w, struct tu_error *error)
{
    const struct tu_operand *o = w->operand;
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++) {
            struct tu_member m = {&o->models[i], &o->models[i].tensors[k]};
            if (tu_catalogue_add(&w->catalogue, m, error) < 0)
                return -1;
        }
    tu_catalogue_sort(&w->catalogue);
    w->used = calloc(w->catalogue.count + 1, sizeof *w->used);
    return w->used ? 0 : tu_fail_memory(error);
}

/* Maps ask for the architecture and for heads: those of the configuration, whatever the file calls
 * them. */
static int state(struct tu_weights *w, struct tu_error *error)
{
    struct tu_builder b = {.arena = &w->arena};
    if (tu_builder_begin(&b, &w->arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "general.architecture", w->config->arch->name, error) < 0 ||
        tu_put_uint(&b, "num_attention_heads", w->config->heads, error) < 0 ||
        tu_put_uint(&b, "num_key_value_heads", w->config->kv_heads, error) < 0 ||
        tu_builder_end(&b, &w->stated, error) < 0) {
        tu_builder_cancel(&b);
        return -1;
    }
    return 0;
}

int tu_weights_open(struct tu_weights *w, const struct tu_operand *operand,
                    const struct tu_trace_config *config, const struct tu_kernels *kernels,
                    const char *path, struct tu_error *error)
{
    *w =
        (struct tu_weights){.operand = operand, .config = config, .kernels = kernels, .path = path};
    const struct tu_facts facts = {.metadata = {&w->stated, NULL}};
    const struct tu_catalogue *const both[2] = {&w->catalogue, NULL};
    if (catalogue(w, error) < 0 || state(w, error) < 0 || tu_maps_load(&w->maps, error) < 0)
        return -1;
    w->map = tu_maps_choose(&w->maps, &facts, both);
    return 0;
}

void tu_weights_close(struct tu_weights *w)
{
    tu_catalogue_free(&w->catalogue);
    tu_maps_free(&w->maps);
    tu_arena_free(&w->arena);
    free(w->used);
}

/* ---- Finding ---- */

static int find(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                const struct tu_tensor *like, struct tu_found *f, struct tu_error *error)
{
    struct tu_error reason = {0};
    const struct tu_resolver r = {.map = w->map,
                                  .in = &w->catalogue,
                                  .facts = {.metadata = {&w->stated, NULL}},
                                  .section = TU_ANY_SECTION,
                                  .like = like,
                                  .maker = {arena, w->kernels}};
    int found = tu_resolve(&r, name, strlen(name), f, &reason);
    return found < 0 ? tu_fail(error, reason.code, "%s: %.900s", w->path, reason.text) : found;
}

/* Rows of heads in the order of pairs, which no map has undone, are put in that of halves. */
static bool is_paired(const struct tu_weights *w, const char *name, const struct tu_found *f,
                      uint64_t *heads)
{
    bool q = strstr(name, ".self_attn.q_proj.") != NULL;
    *heads = q ? w->config->heads : w->config->kv_heads;
    return w->config->rope.adjacent && !f->roped && w->config->facts->dialect == TU_DIALECT_APR &&
           (q || strstr(name, ".self_attn.k_proj."));
}

/* Entries are sorted by their bare names. */
static void mark(void *context, struct tu_member leaf)
{
    const struct tu_weights *w = context;
    size_t first = 0, end = w->catalogue.count, length = leaf.tensor->name_length;
    const char *bare = tu_bare_name(leaf.tensor->name, &length);
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        const struct tu_entry *e = &w->catalogue.entries[middle];
        if (tu_compare_names(e->bare, e->bare_length, bare, length) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    for (; first < w->catalogue.count; first++) {
        const struct tu_entry *e = &w->catalogue.entries[first];
        if (e->member.tensor == leaf.tensor)
            w->used[first] = true;
        if (tu_compare_names(e->bare, e->bare_length, bare, length) != 0)
            break;
    }
}

static int settle(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                  const struct tu_found *f, struct tu_weight *out, struct tu_error *error)
{
    struct tu_error reason = {0};
    const struct tu_view_maker maker = {arena, w->kernels};
    uint64_t heads;
    out->view = f->view;
    out->addend = f->addend;
    out->tied = f->tied;
    out->name = tu_view_first_leaf(f->view).tensor->name;
    if (is_paired(w, name, f, &heads))
        out->view = tu_view_rope(&maker, f->view, heads, true, &reason);
    if (!out->view || tu_view_decoder(out->view, w->kernels, &out->decoder, &reason) < 0)
        return tu_fail(error, reason.code, "%s: tensor '%.200s': %.600s", w->path, out->name,
                       reason.text);
    tu_view_leaves(f->view, mark, (void *)(uintptr_t)w);
    return 0;
}

static void shape_text(const struct tu_tensor *t, char *out, size_t size)
{
    size_t at = 0;
    *out = '\0';
    for (uint32_t i = 0; i < t->rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64, i ? "x" : "", t->shape[i]);
}

/* Whether both are the same but for dimensions of 1. */
static bool is_alike(const struct tu_tensor *a, const struct tu_tensor *b)
{
    uint32_t i = 0, k = 0;
    for (;;) {
        while (i < a->rank && a->shape[i] == 1)
            i++;
        while (k < b->rank && b->shape[k] == 1)
            k++;
        if (i == a->rank || k == b->rank)
            return i == a->rank && k == b->rank;
        if (a->shape[i++] != b->shape[k++])
            return false;
    }
}

int tu_weight_find(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t rows, uint64_t columns, struct tu_weight *out, struct tu_error *error)
{
    const uint64_t shape[2] = {rows ? rows : columns, columns};
    const struct tu_tensor like = {.rank = rows ? 2 : 1,
                                   .shape = shape,
                                   .elements = (rows ? rows : 1) * columns,
                                   .dtype = TENSOR_F32};
    struct tu_found f;
    int found = find(w, arena, name, &like, &f, error);
    if (found <= 0)
        return found;
    const struct tu_tensor *t = &f.view->tensor;
    if (!is_alike(t, &like)) {
        char is[128], wanted[64];
        shape_text(t, is, sizeof is);
        shape_text(&like, wanted, sizeof wanted);
        return tu_fail(error, TU_EINVALID,
                       "%s: tensor '%.200s' is %s, and the configuration wants %s", w->path,
                       tu_view_first_leaf(f.view).tensor->name, *is ? is : "a scalar", wanted);
    }
    *out = (struct tu_weight){.rows = rows, .columns = columns};
    return settle(w, arena, name, &f, out, error) < 0 ? -1 : 1;
}

int tu_weight_need(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t rows, uint64_t columns, struct tu_weight *out, struct tu_error *error)
{
    int found = tu_weight_find(w, arena, name, rows, columns, out, error);
    if (found == 0)
        return tu_fail(error, TU_EINVALID, "%s: has no '%s', by this or another name", w->path,
                       name);
    return found < 0 ? -1 : 0;
}

int tu_weight_rows(const struct tu_weights *w, struct tu_arena *arena, const char *name,
                   uint64_t *rows, struct tu_error *error)
{
    struct tu_found f;
    int found = find(w, arena, name, NULL, &f, error);
    *rows = found > 0 && f.view->tensor.rank == 2 ? f.view->tensor.shape[0] : 0;
    return found < 0 ? -1 : 0;
}

int tu_weight_part(const struct tu_weights *w, struct tu_arena *arena, const struct tu_weight *of,
                   uint64_t first, uint64_t rows, struct tu_weight *out, struct tu_error *error)
{
    const struct tu_view_maker maker = {arena, w->kernels};
    struct tu_error reason = {0};
    *out = *of;
    out->rows = rows;
    out->view = tu_view_rows(&maker, of->view, first, first + rows, &reason);
    if (!out->view || tu_view_decoder(out->view, w->kernels, &out->decoder, &reason) < 0)
        return tu_fail(error, reason.code, "%s: tensor '%.200s': %.600s", w->path, of->name,
                       reason.text);
    return 0;
}

/* ---- What is left ---- */

static bool is_extra(const struct tu_weights *w, const struct tu_entry *e)
{
    for (size_t i = 0; w->map && i < w->map->extra_count; i++) {
        struct tu_bindings b = {0};
        if (tu_pattern_matches(&w->map->extras[i], e->bare, e->bare_length, &b))
            return true;
    }
    return false;
}

static bool is_known(const struct tu_weights *w, const struct tu_entry *e)
{
    struct tu_place left = {0}, right = {0};
    return w->map && (tu_map_find(w->map, true, TU_ANY_SECTION, e->bare, e->bare_length, &left) ||
                      tu_map_find(w->map, false, TU_ANY_SECTION, e->bare, e->bare_length, &right));
}

/* The length of a name up to the number of its layer: "layers.0."; 0: it has none. */
static size_t layer_prefix(const struct tu_entry *e)
{
    for (size_t i = 1; i < e->bare_length; i++) {
        size_t end = i;
        while (end < e->bare_length && e->bare[end] >= '0' && e->bare[end] <= '9')
            end++;
        if (e->bare[i - 1] == '.' && end > i && end < e->bare_length && e->bare[end] == '.')
            return end + 1;
    }
    return 0;
}

/* Entries from one on that are of the same layer; they follow one another. */
static size_t layer_end(const struct tu_weights *w, size_t first)
{
    const struct tu_entry *e = &w->catalogue.entries[first];
    size_t length = layer_prefix(e), end = first + 1;
    while (length && end < w->catalogue.count && w->catalogue.entries[end].bare_length > length &&
           memcmp(w->catalogue.entries[end].bare, e->bare, length) == 0)
        end++;
    return end;
}

static int blame_unused(const struct tu_weights *w, const struct tu_entry *e,
                        struct tu_error *error)
{
    return tu_fail(error, TU_EINVALID,
                   "%s: tensor '%.200s' is not used by the graph of %s with %" PRIu64 " layers",
                   w->path, e->member.tensor->name, w->config->arch->name, w->config->layers);
}

int tu_weights_unused(const struct tu_weights *w, uint64_t *count, const char **first,
                      struct tu_error *error)
{
    static const char output[] = "lm_head.weight";
    *count = 0;
    for (size_t i = 0, end; i < w->catalogue.count; i = end) {
        bool any = false;
        end = layer_end(w, i);
        for (size_t k = i; k < end; k++)
            any |= w->used[k];
        for (size_t k = i; k < end; k++) {
            const struct tu_entry *e = &w->catalogue.entries[k];
            if (w->used[k] || is_extra(w, e))
                continue;
            bool tied = w->config->tied && e->bare_length == strlen(output) &&
                        memcmp(e->bare, output, e->bare_length) == 0;
            if (any || (is_known(w, e) && !tied))
                return blame_unused(w, e, error);
            *first = *count ? *first : e->member.tensor->name;
            ++*count;
        }
    }
    return 0;
}

/* ---- Reading ---- */

int tu_weight_values(const struct tu_weight *w, uint64_t first, size_t count, double *out,
                     struct tu_error *error)
{
    uint64_t offset, length;
    tu_geometry_span(&w->view->geometry, first, count, &offset, &length);
    uint8_t *raw = malloc((size_t)length);
    float *values = calloc(count, sizeof *values);
    double *lo = calloc(count, sizeof *lo);
    int result = raw && values && lo ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_view_read(w->view, offset, raw, (size_t)length, error);
    if (result == 0 && w->decoder.decode_wide) {
        tu_decode_wide(&w->decoder, raw, first, count, out, lo);
        for (size_t i = 0; i < count; i++)
            out[i] += lo[i];
    } else if (result == 0) {
        tu_decode(&w->decoder, raw, first, count, values);
        for (size_t i = 0; i < count; i++)
            out[i] = (double)values[i];
    }
    free(raw);
    free(values);
    free(lo);
    return result;
}
