/* SPDX-License-Identifier: MIT */
/* numpy's .npy: one array, whose name the file does not tell; see tensor-format-npy(5). */
#include "config.h"

#include <string.h>

#include "bytes.h"
#include "npy-order.h"

#define ARRAY_NAME "array"

enum { ALIGNMENT = 64 };

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    if (length < NPY_MAGIC_BYTES || memcmp(head, NPY_MAGIC, NPY_MAGIC_BYTES) != 0)
        return 0;
    return 8 * NPY_MAGIC_BYTES;
}

static struct npy_array whole(const struct tensor_reader *r)
{
    return (struct npy_array){
        .name = ARRAY_NAME, .name_length = strlen(ARRAY_NAME), .size = r->size};
}

static int unwrap(struct tensor_reader *r)
{
    struct npy_array array = whole(r);
    struct npy_plain plain;
    if (npy_plan(r, &array, &plain) < 0)
        return -1;
    if (!plain.foreign)
        return 0;
    return npy_emit(r, &array, &plain) < 0 ? -1 : 1;
}

static int read_npy(struct tensor_reader *r)
{
    struct npy_array array = whole(r);
    return npy_add(r, &array) < 0 ? -1 : 0;
}

static const char *refuse(const struct tensor_entry *entry)
{
    return npy_type_name(entry->dtype) ? NULL : lacks_type(entry->dtype);
}

static int write_head(struct tensor_writer *w)
{
    uint8_t header[NPY_HEADER_MAX];
    if (w->count != 1)
        return tensor_write_fail(w, "a .npy file holds one array, not %zu (choose one by --match)",
                                 w->count);
    return tensor_emit(w, header, npy_make_header(w->tensors, header));
}

const struct tensor_format tensor_format_npy = {
    TENSOR_FORMAT_HEADER,
    .name = "npy",
    .about = "one array of numpy",
    .suffixes = ".npy",
    .tensor_alignment = 1,
    .data_alignment = ALIGNMENT,
    .bid = bid,
    .unwrap = unwrap,
    .read = read_npy,
    .refuse = refuse,
    .write_head = write_head,
    .drops_metadata = true,
    .unnamed = true,
};
