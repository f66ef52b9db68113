/* SPDX-License-Identifier: MIT */
/* Reads any range of bytes of a tensor that is seen another way, without keeping the whole of it.
 */
#include "config.h"

#include "map/view.h"
#include "map/axes.h"
#include "map/gather.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Rows shorter than this are read a head at a time. */
enum { SMALL_ROW = 512, TILE = 32 };

/* ---- Making ---- */

static uint64_t last_dimension(const struct tu_tensor *t)
{
    return t->rank ? t->shape[t->rank - 1] : 1;
}

static uint64_t first_dimension(const struct tu_tensor *t)
{
    return t->rank ? t->shape[0] : 1;
}

static bool is_plain(const struct tu_view *v)
{
    return v->geometry.dtype->elements == 1 && !v->geometry.dtype->head;
}

/* A view of a type and shape that is made of others. */
static struct tu_view *make(const struct tu_view_maker *m, int kind, const struct tu_view **of,
                            size_t count, const uint64_t *shape, uint32_t rank,
                            enum tensor_dtype dtype, struct tu_error *error)
{
    struct tu_view *v = tu_arena_alloc(m->arena, sizeof *v);
    uint64_t *copy = tu_arena_alloc(m->arena, (rank + 1) * sizeof *copy);
    const struct tu_view **views = tu_arena_alloc(m->arena, count * sizeof *views);
    if (!v || !copy || !views) {
        tu_fail_memory(error);
        return NULL;
    }
    *v = (struct tu_view){.kind = kind, .of = views, .count = count};
    if (rank)
        memcpy(copy, shape, rank * sizeof *copy);
    memcpy(views, of, count * sizeof *views);
    if (tu_geometry(dtype, TENSOR_PACKING_ROWS, copy, rank, &v->geometry, error) < 0)
        return NULL;
    v->tensor = (struct tu_tensor){.name = "",
                                   .dtype = dtype,
                                   .packing = TENSOR_PACKING_ROWS,
                                   .rank = rank,
                                   .shape = copy,
                                   .elements = v->geometry.elements,
                                   .nbytes = v->geometry.nbytes};
    for (size_t i = 0; i < count; i++)
        v->transposed |= of[i]->transposed;
    return v;
}

static struct tu_view *make_like(const struct tu_view_maker *m, int kind, const struct tu_view *of,
                                 const uint64_t *shape, uint32_t rank, struct tu_error *error)
{
    return make(m, kind, &of, 1, shape, rank, of->tensor.dtype, error);
}

const struct tu_view *tu_view_leaf(const struct tu_view_maker *m, struct tu_member leaf,
                                   struct tu_error *error)
{
    struct tu_view *v = tu_arena_alloc(m->arena, sizeof *v);
    if (!v) {
        tu_fail_memory(error);
        return NULL;
    }
    *v = (struct tu_view){.kind = TU_VIEW_LEAF, .leaf = leaf, .tensor = *leaf.tensor};
    return tu_tensor_check(&v->tensor, &v->geometry, error) < 0 ? NULL : v;
}

static const struct tu_view *make_float(const struct tu_view_maker *m, const struct tu_view *of,
                                        float factor, float addend, struct tu_error *error)
{
    struct tu_view *v =
        make(m, TU_VIEW_FLOAT, &of, 1, of->tensor.shape, of->tensor.rank, TENSOR_F32, error);
    if (!v || tu_view_decoder(of, m->kernels, &v->decoder, error) < 0)
        return NULL;
    v->factor = factor;
    v->addend = addend;
    return v;
}

const struct tu_view *tu_view_plain(const struct tu_view_maker *m, const struct tu_view *of,
                                    struct tu_error *error)
{
    return is_plain(of) ? of : make_float(m, of, 1, 0, error);
}

const struct tu_view *tu_view_add(const struct tu_view_maker *m, const struct tu_view *of,
                                  float addend, struct tu_error *error)
{
    if (of->kind == TU_VIEW_FLOAT && of->addend == -addend && of->factor == 1)
        return tu_view_plain(m, of->of[0], error);
    return make_float(m, of, 1, addend, error);
}

const struct tu_view *tu_view_scale(const struct tu_view_maker *m, const struct tu_view *of,
                                    float factor, struct tu_error *error)
{
    return make_float(m, of, factor, 0, error);
}

