/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tool/main.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/processors.h"
#include "tool/output.h"
#include "base/text.h"
#include "tool/bench.h"

enum { STATUS_TROUBLE = 2 };

/* Values of getopt_long for options without a letter: their row in the table plus this. */
enum { FIRST_LONG = 256, OPTION_HELP = -2, OPTION_VERSION = -3, OPTION_LIST = -4 };

/* ---- Option parsers ---- */

int tu_option_flag(void *target, const char *text, struct tu_error *error)
{
    (void)text, (void)error;
    *(bool *)target = true;
    return 0;
}

int tu_option_string(void *target, const char *text, struct tu_error *error)
{
    (void)error;
    *(const char **)target = text;
    return 0;
}

int tu_option_list(void *target, const char *text, struct tu_error *error)
{
    struct tu_list *list = target;
    if (!TU_GROW(list->items, list->count, list->capacity))
        return tu_fail_memory(error);
    list->items[list->count++] = text;
    return 0;
}

int tu_option_u64(void *target, const char *text, struct tu_error *error)
{
    return tu_parse_u64(text, target) ? 0
                                      : tu_fail(error, TU_EUSAGE, "'%s' is no whole number", text);
}

int tu_option_size(void *target, const char *text, struct tu_error *error)
{
    return tu_parse_size(text, target)
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is no size (as 5G or 64Ki)", text);
}

int tu_option_double(void *target, const char *text, struct tu_error *error)
{
    return tu_parse_double(text, target) ? 0 : tu_fail(error, TU_EUSAGE, "'%s' is no number", text);
}

int tu_option_dtype(void *target, const char *text, struct tu_error *error)
{
    const struct tu_dtype *type = tu_dtype_by_name(text, strlen(text));
    if (!type)
        return tu_fail(error, TU_EUSAGE, "'%s' is no element type (see tensor-types(7))", text);
    *(const struct tu_dtype **)target = type;
    return 0;
}

static int set_mode(void *target, enum tu_mode mode)
{
    ((struct tu_tool *)target)->mode = mode;
    return 0;
}

int tu_option_table(void *target, const char *text, struct tu_error *error)
{
    (void)text, (void)error;
    return set_mode(target, TU_MODE_TABLE);
}

int tu_option_json(void *target, const char *text, struct tu_error *error)
{
    (void)text, (void)error;
    return set_mode(target, TU_MODE_JSON);
}

int tu_option_tsv(void *target, const char *text, struct tu_error *error)
{
    (void)text, (void)error;
    return set_mode(target, TU_MODE_TSV);
}

/* ---- Help ---- */

static void print_synopsis(const struct tu_command *c)
{
    const char *lead = "usage:";
    for (const char *line = c->synopsis; line;) {
        const char *end = strchr(line, '\n');
        printf("%s %s %.*s\n", lead, c->name, end ? (int)(end - line) : (int)strlen(line), line);
        lead = "      ";
        line = end ? end + 1 : NULL;
    }
}

static void print_option(char letter, const char *name, const char *argument, const char *help)
{
    char left[64];
    int n =
        letter ? snprintf(left, sizeof left, "-%c, ", letter) : snprintf(left, sizeof left, "    ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", name, argument ? " " : "",
             argument ? argument : "");
    printf("  %-24s %s\n", left, help);
}

static int print_help(const struct tu_command *c)
{
    print_synopsis(c);
    printf("%s\n\n", c->about);
    for (const struct tu_option *o = c->options; o->name; o++)
        print_option(o->letter, o->name, o->argument, o->help);
    print_option(0, "help", NULL, "show this and leave");
    print_option(0, "version", NULL, "show the version and leave");
    printf("\nExit status: %s, 2 trouble.  See %s(1), tensorutils(7).\n",
           c->judges ? "0 pass, 1 fail" : "0 done", c->name);
    return 0;
}

