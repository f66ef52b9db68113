/* SPDX-License-Identifier: MIT */
/* numpy's .npy: one array, whose name the file does not have; see tensor-format-npy(5). */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "npy-header.h"

enum { ALIGNMENT = 64, PREFIX = 10 };

static const char array_name[] = "array";

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    return length >= 6 && memcmp(head, "\x93NUMPY", 6) == 0 ? 48 : 0;
}

static int read_npy(struct tensor_reader *r)
{
    struct npy_header h;
    if (npy_read_header(r, 0, r->size, &h) < 0)
        return -1;
    struct tensor_entry entry = {.name = array_name,
                                 .name_length = sizeof array_name - 1,
                                 .dtype = h.dtype,
                                 .rank = h.rank,
                                 .shape = h.shape,
                                 .offset = h.length,
                                 .nbytes = r->size - h.length};
    return tensor_add(r, &entry);
}

static const char *refuse(const struct tensor_entry *entry)
{
    return npy_type_name(entry->dtype) ? NULL : lacks_type(entry->dtype);
}

/* The dictionary as numpy writes it. */
static size_t describe(const struct tensor_entry *e, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                                npy_type_name(e->dtype));
    for (uint32_t i = 0; i < e->rank; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%" PRIu64, i ? ", " : "", e->shape[i]);
    return n + (size_t)snprintf(text + n, size - n, "%s), }", e->rank == 1 ? "," : "");
}

static int write_head(struct tensor_writer *w)
{
    char text[128 + 24 * TENSOR_MAX_RANK];
    if (w->count != 1)
        return tensor_write_fail(w, "a .npy file holds one array, not %zu (choose one by --match)",
                                 w->count);
    size_t length = describe(&w->tensors[0], text, sizeof text);
    uint64_t total = round_up(PREFIX + length + 1, ALIGNMENT);
    if (tensor_emit(w, "\x93NUMPY\x01\x00", 8) < 0 || emit_le(w, total - PREFIX, 2) < 0 ||
        tensor_emit(w, text, length) < 0 || emit_fill(w, ' ', total - PREFIX - length - 1) < 0)
        return -1;
    return tensor_emit(w, "\n", 1);
}

const struct tensor_format tensor_format_npy = {
    TENSOR_FORMAT_HEADER,
    .name = "npy",
    .about = "one array of numpy",
    .suffixes = ".npy",
    .tensor_alignment = 1,
    .data_alignment = ALIGNMENT,
    .bid = bid,
    .read = read_npy,
    .refuse = refuse,
    .write_head = write_head,
};
