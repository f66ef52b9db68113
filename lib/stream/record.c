/* SPDX-License-Identifier: MIT */
/* The record of a tensor: read from a tree, and built as one. */
#include "config.h"

#include "stream/record.h"

#include <stdio.h>
#include <string.h>

static int read_shape(const struct tensor_value *value, struct tu_arena *arena, struct tu_tensor *t,
                      struct tu_error *error)
{
    if (!value || value->type != TENSOR_ARRAY)
        return tu_fail(error, TU_EINVALID, "it has no shape");
    if (value->array.count > TENSOR_MAX_RANK)
        return tu_fail(error, TU_EINVALID, "it has more than %u dimensions", TENSOR_MAX_RANK);
    t->rank = (uint32_t)value->array.count;
    uint64_t *shape = tu_arena_alloc(arena, t->rank * sizeof *shape);
    if (!shape)
        return tu_fail_memory(error);
    for (uint32_t i = 0; i < t->rank; i++)
        if (!tu_value_uint(&value->array.items[i], &shape[i]))
            return tu_fail(error, TU_EINVALID, "its shape holds what is no natural number");
    t->shape = shape;
    return 0;
}

static int read_dtype(const struct tensor_value *value, struct tu_tensor *t, struct tu_error *error)
{
    const char *name;
    size_t length;
    if (!tu_value_string(value, &name, &length))
        return tu_fail(error, TU_EINVALID, "it has no dtype");
    const struct tu_dtype *type = tu_dtype_by_name(name, length);
    if (!type)
        return tu_fail(error, TU_EINVALID, "unknown dtype '%.*s'", (int)(length < 64 ? length : 64),
                       name);
    if (type->flags & TU_DTYPE_MADE)
        return tu_fail(error, TU_EINVALID, "dtype %s is for no stream", type->name);
    t->dtype = type->code;
    return 0;
}

static int read_packing(const struct tensor_value *value, struct tu_tensor *t,
                        struct tu_error *error)
{
    if (!value || tu_value_equals(value, "rows"))
        t->packing = TENSOR_PACKING_ROWS;
    else if (tu_value_equals(value, "flat"))
        t->packing = TENSOR_PACKING_FLAT;
    else
        return tu_fail(error, TU_EINVALID, "unknown packing");
    return 0;
}

int tu_tensor_from_value(const struct tensor_value *map, struct tu_arena *arena,
                         struct tu_tensor *t, struct tu_geometry *geometry, struct tu_error *error)
{
    *t = (struct tu_tensor){0};
    if (!tu_value_string(tu_value_get(map, "name"), &t->name, &t->name_length))
        return tu_fail(error, TU_EINVALID, "it has no name");
    if (!tu_value_uint(tu_value_get(map, "nbytes"), &t->nbytes))
        return tu_fail(error, TU_EINVALID, "it has no nbytes");
    if (read_shape(tu_value_get(map, "shape"), arena, t, error) < 0 ||
        read_dtype(tu_value_get(map, "dtype"), t, error) < 0 ||
        read_packing(tu_value_get(map, "packing"), t, error) < 0 ||
        tu_scope_from_value(map, &t->scope, error) < 0)
        return -1;
    return tu_tensor_check(t, geometry, error);
}

int tu_put_tensor(struct tu_builder *b, const struct tu_tensor *t, struct tu_error *error)
{
    if (tu_put_bytes(b, "name", t->name, t->name_length, error) < 0 ||
        tu_put_string(b, "dtype", tu_dtype(t->dtype)->name, error) < 0 ||
        tu_put_shape(b, "shape", t->shape, t->rank, error) < 0 ||
        tu_put_uint(b, "nbytes", t->nbytes, error) < 0)
        return -1;
    if (t->packing == TENSOR_PACKING_FLAT && tu_put_string(b, "packing", "flat", error) < 0)
        return -1;
    return tu_scope_put(b, &t->scope, "", error);
}

/* Whether a key was put already. */
static bool describes_tensor(const struct tensor_value *key, const struct tu_scope *p)
{
    static const char *const keys[] = {"kind", "name", "dtype", "shape", "nbytes", "packing"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (tu_value_equals(key, keys[i]))
            return true;
    return tu_scope_puts(p, key);
}

int tu_put_extra(struct tu_builder *b, const struct tu_tensor *t, const struct tensor_value *extra,
                 struct tu_error *error)
{
    for (size_t i = 0; extra && i < extra->map.count; i++) {
        const struct tensor_pair *pair = &extra->map.pairs[i];
        if (describes_tensor(&pair->key, &t->scope))
            continue;
        if (tu_builder_put_tree(b, pair->key.string.bytes, pair->key.string.length, &pair->value,
                                error) < 0)
            return -1;
    }
    return 0;
}

int tu_tensor_record(const struct tu_tensor *t, const struct tensor_value *extra,
                     struct tu_arena *arena, struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (tu_put_string(&b, "kind", "tensor", error) == 0 && tu_put_tensor(&b, t, error) == 0 &&
        tu_put_extra(&b, t, extra, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}
