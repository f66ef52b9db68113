/* SPDX-License-Identifier: MIT */
/* Lists of digests: kept by name, read from lines or from a stream, and summed up. */
#include "config.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/digest-list.h"
#include "stream/reader.h"
#include "stream/record.h"

enum { LINE_MAX_BYTES = 4 * TENSOR_MAX_NAME + 256 };

static int compare_sums(const void *a, const void *b)
{
    const struct tu_listed_digest *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void ignore(void *node)
{
    (void)node;
}

void tu_digest_list_free(struct tu_digest_list *s)
{
    if (s->tree)
        tdestroy(s->tree, ignore);
    free(s->items);
    tu_arena_free(&s->arena);
}

int tu_digest_list_add(struct tu_digest_list *s, const char *name, const char *digest,
                       struct tu_error *error)
{
    struct tu_listed_digest *sum = tu_arena_alloc(&s->arena, sizeof *sum);
    if (!sum || !TU_GROW(s->items, s->count, s->capacity))
        return tu_fail_memory(error);
    *sum = (struct tu_listed_digest){.name = tu_arena_copy(&s->arena, name, strlen(name)),
                                     .digest = tu_arena_copy(&s->arena, digest, strlen(digest))};
    if (!sum->name || !sum->digest)
        return tu_fail_memory(error);
    void *node = tsearch(sum, &s->tree, compare_sums);
    if (!node)
        return tu_fail_memory(error);
    if (*(struct tu_listed_digest **)node != sum)
        return tu_fail(error, TU_EINVALID, "tensor '%s' comes twice", name);
    s->items[s->count++] = sum;
    return 0;
}

struct tu_listed_digest *tu_digest_list_find(const struct tu_digest_list *s, const char *name)
{
    const struct tu_listed_digest key = {.name = (char *)name};
    void *node = tfind(&key, &s->tree, compare_sums);
    return node ? *(struct tu_listed_digest **)node : NULL;
}

static int compare_items(const void *a, const void *b)
{
    return compare_sums(*(struct tu_listed_digest *const *)a, *(struct tu_listed_digest *const *)b);
}

void tu_digest_list_sum(struct tu_digest_list *s, struct tu_digest *d, char out[TU_DIGEST_TEXT])
{
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, compare_items);
    for (size_t i = 0; i < s->count; i++) {
        tu_digest_add(d, s->items[i]->digest, strlen(s->items[i]->digest));
        tu_digest_add(d, "  ", 2);
        tu_digest_add(d, s->items[i]->name, strlen(s->items[i]->name));
        tu_digest_add(d, "\n", 1);
    }
    tu_digest_take(d, out);
}

static int read_line(struct tu_digest_list *s, const char *path, const char *line,
                     struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    size_t digits = strspn(line, "0123456789abcdef");
    if (*line == '#' || *line == '\0') {
        s->decoded |= strstr(line, " decoded ") != NULL;
        return 0;
    }
    const char *name = line + digits + strspn(line + digits, " ");
    if (!tu_algorithm_by_length(digits, &s->algorithm) || name == line + digits || !*name)
        return tu_fail(error, TU_EINVALID, "%s: '%.100s' is no line DIGEST  NAME", path, line);
    snprintf(digest, sizeof digest, "%.*s", (int)digits, line);
    return tu_digest_list_add(s, name, digest, error);
}

/* Lines from a stream that is none: pieces of bytes, cut where they happen to be. */
static int read_lines(struct tu_digest_list *s, const char *path, struct tu_stream_reader *stream,
                      struct tu_error *error)
{
    static char line[LINE_MAX_BYTES];
    size_t used = 0;
    const uint8_t *bytes;
    ssize_t n;
    while ((n = tu_stream_raw(stream, &bytes, error)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (used == sizeof line)
                return tu_fail(error, TU_EINVALID, "%s: a line is too long", path);
            line[used++] = (char)bytes[i];
            if (bytes[i] != '\n')
                continue;
            line[used - 1] = '\0';
            used = 0;
            if (read_line(s, path, line, error) < 0)
                return -1;
        }
    }
    if (n < 0 || used == 0)
        return (int)n;
    return tu_fail(error, TU_EINVALID, "%s: its last line is not whole", path);
}

static int read_record(struct tu_digest_list *s, const char *path, const struct tensor_value *map,
                       struct tu_error *error)
{
    static char name[4 * TENSOR_MAX_NAME + 8];
    const char *text, *digest;
    size_t length, digits;
    if (!tu_value_equals(tu_value_get(map, "kind"), "hash") ||
        !tu_value_string(tu_value_get(map, "name"), &text, &length) ||
        !tu_value_string(tu_value_get(map, "digest"), &digest, &digits))
        return 0;
    if (!tu_algorithm_by_length(digits, &s->algorithm))
        return tu_fail(error, TU_EINVALID, "%s: '%.150s' is no digest", path, digest);
    s->decoded |= tu_value_equals(tu_value_get(map, "of"), "decoded");
    tu_escape(text, length, name, sizeof name);
    return tu_digest_list_add(s, name, digest, error);
}

static int read_records(struct tu_digest_list *s, const char *path, struct tu_stream_reader *stream,
                        struct tu_error *error)
{
    struct tu_record record;
    int more;
    while ((more = tu_stream_next(stream, &record, error)) > 0)
        if (record.kind == TU_KIND_RESULT && read_record(s, path, &record.map, error) < 0)
            return -1;
    return more;
}

int tu_digest_list_read(struct tu_digest_list *s, const char *path, struct tu_error *error)
{
    struct tu_stream_reader stream;
    const uint8_t *head;
    int fd = tu_open_operand(path, error), result = -1;
    if (fd < 0)
        return -1;
    if (tu_stream_open(&stream, fd, tu_operand_name(path), error) == 0) {
        ssize_t length = tu_stream_head(&stream, &head, error);
        if (length >= 0)
            result = tu_stream_bid(head, (size_t)length) ? read_records(s, path, &stream, error)
                                                         : read_lines(s, path, &stream, error);
        tu_stream_close(&stream);
    }
    close(fd);
    return result;
}
