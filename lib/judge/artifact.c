/* SPDX-License-Identifier: MIT */
/* Collects the files that evidence is about, each once, and digests them, a file a thread. */
#include "config.h"

#include "judge/artifact.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/pipeline.h"
#include "base/source.h"

enum { READ_BYTES = 1 << 20 };

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_there(const struct tu_artifacts *a, const struct tu_artifact *new)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct tu_artifact *x = &a->items[i];
        if (is_same_text(x->path, new->path) && is_same_text(x->name, new->name) &&
            strcmp(x->role, new->role) == 0 && strcmp(x->sha256, new->sha256) == 0)
            return true;
    }
    return false;
}

static int add(struct tu_artifacts *a, struct tu_artifact *new, struct tu_error *error)
{
    if (is_there(a, new))
        return 0;
    if (!TU_GROW(a->items, a->count, a->capacity))
        return tu_fail_memory(error);
    a->items[a->count++] = *new;
    return 0;
}

int tu_artifacts_add(struct tu_artifacts *a, const char *path, struct tu_error *error)
{
    struct tu_artifact new = {.path = tu_arena_copy(&a->arena, path, strlen(path)),
                              .role = "artifact",
                              .bytes = UINT64_MAX,
                              .modified = UINT64_MAX,
                              .device = UINT64_MAX,
                              .inode = UINT64_MAX};
    return new.path ? add(a, &new, error) : tu_fail_memory(error);
}

/* A copy of a text; NULL where there is none, or no memory. */
static const char *copy(struct tu_artifacts *a, const struct tensor_value *value)
{
    const char *text;
    size_t length;
    return tu_value_string(value, &text, &length) ? tu_arena_copy(&a->arena, text, length) : NULL;
}

/* A file as a record states it. */
static int add_stated(struct tu_artifacts *a, const struct tensor_value *record, const char *role,
                      struct tu_error *error)
{
    struct tu_artifact new = {.path = copy(a, tu_value_get(record, "path")),
                              .format = copy(a, tu_value_get(record, "format")),
                              .role = role,
                              .bytes = UINT64_MAX,
                              .modified = UINT64_MAX,
                              .device = UINT64_MAX,
                              .inode = UINT64_MAX};
    if (!new.path)
        return tu_fail(error, TU_EINVALID, "a source or artifact record names no path");
    (void)tu_value_uint(tu_value_get(record, "bytes"), &new.bytes);
    (void)tu_value_uint(tu_value_get(record, "modified"), &new.modified);
    (void)tu_value_uint(tu_value_get(record, "device"), &new.device);
    (void)tu_value_uint(tu_value_get(record, "inode"), &new.inode);
    return add(a, &new, error);
}

