/* SPDX-License-Identifier: MIT */
/* tensor-hash: digests of tensors and of whole models, and checks against a list of them. */
#include "config.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stream/record.h"
#include "tool/main.h"
#include "tensor/elements.h"
#include "base/digest.h"
#include "model/feed.h"
#include "base/pipeline.h"
#include "base/text.h"

enum { READ_BYTES = 256 * 1024, LINE_MAX_BYTES = 4 * 65536 + 256 };

static struct tu_tool tool;
static struct tu_output output;
static enum tu_algorithm algorithm = TU_SHA256;
static bool decoded;
static const char *check_path;

static int parse_algorithm(void *target, const char *text, struct tu_error *error)
{
    return tu_algorithm_by_name(text, target)
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is none of xxh3, sha256 and blake2b", text);
}

static const struct tu_option options[] = {
    {'a', "algorithm", "NAME", "sha256 (default), blake2b or xxh3", parse_algorithm, &algorithm},
    {0, "decoded", NULL, "of the float32 values, whatever the element type", tu_option_flag,
     &decoded},
    {'c', "check", "FILE", "compare with the digests in a file that this tool wrote",
     tu_option_string, &check_path},
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_SORT_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tu_column hash_columns[] = {
    {.key = "digest", .title = "# digest", .width = -64},
    {.key = "name", .title = "name"},
    {0},
};

static const struct tu_column check_columns[] = {
    {.key = "status", .title = "status", .width = -10},
    {.key = "name", .title = "name"},
    {0},
};

/* One name and what its digest is, or should be. */
struct sum {
    char *name; /* escaped, as it stands in lists; first: the tree is ordered by it */
    char *digest;
    bool met;
};

struct sums {
    struct tu_arena arena;
    struct sum **items;
    size_t count, capacity;
    void *tree;
};

static struct sums wanted, made;
static size_t differing;

static int compare_sums(const void *a, const void *b)
{
    const struct sum *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void ignore(void *node)
{
    (void)node;
}

static void free_sums(struct sums *s)
{
    if (s->tree)
        tdestroy(s->tree, ignore);
    free(s->items);
    tu_arena_free(&s->arena);
}

static int add_sum(struct sums *s, const char *name, const char *digest, struct tu_error *error)
{
    struct sum *sum = tu_arena_alloc(&s->arena, sizeof *sum);
    if (!sum || !TU_GROW(s->items, s->count, s->capacity))
        return tu_fail_memory(error);
    *sum = (struct sum){.name = tu_arena_copy(&s->arena, name, strlen(name)),
                        .digest = tu_arena_copy(&s->arena, digest, strlen(digest))};
    if (!sum->name || !sum->digest)
        return tu_fail_memory(error);
    void *node = tsearch(sum, &s->tree, compare_sums);
    if (!node)
        return tu_fail_memory(error);
    if (*(struct sum **)node != sum)
        return tu_fail(error, TU_EINVALID, "tensor '%s' comes twice", name);
    s->items[s->count++] = sum;
    return 0;
}

/* ---- Digests ---- */

/* A tensor whose digest is made: of a model, by any thread; else from the feed. */
struct piece {
    struct tu_feed *feed;
    struct tu_member member; /* of a model */
    struct job *job;         /* of a model: where the digest goes */
    struct tu_tensor tensor;
    struct tu_geometry geometry;
    uint64_t read;       /* bytes of it */
    struct tu_digest *d; /* this and what follows is kept for the next one */
    uint8_t *raw;
    float *values; /* of a tile, and room for their bytes */
    size_t raw_capacity;
    char digest[TU_DIGEST_TEXT];
};

static int read_bytes(struct piece *p, size_t length, struct tu_error *error)
{
    if (length > p->raw_capacity) {
        uint8_t *larger = realloc(p->raw, length);
        if (!larger)
            return tu_fail_memory(error);
        p->raw = larger;
        p->raw_capacity = length;
    }
    if (!p->member.model)
        return tu_feed_read(p->feed, p->raw, length, error);
    p->read += length;
    return tu_model_read(p->member.model, p->member.tensor, p->read - length, p->raw, length,
                         error);
}

static int hash_stored(struct piece *p, struct tu_error *error)
{
    for (uint64_t left = p->tensor.nbytes; left;) {
        size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (read_bytes(p, n, error) < 0)
            return -1;
        tu_digest_add(p->d, p->raw, n);
        left -= n;
    }
    return 0;
}

/* Types that float32 cannot hold, or that are no numbers, count by their stored bytes, which every
 * format keeps in the same order. */
static bool is_exact(const struct piece *p)
{
    return tool.session.kernels->decode[p->tensor.dtype] &&
           !(p->geometry.dtype->flags & TENSOR_DTYPE_WIDE);
}

static int hash_decoded(struct piece *p, struct tu_error *error)
{
    const struct tu_geometry *g = &p->geometry;
    uint64_t offset, length;
    uint8_t head[8] = {0};
    struct tu_decoder decoder;
    if (!p->values)
        p->values = malloc(TU_TILE * (sizeof *p->values + sizeof(float)));
    if (!p->values)
        return tu_fail_memory(error);
    uint8_t *bytes = (uint8_t *)(p->values + TU_TILE);
    if (g->elements && g->dtype->head && read_bytes(p, g->dtype->head, error) < 0)
        return -1;
    if (g->elements && g->dtype->head)
        memcpy(head, p->raw, g->dtype->head);
    if (tu_decoder_init(&decoder, g, tool.session.kernels, head, error) < 0)
        return -1;
    for (uint64_t first = 0; first < g->elements;) {
        size_t n = tu_geometry_tile(g, tu_geometry_unit(g), TU_TILE, first);
        tu_geometry_span(g, first, n, &offset, &length);
        if (read_bytes(p, length, error) < 0)
            return -1;
        tu_decode(&decoder, p->raw, first, n, p->values);
        tool.session.kernels->encode[TENSOR_F32](p->values, n, bytes);
        tu_digest_add(p->d, bytes, n * sizeof(float));
        first += n;
    }
    return 0;
}

static int hash_piece(void *context, void *slot, void *scratch, struct tu_error *error)
{
    struct piece *p = slot;
    (void)context, (void)scratch;
    if (!p->d && !(p->d = tu_digest_new(algorithm, error)))
        return -1;
    if ((decoded && is_exact(p) ? hash_decoded(p, error) : hash_stored(p, error)) < 0)
        return -1;
    tu_digest_take(p->d, p->digest);
    return 0;
}

static void free_piece(void *context, void *slot)
{
    struct piece *p = slot;
    (void)context;
    tu_digest_free(p->d);
    free(p->raw);
    free(p->values);
}

/* ---- Records ---- */

/* What a hash record says; without a tensor it is about the model. */
struct hash {
    const struct tu_tensor *tensor;
    const char *digest, *status; /* status: NULL unless checking */
};

static int fill_hash(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct hash *h = subject;
    if (tu_put_string(b, "kind", h->tensor ? "hash" : "model_hash", error) < 0 ||
        (h->tensor && tu_put_tensor(b, h->tensor, error) < 0) ||
        (h->status && tu_put_string(b, "status", h->status, error) < 0) ||
        tu_put_string(b, "algorithm", tu_algorithm_name(algorithm), error) < 0 ||
        tu_put_string(b, "of", decoded ? "decoded" : "stored", error) < 0)
        return -1;
    return tu_put_string(b, "digest", h->digest, error);
}

/* Looks a tensor up in the list it is checked against. */
static const char *status_of(const char *name, const char *digest)
{
    const struct sum key = {.name = (char *)name};
    void *node = tfind(&key, &wanted.tree, compare_sums);
    if (!node)
        return "unlisted";
    struct sum *sum = *(struct sum **)node;
    sum->met = true;
    return strcmp(sum->digest, digest) == 0 ? "ok" : "differs";
}

static int put_digest(const struct tu_tensor *t, const char *digest, struct tu_error *error)
{
    static char name[4 * TENSOR_MAX_NAME + 8];
    tu_escape(t->name, t->name_length, name, sizeof name);
    const char *status = check_path ? status_of(name, digest) : NULL;
    differing += status && strcmp(status, "ok") != 0;
    if (add_sum(&made, name, digest, error) < 0)
        return -1;
    return tu_output_built(&output, fill_hash, &(struct hash){t, digest, status}, error);
}

/* ---- Tensors of models ---- */

/* What is known of one, and becomes known. */
struct job {
    struct tu_member member;
    char digest[TU_DIGEST_TEXT];
};

/* Those of one operand, in the order in which they are given, and the largest first, so that no
 * thread is left with one of them at the end. */
struct batch {
    struct tu_feed *feed;
    struct job *jobs, **by_size;
    size_t count, capacity, next;
};

static int take_job(void *context, void *slot, struct tu_error *error)
{
    struct batch *batch = context;
    struct piece *p = slot;
    if (batch->next == batch->count)
        return 0;
    p->job = batch->by_size[batch->next++];
    p->member = p->job->member;
    p->tensor = *p->member.tensor;
    p->read = 0;
    return tu_tensor_check(&p->tensor, &p->geometry, error) < 0 ? -1 : 1;
}

static int put_job(void *context, void *slot, struct tu_error *error)
{
    struct batch *batch = context;
    struct piece *p = slot;
    (void)error;
    strcpy(p->job->digest, p->digest);
    tu_progress(&tool.session, batch->feed->done += p->tensor.nbytes, batch->feed->total);
    return 0;
}

static int compare_sizes(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    uint64_t p = x->member.tensor->nbytes, q = y->member.tensor->nbytes;
    return (p < q) - (p > q);
}

static int run_jobs(struct batch *batch, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.context = batch,
                                         .slot_size = sizeof(struct piece),
                                         .take = take_job,
                                         .work = hash_piece,
                                         .put = put_job,
                                         .release = free_piece};
    batch->by_size = reallocarray(NULL, batch->count, sizeof *batch->by_size);
    if (!batch->by_size)
        return tu_fail_memory(error);
    for (size_t i = 0; i < batch->count; i++)
        batch->by_size[i] = &batch->jobs[i];
    qsort(batch->by_size, batch->count, sizeof *batch->by_size, compare_sizes);
    if (tu_pipeline_run(&pipeline, (unsigned)tool.session.threads, error) < 0)
        return -1;
    for (size_t i = 0; i < batch->count; i++)
        if (put_digest(batch->jobs[i].member.tensor, batch->jobs[i].digest, error) < 0)
            return -1;
    return 0;
}

/* From the tensor that has come on. */
static int hash_model_tensors(struct tu_feed *feed, struct tu_item *item, struct tu_error *error)
{
    struct batch batch = {.feed = feed};
    int more;
    do {
        more = TU_GROW(batch.jobs, batch.count, batch.capacity) ? 1 : tu_fail_memory(error);
        if (more > 0)
            batch.jobs[batch.count++] = (struct job){.member = feed->current};
    } while (more > 0 && tu_feed_goes_on(feed) && (more = tu_feed_next(feed, item, error)) > 0);
    int result = more < 0 ? -1 : run_jobs(&batch, error);
    free(batch.by_size);
    free(batch.jobs);
    return result;
}

/* ---- All items ---- */

/* The bytes of a stream come in order, and are made into digests as they come. */
static int hash_next(struct tu_feed *feed, const struct tu_item *item, struct piece *p,
                     struct tu_error *error)
{
    p->feed = feed;
    p->tensor = item->tensor;
    p->geometry = item->geometry;
    return hash_piece(NULL, p, NULL, error) < 0 ? -1 : put_digest(&p->tensor, p->digest, error);
}

static int compare_items(const void *a, const void *b)
{
    return compare_sums(*(struct sum *const *)a, *(struct sum *const *)b);
}

/* The digest of a model is that of the lines "DIGEST  NAME" of its tensors, in order of names, so
 * it does not depend on the order in the file. */
static int hash_model(struct tu_digest *d, struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    if (made.count)
        qsort(made.items, made.count, sizeof *made.items, compare_items);
    for (size_t i = 0; i < made.count; i++) {
        tu_digest_add(d, made.items[i]->digest, strlen(made.items[i]->digest));
        tu_digest_add(d, "  ", 2);
        tu_digest_add(d, made.items[i]->name, strlen(made.items[i]->name));
        tu_digest_add(d, "\n", 1);
    }
    tu_digest_take(d, digest);
    if (output.mode == TU_MODE_TABLE && !check_path)
        printf("# model %s %s %s\n", tu_algorithm_name(algorithm), decoded ? "decoded" : "stored",
               digest);
    return tu_output_built(&output, fill_hash, &(struct hash){.digest = digest}, error);
}

static int hash_items(struct tu_feed *feed, struct piece *p, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_RESULT)
            result = tu_output_record(&output, &item.map, error);
        else if (item.kind == TU_KIND_TENSOR)
            result = feed->current.model ? hash_model_tensors(feed, &item, error)
                                         : hash_next(feed, &item, p, error);
        if (result < 0)
            return -1;
    }
    return more;
}

