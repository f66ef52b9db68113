/* SPDX-License-Identifier: MIT */
/* tensor-hash: digests of tensors and of whole models, and checks against a list of them. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/digest-list.h"
#include "model/digests.h"
#include "stream/record.h"
#include "tool/main.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_hashing hashing = {.session = &tool.session, .algorithm = TU_SHA256};
static const char *check_path;

static int parse_algorithm(void *target, const char *text, struct tu_error *error)
{
    return tu_algorithm_by_name(text, target)
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is none of xxh3, sha256 and blake2b", text);
}

static const struct tu_option options[] = {
    {'a', "algorithm", "NAME", "sha256 (default), blake2b or xxh3", parse_algorithm,
     &hashing.algorithm},
    {0, "decoded", NULL, "of the float32 values, whatever the element type", tu_option_flag,
     &hashing.decoded},
    {'c', "check", "FILE", "compare with the digests in a file that this tool wrote",
     tu_option_string, &check_path},
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_SORT_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_STREAM_OPTION(tool),
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

static struct tu_digest_list wanted, made;
static size_t differing;

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
        tu_put_string(b, "algorithm", tu_algorithm_name(hashing.algorithm), error) < 0 ||
        tu_put_string(b, "of", hashing.decoded ? "decoded" : "stored", error) < 0)
        return -1;
    return tu_put_string(b, "digest", h->digest, error);
}

/* Looks a tensor up in the list it is checked against. */
static const char *status_of(const char *name, const char *digest)
{
    struct tu_listed_digest *listed = tu_digest_list_find(&wanted, name);
    if (!listed)
        return "unlisted";
    listed->met = true;
    return strcmp(listed->digest, digest) == 0 ? "ok" : "differs";
}

static int put_digest(const struct tu_tensor *t, const char *digest, struct tu_error *error)
{
    static char name[4 * TENSOR_MAX_NAME + 8];
    tu_escape(t->name, t->name_length, name, sizeof name);
    const char *status = check_path ? status_of(name, digest) : NULL;
    differing += status && strcmp(status, "ok") != 0;
    if (tu_digest_list_add(&made, name, digest, error) < 0)
        return -1;
    return tu_output_built(&output, fill_hash, &(struct hash){t, digest, status}, error);
}

/* Tensors of an operand from the one that has come on, in the order in which they are given. */
static int hash_model_tensors(struct tu_feed *feed, struct tu_item *item, struct tu_error *error)
{
    struct tu_hash_job *jobs = NULL;
    size_t count = 0, capacity = 0;
    int more;
    do {
        more = TU_GROW(jobs, count, capacity) ? 1 : tu_fail_memory(error);
        if (more > 0)
            jobs[count++] = (struct tu_hash_job){.member = feed->current};
    } while (more > 0 && tu_feed_goes_on(feed) && (more = tu_feed_next(feed, item, error)) > 0);
    int result =
        more < 0 ? -1 : tu_hash_jobs(&hashing, jobs, count, &feed->done, feed->total, error);
    for (size_t i = 0; i < count && result == 0; i++)
        result = put_digest(jobs[i].member.tensor, jobs[i].digest, error);
    free(jobs);
    return result;
}

/* The bytes of a stream come in order, and are made into digests as they come. */
static int hash_next(struct tu_feed *feed, const struct tu_item *item, struct tu_hasher *hasher,
                     struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    if (tu_hash_next(&hashing, hasher, feed, item, digest, error) < 0)
        return -1;
    return put_digest(&item->tensor, digest, error);
}

/* The digest of a model does not depend on the order in the file. */
static int hash_model(struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    struct tu_digest *d = tu_digest_new(hashing.algorithm, error);
    if (!d)
        return -1;
    tu_digest_list_sum(&made, d, digest);
    tu_digest_free(d);
    if (output.mode == TU_MODE_TABLE && !check_path)
        printf("# model %s %s %s\n", tu_algorithm_name(hashing.algorithm),
               hashing.decoded ? "decoded" : "stored", digest);
    if (output.mode == TU_MODE_JSON)
        output.kind = "model_hash";
    int result = tu_output_built(&output, fill_hash, &(struct hash){.digest = digest}, error);
    output.kind = "hash";
    return result;
}

static int hash_items(struct tu_feed *feed, struct tu_hasher *hasher, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0) {
        int result = 0;
        if (item.kind == TU_KIND_RESULT)
            result = tu_output_record(&output, &item.map, error);
        else if (item.kind == TU_KIND_TENSOR)
            result = feed->current.model ? hash_model_tensors(feed, &item, error)
                                         : hash_next(feed, &item, hasher, error);
        if (result < 0)
            return -1;
    }
    return more;
}

/* The list says of what its digests were made. */
static int read_wanted(struct tu_error *error)
{
    wanted.algorithm = hashing.algorithm;
    if (tu_digest_list_read(&wanted, check_path, error) < 0)
        return -1;
    hashing.algorithm = wanted.algorithm;
    hashing.decoded |= wanted.decoded;
    return 0;
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
    struct tu_hasher hasher = {0};
    int result =
        tu_output_open(&output, t, "hash", check_path ? check_columns : hash_columns, error);
    if (result == 0 && check_path)
        result = read_wanted(error);
    if (result == 0) {
        if (hashing.decoded && !t->stored) /* bytes are those of what is stored */
            t->session.packs = TU_PACKS_VALUES;
        tu_feed_open(&feed, &t->session, operands, count, true);
        result = hash_items(&feed, &hasher, error);
        if (result == 0)
            result = hash_model(error);
        tu_feed_close(&feed);
    }
    tu_hasher_free(&hasher);
    if (result == 0 && check_path)
        result = conclude(error);
    tu_digest_list_free(&made);
    tu_digest_list_free(&wanted);
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
        .prints_text = true,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
