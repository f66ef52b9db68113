/* SPDX-License-Identifier: MIT */
/* A plugin that does what its file says, to see what the core lets pass: "LIAR", then commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorutils/format.h>

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    return length >= 5 && memcmp(head, "LIAR\n", 5) == 0 ? 40 : 0;
}

/* add NAME DTYPE NBYTES OFFSET RANK DIMENSION... */
static int add(struct tensor_reader *r, const char *line)
{
    char name[256];
    uint64_t shape[32];
    unsigned long long nbytes, offset, dimension;
    unsigned dtype, rank;
    int used, more;
    if (sscanf(line, "%255s %u %llu %llu %u%n", name, &dtype, &nbytes, &offset, &rank, &used) != 5)
        return tensor_fail(r, 0, "bad line %s", line);
    for (unsigned i = 0; i < rank && i < 32; i++, used += more) {
        if (sscanf(line + used, "%llu%n", &dimension, &more) != 1)
            return tensor_fail(r, 0, "bad line %s", line);
        shape[i] = dimension;
    }
    struct tensor_entry entry = {.name = name,
                                 .name_length = strcmp(name, "-") == 0 ? 0 : strlen(name),
                                 .dtype = dtype,
                                 .rank = rank,
                                 .shape = shape,
                                 .offset = offset,
                                 .nbytes = nbytes};
    return tensor_add(r, &entry);
}

static int obey(struct tensor_reader *r, const char *line)
{
    char a[64], b[64];
    unsigned long long x, y;
    if (strncmp(line, "add ", 4) == 0)
        return add(r, line + 4);
    if (sscanf(line, "value %63s %63s", a, b) == 2) {
        struct tensor_value v = {.type = TENSOR_STRING};
        v.string.bytes = b;
        v.string.length = strlen(b);
        return tensor_value_add(r, a, strlen(a), &v);
    }
    if (sscanf(line, "open %63s", a) == 1)
        return tensor_value_open(r, a, strlen(a), TENSOR_MAP, TENSOR_NULL);
    if (strcmp(line, "close") == 0)
        return tensor_value_close(r);
    if (sscanf(line, "peek %llu %llu", &x, &y) == 2)
        return tensor_peek(r, x, (size_t)y) ? 0 : -1;
    if (sscanf(line, "json %llu %llu", &x, &y) == 2)
        return tensor_value_json(r, x, y);
    if (sscanf(line, "fail %llu", &x) == 1)
        return tensor_fail(r, x, "it is a lie");
    if (sscanf(line, "escape %llu", &x) == 1)
        return tensor_fail(r, x, "it is a \x1b lie");
    return strcmp(line, "silent") == 0 ? -1 : 0;
}

static int read_liar(struct tensor_reader *r)
{
    char text[4096], *line = text;
    size_t length = r->size < sizeof text - 1 ? (size_t)r->size : sizeof text - 1;
    const void *bytes = tensor_peek(r, 0, length);
    if (!bytes)
        return -1;
    memcpy(text, bytes, length);
    text[length] = '\0';
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (obey(r, line) < 0)
            return -1;
    }
    return 0;
}

const struct tensor_format tensor_format_liar = {
    TENSOR_FORMAT_HEADER,
    .name = "liar",
    .about = "does what its file says",
    .suffixes = ".liar",
    .bid = bid,
    .read = read_liar,
};