/* ---- The list to check against ---- */

static int read_line(const char *line, struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    size_t digits = strspn(line, "0123456789abcdef");
    if (*line == '#' || *line == '\0') {
        decoded |= strstr(line, " decoded ") != NULL;
        return 0;
    }
    const char *name = line + digits + strspn(line + digits, " ");
    if (!tu_algorithm_by_length(digits, &algorithm) || name == line + digits || !*name)
        return tu_fail(error, TU_EINVALID, "%s: '%.100s' is no line DIGEST  NAME", check_path,
                       line);
    snprintf(digest, sizeof digest, "%.*s", (int)digits, line);
    return add_sum(&wanted, name, digest, error);
}

/* Lines from a stream that is none: pieces of bytes, cut where they happen to be. */
static int read_lines(struct tu_stream_reader *stream, struct tu_error *error)
{
    static char line[LINE_MAX_BYTES];
    size_t used = 0;
    const uint8_t *bytes;
    ssize_t n;
    while ((n = tu_stream_raw(stream, &bytes, error)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (used == sizeof line)
                return tu_fail(error, TU_EINVALID, "%s: a line is too long", check_path);
            line[used++] = (char)bytes[i];
            if (bytes[i] != '\n')
                continue;
            line[used - 1] = '\0';
            used = 0;
            if (read_line(line, error) < 0)
                return -1;
        }
    }
    if (n < 0 || used == 0)
        return (int)n;
    return tu_fail(error, TU_EINVALID, "%s: its last line is not whole", check_path);
}