/* Whether one of the first dimension is a whole number of blocks, with nothing shared. */
static bool is_divisible(const struct tu_view *v)
{
    const struct tu_geometry *g = &v->geometry;
    uint64_t first = first_dimension(&v->tensor);
    if (is_plain(v) || !g->elements)
        return true;
    if (g->dtype->head || !v->tensor.rank || v->tensor.packing == TENSOR_PACKING_FLAT)
        return false;
    /* Padded rows are whole blocks each; others if the last dimension is. */
    return g->row == g->elements ? g->elements / first % g->dtype->elements == 0
                                 : v->tensor.rank > 1;
}

static const struct tu_view *divisible(const struct tu_view_maker *m, const struct tu_view *of,
                                       struct tu_error *error)
{
    return is_divisible(of) ? of : make_float(m, of, 1, 0, error);
}

/* Bytes of one of the first dimension. */
static uint64_t unit_bytes(const struct tu_view *v)
{
    uint64_t first = first_dimension(&v->tensor);
    return first ? v->tensor.nbytes / first : 0;
}

const struct tu_view *tu_view_rope(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t heads, bool undo, struct tu_error *error)
{
    uint64_t rows = first_dimension(&of->tensor);
    if (!heads || rows % heads || rows / heads % 2) {
        tu_fail(error, TU_EINVALID, "%" PRIu64 " rows are no %" PRIu64 " heads of pairs", rows,
                heads);
        return NULL;
    }
    if (of->kind == TU_VIEW_ROPE && of->heads == heads && of->undo != undo)
        return of->of[0];
    if (!(of = divisible(m, of, error)))
        return NULL;
    struct tu_view *v = make_like(m, TU_VIEW_ROPE, of, of->tensor.shape, of->tensor.rank, error);
    if (v) {
        v->heads = heads;
        v->undo = undo;
    }
    return v;
}

const struct tu_view *tu_view_rows(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t first, uint64_t end, struct tu_error *error)
{
    uint64_t shape[TENSOR_MAX_RANK];
    if (!of->tensor.rank || end > of->tensor.shape[0] || first > end) {
        tu_fail(error, TU_EINVALID, "it has no rows %" PRIu64 " to %" PRIu64, first, end);
        return NULL;
    }
    if (first == 0 && end == of->tensor.shape[0])
        return of;
    if (!(of = divisible(m, of, error)))
        return NULL;
    memcpy(shape, of->tensor.shape, of->tensor.rank * sizeof *shape);
    shape[0] = end - first;
    struct tu_view *v = make_like(m, TU_VIEW_PART, of, shape, of->tensor.rank, error);
    if (v)
        v->offset = first * unit_bytes(of);
    return v;
}

const struct tu_view *tu_view_item(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t index, struct tu_error *error)
{
    if (!of->tensor.rank || index >= of->tensor.shape[0]) {
        tu_fail(error, TU_EINVALID, "it has no number %" PRIu64 " to unstack", index);
        return NULL;
    }
    if (!(of = divisible(m, of, error)))
        return NULL;
    struct tu_view *v =
        make_like(m, TU_VIEW_PART, of, of->tensor.shape + 1, of->tensor.rank - 1, error);
    if (v)
        v->offset = index * unit_bytes(of);
    return v;
}

const struct tu_view *tu_view_reshape(const struct tu_view_maker *m, const struct tu_view *of,
                                      const uint64_t *shape, uint32_t rank, struct tu_error *error)
{
    uint64_t last = rank ? shape[rank - 1] : 1;
    bool padded = of->geometry.row != of->geometry.elements;
    if (!is_plain(of) && (padded || last != last_dimension(&of->tensor)) &&
        !(of = make_float(m, of, 1, 0, error)))
        return NULL;
    struct tu_view *v = make_like(m, TU_VIEW_PART, of, shape, rank, error);
    if (v && v->tensor.elements != of->tensor.elements) {
        tu_fail(error, TU_EINVALID, "a shape of %" PRIu64 " elements is not one of %" PRIu64,
                v->tensor.elements, of->tensor.elements);
        return NULL;
    }
    return v;
}

