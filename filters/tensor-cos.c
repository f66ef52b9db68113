/* SPDX-License-Identifier: MIT */
/* tensor-cos: compares the tensors of two models, matched by name. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compare/apr/diff.h"
#include "compare/cache/cache.h"
#include "tool/main.h"
#include "tool/output.h"
#include "compare/facts.h"
#include "compare/operands.h"
#include "compare/record.h"
#include "tool/repeat.h"

static struct tu_tool tool;
static struct tu_output output;
static uint64_t repeat;
/* What became of --cache. */
static struct {
    uint64_t pairs, known;
    bool failed;
} cache;
static struct tu_pair_options how_to_pair = {.map = "auto", .facts = true, .oracle = true};
static bool only_facts;

static int parse_transposing(void *target, const char *text, struct tu_error *error)
{
    static const char *const words[] = {"auto", "never", "always"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *(enum tu_transposing *)target = (enum tu_transposing)i;
            return 0;
        }
    }
    return tu_fail(error, TU_EUSAGE, "'%s' is neither auto nor never nor always", text);
}

static bool compatible; /* with apr diff */

static int parse_compatible(void *target, const char *text, struct tu_error *error)
{
    *(bool *)target = strcmp(text, "apr") == 0;
    return *(bool *)target ? 0 : tu_fail(error, TU_EUSAGE, "'%s' is not apr", text);
}

static int parse_oracle(void *target, const char *text, struct tu_error *error)
{
    bool never = false;
    int result = tu_take_word(&never, text, "auto", "never", error);
    *(bool *)target = !never;
    return result;
}

static int parse_metrics(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(target, text, "basic", "full", error);
}