static int read_record(const struct tensor_value *map, struct tu_error *error)
{
    static char name[4 * TENSOR_MAX_NAME + 8];
    const char *text, *digest;
    size_t length, digits;
    if (!tu_value_equals(tu_value_get(map, "kind"), "hash") ||
        !tu_value_string(tu_value_get(map, "name"), &text, &length) ||
        !tu_value_string(tu_value_get(map, "digest"), &digest, &digits))
        return 0;
    if (!tu_algorithm_by_length(digits, &algorithm))
        return tu_fail(error, TU_EINVALID, "%s: '%.150s' is no digest", check_path, digest);
    decoded |= tu_value_equals(tu_value_get(map, "of"), "decoded");
    tu_escape(text, length, name, sizeof name);
    return add_sum(&wanted, name, digest, error);
}

static int read_records(struct tu_stream_reader *stream, struct tu_error *error)
{
    struct tu_record record;
    int more;
    while ((more = tu_stream_next(stream, &record, error)) > 0)
        if (record.kind == TU_KIND_RESULT && read_record(&record.map, error) < 0)
            return -1;
    return more;
}

/* Both forms that this tool writes: lines for people, or a stream. */
static int read_list(struct tu_error *error)
{
    struct tu_stream_reader stream;
    const uint8_t *head;
    int fd = tu_open_operand(check_path, error), result = -1;
    if (fd < 0)
        return -1;
    if (tu_stream_open(&stream, fd, tu_operand_name(check_path), error) == 0) {
        ssize_t length = tu_stream_head(&stream, &head, error);
        if (length >= 0)
            result = tu_stream_bid(head, (size_t)length) ? read_records(&stream, error)
                                                         : read_lines(&stream, error);
        tu_stream_close(&stream);
    }
    close(fd);
    return result;
}

