/* SPDX-License-Identifier: MIT */
/* Reads lists of token ids from options, files and pipes. */
#include "config.h"

#include "trace/tokens.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { BYTES_MAX = 256 << 20 };

int tu_tokens_add(struct tu_token_list *list, uint64_t id, const char *what, struct tu_error *error)
{
    if (list->count == TU_TOKENS_MAX)
        return tu_fail(error, TU_EINVALID, "%s: more than %d tokens", what, TU_TOKENS_MAX);
    if (!TU_GROW(list->ids, list->count, list->capacity))
        return tu_fail_memory(error);
    list->ids[list->count++] = (uint32_t)id;
    return 0;
}

static bool is_between(char c)
{
    return c && strchr(" \t\r\n,[]", c);
}

/* The number at a place, which moves behind it. */
static int parse_id(const char *text, size_t length, size_t *at, uint64_t *id)
{
    size_t first = *at;
    *id = 0;
    while (*at < length && text[*at] >= '0' && text[*at] <= '9' && *id <= UINT32_MAX)
        *id = 10 * *id + (uint64_t)(text[(*at)++] - '0');
    bool ends = *at == length || is_between(text[*at]);
    return *at > first && ends && *id <= UINT32_MAX;
}

int tu_tokens_digest(struct tu_token_list *list, struct tu_error *error)
{
    uint8_t *bytes = malloc(4 * list->count);
    if (!bytes)
        return tu_fail_memory(error);
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < 4; k++)
            bytes[4 * i + k] = (uint8_t)(list->ids[i] >> (8 * k));
    int result = tu_sha256(bytes, 4 * list->count, list->digest, error);
    free(bytes);
    return result;
}

int tu_tokens_parse(struct tu_token_list *list, const char *text, size_t length, const char *what,
                    struct tu_error *error)
{
    uint64_t id;
    for (size_t at = 0; at < length;) {
        if (is_between(text[at])) {
            at++;
            continue;
        }
        if (!parse_id(text, length, &at, &id))
            return tu_fail(error, TU_EINVALID,
                           "%s: token %zu is no number from 0 to %" PRIu32
                           " (numbers between blanks, commas or brackets)",
                           what, list->count, UINT32_MAX);
        if (tu_tokens_add(list, id, what, error) < 0)
            return -1;
    }
    if (!list->count)
        return tu_fail(error, TU_EINVALID, "%s: there is no token", what);
    return tu_tokens_digest(list, error);
}

/* All that a descriptor gives. */
static int slurp(int fd, const char *what, char **text, size_t *length, struct tu_error *error)
{
    size_t capacity = 0;
    *text = NULL;
    *length = 0;
    for (;;) {
        if (!TU_GROW(*text, *length, capacity))
            return tu_fail_memory(error);
        ssize_t n = read(fd, *text + *length, capacity - *length);
        if (n < 0)
            return tu_fail_errno(error, "%s", what);
        if (n == 0)
            return 0;
        *length += (size_t)n;
        if (*length > BYTES_MAX)
            return tu_fail(error, TU_EINVALID, "%s: more than %d bytes of tokens", what, BYTES_MAX);
    }
}

int tu_tokens_read(struct tu_token_list *list, const char *value, struct tu_error *error)
{
    char *text;
    size_t length;
    if (*value != '@')
        return tu_tokens_parse(list, value, strlen(value), "--tokens", error);
    const char *what = tu_operand_name(value + 1);
    int fd = tu_open_operand(value + 1, error);
    if (fd < 0)
        return -1;
    int result = slurp(fd, what, &text, &length, error);
    close(fd);
    if (result == 0)
        result = tu_tokens_parse(list, text, length, what, error);
    free(text);
    return result;
}