static const struct tu_option options[] = {
    {0, "map", "auto|none|MAP", "how names meet that differ: a map's name or file",
     tu_option_string, &how_to_pair.map},
    {0, "transpose", "auto|never|always", "compare [a,b] with the transpose of [b,a]",
     parse_transposing, &how_to_pair.transposing},
    {0, "cache", "DIR", "take results of unchanged pairs of files from this folder",
     tu_option_string, &how_to_pair.cache},
    {0, "compat", "apr", "with --json: what apr diff --values --json prints", parse_compatible,
     &compatible},
    {0, "oracle", "auto|never", "look for an explanation where two tensors disagree", parse_oracle,
     &how_to_pair.oracle},
    {0, "metrics", "basic|full", "what to measure; full takes up to twice the time", parse_metrics,
     &how_to_pair.full},
    {0, "facts", NULL, "compare only what both models say of themselves", tu_option_flag,
     &only_facts},
    TU_REPEAT_OPTION(repeat),
    TU_PACKS_OPTION(tool),
    TU_SELECT_OPTIONS(tool),
    TU_LIMIT_OPTION(tool),
    TU_SHARD_OPTION(tool),
    TU_SORT_OPTION(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* A cache that cannot be written to is no reason to give up. */
static void keep_known(const struct tu_pair_result *r, const struct tensor_value *record)
{
    struct tu_error error = {0};
    if (tu_cache_store(r->cache, r->key, record, &error) == 0 || cache.failed)
        return;
    cache.failed = true;
    tu_warn(&tool.session, "--cache: %s", error.text);
}

/* ---- Facts ---- */

/* How many facts had which status, for those who do not see the records. */
static struct {
    size_t same, differ, listed;
    bool told;
} facts;

/* A table of pairs has no room for the others: those that differ stand above it, all are counted.
 */
static int put_fact(const struct tensor_value *map, struct tu_error *error)
{
    const struct tensor_value *status = tu_value_get(map, "status");
    bool differs = tu_value_equals(status, "differs");
    char note[2048];
    facts.differ += differs;
    facts.same += tu_value_equals(status, "same");
    facts.listed += !differs && !tu_value_equals(status, "same");
    if (output.mode == TU_MODE_TABLE && differs) {
        tu_format_cell(tu_value_get(map, "note"), false, note, sizeof note);
        printf("differs  %s\n", note);
    }
    if (output.mode == TU_MODE_JSON)
        output.kind = "fact";
    int result = tu_output_record(&output, map, error);
    output.kind = "compare";
    return result;
}

static void tell_facts(void)
{
    if (facts.told || !(facts.same + facts.differ + facts.listed))
        return;
    facts.told = true;
    if (output.mode == TU_MODE_TABLE)
        printf("facts: %zu differ, %zu listed, %zu the same (--facts shows them)\n", facts.differ,
               facts.listed, facts.same);
    else if (output.mode == TU_MODE_TSV && facts.differ)
        tu_warn(&tool.session, "%zu facts differ (--facts shows them)", facts.differ);
}

static int put_fact_alone(void *context, const struct tensor_value *map, struct tu_error *error)
{
    ++*(uint64_t *)context;
    return tu_output_record(&output, map, error);
}

/* Says that nothing else was to be compared: else no tensor would mean that nothing was. */
static int fill_facts(struct tu_builder *b, const void *count, struct tu_error *error)
{
    return tu_put_string(b, "kind", "facts", error) < 0
               ? -1
               : tu_put_uint(b, "facts", *(const uint64_t *)count, error);
}

static int run_facts(struct tu_tool *t, char **operands, struct tu_error *error)
{
    const char *const paths[2] = {operands[0], operands[1]};
    uint64_t count = 0;
    const struct tu_fact_sink sink = {put_fact_alone, &count};
    if (compatible || repeat || how_to_pair.cache)
        return tu_fail(error, TU_EUSAGE, "--facts goes with none of --compat, --repeat, --cache");
    if (tu_output_open(&output, t, "fact", tu_fact_columns, error) < 0 ||
        tu_compare_facts_of_paths(&t->session, paths, &sink, error) < 0 ||
        (tu_output_streams(&output) && tu_output_built(&output, fill_facts, &count, error) < 0))
        return -1;
    return tu_output_close(&output, error);
}

static int put_result(void *context, const struct tu_pair_result *r, struct tu_error *error)
{
    (void)context;
    struct tu_arena arena = {0};
    struct tensor_value record;
    tell_facts();
    cache.pairs++;
    cache.known += r->known != NULL;
    if (r->known)
        return tu_output_record(&output, r->known, error);
    int result = tu_compare_record(r, &arena, &record, error);
    if (result == 0)
        result = tu_output_record(&output, &record, error);
    if (result == 0 && r->cache)
        keep_known(r, &record);
    tu_arena_free(&arena);
    return result;
}

static int put_record(void *context, const struct tensor_value *map, struct tu_error *error)
{
    (void)context;
    if (tu_value_equals(tu_value_get(map, "kind"), "fact"))
        return put_fact(map, error);
    return tu_output_record(&output, map, error);
}

/* ---- --repeat ---- */

/* The records of the first run, and how the others agreed with them. */
static struct {
    struct tu_arena arena;
    struct tensor_value *records;
    struct tu_repeats *repeats;
    size_t count, capacity, repeats_capacity;
    size_t position; /* in the present run */
    struct tu_ways ways;
    const struct tu_way *way; /* of the present run */
} runs;

static int keep_result(void *context, const struct tu_pair_result *r, struct tu_error *error)
{
    (void)context;
    if (!TU_GROW(runs.records, runs.count, runs.capacity) ||
        !TU_GROW(runs.repeats, runs.count, runs.repeats_capacity))
        return tu_fail_memory(error);
    struct tu_repeats *repeats = &runs.repeats[runs.count];
    *repeats = (struct tu_repeats){.ways = &runs.ways};
    tu_repeats_note(repeats, runs.way, &(struct tu_departure){0});
    return tu_compare_record(r, &runs.arena, &runs.records[runs.count++], error);
}

static int check_result(void *context, const struct tu_pair_result *r, struct tu_error *error)
{
    (void)context;
    struct tu_arena arena = {0};
    struct tensor_value record;
    size_t i = runs.position++;
    if (i >= runs.count)
        return tu_fail(error, TU_EINVALID, "the operands changed between two runs");
    int result = tu_compare_record(r, &arena, &record, error);
    if (result == 0) {
        struct tu_departure departure = tu_departure_of_records(&runs.records[i], &record);
        tu_repeats_note(&runs.repeats[i], runs.way, &departure);
    }
    tu_arena_free(&arena);
    return result;
}

static int drop_record(void *context, const struct tensor_value *map, struct tu_error *error)
{
    (void)context, (void)map, (void)error;
    return 0;
}

static int fill_name(struct tu_builder *b, const void *record, struct tu_error *error)
{
    const struct tensor_value *name = tu_value_get(record, "name");
    return tu_put_bytes(b, "name", name->string.bytes, name->string.length, error);
}

static int put_repeats(struct tu_error *error)
{
    for (size_t i = 0; i < runs.count; i++)
        if (tu_put_repeats(&output, fill_name, &runs.records[i], &runs.repeats[i], error) < 0)
            return -1;
    return 0;
}

/* One run through both files. */
static int run_once(struct tu_tool *t, char **operands, bool first, struct tu_error *error)
{
    static const struct tu_pair_sink keep = {.pair = keep_result, .record = drop_record},
                                     check = {.pair = check_result, .record = drop_record};
    struct tu_session varied = t->session;
    varied.kernels = runs.way->kernels;
    varied.threads = runs.way->threads;
    runs.position = 0;
    if (tu_compare_operands(&varied, operands[0], operands[1], &how_to_pair, first ? &keep : &check,
                            error) < 0)
        return -1;
    return first || runs.position == runs.count
               ? 0
               : tu_fail(error, TU_EINVALID, "the operands changed between two runs");
}

static int run_repeatedly(struct tu_tool *t, char **operands, struct tu_error *error)
{
    how_to_pair.facts = false;
    runs.ways = tu_ways_of_processor((unsigned)t->session.threads);
    int result = tu_output_open(&output, t, "repeat", tu_repeat_columns, error);
    for (uint64_t i = 0; i < repeat * runs.ways.count && result == 0; i++) {
        runs.way = &runs.ways.list[i / repeat];
        result = run_once(t, operands, i == 0, error);
    }
    if (result == 0)
        result = put_repeats(error);
    tu_arena_free(&runs.arena);
    free(runs.records);
    free(runs.repeats);
    return result == 0 ? tu_output_close(&output, error) : result;
}

/* ---- --compat ---- */

static struct tu_apr_diff aprdiff;

static int note_result(void *context, const struct tu_pair_result *r, struct tu_error *error)
{
    (void)context;
    return tu_apr_diff_add(&aprdiff, r, error);
}

/* apr diff leaves these out, or compares what does not belong together, without a word. */
static void warn_of_absent(struct tu_tool *t)
{
    if (aprdiff.absent)
        tu_warn(&t->session, "%zu tensors are on one side only and not in the object, as '%s'",
                aprdiff.absent, aprdiff.some_absent);
    if (aprdiff.unlike)
        tu_warn(
            &t->session,
            "%zu tensors differ in shape, or have no real numbers, and are not compared, as '%s'",
            aprdiff.unlike, aprdiff.some_unlike);
}

/* The limit is about the order of names, which is known at the end. */
static int run_compatible(struct tu_tool *t, char **operands, struct tu_error *error)
{
    static const struct tu_pair_sink sink = {.pair = note_result, .record = drop_record};
    uint64_t limit = t->session.selection.limit;
    if (t->mode != TU_MODE_JSON || repeat || how_to_pair.cache)
        return tu_fail(error, TU_EUSAGE, "--compat goes with --json%s",
                       repeat              ? ", and without --repeat"
                       : how_to_pair.cache ? ", and without --cache"
                                           : "");
    t->session.selection.limit = 0;
    how_to_pair.buckets = true;
    how_to_pair.oracle = how_to_pair.facts = false;
    if (how_to_pair.transposing == TU_TRANSPOSE_AUTO)
        how_to_pair.transposing = TU_TRANSPOSE_EITHER;
    aprdiff.model_a = operands[0];
    aprdiff.model_b = operands[1];
    int result = tu_output_open(&output, t, NULL, tu_compare_columns, error);
    if (result == 0)
        result =
            tu_compare_operands(&t->session, operands[0], operands[1], &how_to_pair, &sink, error);
    if (result == 0) {
        tu_apr_diff_close(&aprdiff, limit);
        result = tu_output_built(&output, tu_apr_diff_fill, &aprdiff, error);
    }
    if (result == 0)
        warn_of_absent(t);
    tu_apr_diff_free(&aprdiff);
    return result == 0 ? tu_output_close(&output, error) : result;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    static const struct tu_pair_sink sink = {.pair = put_result, .record = put_record};
    (void)count;
    if (only_facts)
        return run_facts(t, operands, error);
    if (t->session.selection.share.count && (t->session.selection.limit || repeat || compatible))
        return tu_fail(error, TU_EUSAGE, "--shard goes with none of --limit, --repeat, --compat");
    if (compatible)
        return run_compatible(t, operands, error);
    if (repeat && (!is_file(operands[0]) || !is_file(operands[1])))
        return tu_fail(error, TU_EUSAGE,
                       "--repeat reads its operands again and again: files are needed");
    if (how_to_pair.cache && !*how_to_pair.cache)
        return tu_fail(error, TU_EUSAGE, "--cache needs the name of a folder");
    if (repeat && how_to_pair.cache)
        return tu_fail(error, TU_EUSAGE, "--repeat computes: it does not go with --cache");
    if (repeat)
        return run_repeatedly(t, operands, error);
    if (tu_output_open(&output, t, "compare", tu_compare_columns, error) < 0 ||
        tu_compare_operands(&t->session, operands[0], operands[1], &how_to_pair, &sink, error) < 0)
        return -1;
    if (how_to_pair.cache && t->progress && !t->quiet)
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " results were in the cache\n", t->name,
                cache.known, cache.pairs);
    tell_facts();
    return tu_output_close(&output, error);
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-cos",
        .synopsis = "[OPTION]... A B",
        .about =
            "Compares the tensors of two models, matched by name: cosine similarity, largest,\n"
            "mean and root mean square difference, and more.  Either may be -, a pipe or a file.",
        .options = options,
        .min_operands = 2,
        .max_operands = 2,
        .packs = TU_PACKS_STEPS,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
