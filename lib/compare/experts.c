/* SPDX-License-Identifier: MIT */
/* Finds which slot of one side is the one of the other, token by token. */
#include "config.h"

#include "compare/experts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { USED_MAX = 1024 }; /* experts of a token; more is no such thing */

/* Whether a tensor is one of slots of a layer: its stage begins so, and counts slots. */
static bool has_slots(const struct tu_tensor *t)
{
    const struct tensor_value *axes = tu_value_get(&t->scope.operation, "axes");
    if (t->rank < 2 || !t->elements || t->shape[1] > USED_MAX || !t->scope.has_layer)
        return false;
    return axes && axes->type == TENSOR_ARRAY && axes->array.count >= 2 &&
           tu_value_equals(&axes->array.items[1], "slot");
}

/* ---- Which experts ---- */

static int from_record(struct tu_pair *p, int side, uint64_t slots, const uint64_t **out,
                       struct tu_error *error)
{
    const struct tensor_value *ids = tu_value_get(&p->stored[side].scope.operation, "experts");
    if (!ids || ids->type != TENSOR_ARRAY || ids->array.count != slots)
        return 0;
    uint64_t *made = tu_arena_alloc(&p->arena, (size_t)slots * sizeof *made);
    if (!made)
        return tu_fail_memory(error);
    *out = made;
    for (uint64_t i = 0; i < slots; i++)
        if (!tu_value_uint(&ids->array.items[i], &made[i]))
            *out = NULL;
    return 0;
}

/* A dump has a tensor of them. */
static int from_tensor(struct tu_pair *p, const struct tu_operand *operand, uint64_t layer,
                       const struct tu_kernels *kernels, uint64_t slots, const uint64_t **out,
                       struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, kernels);
    char name[64];
    int length = snprintf(name, sizeof name, "layers.%" PRIu64 ".moe_topk", layer);
    struct tu_member m = tu_operand_find(operand, name, (size_t)length);
    if (!m.tensor || m.tensor->elements != slots)
        return 0;
    const struct tu_view *v = tu_view_leaf(&maker, m, error);
    float *values = v ? tu_arena_alloc(&p->arena, (size_t)slots * sizeof *values) : NULL;
    uint64_t *made = values ? tu_arena_alloc(&p->arena, (size_t)slots * sizeof *made) : NULL;
    if (!made)
        return v ? tu_fail_memory(error) : -1;
    if (tu_view_values(v, kernels, 0, (size_t)slots, values, error) < 0)
        return -1;
    *out = made;
    for (uint64_t i = 0; i < slots; i++) {
        if (!(values[i] >= 0 && values[i] < 0x1p24f))
            *out = NULL;
        else
            made[i] = (uint64_t)values[i];
    }
    return 0;
}

/* ---- Who meets whom ---- */

/* The slots of b in the order of a, of one token; those that meet none take what is left. */
static uint64_t meet(const uint64_t *a, const uint64_t *b, uint64_t used, uint64_t *order,
                     uint8_t *absent)
{
    bool taken[USED_MAX] = {false};
    uint64_t missing = 0, next = 0;
    for (uint64_t i = 0; i < used; i++) {
        uint64_t k = 0;
        while (k < used && (taken[k] || b[k] != a[i]))
            k++;
        absent[i] = k == used;
        missing += absent[i];
        order[i] = k;
        if (k < used)
            taken[k] = true;
    }
    for (uint64_t i = 0; i < used; i++) {
        if (!absent[i])
            continue;
        while (taken[next])
            next++;
        taken[next] = true;
        order[i] = next;
    }
    return missing;
}

/* Has b be seen with its slots in that order. */
static int reorder(struct tu_pair *p, const uint64_t *order, uint64_t slots, uint64_t width,
                   const struct tu_kernels *kernels, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, kernels);
    const struct tu_view *v = tu_pair_view(p, 1, kernels, error);
    const struct tu_tensor *t = &p->stored[1];
    const uint64_t flat[2] = {slots, width};
    if (v)
        v = tu_view_reshape(&maker, v, flat, 2, error);
    if (v)
        v = tu_view_order(&maker, v, order, (size_t)slots, error);
    if (v)
        v = tu_view_reshape(&maker, v, t->shape, t->rank, error);
    if (!v)
        return -1;
    tu_pair_set_view(p, 1, v);
    snprintf(p->transform, sizeof p->transform, "experts by id");
    return 0;
}

static int order_slots(struct tu_pair *p, const uint64_t *const experts[2], uint64_t slots,
                       const struct tu_kernels *kernels, struct tu_slots *out,
                       struct tu_error *error)
{
    uint64_t used = p->stored[0].shape[1], first = 0;
    uint64_t *order = tu_arena_alloc(&p->arena, (size_t)slots * sizeof *order);
    uint8_t *absent = tu_arena_alloc(&p->arena, (size_t)slots);
    bool moved = false;
    if (!order || !absent)
        return tu_fail_memory(error);
    for (; first < slots; first += used) {
        out->missing +=
            meet(experts[0] + first, experts[1] + first, used, order + first, absent + first);
        for (uint64_t i = first; i < first + used; i++) {
            moved |= order[i] != i - first;
            order[i] += first;
        }
    }
    out->absent = absent;
    return moved ? reorder(p, order, slots, out->width, kernels, error) : 0;
}

int tu_experts_meet(struct tu_pair *p, const struct tu_operand *const operands[2],
                    const struct tu_kernels *kernels, struct tu_slots *out, struct tu_error *error)
{
    const struct tu_tensor *a = &p->stored[0], *b = &p->stored[1];
    const uint64_t *experts[2] = {NULL, NULL};
    const struct tu_tensor *known = has_slots(a) ? a : has_slots(b) ? b : NULL;
    if (!known || a->rank != b->rank || *p->transform ||
        memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0 ||
        tu_dtype(a->dtype)->elements != 1 || tu_dtype(b->dtype)->elements != 1)
        return 0;
    uint64_t slots = a->shape[0] * a->shape[1];
    for (int i = 0; i < 2; i++) {
        if (from_record(p, i, slots, &experts[i], error) < 0 ||
            (!experts[i] && from_tensor(p, operands[i], known->scope.layer, kernels, slots,
                                        &experts[i], error) < 0))
            return -1;
        if (!experts[i])
            return 0;
    }
    out->width = a->elements / slots;
    return order_slots(p, experts, slots, kernels, out, error);
}