/* For shell completion and for the test that holds man pages and help together. */
static int list_options(const struct tu_command *c)
{
    for (const struct tu_option *o = c->options; o->name; o++)
        printf("--%s\t%s\n", o->name, o->argument ? o->argument : "");
    printf("--help\t\n--version\t\n");
    return 0;
}

/* ---- Parsing ---- */

static size_t count_options(const struct tu_command *c)
{
    size_t n = 0;
    while (c->options[n].name)
        n++;
    return n;
}

static void fill_getopt(const struct tu_command *c, size_t count, struct option *longs,
                        char *letters)
{
    *letters++ = ':';
    for (size_t i = 0; i < count; i++) {
        const struct tu_option *o = &c->options[i];
        int has = o->argument ? required_argument : no_argument;
        longs[i] = (struct option){o->name, has, NULL, FIRST_LONG + (int)i};
        if (o->letter) {
            *letters++ = o->letter;
            if (o->argument)
                *letters++ = ':';
        }
    }
    *letters = '\0';
    longs[count] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    longs[count + 1] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    longs[count + 2] = (struct option){"list-options", no_argument, NULL, OPTION_LIST};
    longs[count + 3] = (struct option){0};
}

static const struct tu_option *option_of(const struct tu_command *c, size_t count, int value)
{
    if (value >= FIRST_LONG)
        return &c->options[value - FIRST_LONG];
    for (size_t i = 0; i < count; i++)
        if (c->options[i].letter == value)
            return &c->options[i];
    return NULL;
}

static int apply(const struct tu_option *o, const char *text, struct tu_error *error)
{
    struct tu_error inner = {0};
    if (o->parse(o->target, text, &inner) == 0)
        return 0;
    return tu_fail(error, inner.code, "--%s: %s", o->name, inner.text);
}

static int bad_option(const struct tu_command *c, int value, char *const *argv,
                      struct tu_error *error)
{
    const char *what = value == ':' ? "needs an argument" : "is no option, or takes no argument";
    if (optopt && optopt < FIRST_LONG && optopt > 0)
        return tu_fail(error, TU_EUSAGE, "-%c %s (see %s --help)", optopt, what, c->name);
    return tu_fail(error, TU_EUSAGE, "%s %s (see %s --help)", argv[optind - 1], what, c->name);
}

