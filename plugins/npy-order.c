/* SPDX-License-Identifier: MIT */
/* Arrays in Fortran order or big-endian: their elements one by one in C order, little-endian. */
#include "config.h"

#include "npy-order.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum { ROOM = 16 << 20 }; /* bytes that are put in order at a time */

int npy_plan(struct tensor_reader *r, const struct npy_array *array, struct npy_plain *out)
{
    struct npy_layout *l = &out->layout;
    *out = (struct npy_plain){.size = array->size};
    int found = npy_read(r, array, false, l);
    if (found < 0)
        return -1;
    out->foreign = found > 0 && (l->turned || l->transposed) && l->nbytes != UINT64_MAX;
    if (!out->foreign)
        return 0;
    const struct tensor_entry entry = {.dtype = l->dtype, .rank = l->rank, .shape = l->shape};
    out->header_length = npy_make_header(&entry, out->header);
    out->size = out->header_length + l->nbytes;
    return npy_read(r, array, true, l) < 0 ? -1 : 0;
}

static int copy(struct tensor_reader *r, uint64_t offset, uint64_t length)
{
    for (uint64_t done = 0, n; done < length; done += n) {
        n = length - done < TENSOR_PEEK_MAX ? length - done : TENSOR_PEEK_MAX;
        const void *bytes = tensor_peek(r, offset + done, (size_t)n);
        if (!bytes || tensor_unwrapped(r, bytes, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

/* The numbers of so many bytes, each of width bytes, the other way round. */
static void turn(uint8_t *bytes, size_t length, size_t width)
{
    for (size_t at = 0; at + width <= length; at += width)
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t byte = bytes[at + i];
            bytes[at + i] = bytes[at + width - 1 - i];
            bytes[at + width - 1 - i] = byte;
        }
}

/* ---- Fortran order ---- */

/*
 * The array goes out in C order: for each index of the dimensions before the split one, a piece of
 * that dimension at a time, with all of the dimensions behind it, which fits into the room.  There
 * it is filled line by line: one line is the piece for one index of the dimensions behind, whose
 * elements lie at a fixed distance in the file.
 */
struct order {
    struct tensor_reader *r;
    uint64_t data;
    uint32_t rank, split;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t step[TENSOR_MAX_RANK];  /* in the file, in elements */
    uint64_t index[TENSOR_MAX_RANK]; /* of what is being put out */
    size_t item;                     /* bytes of an element */
    size_t width;                    /* of a number in it, if they are to be turned; else 0 */
    size_t inner;                    /* elements of the dimensions behind the split one */
    uint8_t *room;
};

/* Counts the indices from dimension `from` to before `to` on, the last one first; whether there was
 * another. */
static bool count_on(struct order *o, uint32_t from, uint32_t to)
{
    for (uint32_t i = to; i-- > from;) {
        if (++o->index[i] < o->shape[i])
            return true;
        o->index[i] = 0;
    }
    return false;
}

/* count elements of the split dimension, step apart in the file and inner apart in the room. */
static int fill_line(const struct order *o, uint64_t first, size_t count, size_t to)
{
    uint64_t distance = o->step[o->split] * o->item, most = (TENSOR_PEEK_MAX - o->item) / distance;
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done <= most ? count - done : (size_t)most + 1;
        const uint8_t *bytes = tensor_peek(o->r, o->data + first * o->item + done * distance,
                                           (size_t)((n - 1) * distance) + o->item);
        if (!bytes)
            return -1;
        for (size_t i = 0; i < n; i++)
            memcpy(o->room + ((done + i) * o->inner + to) * o->item, bytes + i * distance, o->item);
    }
    return 0;
}

/* Fills the room with count indices of the split dimension from index[split] on. */
static int fill_room(struct order *o, size_t count)
{
    size_t to = 0;
    do {
        uint64_t first = 0;
        for (uint32_t i = 0; i < o->rank; i++)
            first += o->index[i] * o->step[i];
        if (fill_line(o, first, count, to++) < 0)
            return -1;
    } while (count_on(o, o->split + 1, o->rank));
    return 0;
}

static int emit_split(struct order *o)
{
    size_t most = ROOM / (o->inner * o->item);
    for (uint64_t at = 0, n; at < o->shape[o->split]; at += n) {
        n = o->shape[o->split] - at < most ? o->shape[o->split] - at : most;
        size_t length = (size_t)n * o->inner * o->item;
        o->index[o->split] = at;
        if (fill_room(o, (size_t)n) < 0)
            return -1;
        if (o->width)
            turn(o->room, length, o->width);
        if (tensor_unwrapped(o->r, o->room, length) < 0)
            return -1;
    }
    o->index[o->split] = 0;
    return 0;
}

/* The split dimension is the first one behind which everything fits into the room. */
static void split(struct order *o)
{
    o->inner = 1;
    o->split = o->rank - 1;
    while (o->split && o->inner <= ROOM / o->item / o->shape[o->split])
        o->inner *= (size_t)o->shape[o->split--];
}

static int emit_ordered(struct order *o)
{
    int result;
    split(o);
    o->room = malloc(ROOM);
    if (!o->room)
        return tensor_fail(o->r, o->data, "out of memory");
    do
        result = emit_split(o);
    while (result == 0 && count_on(o, 0, o->split));
    free(o->room);
    return result;
}

int npy_emit(struct tensor_reader *r, const struct npy_array *array, const struct npy_plain *plain)
{
    const struct npy_layout *l = &plain->layout;
    if (!plain->foreign)
        return copy(r, array->offset, array->size);
    struct order o = {.r = r, .data = l->data, .item = type_row(l->dtype)->bytes};
    if (l->turned)
        o.width = l->dtype == TENSOR_C64 ? o.item / 2 : o.item;
    uint64_t step = 1;
    for (uint32_t i = 0; i < l->rank; i++) {
        o.shape[o.rank] = l->shape[i];
        o.step[o.rank] = step;
        step *= l->shape[i];
        o.rank += l->shape[i] != 1;
    }
    if (!l->transposed) { /* as one dimension */
        o.shape[0] = l->nbytes / o.item;
        o.step[0] = 1;
        o.rank = 1;
    }
    if (tensor_unwrapped(r, plain->header, plain->header_length) < 0)
        return -1;
    return l->nbytes ? emit_ordered(&o) : 0;
}
