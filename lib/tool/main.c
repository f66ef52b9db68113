/* SPDX-License-Identifier: MIT */
/* One run of a filter, from its command line to its exit status. */
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
#include "base/clock.h"
#include "model/tsr.h"
#include "base/text.h"

enum { STATUS_TROUBLE = 2 };

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
    return tu_plugins_load(&tool->session.plugins, &tensor_format_tsr, error);
}

/* ---- Running ---- */

/* Before anything else is printed, and at the end: how much there is of a pipe is not known before.
 */
static void wipe_progress(struct tu_tool *tool)
{
    if (tool->shown_progress.visible)
        fputs("\r\033[K", stderr);
    tool->shown_progress.visible = false;
}

/* A warning on standard error, unless quiet. */
static void print_warning(void *context, const char *text)
{
    struct tu_tool *tool = context;
    if (tool->quiet)
        return;
    wipe_progress(tool);
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

/* Whether the filter puts out a tensor stream when it is not asked for something else. */
static bool puts_stream(const struct tu_command *command)
{
    bool has_forms = false;
    for (const struct tu_option *o = command->options; o->name; o++)
        has_forms |= o->parse == tu_option_json;
    return has_forms && !command->judges;
}

/* Who reads the stream has to hear of a failure, also where the output was not opened yet: to join
 * streams in a shell, `{ one; another; } | verdict`, loses the exit status of all but the last. */
static void tell_reader(const struct tu_command *command, struct tu_tool *tool, const char *text)
{
    static struct tu_output unopened;
    struct tu_error ignored = {0};
    if (!tool->output && puts_stream(command) &&
        tu_output_open(&unopened, tool, NULL, NULL, &ignored) < 0)
        return;
    if (tool->output)
        tu_output_fail(tool->output, tool->name, text);
}

static int report(struct tu_tool *tool, const struct tu_error *error)
{
    if (error->code == TU_EPIPE)
        die_of_sigpipe();
    fflush(stdout);
    wipe_progress(tool);
    fprintf(stderr, "%s: %s\n", tool->name, error->text);
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

/* Whether a word is an option on which no result depends; *apart: its argument is the next word. */
static bool is_idle(const char *word, bool *apart)
{
    enum { FEWEST = 5 }; /* bytes of an option that is cut short */
    static const struct {
        const char *brief, *name;
        bool argument;
    } options[] = {{"-j", "--jobs", true},
                   {"-q", "--quiet", false},
                   {NULL, "--cache", true},
                   {NULL, "--progress", false}};
    size_t name = strcspn(word, "=");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *brief = options[i].brief;
        bool exact = brief && strcmp(word, brief) == 0;
        bool named = name >= FEWEST && strncmp(word, options[i].name, name) == 0;
        *apart = options[i].argument && (exact || (named && !word[name]));
        if (exact || named || (brief && options[i].argument && strncmp(word, brief, 2) == 0))
            return true;
    }
    return false;
}

/* The command line but for those: streams are the same with them and without.  NULL without memory.
 */
static char *line_of(const char *name, int argc, char **argv)
{
    enum { MOST = 4096 };
    char **words = malloc(((size_t)argc + 2) * sizeof *words);
    char *own = strdup(name), *line = NULL;
    size_t count = 0;
    if (words && own) {
        words[count++] = own;
        for (int i = 1; i < argc; i++) {
            bool apart;
            if (!is_idle(argv[i], &apart))
                words[count++] = argv[i];
            else
                i += apart;
        }
        words[count] = NULL;
        line = tu_shell_line(words, MOST);
    }
    free(words);
    free(own);
    return line;
}

int tu_main(const struct tu_command *command, struct tu_tool *tool, int argc, char **argv)
{
    struct tu_error error = {0};
    tool->name = command->name;
    tool->prints_text = command->prints_text;
    tool->session.selection.tally = &tool->tally;
    tool->session.listener = (struct tu_listener){print_warning, show_progress, tool};
    keep_memory();
    occupy_standard_descriptors();
    tool->command = line_of(command->name, argc, argv);
    int status =
        tool->command ? tu_parse_options(command, argc, argv, &error) : tu_fail_memory(&error);
    if (status == 0) {
        char **operands = argv + optind;
        size_t count = (size_t)(argc - optind);
        status = tu_check_operands(command, count, &error);
        if (status == 0)
            status = prepare(tool, &error);
        tool->session.packs = tool->stored ? TU_PACKS_NEVER : command->packs;
        if (status == 0)
            status = command->run(tool, operands, count, &error);
    } else if (status > 0) {
        status = 0;
    }
    if (status < 0) {
        status = report(tool, &error);
        tell_reader(command, tool, error.text);
    }
    wipe_progress(tool);
    tool->output = NULL;
    error = (struct tu_error){0};
    if (close_stdout(&error) < 0)
        status = report(tool, &error);
    tu_selection_free(&tool->session.selection);
    tu_plugins_free(&tool->session.plugins);
    free(tool->command);
    return status;
}