/* Names in the list that no tensor had, and the sum of it all. */
static int conclude(struct tu_error *error)
{
    size_t missing = 0;
    for (size_t i = 0; i < wanted.count; i++) {
        if (wanted.items[i]->met)
            continue;
        missing++;
        tu_warn(&tool.session, "tensor '%s' of %s is missing", wanted.items[i]->name, check_path);
    }
    if (made.count == 0)
        return tu_fail(error, TU_EINVALID, "no tensor was checked");
    if (missing || differing)
        return tu_fail(error, TU_EINVALID, "%s: %zu of %zu tensors do not match, %zu are missing",
                       check_path, differing, made.count, missing);
    return 0;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    if (check_path && read_list(error) < 0)
        return -1;
    struct piece piece = {.d = tu_digest_new(algorithm, error)};
    if (!piece.d)
        return -1;
    int result =
        tu_output_open(&output, t, "hash", check_path ? check_columns : hash_columns, error);
    if (result == 0) {
        tu_feed_open(&feed, &t->session, operands, count, true);
        result = hash_items(&feed, &piece, error);
        if (result == 0)
            result = hash_model(piece.d, error);
        tu_feed_close(&feed);
    }
    free_piece(NULL, &piece);
    if (result == 0 && check_path)
        result = conclude(error);
    free_sums(&made);
    free_sums(&wanted);
    return result < 0 ? -1 : tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-hash",
        .synopsis = "[OPTION]... [MODEL|-]...",
        .about = "Makes digests of tensors and of the whole: of their stored bytes, or of their\n"
                 "values, so that the same weights in two containers have one digest.",
        .options = options,
        .max_operands = SIZE_MAX,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
