/* SPDX-License-Identifier: MIT */
/* Of what a tensor holds values: read, copied, put, and compared. */
#include "config.h"

#include "tensor/scope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int read_tokens(const struct tensor_value *value, struct tu_scope *out,
                       struct tu_error *error)
{
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
    if (stage && !tu_value_string(stage, &out->stage, &out->stage_length))
        return tu_fail(error, TU_EINVALID, "its stage is no string");
    if (layer && !tu_value_uint(layer, &out->layer))
        return tu_fail(error, TU_EINVALID, "its layer is no natural number");
    return read_tokens(tu_value_get(map, "tokens"), out, error);
}

int tu_scope_copy(struct tu_arena *arena, const struct tu_scope *p, struct tu_scope *out,
                  struct tu_error *error)
{
    *out = *p;
    if (!p->stage)
        return 0;
    out->stage = tu_arena_copy(arena, p->stage, p->stage_length);
    return out->stage ? 0 : tu_fail_memory(error);
}

int tu_scope_put(struct tu_builder *b, const struct tu_scope *p, const char *suffix,
                 struct tu_error *error)
{
    char stage[16], layer[16], tokens[16];
    snprintf(stage, sizeof stage, "stage%s", suffix);
    snprintf(layer, sizeof layer, "layer%s", suffix);
    snprintf(tokens, sizeof tokens, "tokens%s", suffix);
    if ((p->stage && tu_put_bytes(b, stage, p->stage, p->stage_length, error) < 0) ||
        (p->has_layer && tu_put_uint(b, layer, p->layer, error) < 0))
        return -1;
    return p->has_tokens ? tu_put_shape(b, tokens, p->tokens, 2, error) : 0;
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
    if (!a->has_tokens || !b->has_tokens || memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0)
        return false;
    snprintf(room, size, "tokens [%" PRIu64 ", %" PRIu64 "] against [%" PRIu64 ", %" PRIu64 "]",
             a->tokens[0], a->tokens[1], b->tokens[0], b->tokens[1]);
    return true;
}

bool tu_scope_is_known(const struct tu_scope *p)
{
    return p->stage || p->has_layer || p->has_tokens;
}
