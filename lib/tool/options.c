/* SPDX-License-Identifier: MIT */
/* The command line of a filter: one table drives parsing, --help and --list-options. */
#include "config.h"

#include "tool/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/nearest.h"
#include "base/text.h"
#include "tensor/dtype.h"
#include "tool/main.h"

/* ---- Option parsers ---- */

/* Values of getopt_long for options without a letter: their row in the table plus this. */
enum { FIRST_LONG = 256, OPTION_HELP = -2, OPTION_VERSION = -3, OPTION_LIST = -4 };
enum { LETTER_HELP = 'h', LETTER_VERSION = 'V' };

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

int tu_take_word(bool *is_second, const char *text, const char *first, const char *second,
                 struct tu_error *error)
{
    *is_second = strcmp(text, second) == 0;
    return *is_second || strcmp(text, first) == 0
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is neither %s nor %s", text, first, second);
}

int tu_option_runs(void *target, const char *text, struct tu_error *error)
{
    uint64_t *runs = target;
    if (tu_option_u64(target, text, error) < 0)
        return -1;
    return *runs >= 1 && *runs <= 1000000
               ? 0
               : tu_fail(error, TU_EUSAGE, "'%s' is not a number from 1 to 1000000", text);
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
        return tu_fail_dtype(text, strlen(text), error);
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

int tu_option_packs(void *target, const char *text, struct tu_error *error)
{
    return tu_take_word(&((struct tu_tool *)target)->stored, text, "auto", "never", error);
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

int tu_option_stream(void *target, const char *text, struct tu_error *error)
{
    (void)text, (void)error;
    return set_mode(target, TU_MODE_STREAM);
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

static void print_help(const struct tu_command *c)
{
    print_synopsis(c);
    printf("%s\n\n", c->about);
    for (const struct tu_option *o = c->options; o->name; o++)
        print_option(o->letter, o->name, o->argument, o->help);
    print_option(LETTER_HELP, "help", NULL, "show this and leave");
    print_option(LETTER_VERSION, "version", NULL, "show the version and leave");
    printf("\nExit status: %s, 2 trouble.  See %s(1), tensorutils(7).\n",
           c->judges ? "0 pass, 1 fail" : "0 done", c->name);
}

/* For shell completion and for the test that holds man pages and help together. */
static void list_options(const struct tu_command *c)
{
    for (const struct tu_option *o = c->options; o->name; o++)
        printf("--%s\t%s\n", o->name, o->argument ? o->argument : "");
    printf("--help\t\n--version\t\n");
}

/* Prints what was asked for instead of the work: 1. */
static int tell(const struct tu_command *c, int what)
{
    if (what == OPTION_HELP || what == LETTER_HELP)
        print_help(c);
    else if (what == OPTION_LIST)
        list_options(c);
    else
        printf("%s (tensorutils) %s\n", c->name, PACKAGE_VERSION);
    return 1;
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
    *letters++ = LETTER_HELP;
    *letters++ = LETTER_VERSION;
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

/* The second argument of an option that takes two, which getopt does not know. */
static int apply_second(const struct tu_option *o, int argc, char **argv, struct tu_error *error)
{
    if (!o->argument || !strchr(o->argument, ' '))
        return 0;
    if (optind >= argc)
        return tu_fail(error, TU_EUSAGE, "--%s needs two arguments: %s", o->name, o->argument);
    return apply(o, argv[optind++], error);
}

/* A long option that was misspelt, cut too short, or given an argument that it does not take. */
static int bad_long(const struct tu_command *c, const char *word, struct tu_error *error)
{
    char name[TU_NEAREST_MAX + 1], hint[TU_HINT_SIZE];
    struct tu_nearest nearest = {.text = name};
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (strcmp(name, "--help") == 0 || strcmp(name, "--version") == 0)
        return tu_fail(error, TU_EUSAGE, "%s takes no argument (see %s --help)", word, c->name);
    for (const struct tu_option *o = c->options; o->name; o++) {
        char dashed[TU_NEAREST_MAX + 1];
        snprintf(dashed, sizeof dashed, "--%s", o->name);
        if (strcmp(dashed, name) == 0)
            return tu_fail(error, TU_EUSAGE, "%s takes no argument (see %s --help)", word, c->name);
        tu_nearest_try(&nearest, dashed);
    }
    tu_nearest_try(&nearest, "--help");
    tu_nearest_try(&nearest, "--version");
    return tu_fail(error, TU_EUSAGE, "%s is no option%s (see %s --help)", word,
                   tu_nearest_hint(&nearest, hint), c->name);
}

static int bad_option(const struct tu_command *c, int value, char *const *argv,
                      struct tu_error *error)
{
    const char *what = value == ':' ? "needs an argument" : "is no option";
    if (optopt && optopt < FIRST_LONG && optopt > 0)
        return tu_fail(error, TU_EUSAGE, "-%c %s (see %s --help)", optopt, what, c->name);
    if (value == '?')
        return bad_long(c, argv[optind - 1], error);
    return tu_fail(error, TU_EUSAGE, "%s %s (see %s --help)", argv[optind - 1], what, c->name);
}

int tu_parse_options(const struct tu_command *c, int argc, char **argv, struct tu_error *error)
{
    size_t count = count_options(c);
    struct option *longs = calloc(count + 4, sizeof *longs);
    char *letters = calloc(2 * count + 4, 1);
    int result = longs && letters ? 0 : tu_fail_memory(error);
    if (result == 0)
        fill_getopt(c, count, longs, letters);
    opterr = 0;
    /* After a mistake the rest is still read: it says in which form the reader wants to hear of it.
     */
    for (int value; longs && letters && result <= 0 &&
                    (value = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        if (value < 0 || value == LETTER_HELP || value == LETTER_VERSION)
            result = result < 0 ? -1 : tell(c, value);
        else if (value == '?' || value == ':')
            result = bad_option(c, value, argv, error);
        else if (apply(option_of(c, count, value), optarg, error) < 0 ||
                 apply_second(option_of(c, count, value), argc, argv, error) < 0)
            result = -1;
    }
    free(longs);
    free(letters);
    return result;
}

int tu_check_operands(const struct tu_command *c, size_t count, struct tu_error *error)
{
    if (count < c->min_operands)
        return tu_fail(error, TU_EUSAGE, "too few operands (see %s --help)", c->name);
    if (count > c->max_operands)
        return tu_fail(error, TU_EUSAGE, "too many operands (see %s --help)", c->name);
    return 0;
}