const struct tu_view *tu_view_permute(const struct tu_view_maker *m, const struct tu_view *of,
                                      const uint64_t *axes, uint32_t rank, bool undo,
                                      struct tu_error *error)
{
    uint64_t shape[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], stride = 1;
    if (of->tensor.rank != rank || rank < 2) {
        tu_fail(error, TU_EINVALID, "it has %" PRIu32 " dimensions, not %" PRIu32, of->tensor.rank,
                rank);
        return NULL;
    }
    if (axes[rank - 1] != rank - 1)
        return tu_view_permute_all(m, of, axes, rank, undo, error);
    if (!(of = tu_view_plain(m, of, error)))
        return NULL;
    for (uint32_t i = rank - 1; i-- > 0; stride *= of->tensor.shape[i])
        strides[i] = stride;
    struct tu_axes order = {.rank = rank - 1};
    for (uint32_t i = 0; i < rank; i++) {
        uint64_t to = undo ? axes[i] : i, from = undo ? i : axes[i];
        shape[to] = of->tensor.shape[from];
        order.length[to] = shape[to];
        order.stride[to] = from < rank - 1 ? strides[from] : 0;
    }
    struct tu_view *v = make_like(m, TU_VIEW_ORDER, of, shape, rank, error);
    if (v)
        v->axes = order;
    return v;
}

const struct tu_view *tu_view_transpose(const struct tu_view_maker *m, const struct tu_view *of,
                                        struct tu_error *error)
{
    uint64_t shape[TENSOR_MAX_RANK];
    uint32_t rank = of->tensor.rank;
    if (of->kind == TU_VIEW_TRANSPOSE)
        return of->of[0];
    if (rank < 2)
        return of;
    if (!(of = tu_view_plain(m, of, error)))
        return NULL;
    memcpy(shape, of->tensor.shape, rank * sizeof *shape);
    shape[rank - 1] = of->tensor.shape[rank - 2];
    shape[rank - 2] = of->tensor.shape[rank - 1];
    struct tu_view *v = make_like(m, TU_VIEW_TRANSPOSE, of, shape, rank, error);
    if (v)
        v->transposed = true;
    return v;
}

const struct tu_view *tu_view_columns(const struct tu_view_maker *m, const struct tu_view *of,
                                      uint64_t first, uint64_t end, struct tu_error *error)
{
    uint64_t shape[TENSOR_MAX_RANK];
    if (!of->tensor.rank || end > last_dimension(&of->tensor) || first > end) {
        tu_fail(error, TU_EINVALID, "it has no columns %" PRIu64 " to %" PRIu64, first, end);
        return NULL;
    }
    if (!(of = tu_view_plain(m, of, error)))
        return NULL;
    memcpy(shape, of->tensor.shape, of->tensor.rank * sizeof *shape);
    shape[of->tensor.rank - 1] = end - first;
    struct tu_view *v = make_like(m, TU_VIEW_COLUMNS, of, shape, of->tensor.rank, error);
    if (v)
        v->offset = first;
    return v;
}

const struct tu_view *tu_view_type(const struct tu_view_maker *m, const struct tu_view *of,
                                   enum tensor_dtype dtype, struct tu_error *error)
{
    const struct tu_dtype *was = of->geometry.dtype, *is = tu_dtype(dtype);
    if (!is || is->elements != was->elements || is->bytes != was->bytes || is->head || was->head) {
        tu_fail(error, TU_EINVALID, "the bytes of %s are none of %s", was->name,
                is ? is->name : "that type");
        return NULL;
    }
    const struct tu_view *v =
        make(m, TU_VIEW_PART, &of, 1, of->tensor.shape, of->tensor.rank, dtype, error);
    if (v && v->tensor.nbytes != of->tensor.nbytes) {
        tu_fail(error, TU_EINVALID, "the rows of %s are none of %s", was->name, is->name);
        return NULL;
    }
    return v;
}

const struct tu_view *tu_view_swapped(const struct tu_view_maker *m, const struct tu_view *of,
                                      struct tu_error *error)
{
    if (!is_plain(of)) {
        tu_fail(error, TU_EINVALID, "elements of %s have no bytes of their own to swap",
                of->geometry.dtype->name);
        return NULL;
    }
    return make_like(m, TU_VIEW_SWAPPED, of, of->tensor.shape, of->tensor.rank, error);
}

