/* SPDX-License-Identifier: MIT */
/* Of what a tensor holds values: read, copied, put, and compared. */
#include "config.h"

#include "tensor/scope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a record says of the operation. */
static const char *const operation_keys[] = {
    "order",        "axes",  "layout",     "mask",    "op",  "inputs", "weight", "bias",
    "weight_dtype", "k_dim", "arithmetic", "experts", "ids", "arch",   "program"};
enum { OPERATION_KEYS = sizeof operation_keys / sizeof *operation_keys };

/* A map of first, count and ids_digest. */
static int read_token_map(const struct tensor_value *map, struct tu_scope *out,
                          struct tu_error *error)
{
    const struct tensor_value *ids = tu_value_get(map, "ids_digest");
    uint64_t count;
    out->has_tokens = true;
    if (!tu_value_uint(tu_value_get(map, "first"), &out->tokens[0]) ||
        !tu_value_uint(tu_value_get(map, "count"), &count) ||
        __builtin_add_overflow(out->tokens[0], count, &out->tokens[1]))
        return tu_fail(error, TU_EINVALID, "its tokens have no first and count");
    if (ids && !tu_value_string(ids, &out->ids, &out->ids_length))
        return tu_fail(error, TU_EINVALID, "its ids_digest is no string");
    return 0;
}

static int read_tokens(const struct tensor_value *value, struct tu_scope *out,
                       struct tu_error *error)
{
    if (value && value->type == TENSOR_MAP)
        return read_token_map(value, out, error);
    out->has_tokens = value != NULL;
    if (value && (value->type != TENSOR_ARRAY || value->array.count != 2 ||
                  !tu_value_uint(&value->array.items[0], &out->tokens[0]) ||
                  !tu_value_uint(&value->array.items[1], &out->tokens[1]) ||
                  out->tokens[0] > out->tokens[1]))
        return tu_fail(error, TU_EINVALID, "its tokens are no range [first, end]");
    return 0;
}

int tu_scope_from_value(const struct tensor_value *map, struct tu_scope *out,
                        struct tu_error *error)
{
    const struct tensor_value *stage = tu_value_get(map, "stage");
    const struct tensor_value *layer = tu_value_get(map, "layer");
    *out = (struct tu_scope){.has_layer = layer != NULL};
    if (tu_value_get(map, "op"))
        out->operation = *map;
    if (stage && !tu_value_string(stage, &out->stage, &out->stage_length))
        return tu_fail(error, TU_EINVALID, "its stage is no string");
    if (layer && !tu_value_uint(layer, &out->layer))
        return tu_fail(error, TU_EINVALID, "its layer is no natural number");
    return read_tokens(tu_value_get(map, "tokens"), out, error);
}

static int put_operation(struct tu_builder *b, const struct tensor_value *operation,
                         struct tu_error *error)
{
    for (size_t i = 0; i < OPERATION_KEYS; i++) {
        const char *key = operation_keys[i];
        const struct tensor_value *value = tu_value_get(operation, key);
        if (value && tu_builder_put_tree(b, key, strlen(key), value, error) < 0)
            return -1;
    }
    return 0;
}

static bool has_operation(const struct tu_scope *p)
{
    return p->operation.type == TENSOR_MAP;
}

static int copy_operation(struct tu_arena *arena, const struct tensor_value *operation,
                          struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    struct tensor_value copy;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (put_operation(&b, operation, error) < 0) {
        tu_builder_cancel(&b);
        return -1;
    }
    if (tu_builder_end(&b, &copy, error) < 0)
        return -1;
    *out = copy;
    return 0;
}

int tu_scope_copy(struct tu_arena *arena, const struct tu_scope *p, struct tu_scope *out,
                  struct tu_error *error)
{
    *out = *p;
    if (p->stage && !(out->stage = tu_arena_copy(arena, p->stage, p->stage_length)))
        return tu_fail_memory(error);
    if (p->ids && !(out->ids = tu_arena_copy(arena, p->ids, p->ids_length)))
        return tu_fail_memory(error);
    return has_operation(p) ? copy_operation(arena, &p->operation, &out->operation, error) : 0;
}

