/* SPDX-License-Identifier: MIT */
/* The command line of a filter, in a table. */
#ifndef TU_TOOL_OPTIONS_H
#define TU_TOOL_OPTIONS_H

#include "base/error.h"
#include "model/session.h"

struct tu_tool; /* tool/main.h */

/* Takes the text of an option (NULL for a flag) to target. */
typedef int tu_option_fn(void *target, const char *text, struct tu_error *error);

struct tu_option {
    char letter;          /* 0: none */
    const char *name;     /* long name; NULL ends a table */
    const char *argument; /* as shown in the help; NULL: a flag; "A B": two of them */
    const char *help;     /* one line, lower case */
    tu_option_fn *parse;  /* of two arguments: called with each */
    void *target;
};

tu_option_fn tu_option_flag;   /* bool */
tu_option_fn tu_option_string; /* const char * */
tu_option_fn tu_option_list;   /* struct tu_list */
tu_option_fn tu_option_u64;    /* uint64_t */
tu_option_fn tu_option_runs;   /* uint64_t, 1 to 1000000: how often --bench or --repeat does it */
tu_option_fn tu_option_size;   /* uint64_t, with k, M, G, Ki, ... */
tu_option_fn tu_option_double; /* double */
tu_option_fn tu_option_dtype;  /* const struct tu_dtype * */

/* For parsers of options that take one of two words: whether it is the second one. */
int tu_take_word(bool *is_second, const char *text, const char *first, const char *second,
                 struct tu_error *error) TU_MUST_CHECK;

struct tu_command {
    const char *name;
    const char *synopsis; /* lines after the name, separated by newlines */
    const char *about;    /* one or two sentences */
    const struct tu_option *options;
    size_t min_operands, max_operands; /* 0, 0: none */
    bool judges;                       /* exits 1 for a verdict of fail */
    enum tu_packs_mode packs;          /* how it sees packed weights, unless told not to */
    bool prints_text;                  /* into pipes and files, too, unless --stream is given */
    /* The work.  0, or a higher exit status, or -1 with the error set. */
    int (*run)(struct tu_tool *tool, char **operands, size_t count, struct tu_error *error);
};

/* Parses the options of a command line to their targets; operands start at optind of getopt.  0: go
 * on; 1: all is done (help was asked for and printed); -1: bad usage. */
int tu_parse_options(const struct tu_command *c, int argc, char **argv,
                     struct tu_error *error) TU_MUST_CHECK;
/* Whether a command takes that many operands. */
int tu_check_operands(const struct tu_command *c, size_t count,
                      struct tu_error *error) TU_MUST_CHECK;

/* ---- Rows for option tables, each with its target in a struct tu_tool ---- */

/* clang-format off */
#define TU_OPTIONS_END {0}

#define TU_SELECT_OPTIONS(tool) \
    {0, "match", "GLOB", "only tensors whose name matches; may be repeated", tu_option_list, &(tool).session.selection.match}, \
    {0, "exclude", "GLOB", "no tensors whose name matches; may be repeated", tu_option_list, &(tool).session.selection.exclude}, \
    {0, "layers", "LIST", "only these layers, as 0-3,27", tu_select_layers, &(tool).session.selection}, \
    {0, "dtype", "LIST", "only these element types, as F16,Q4_K", tu_select_dtypes, &(tool).session.selection}

#define TU_LIMIT_OPTION(tool) \
    {0, "limit", "N", "only the first N tensors", tu_option_u64, &(tool).session.selection.limit}

#define TU_SHARD_OPTION(tool) \
    {0, "shard", "I/N", "the I-th of N shares of equal bytes, for a job of many", tu_option_share, &(tool).session.selection.share}

#define TU_SORT_OPTION(tool) \
    {0, "sort", "ORDER", "order: file (default), name or size", tu_select_order, &(tool).session.selection}

#define TU_OUTPUT_OPTIONS(tool) \
    {0, "table", NULL, "print a table even where no terminal is", tu_option_table, &(tool)}, \
    {0, "json", NULL, "print one JSON object a line", tu_option_json, &(tool)}, \
    {0, "tsv", NULL, "print tab-separated columns with a header", tu_option_tsv, &(tool)}

#define TU_STREAM_OPTION(tool) \
    {0, "stream", NULL, "put out records for other filters instead of text", tu_option_stream, &(tool)}

#define TU_BENCH_OPTION(target) \
    {0, "bench", "N", "put out the times that N runs take instead", tu_option_runs, &(target)}

#define TU_REPEAT_OPTION(target) \
    {0, "repeat", "N", "put out whether N runs in every way have the same bits instead", tu_option_runs, &(target)}

#define TU_JOBS_OPTION(tool) \
    {'j', "jobs", "N", "threads (default: all the process may use)", tu_option_u64, &(tool).session.threads}

#define TU_INPUT_OPTION(tool) \
    {0, "lenient", NULL, "accept what real writers made wrong, with a warning", tu_option_flag, &(tool).session.lenient}, \
    {0, "big-header", NULL, "accept SafeTensors headers above 100 MB", tu_option_flag, &(tool).session.big_header}

#define TU_PACKS_OPTION(tool) \
    {0, "packs", "auto|never", "weights of several tensors, as GPTQ's: one each (default), or as stored", tu_option_packs, &(tool)}

#define TU_PROGRESS_OPTIONS(tool) \
    {'q', "quiet", NULL, "no progress and no warnings", tu_option_flag, &(tool).quiet}, \
    {0, "progress", NULL, "show progress even where no terminal is", tu_option_flag, &(tool).progress}
/* clang-format on */

tu_option_fn tu_option_table, tu_option_json, tu_option_tsv, tu_option_stream,
    tu_option_packs; /* struct tu_tool */

#endif