static bool same_but_first(const struct tu_tensor *a, const struct tu_tensor *b, uint32_t first)
{
    return a->rank == b->rank && a->rank >= first &&
           (a->rank == first ||
            memcmp(a->shape + first, b->shape + first, (a->rank - first) * sizeof *a->shape) == 0);
}

const struct tu_view *tu_view_rebased(const struct tu_view_maker *m, const struct tu_view *of,
                                      struct tu_member leaf, struct tu_error *error)
{
    const struct tu_tensor *was = &of->tensor, *is = leaf.tensor;
    if (of->kind == TU_VIEW_LEAF)
        return is->dtype == was->dtype && is->packing == was->packing && same_but_first(is, was, 0)
                   ? tu_view_leaf(m, leaf, error)
                   : NULL;
    if (of->count != 1 || of->geometry.dtype->head ||
        (of->kind == TU_VIEW_FLOAT && of->decoder.geometry.dtype->head))
        return NULL;
    struct tu_view *v = tu_arena_alloc(m->arena, sizeof *v);
    const struct tu_view **source = tu_arena_alloc(m->arena, sizeof *source);
    if (!v || !source) {
        tu_fail_memory(error);
        return NULL;
    }
    *v = *of;
    v->of = source;
    *source = tu_view_rebased(m, of->of[0], leaf, error);
    return *source ? v : NULL;
}

/* Views of several types are joined as floats. */
static int agree(const struct tu_view_maker *m, const struct tu_view **of, size_t count,
                 bool stacked, struct tu_error *error)
{
    bool plain = false;
    for (size_t i = 0; i < count; i++) {
        if (!same_but_first(&of[i]->tensor, &of[0]->tensor, !stacked))
            return tu_fail(error, TU_EINVALID, "shapes that do not fit cannot be joined");
        bool whole = stacked ? is_plain(of[i]) ||
                                   (!of[i]->geometry.dtype->head &&
                                    of[i]->tensor.packing != TENSOR_PACKING_FLAT &&
                                    of[i]->geometry.row % of[i]->geometry.dtype->elements == 0)
                             : is_divisible(of[i]);
        plain |= !whole || of[i]->tensor.dtype != of[0]->tensor.dtype;
    }
    for (size_t i = 0; plain && i < count; i++)
        if (of[i]->tensor.dtype != TENSOR_F32 && !(of[i] = make_float(m, of[i], 1, 0, error)))
            return -1;
    return 0;
}

/* Whether pieces of one view, put together, are that view again. */
static bool is_whole(const struct tu_view **of, size_t count, const uint64_t *shape, uint32_t rank)
{
    const struct tu_view *source = of[0]->count ? of[0]->of[0] : of[0];
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tu_view *from = of[i]->count ? of[i]->of[0] : NULL;
        bool same = from && from->kind == TU_VIEW_LEAF && source->kind == TU_VIEW_LEAF &&
                    from->leaf.tensor == source->leaf.tensor;
        if (of[i]->kind != TU_VIEW_PART || !same || of[i]->offset != end)
            return false;
        end += of[i]->tensor.nbytes;
    }
    return end == source->tensor.nbytes && rank == source->tensor.rank &&
           memcmp(shape, source->tensor.shape, rank * sizeof *shape) == 0;
}

const struct tu_view *tu_view_join(const struct tu_view_maker *m, const struct tu_view **of,
                                   size_t count, bool stacked, struct tu_error *error)
{
    uint64_t shape[TENSOR_MAX_RANK + 1] = {count};
    if (count == 1 && !stacked)
        return of[0];
    uint32_t rank = of[0]->tensor.rank + stacked;
    if (rank > TENSOR_MAX_RANK) {
        tu_fail(error, TU_EINVALID, "more than %u dimensions", TENSOR_MAX_RANK);
        return NULL;
    }
    if (agree(m, of, count, stacked, error) < 0)
        return NULL;
    memcpy(shape + stacked, of[0]->tensor.shape, of[0]->tensor.rank * sizeof *shape);
    for (size_t i = 1; !stacked && i < count; i++)
        if (__builtin_add_overflow(shape[0], of[i]->tensor.shape[0], &shape[0]))
            shape[0] = UINT64_MAX;
    if (is_whole(of, count, shape, rank))
        return of[0]->of[0];
    struct tu_view *v = make(m, TU_VIEW_JOIN, of, count, shape, rank, of[0]->tensor.dtype, error);
    if (!v || !(v->ends = tu_arena_alloc(m->arena, count * sizeof *v->ends))) {
        tu_fail_memory(error);
        return NULL;
    }
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++)
        v->ends[i] = end += of[i]->tensor.nbytes;
    return v;
}