/* In records of their own, as those of comparisons, tokens are a range alone. */
static int put_tokens(struct tu_builder *b, const char *key, const struct tu_scope *p,
                      const char *suffix, struct tu_error *error)
{
    if (!p->ids || *suffix)
        return tu_put_shape(b, key, p->tokens, 2, error);
    if (tu_builder_open(b, key, strlen(key), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_uint(b, "first", p->tokens[0], error) < 0 ||
        tu_put_uint(b, "count", p->tokens[1] - p->tokens[0], error) < 0 ||
        tu_put_bytes(b, "ids_digest", p->ids, p->ids_length, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_operation_map(struct tu_builder *b, const char *key,
                             const struct tensor_value *operation, struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        put_operation(b, operation, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

int tu_scope_put(struct tu_builder *b, const struct tu_scope *p, const char *suffix,
                 struct tu_error *error)
{
    char stage[16], layer[16], tokens[16], operation[16];
    snprintf(stage, sizeof stage, "stage%s", suffix);
    snprintf(layer, sizeof layer, "layer%s", suffix);
    snprintf(tokens, sizeof tokens, "tokens%s", suffix);
    snprintf(operation, sizeof operation, "operation%s", suffix);
    if ((p->stage && tu_put_bytes(b, stage, p->stage, p->stage_length, error) < 0) ||
        (p->has_layer && tu_put_uint(b, layer, p->layer, error) < 0))
        return -1;
    if (p->has_tokens && put_tokens(b, tokens, p, suffix, error) < 0)
        return -1;
    if (!has_operation(p))
        return 0;
    return *suffix ? put_operation_map(b, operation, &p->operation, error)
                   : put_operation(b, &p->operation, error);
}

bool tu_scope_puts(const struct tu_scope *p, const struct tensor_value *key)
{
    if ((p->stage && tu_value_equals(key, "stage")) ||
        (p->has_layer && tu_value_equals(key, "layer")) ||
        (p->has_tokens && tu_value_equals(key, "tokens")))
        return true;
    for (size_t i = 0; i < OPERATION_KEYS && has_operation(p); i++)
        if (tu_value_equals(key, operation_keys[i]) &&
            tu_value_get(&p->operation, operation_keys[i]))
            return true;
    return false;
}

bool tu_scope_differs(const struct tu_scope *a, const struct tu_scope *b, char *room, size_t size)
{
    enum { SHOWN = 64 };
    if (a->stage && b->stage &&
        (a->stage_length != b->stage_length || memcmp(a->stage, b->stage, a->stage_length) != 0)) {
        int x = a->stage_length < SHOWN ? (int)a->stage_length : SHOWN;
        int y = b->stage_length < SHOWN ? (int)b->stage_length : SHOWN;
        snprintf(room, size, "stage %.*s against %.*s", x, a->stage, y, b->stage);
        return true;
    }
    if (a->has_layer && b->has_layer && a->layer != b->layer) {
        snprintf(room, size, "layer %" PRIu64 " against %" PRIu64, a->layer, b->layer);
        return true;
    }
    if (!a->has_tokens || !b->has_tokens)
        return false;
    if (memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0) {
        bool same = !a->ids || !b->ids ||
                    (a->ids_length == b->ids_length && memcmp(a->ids, b->ids, a->ids_length) == 0);
        if (!same)
            snprintf(room, size, "other token ids at the same places");
        return !same;
    }
    snprintf(room, size, "tokens [%" PRIu64 ", %" PRIu64 "] against [%" PRIu64 ", %" PRIu64 "]",
             a->tokens[0], a->tokens[1], b->tokens[0], b->tokens[1]);
    return true;
}

bool tu_scope_is_known(const struct tu_scope *p)
{
    return p->stage || p->has_layer || p->has_tokens;
}