/* The roles that files beside models have. */
static const char *role_of(const struct tensor_value *record)
{
    static const char *const roles[] = {"config", "index", "map"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (tu_value_equals(tu_value_get(record, "role"), roles[i]))
            return roles[i];
    return "artifact";
}

static bool is_digest(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* A map without a path, which its name and its digest tell from others. */
static int add_named(struct tu_artifacts *a, const struct tensor_value *record,
                     struct tu_error *error)
{
    const char *digest = copy(a, tu_value_get(record, "sha256"));
    struct tu_artifact new = {.role = "map", .name = copy(a, tu_value_get(record, "name"))};
    if (!new.name || !is_digest(digest) ||
        !tu_value_uint(tu_value_get(record, "bytes"), &new.bytes))
        return tu_fail(error, TU_EINVALID,
                       "an artifact record has neither a path nor a name, bytes and sha256");
    memcpy(new.sha256, digest, strlen(digest) + 1);
    return add(a, &new, error);
}

int tu_artifacts_record(struct tu_artifacts *a, const struct tensor_value *record,
                        struct tu_error *error)
{
    const char *role = role_of(record);
    return strcmp(role, "map") == 0 && !tu_value_get(record, "path")
               ? add_named(a, record, error)
               : add_stated(a, record, role, error);
}

int tu_artifacts_source(struct tu_artifacts *a, const struct tensor_value *record,
                        struct tu_error *error)
{
    const struct tensor_value *operand = tu_value_get(record, "operand");
    const struct tensor_value *files = tu_value_get(record, "files");
    const char *role = tu_value_equals(operand, "a")   ? "a"
                       : tu_value_equals(operand, "b") ? "b"
                                                       : "artifact";
    if (add_stated(a, record, role, error) < 0)
        return -1;
    for (size_t i = 0; files && files->type == TENSOR_ARRAY && i < files->array.count; i++)
        if (tu_artifacts_record(a, &files->array.items[i], error) < 0)
            return -1;
    return 0;
}

/* ---- Digests ---- */

static int hash_source(const struct tu_source *s, struct tu_digest *d, uint8_t *buffer,
                       struct tu_error *error)
{
    for (uint64_t done = 0; done < s->size;) {
        uint64_t rest = s->size - done;
        size_t n = rest < READ_BYTES ? (size_t)rest : READ_BYTES;
        if (tu_source_read(s, done, buffer, n, error) < 0)
            return -1;
        tu_digest_add(d, buffer, n);
        done += n;
    }
    return tu_source_unchanged(s, error);
}

static int check_stated(const struct tu_artifact *a, const struct tu_source *s,
                        struct tu_error *error)
{
    if ((a->bytes == UINT64_MAX || a->bytes == s->size) &&
        (a->modified == UINT64_MAX || a->modified == tu_modified(&s->opened)) &&
        (a->device == UINT64_MAX || a->device == (uint64_t)s->opened.st_dev) &&
        (a->inode == UINT64_MAX || a->inode == (uint64_t)s->opened.st_ino))
        return 0;
    return tu_fail(error, TU_EINVALID, "%s: was changed after it was compared", a->path);
}

static int hash_file(struct tu_artifact *a, struct tu_error *error)
{
    struct tu_source source;
    if (!a->path)
        return 0;
    if (strcmp(a->path, "-") == 0)
        return tu_fail(error, TU_EINVALID, "standard input was compared, which is no file");
    if (tu_source_open_part(&source, a->path, error) < 0)
        return -1;
    uint8_t *buffer = malloc(READ_BYTES);
    struct tu_digest *d = tu_digest_new(TU_SHA256, error);
    int result = !d ? -1 : !buffer ? tu_fail_memory(error) : check_stated(a, &source, error);
    if (result == 0)
        result = hash_source(&source, d, buffer, error);
    if (result == 0)
        tu_digest_take(d, a->sha256);
    a->bytes = source.size;
    tu_digest_free(d);
    free(buffer);
    tu_source_close(&source);
    return result;
}

/* One file on its way through the pipeline. */
struct slot {
    struct tu_artifact *artifact;
    struct tu_error error;
};

struct hashing {
    struct tu_artifacts *artifacts;
    size_t next;
};

static int take(void *context, void *slot, struct tu_error *error)
{
    struct hashing *h = context;
    (void)error;
    if (h->next == h->artifacts->count)
        return 0;
    *(struct slot *)slot = (struct slot){.artifact = &h->artifacts->items[h->next++]};
    return 1;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    struct slot *s = slot;
    (void)context, (void)scratch;
    if (hash_file(s->artifact, &s->error) == 0 || s->error.code != TU_ENOMEM)
        return 0;
    return tu_fail_memory(error);
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct hashing *h = context;
    struct slot *s = slot;
    if (s->error.code == TU_OK)
        return 0;
    s->artifact->trouble =
        tu_arena_copy(&h->artifacts->arena, s->error.text, strlen(s->error.text));
    return s->artifact->trouble ? 0 : tu_fail_memory(error);
}

int tu_artifacts_hash(struct tu_artifacts *a, unsigned threads, struct tu_error *error)
{
    struct hashing h = {.artifacts = a};
    const struct tu_pipeline pipeline = {
        .context = &h, .slot_size = sizeof(struct slot), .take = take, .work = work, .put = put};
    return tu_pipeline_run(&pipeline, threads, error);
}

void tu_artifacts_free(struct tu_artifacts *a)
{
    free(a->items);
    tu_arena_free(&a->arena);
    *a = (struct tu_artifacts){0};
}
