/* SPDX-License-Identifier: MIT */
/* APRT, the dump of one stage of a forward pass by aprender: see tensor-format-aprt(5). */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "bytes.h"

#define ARRAY_NAME "array"
#define LAYER_KEY  "layer"
#define NO_LAYER   "none"

enum { HEADER_BYTES = 12, NUMBER_BYTES = 4 };

static const char magic[4] = {'A', 'P', 'R', 'T'};

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    return length >= sizeof magic && memcmp(head, magic, sizeof magic) == 0 ? 40 : 0;
}

/* The layer is all that a file says of its stage. */
static int add_layer(struct tensor_reader *r, uint32_t layer)
{
    struct tensor_value value = {.type = TENSOR_UINT32, .uint = layer};
    if (layer == UINT32_MAX)
        value =
            (struct tensor_value){.type = TENSOR_STRING, .string = {NO_LAYER, strlen(NO_LAYER)}};
    return tensor_value_add(r, LAYER_KEY, strlen(LAYER_KEY), &value);
}

static int read_aprt(struct tensor_reader *r)
{
    const uint8_t *bytes = r->size < HEADER_BYTES ? NULL : tensor_peek(r, 0, HEADER_BYTES);
    if (r->size < HEADER_BYTES)
        return tensor_fail(r, 0, "its %" PRIu64 " bytes are too few for a header (truncated?)",
                           r->size);
    if (!bytes)
        return -1;
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return tensor_fail(r, 0, "it does not begin with APRT");
    uint32_t layer = (uint32_t)get_le(bytes + 4, 4);
    uint64_t count = get_le(bytes + 8, 4), left = r->size - HEADER_BYTES;
    if (count * NUMBER_BYTES != left)
        return tensor_fail(
            r, 8,
            "its header says %" PRIu64 " numbers, %" PRIu64 " bytes, %s %" PRIu64 " are there",
            count, count * NUMBER_BYTES, left < count * NUMBER_BYTES ? "and only" : "but", left);
    struct tensor_entry entry = {.name = ARRAY_NAME,
                                 .name_length = strlen(ARRAY_NAME),
                                 .dtype = TENSOR_F32,
                                 .rank = 1,
                                 .shape = &count,
                                 .offset = HEADER_BYTES,
                                 .nbytes = left};
    return add_layer(r, layer) < 0 ? -1 : tensor_add(r, &entry);
}

const struct tensor_format tensor_format_aprt = {
    TENSOR_FORMAT_HEADER, .name = "aprt", .about = "one stage of a forward pass, of aprender",
    .suffixes = ".bin",   .bid = bid,     .read = read_aprt,
    .unnamed = true,
};