const struct tu_view *tu_view_order(const struct tu_view_maker *m, const struct tu_view *of,
                                    const uint64_t *order, size_t count, struct tu_error *error)
{
    uint64_t rows = first_dimension(&of->tensor);
    if (!of->tensor.rank || !count || rows % count) {
        tu_fail(error, TU_EINVALID, "%" PRIu64 " rows are no %zu equal shares", rows, count);
        return NULL;
    }
    const struct tu_view **shares = tu_arena_alloc(m->arena, count * sizeof *shares);
    if (!shares)
        tu_fail_memory(error);
    if (!shares || !(of = divisible(m, of, error)))
        return NULL;
    uint64_t share = rows / count;
    for (size_t i = 0; i < count; i++)
        if (!(shares[i] = tu_view_rows(m, of, order[i] * share, order[i] * share + share, error)))
            return NULL;
    return tu_view_join(m, shares, count, false, error);
}

/* ---- Reading ---- */

/* The row of the source that a row of the view is. */
static uint64_t rope_row(const struct tu_view *v, uint64_t row)
{
    uint64_t size = v->tensor.shape[0] / v->heads, half = size / 2;
    uint64_t head = row / size, at = row % size;
    return head * size + (v->undo ? at % half * 2 + at / half : at % 2 * half + at / 2);
}

static uint64_t ordered_row(const struct tu_view *v, uint64_t row)
{
    uint64_t from = 0;
    for (uint32_t i = v->axes.rank; i-- > 0; row /= v->axes.length[i])
        from += row % v->axes.length[i] * v->axes.stride[i];
    return from;
}

uint64_t tu_view_row(const struct tu_view *v, uint64_t row)
{
    return v->kind == TU_VIEW_ROPE ? rope_row(v, row) : ordered_row(v, row);
}

uint64_t tu_view_row_elements(const struct tu_view *v)
{
    uint64_t rows = first_dimension(&v->tensor);
    return v->kind == TU_VIEW_ORDER ? last_dimension(&v->tensor)
           : rows                   ? v->tensor.elements / rows
                                    : 0;
}

/* A head of short rows is read whole. */
static int read_small_rows(const struct tu_view *v, uint64_t offset, uint8_t *out, size_t length,
                           struct tu_error *error)
{
    uint64_t unit = unit_bytes(v), size = v->tensor.shape[0] / v->heads;
    size_t head_bytes = (size_t)(size * unit);
    uint8_t *head = malloc(head_bytes);
    int result = head ? 0 : tu_fail_memory(error);
    uint64_t loaded = UINT64_MAX;
    for (size_t n; length && result == 0; offset += n, out += n, length -= n) {
        uint64_t row = offset / unit, in_row = offset % unit;
        if (row / size != loaded) {
            loaded = row / size;
            result = tu_view_read(v->of[0], loaded * head_bytes, head, head_bytes, error);
        }
        n = length < unit - in_row ? length : (size_t)(unit - in_row);
        if (result == 0)
            memcpy(out, head + rope_row(v, row) % size * unit + in_row, n);
    }
    free(head);
    return result;
}

/* Reads rows of the source in the order of the view. */
static int read_rows(const struct tu_view *v, uint64_t offset, uint8_t *out, size_t length,
                     struct tu_error *error)
{
    bool rope = v->kind == TU_VIEW_ROPE;
    uint64_t unit = rope ? unit_bytes(v) : last_dimension(&v->tensor) * v->geometry.dtype->bytes;
    if (rope && unit < SMALL_ROW && v->tensor.shape[0] / v->heads <= SMALL_ROW)
        return read_small_rows(v, offset, out, length, error);
    for (size_t n; length; offset += n, out += n, length -= n) {
        uint64_t row = offset / unit, in_row = offset % unit;
        uint64_t from = tu_view_row(v, row);
        n = length < unit - in_row ? length : (size_t)(unit - in_row);
        if (tu_view_read(v->of[0], from * unit + in_row, out, n, error) < 0)
            return -1;
    }
    return 0;
}

