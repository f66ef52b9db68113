/* SPDX-License-Identifier: MIT */
/* numpy's .npy: one array, whose name the file does not tell; see tensor-format-npy(5). */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "npy-header.h"

#define ARRAY_NAME "array"

enum {
    PREFIX_BYTES = 10, /* before the header's text, in version 1.0 */
    ALIGNMENT = 64,
    DIGITS = 21,                          /* that numpy has room for in the first dimension */
    TEXT_MAX = 96 + 24 * TENSOR_MAX_RANK, /* well below the 65535 bytes of version 1.0 */
};

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    if (length < NPY_MAGIC_BYTES || memcmp(head, NPY_MAGIC, NPY_MAGIC_BYTES) != 0)
        return 0;
    return 8 * NPY_MAGIC_BYTES;
}

static int read_npy(struct tensor_reader *r)
{
    return npy_add(r, &(struct npy_array){
                          .name = ARRAY_NAME, .name_length = strlen(ARRAY_NAME), .size = r->size});
}

static const char *refuse(const struct tensor_entry *entry)
{
    return npy_type_name(entry->dtype) ? NULL : lacks_type(entry->dtype);
}

/* The dictionary and the room behind it that numpy leaves for a larger first dimension. */
static size_t describe(const struct tensor_entry *entry, char text[static TEXT_MAX])
{
    int n = snprintf(text, TEXT_MAX, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     npy_type_name(entry->dtype));
    for (uint32_t i = 0; i < entry->rank; i++)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, i ? ", %" PRIu64 : "%" PRIu64,
                      entry->shape[i]);
    n += snprintf(text + n, TEXT_MAX - (size_t)n, entry->rank == 1 ? ",), }" : "), }");
    if (entry->rank)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "%*s",
                      DIGITS - snprintf(NULL, 0, "%" PRIu64, entry->shape[0]), "");
    return (size_t)n;
}

static int write_head(struct tensor_writer *w)
{
    char text[TEXT_MAX];
    if (w->count != 1)
        return tensor_write_fail(w, "a .npy file holds one array, not %zu (choose one by --match)",
                                 w->count);
    size_t length = describe(w->tensors, text);
    uint64_t padded = round_up(PREFIX_BYTES + length + 1, ALIGNMENT) - PREFIX_BYTES;
    if (tensor_emit(w, NPY_MAGIC "\x01\x00", NPY_MAGIC_BYTES + 2) < 0 ||
        emit_le(w, padded, 2) < 0 || tensor_emit(w, text, length) < 0 ||
        emit_fill(w, ' ', padded - length - 1) < 0)
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
