/* SPDX-License-Identifier: MIT */
/* Names made printable, numbers as text and text as numbers. */
#include "config.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at text, 0 if there is none. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    size_t need = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (need == 0 || first > 0xf4 || need > length)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] > 0x9f;
    bool beyond = first == 0xf4 && text[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : need;
}

bool tu_is_utf8(const char *text, size_t length)
{
    for (size_t i = 0, n; i < length; i += n)
        if (!(n = utf8_length((const unsigned char *)text + i, length - i)))
            return false;
    return true;
}

/* Controls (C0, DEL, C1), separators of lines, and what Unicode 15 lists as
 * Default_Ignorable_Code_Point: characters without a shape, some of which turn the direction of
 * what stands beside them. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

/* The character of a well-formed sequence. */
static uint32_t code_point(const unsigned char *text, size_t length)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = text[0] & lead[length];
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (text[i] & 0x3f);
    return code;
}

static bool is_hidden(uint32_t code)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden && code >= hidden[i].first; i++)
        if (code <= hidden[i].last)
            return true;
    return false;
}

size_t tu_hidden(const char *text, size_t length, uint32_t *code)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = length ? utf8_length(p, length) : 0;
    *code = n ? code_point(p, n) : 0;
    return n && is_hidden(*code) ? n : 0;
}

size_t tu_escape(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        const unsigned char *p = (const unsigned char *)text + i;
        size_t n = utf8_length(p, length - i);
        bool raw = n && !is_hidden(code_point(p, n));
        size_t bytes = n ? n : 1;
        size_t need = raw ? n : 4 * bytes;
        size_t reserve = i + bytes < length ? 4 : 1; /* room for "..." and the NUL */
        if (used + need + reserve > size) {
            if (used + 4 <= size)
                used += (size_t)snprintf(out + used, size - used, "...");
            break;
        }
        for (size_t k = 0; k < bytes; k++)
            used += raw ? (out[used] = text[i + k], 1)
                        : (size_t)snprintf(out + used, size - used, "\\x%02x", p[k]);
        i += bytes;
    }
    out[used] = '\0';
    return used;
}

/* The text of the fewest digits that is read back as the same value. */
static void format_number(double value, bool single, char out[static TU_NUMBER_SIZE])
{
    if (!isfinite(value)) {
        strcpy(out, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(out, TU_NUMBER_SIZE, "%.*g", digits, value);
        if (single ? strtof(out, NULL) == (float)value : strtod(out, NULL) == value)
            return;
    }
}

void tu_format_double(double value, char out[static TU_NUMBER_SIZE])
{
    format_number(value, false, out);
}

void tu_format_float(float value, char out[static TU_NUMBER_SIZE])
{
    format_number((double)value, true, out);
}

void tu_format_bytes(uint64_t bytes, char out[static TU_NUMBER_SIZE])
{
    static const char units[][3] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        snprintf(out, TU_NUMBER_SIZE, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(out, TU_NUMBER_SIZE, "%.1f %s", value, units[unit]);
}

bool tu_parse_u64(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *out = value;
    return true;
}

bool tu_parse_double(const char *text, double *out)
{
    if (!*text || isspace((unsigned char)text[0]))
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == '\0';
}

bool tu_parse_size(const char *text, uint64_t *out)
{
    static const char prefixes[] = "kMGT";
    char digits[24];
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (!tu_parse_u64(digits, out))
        return false;
    const char *suffix = text + n;
    const char *prefix = *suffix ? strchr(prefixes, *suffix == 'K' ? 'k' : *suffix) : NULL;
    bool binary = prefix && suffix[1] == 'i';
    const char *rest = suffix + (prefix ? 1 : 0) + (binary ? 1 : 0);
    if (*rest && strcmp(rest, "B") != 0)
        return false;
    for (long k = prefix ? prefix - prefixes + 1 : 0; k > 0; k--)
        if (__builtin_mul_overflow(*out, binary ? 1024u : 1000u, out))
            return false;
    return true;
}

/* ---- Command lines ---- */

static void put_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./,:=+@%";
    if (*word && !word[strspn(word, plain)]) {
        fputs(word, out);
        return;
    }
    putc('\'', out);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    putc('\'', out);
}

static size_t length_of(const char *word)
{
    size_t length = strlen(word) + 3; /* a blank and quotes */
    for (; *word; word++)
        length += *word == '\'' ? 3 : 0;
    return length;
}

char *tu_shell_line(char *const *words, size_t most)
{
    char *text = NULL;
    size_t size, used = 0, i = 0, left = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (; words[i] && (i == 0 || used + length_of(words[i]) <= most); i++) {
        used += length_of(words[i]);
        if (i)
            putc(' ', out);
        put_word(out, words[i]);
    }
    for (; words[i]; i++)
        left++;
    if (left)
        fprintf(out, " # and %zu more words", left);
    bool whole = !ferror(out);
    if (fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}