static int read_joined(const struct tu_view *v, uint64_t offset, uint8_t *out, size_t length,
                       struct tu_error *error)
{
    size_t low = 0, high = v->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (offset < v->ends[middle])
            high = middle;
        else
            low = middle + 1;
    }
    for (; length && low < v->count; low++) {
        uint64_t start = low ? v->ends[low - 1] : 0, left = v->ends[low] - offset;
        size_t n = length < left ? length : (size_t)left;
        if (n && tu_view_read(v->of[low], offset - start, out, n, error) < 0)
            return -1;
        offset += n;
        out += n;
        length -= n;
    }
    return length ? tu_fail(error, TU_EINVALID, "read beyond the end of a view") : 0;
}

/* Decodes whole elements, in pieces that need little memory. */
static int read_values(const struct tu_view *v, uint64_t first, float *out, size_t count,
                       struct tu_error *error)
{
    const struct tu_geometry *g = &v->decoder.geometry;
    uint8_t small[4096], *raw = small;
    size_t capacity = sizeof small;
    int result = 0;
    for (size_t done = 0, n; done < count && result == 0; done += n) {
        uint64_t offset, span;
        n = count - done < TU_TILE ? count - done : TU_TILE;
        tu_geometry_span(g, first + done, n, &offset, &span);
        if (span > capacity) {
            uint8_t *larger = realloc(raw == small ? NULL : raw, (size_t)span);
            if (!larger) {
                result = tu_fail_memory(error);
                break;
            }
            raw = larger;
            capacity = (size_t)span;
        }
        result = tu_view_read(v->of[0], offset, raw, (size_t)span, error);
        if (result == 0)
            tu_decode(&v->decoder, raw, first + done, n, out + done);
    }
    for (size_t i = 0; v->factor != 1 && i < count; i++)
        out[i] *= v->factor;
    for (size_t i = 0; v->addend != 0 && i < count; i++)
        out[i] += v->addend;
    if (raw != small)
        free(raw);
    return result;
}

/* Calls a reader of whole elements for a range of bytes that may begin and end within one. */
static int read_elements(const struct tu_view *v, uint64_t offset, uint8_t *out, size_t length,
                         int (*read)(const struct tu_view *, uint64_t, void *, size_t,
                                     struct tu_error *),
                         struct tu_error *error)
{
    size_t size = v->geometry.dtype->bytes;
    uint64_t first = offset / size, end = (offset + length + size - 1) / size;
    if (offset % size == 0 && length % size == 0)
        return read(v, first, out, length / size, error);
    uint8_t *whole = malloc((size_t)(end - first) * size);
    if (!whole)
        return tu_fail_memory(error);
    int result = read(v, first, whole, (size_t)(end - first), error);
    if (result == 0)
        memcpy(out, whole + offset % size, length);
    free(whole);
    return result;
}

static int read_floats(const struct tu_view *v, uint64_t first, void *out, size_t count,
                       struct tu_error *error)
{
    return read_values(v, first, out, count, error);
}

static int read_flat_columns(const struct tu_view *v, uint64_t first, void *out, size_t count,
                             struct tu_error *error)
{
    size_t size = v->geometry.dtype->bytes;
    uint64_t columns = last_dimension(&v->tensor), source = last_dimension(&v->of[0]->tensor);
    for (size_t done = 0, n; done < count; done += n) {
        uint64_t row = (first + done) / columns, column = (first + done) % columns;
        n = count - done < columns - column ? count - done : (size_t)(columns - column);
        if (tu_view_read(v->of[0], (row * source + v->offset + column) * size,
                         (uint8_t *)out + done * size, n * size, error) < 0)
            return -1;
    }
    return 0;
}

