/* SPDX-License-Identifier: MIT */
/* Sees the columns of a tensor in another order: whole rows are read, and picked from. */
#include "config.h"

#include "map/gather.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct tu_view *tu_view_gather(const struct tu_view_maker *m, const struct tu_view *of,
                                     const uint64_t *order, size_t count, struct tu_error *error)
{
    const struct tu_tensor *t = &of->tensor;
    uint64_t columns = t->rank ? t->shape[t->rank - 1] : 0;
    if (!count || !columns || columns % count) {
        tu_fail(error, TU_EINVALID, "%" PRIu64 " columns are no %zu equal shares", columns, count);
        return NULL;
    }
    if (!(of = tu_view_plain(m, of, error)))
        return NULL;
    struct tu_view *v = tu_arena_alloc(m->arena, sizeof *v);
    const struct tu_view **source = tu_arena_alloc(m->arena, sizeof *source);
    uint64_t *all = tu_arena_alloc(m->arena, (size_t)columns * sizeof *all);
    if (!v || !source || !all) {
        tu_fail_memory(error);
        return NULL;
    }
    uint64_t share = columns / count;
    for (uint64_t i = 0; i < columns; i++)
        all[i] = order[i / share] * share + i % share;
    *source = of;
    *v = (struct tu_view){.kind = TU_VIEW_GATHERED,
                          .tensor = of->tensor,
                          .geometry = of->geometry,
                          .of = source,
                          .count = 1,
                          .order = all,
                          .transposed = of->transposed};
    v->tensor.name = "";
    v->tensor.name_length = 0;
    v->tensor.extents = NULL;
    v->tensor.extent_count = 0;
    return v;
}

/* Elements of a size, so many of them, out of rows of the source that begin at its element from. */
static void pick(const struct tu_view *v, uint64_t first, const uint8_t *rows, uint64_t from,
                 uint8_t *out, size_t count)
{
    size_t size = v->geometry.dtype->bytes;
    uint64_t columns = v->tensor.shape[v->tensor.rank - 1];
    for (size_t i = 0; i < count; i++) {
        uint64_t row = (first + i) / columns, column = (first + i) % columns;
        memcpy(out + i * size, rows + (row * columns + v->order[column] - from) * size, size);
    }
}

int tu_view_read_gathered(const struct tu_view *v, uint64_t first, void *out, size_t count,
                          struct tu_error *error)
{
    enum { AT_ONCE = 1 << 16 };
    size_t size = v->geometry.dtype->bytes;
    uint64_t columns = v->tensor.shape[v->tensor.rank - 1];
    uint64_t most = columns < AT_ONCE ? AT_ONCE / columns * columns : columns;
    uint8_t *rows = malloc((size_t)(most + columns) * size);
    int result = rows ? 0 : tu_fail_memory(error);
    for (size_t done = 0, n; done < count && result == 0; done += n) {
        uint64_t from = (first + done) / columns * columns, end;
        n = count - done < most ? count - done : (size_t)most;
        end = (first + done + n + columns - 1) / columns * columns;
        result = tu_view_read(v->of[0], from * size, rows, (size_t)(end - from) * size, error);
        if (result == 0)
            pick(v, first + done, rows, from, (uint8_t *)out + done * size, n);
    }
    free(rows);
    return result;
}
