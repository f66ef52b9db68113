/* SPDX-License-Identifier: MIT */
/* A value as the cell of a table. */
#include "config.h"

#include "tree/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { PART_BYTES = 256 }; /* of a text that are escaped at once */

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

/* Whether what text begins with is written as an escape. */
static bool is_escaped(const char *text, size_t length)
{
    char shown[32];
    tu_escape(text, length < 4 ? length : 4, shown, sizeof shown);
    return shown[0] == '\\';
}

/* A run of backslashes is doubled where an escape or an x comes behind it: an odd run before an x
 * is then always an escape, and an even one never is. */
static size_t put_backslashes(FILE *out, const char *text, size_t length)
{
    size_t run = strspn(text, "\\");
    run = run < length ? run : length;
    bool mistaken = run < length && (text[run] == 'x' || is_escaped(text + run, length - run));
    for (size_t i = 0; i < run << mistaken; i++)
        putc('\\', out);
    return run;
}

/* What stands before the next backslash, or some of it. */
static size_t put_part(FILE *out, const char *text, size_t length)
{
    char shown[4 * PART_BYTES + 8];
    const char *end = memchr(text, '\\', length);
    size_t n = end ? (size_t)(end - text) : length;
    if (n > PART_BYTES)
        for (n = PART_BYTES; n > PART_BYTES - 4 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    tu_escape(text, n, shown, sizeof shown);
    fputs(shown, out);
    return n;
}

void tu_put_tsv_text(FILE *out, const char *text, size_t length)
{
    size_t done = length && strchr("=+-@", text[0]) ? 1 : 0;
    if (done)
        fprintf(out, "\\x%02X", (unsigned char)text[0]);
    while (done < length)
        done += text[done] == '\\' ? put_backslashes(out, text + done, length - done)
                                   : put_part(out, text + done, length - done);
}

void tu_put_tsv(FILE *out, const struct tensor_value *value)
{
    char cell[4096];
    if (value && value->type == TENSOR_STRING) {
        tu_put_tsv_text(out, value->string.bytes, value->string.length);
        return;
    }
    if (value && tu_value_is_real(value))
        tu_format_double(value->real, cell);
    else
        tu_format_cell(value, false, cell, sizeof cell);
    fputs(cell, out);
}