static int read_swapped(const struct tu_view *v, uint64_t first, void *out, size_t count,
                        struct tu_error *error)
{
    size_t size = v->geometry.dtype->bytes;
    if (tu_view_read(v->of[0], first * size, out, count * size, error) < 0)
        return -1;
    for (uint8_t *p = out, *end = p + count * size; p < end; p += size)
        for (size_t i = 0; i < size / 2; i++) {
            uint8_t byte = p[i];
            p[i] = p[size - 1 - i];
            p[size - 1 - i] = byte;
        }
    return 0;
}

/* The rows that a range of elements touches, as areas: a piece of the first, whole ones, a piece
 * of the last. */
static int read_transposed(const struct tu_view *v, uint64_t first, void *out, size_t count,
                           struct tu_error *error)
{
    size_t size = v->geometry.dtype->bytes;
    uint64_t columns = last_dimension(&v->tensor);
    for (size_t done = 0, n; done < count; done += n) {
        struct tu_area a = {(first + done) / columns, 1, (first + done) % columns, 0};
        size_t left = count - done;
        if (a.column == 0 && left >= columns) {
            a.rows = left / columns;
            a.columns = columns;
        } else {
            a.columns = left < columns - a.column ? left : columns - a.column;
        }
        n = (size_t)(a.rows * a.columns);
        if (tu_view_read_area(v, a, (uint8_t *)out + done * size, error) < 0)
            return -1;
    }
    return 0;
}

int tu_view_read(const struct tu_view *v, uint64_t offset, void *buffer, size_t length,
                 struct tu_error *error)
{
    switch (v->kind) {
    case TU_VIEW_LEAF:
        return tu_model_read(v->leaf.model, v->leaf.tensor, offset, buffer, length, error);
    case TU_VIEW_PART:
        return tu_view_read(v->of[0], v->offset + offset, buffer, length, error);
    case TU_VIEW_ROPE:
    case TU_VIEW_ORDER:
        return read_rows(v, offset, buffer, length, error);
    case TU_VIEW_JOIN:
        return read_joined(v, offset, buffer, length, error);
    case TU_VIEW_FLOAT:
        return read_elements(v, offset, buffer, length, read_floats, error);
    case TU_VIEW_TRANSPOSE:
        return read_elements(v, offset, buffer, length, read_transposed, error);
    case TU_VIEW_COLUMNS:
        return read_elements(v, offset, buffer, length, read_flat_columns, error);
    case TU_VIEW_SWAPPED:
        return read_elements(v, offset, buffer, length, read_swapped, error);
    case TU_VIEW_GATHERED:
        return read_elements(v, offset, buffer, length, tu_view_read_gathered, error);
    }
    return 0;
}

/* Rows of a transposed view are gathered from all over its source, so many are read at once. */
size_t tu_view_piece(const struct tu_view *v)
{
    enum { PLAIN = 1 << 20, PANEL = 32 << 20 };
    const struct tu_tensor *t = &v->tensor;
    uint64_t row = t->rank ? t->shape[t->rank - 1] * v->geometry.dtype->bytes : 0;
    if (!v->transposed)
        return PLAIN;
    return row && row < PANEL ? (size_t)(PANEL / row * row) : PANEL;
}

int tu_view_decoder(const struct tu_view *v, const struct tu_kernels *kernels,
                    struct tu_decoder *out, struct tu_error *error)
{
    uint8_t head[8] = {0};
    size_t length = v->tensor.elements ? v->geometry.dtype->head : 0;
    if (length && tu_view_read(v, 0, head, length, error) < 0)
        return -1;
    return tu_decoder_init(out, &v->geometry, kernels, head, error);
}

int tu_view_values(const struct tu_view *v, const struct tu_kernels *kernels, uint64_t first,
                   size_t count, float *out, struct tu_error *error)
{
    uint64_t offset, length;
    struct tu_decoder decoder;
    if (!count)
        return 0;
    tu_geometry_span(&v->geometry, first, count, &offset, &length);
    uint8_t *raw = malloc((size_t)length);
    int result = raw ? tu_view_decoder(v, kernels, &decoder, error) : tu_fail_memory(error);
    if (result == 0)
        result = tu_view_read(v, offset, raw, (size_t)length, error);
    if (result == 0)
        tu_decode(&decoder, raw, first, count, out);
    free(raw);
    return result;
}

/* ---- Areas ---- */

/* Puts rows of columns elements into a matrix the other way round, whose rows have a stride.
 * Strides are often powers of two, whose rows displace each other in the cache: each piece of one
 * is touched once, and turned in a tile of its own. */
