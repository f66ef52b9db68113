/* SPDX-License-Identifier: MIT */
/* A value as the cell of a table. */
#include "config.h"

#include "tree/cell.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

static void format_array(const struct tensor_value *value, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < value->array.count && used + 24 < size; i++) {
        char item[24];
        tu_format_cell(&value->array.items[i], false, item, sizeof item);
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", item);
    }
    snprintf(out + used, size - used, used + 24 < size ? "]" : "...]");
}

void tu_format_cell(const struct tensor_value *value, bool bytes, char *out, size_t size)
{
    uint64_t natural;
    char number[TU_NUMBER_SIZE];
    if (!value || value->type == TENSOR_NULL) {
        snprintf(out, size, "-");
    } else if (bytes && tu_value_uint(value, &natural)) {
        tu_format_bytes(natural, number);
        snprintf(out, size, "%s", number);
    } else if (tu_value_is_unsigned(value)) {
        snprintf(out, size, "%" PRIu64, value->uint);
    } else if (tu_value_is_signed(value)) {
        snprintf(out, size, "%" PRId64, value->sint);
    } else if (tu_value_is_real(value)) {
        snprintf(out, size, "%.7g", value->real);
    } else if (value->type == TENSOR_BOOLEAN) {
        snprintf(out, size, "%s", value->boolean ? "true" : "false");
    } else if (value->type == TENSOR_STRING) {
        tu_escape(value->string.bytes, value->string.length, out, size);
    } else if (value->type == TENSOR_ARRAY) {
        format_array(value, out, size);
    } else {
        snprintf(out, size, "{%zu members}", value->map.count);
    }
}