/* 0: go on; 1: all is done (help was asked for); -1: bad usage. */
static int parse_options(const struct tu_command *c, int argc, char **argv, struct tu_error *error)
{
    size_t count = count_options(c);
    struct option *longs = calloc(count + 4, sizeof *longs);
    char *letters = calloc(2 * count + 2, 1);
    int result = longs && letters ? 0 : tu_fail_memory(error);
    if (result == 0)
        fill_getopt(c, count, longs, letters);
    opterr = 0;
    for (int value; result == 0 && (value = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        if (value == OPTION_HELP || value == OPTION_LIST) {
            value == OPTION_HELP ? print_help(c) : list_options(c);
            result = 1;
        } else if (value == OPTION_VERSION) {
            printf("%s (tensorutils) %s\n", c->name, PACKAGE_VERSION);
            result = 1;
        } else if (value == '?' || value == ':') {
            result = bad_option(c, value, argv, error);
        } else {
            result = apply(option_of(c, count, value), optarg, error);
        }
    }
    free(longs);
    free(letters);
    return result;
}

static int check_operands(const struct tu_command *c, size_t count, struct tu_error *error)
{
    if (count < c->min_operands)
        return tu_fail(error, TU_EUSAGE, "too few operands (see %s --help)", c->name);
    if (count > c->max_operands)
        return tu_fail(error, TU_EUSAGE, "too many operands (see %s --help)", c->name);
    return 0;
}

static int prepare(struct tu_tool *tool, struct tu_error *error)
{
    const char *cpu = secure_getenv("TENSORUTILS_CPU");
    tool->session.kernels = tu_kernels_choose(cpu && *cpu ? cpu : NULL);
    if (!tool->session.kernels)
        return tu_fail(error, TU_EUSAGE,
                       "TENSORUTILS_CPU=%s: no such code, or this machine cannot run it (see "
                       "tensor-ls --cpu)",
                       cpu);
    if (tool->session.threads == 0)
        tool->session.threads = tu_available_threads();
    if (tool->session.threads > 1024)
        return tu_fail(error, TU_EUSAGE, "--jobs: at most 1024 threads");
    return tu_plugins_load(&tool->session.plugins, error);
}

/* ---- Running ---- */

/* A warning on standard error, unless quiet. */
static void print_warning(void *context, const char *text)
{
    const struct tu_tool *tool = context;
    if (!tool->quiet)
        fprintf(stderr, "%s: warning: %s\n", tool->name, text);
}

/* Shows how far the work is, when somebody is there to see it and it takes longer than a second. */
static void show_progress(void *context, uint64_t done, uint64_t total)
{
    struct tu_tool *tool = context;
    struct tu_progress *p = &tool->shown_progress;
    if (tool->quiet || (!tool->progress && !isatty(STDERR_FILENO)))
        return;
    double time = tu_seconds();
    if (p->started == 0)
        p->started = p->shown = time;
    bool last = total && done >= total;
    if (last ? !p->visible : time - p->started < 1 || time - p->shown < 0.2)
        return;
    char part[TU_NUMBER_SIZE], whole[TU_NUMBER_SIZE];
    tu_format_bytes(done, part);
    tu_format_bytes(total, whole);
    p->shown = time;
    p->visible = !last;
    if (last)
        fputs("\r\033[K", stderr);
    else if (total)
        fprintf(stderr, "\r\033[K%s: %2.0f%%, %s of %s", tool->name,
                100 * (double)done / (double)total, part, whole);
    else
        fprintf(stderr, "\r\033[K%s: %s", tool->name, part);
}

/* A reader that has seen enough ends us quietly, with the status a shell gives for SIGPIPE even
 * where that signal is ignored. */
static void die_of_sigpipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

static int report(struct tu_tool *tool, const struct tu_error *error)
{
    if (error->code == TU_EPIPE)
        die_of_sigpipe();
    fflush(stdout);
    if (tool->shown_progress.visible)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "%s: %s\n", tool->name, error->text);
    if (tool->output)
        tu_output_fail(tool->output, tool->name, error->text);
    return STATUS_TROUBLE;
}

/* A standard descriptor that is closed would be given to the next file that is opened, and be
 * written to: put something in its place that fails. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(STATUS_TROUBLE);
}

/* What was printed must have arrived: a full disk is trouble. */
static int close_stdout(struct tu_error *error)
{
    bool failed = ferror(stdout) != 0;
    if (fclose(stdout) != 0)
        return tu_fail_errno(error, "standard output");
    return failed ? tu_fail(error, TU_EIO, "standard output: write error") : 0;
}

/* Buffers come and go with every tensor.  Memory that is given back to the system in between comes
 * page by page again, which takes longer than most of what is done in it. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
#endif
}

int tu_main(const struct tu_command *command, struct tu_tool *tool, int argc, char **argv)
{
    struct tu_error error = {0};
    tool->name = command->name;
    tool->session.listener = (struct tu_listener){print_warning, show_progress, tool};
    keep_memory();
    occupy_standard_descriptors();
    int status = parse_options(command, argc, argv, &error);
    if (status == 0) {
        char **operands = argv + optind;
        size_t count = (size_t)(argc - optind);
        status = check_operands(command, count, &error);
        if (status == 0)
            status = prepare(tool, &error);
        if (status == 0)
            status = command->run(tool, operands, count, &error);
    } else if (status > 0) {
        status = 0;
    }
    if (status < 0)
        status = report(tool, &error);
    tool->output = NULL;
    error = (struct tu_error){0};
    if (close_stdout(&error) < 0)
        status = report(tool, &error);
    tu_selection_free(&tool->session.selection);
    tu_plugins_free(&tool->session.plugins);
    return status;
}