#define TURN(type)                                                                                 \
    static void turn_##type(const type *restrict in, size_t rows, size_t columns,                  \
                            type *restrict out, size_t stride)                                     \
    {                                                                                              \
        type from[TILE][TILE] = {{0}}, to[TILE][TILE];                                             \
        for (size_t r = 0; r < rows; r += TILE)                                                    \
            for (size_t c = 0; c < columns; c += TILE) {                                           \
                size_t m = rows - r < TILE ? rows - r : TILE;                                      \
                size_t n = columns - c < TILE ? columns - c : TILE;                                \
                for (size_t i = 0; i < m; i++)                                                     \
                    memcpy(from[i], in + (r + i) * columns + c, n * sizeof(type));                 \
                for (size_t j = 0; j < TILE; j++)                                                  \
                    for (size_t i = 0; i < TILE; i++)                                              \
                        to[j][i] = from[i][j];                                                     \
                for (size_t j = 0; j < n; j++)                                                     \
                    memcpy(out + (c + j) * stride + r, to[j], m * sizeof(type));                   \
            }                                                                                      \
    }
TURN(uint8_t)
TURN(uint16_t)
TURN(uint32_t)
TURN(uint64_t)

static void turn(const void *in, size_t rows, size_t columns, uint8_t *out, size_t stride,
                 size_t size)
{
    if (size == 1)
        turn_uint8_t(in, rows, columns, out, stride);
    else if (size == 2)
        turn_uint16_t(in, rows, columns, (void *)out, stride);
    else if (size == 4)
        turn_uint32_t(in, rows, columns, (void *)out, stride);
    else
        turn_uint64_t(in, rows, columns, (void *)out, stride);
}

/* An area that lies in one matrix of a stack, from strips of its source. */
static int read_turned(const struct tu_view *v, struct tu_area a, uint8_t *out,
                       struct tu_error *error)
{
    enum { STRIP = 128 * 1024 };
    size_t size = v->geometry.dtype->bytes, row_bytes = (size_t)a.rows * size;
    uint64_t rows = v->tensor.shape[v->tensor.rank - 2], columns = last_dimension(&v->tensor);
    uint64_t strip = row_bytes < STRIP / TILE ? STRIP / row_bytes : TILE;
    struct tu_area from = {a.row / rows * columns + a.column, 0, a.row % rows, a.rows};
    void *raw = malloc((size_t)(strip < a.columns ? strip : a.columns) * row_bytes);
    int result = raw ? 0 : tu_fail_memory(error);
    for (uint64_t done = 0; done < a.columns && result == 0; done += strip) {
        from.rows = a.columns - done < strip ? a.columns - done : strip;
        result = tu_view_read_area(v->of[0], from, raw, error);
        if (result == 0)
            turn(raw, (size_t)from.rows, (size_t)a.rows, out + done * size, (size_t)a.columns,
                 size);
        from.row += from.rows;
    }
    free(raw);
    return result;
}

int tu_view_read_area(const struct tu_view *v, struct tu_area area, void *buffer,
                      struct tu_error *error)
{
    size_t size = v->geometry.dtype->bytes, row_bytes = (size_t)area.columns * size;
    uint64_t rows = v->tensor.rank > 1 ? v->tensor.shape[v->tensor.rank - 2] : 1;
    uint64_t columns = last_dimension(&v->tensor);
    uint8_t *out = buffer;
    if (area.columns == columns && !v->transposed)
        return tu_view_read(v, area.row * columns * size, out, (size_t)area.rows * row_bytes,
                            error);
    for (uint64_t done = 0, n = 1; done < area.rows; done += n, out += n * row_bytes) {
        struct tu_area a = {area.row + done, 1, area.column, area.columns};
        if (v->kind == TU_VIEW_TRANSPOSE) {
            n = rows - a.row % rows < area.rows - done ? rows - a.row % rows : area.rows - done;
            a.rows = n;
            if (read_turned(v, a, out, error) < 0)
                return -1;
        } else if (tu_view_read(v, (a.row * columns + a.column) * size, out, row_bytes, error) <
                   0) {
            return -1;
        }
    }
    return 0;
}
