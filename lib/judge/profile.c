/* SPDX-License-Identifier: MIT */
/* Gathers rules and allowances: from options one by one, or from profiles with all they include. */
#include "config.h"

#include "judge/profile.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/install.h"
#include "base/path.h"
#include "base/text.h"
#include "judge/field.h"

/* A profile larger than this, or including deeper or more, is a mistake. */
enum { PROFILE_MAX = 1 << 20, INCLUDES_MAX = 8, PROFILES_MAX = 1000 };

const char *const tu_statuses[] = {"only_a",
                                   "only_b",
                                   "shape_mismatch",
                                   "incomparable",
                                   "not_real",
                                   "nonfinite",
                                   "undefined",
                                   "layout",
                                   "differs",
                                   "made",
                                   "nan",
                                   "nan_scale",
                                   "inf",
                                   "zero",
                                   "constant",
                                   "dead_rows",
                                   "dead_columns",
                                   "constant_rows",
                                   "constant_columns",
                                   "duplicate",
                                   "denormal",
                                   "saturated",
                                   "unjudged"};
const size_t tu_status_count = sizeof tu_statuses / sizeof *tu_statuses;

/* ---- One by one ---- */

static int add_rule(struct tu_rules *r, const char *text, bool given, struct tu_error *error)
{
    if (!TU_GROW(r->items, r->count, r->capacity) ||
        !TU_GROW(r->given, r->count, r->given_capacity))
        return tu_fail_memory(error);
    if (tu_rule_parse(text, &r->items[r->count], error) < 0)
        return -1;
    r->given[r->count++] = given;
    return 0;
}

int tu_rules_add(struct tu_rules *r, const char *text, struct tu_error *error)
{
    return add_rule(r, text, true, error);
}

int tu_rules_length(struct tu_rules *r, double cosine, struct tu_error *error)
{
    char number[TU_NUMBER_SIZE], text[TU_NUMBER_SIZE + 32];
    tu_format_double(sqrt(2 * (1 - cosine)), number);
    snprintf(text, sizeof text, "norm_change <= %s", number);
    return tu_rules_add(r, text, error);
}

int tu_rules_minimum(struct tu_rules *r, const char *minimum, struct tu_error *error)
{
    static const char field[] = "cosine_similarity >= ";
    double cosine;
    if (!tu_parse_double(minimum, &cosine) || !(cosine >= -1 && cosine <= 1))
        return tu_fail(error, TU_EUSAGE, "'%.100s' is no cosine (a number from -1 to 1)", minimum);
    char *text = malloc(sizeof field + strlen(minimum));
    if (!text)
        return tu_fail_memory(error);
    strcpy(text, field);
    strcat(text, minimum);
    int result = tu_rules_add(r, text, error);
    free(text);
    return result < 0 ? -1 : tu_rules_length(r, cosine, error);
}

static bool is_status(const char *text, size_t length)
{
    for (size_t i = 0; i < tu_status_count; i++)
        if (strlen(tu_statuses[i]) == length && memcmp(text, tu_statuses[i], length) == 0)
            return true;
    return false;
}

static void free_allowance(struct tu_allowance *a)
{
    if (a->condition)
        tu_rule_free(a->condition);
    free(a->condition);
    free(a->status);
    free(a->glob);
}

/* A glob may hold blanks, and " if " as well; so the last one counts. */
static const char *last_condition(const char *text)
{
    const char *found = NULL;
    for (const char *p = text; (p = strstr(p, " if ")); p++)
        found = p;
    return found ? found : text + strlen(text);
}

static int parse_allowance(const char *text, struct tu_allowance *out, struct tu_error *error)
{
    const char *condition = last_condition(text);
    size_t all = (size_t)(condition - text), length = strcspn(text, ":");
    length = length < all ? length : all;
    if (!is_status(text, length))
        return tu_fail(error, TU_EUSAGE,
                       "'%.*s' is no status (only_a, only_b, shape_mismatch, incomparable, "
                       "not_real, nonfinite, undefined, layout, differs, unjudged)",
                       (int)length, text);
    out->status = strndup(text, length);
    out->glob = length < all ? strndup(text + length + 1, all - length - 1) : NULL;
    out->condition = *condition ? calloc(1, sizeof *out->condition) : NULL;
    if (!out->status || (length < all && !out->glob) || (*condition && !out->condition))
        return tu_fail_memory(error);
    return *condition ? tu_condition_parse(condition + 4, out->condition, error) : 0;
}

int tu_rules_allow(struct tu_rules *r, const char *text, struct tu_error *error)
{
    struct tu_allowance a = {0};
    if (!TU_GROW(r->allowances, r->allowed, r->allowed_capacity))
        return tu_fail_memory(error);
    if (parse_allowance(text, &a, error) < 0) {
        free_allowance(&a);
        return -1;
    }
    r->allowances[r->allowed++] = a;
    return 0;
}

void tu_allowance_text(const struct tu_allowance *a, char *out, size_t size)
{
    char condition[1024] = "";
    if (a->condition)
        tu_rule_text(a->condition, true, condition, sizeof condition);
    snprintf(out, size, "%s%s%s%s%s", a->status, a->glob ? ":" : "", a->glob ? a->glob : "",
             a->condition ? " if " : "", condition);
}

bool tu_rules_allowed(const struct tu_rules *r, const struct tensor_value *record,
                      const char *status, const char *name)
{
    for (size_t i = 0; i < r->allowed; i++) {
        const struct tu_allowance *a = &r->allowances[i];
        struct tensor_value room;
        if (strcmp(a->status, status) == 0 && (!a->glob || fnmatch(a->glob, name, 0) == 0) &&
            (!a->condition ||
             tu_rule_holds(a->condition, tu_field(record, a->condition->field, &room))))
            return true;
    }
    return false;
}

void tu_rules_free(struct tu_rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        tu_rule_free(&r->items[i]);
    for (size_t i = 0; i < r->allowed; i++)
        free_allowance(&r->allowances[i]);
    free(r->items);
    free(r->given);
    free(r->allowances);
    *r = (struct tu_rules){0};
}

/* ---- Profiles ---- */

/* A profile that is being read, and the one that includes it. */
struct reading {
    const char *name;
    bool given;
    bool by_file; /* its name stands in a file */
    unsigned depth;
    unsigned *count; /* of all that were read */
};

static int read_profile(struct tu_rules *r, const char *name, struct reading from,
                        struct tu_error *error);

/* A file that is included lies beside the one that includes it. */
static char *beside(const char *file, const char *name)
{
    size_t folder = *name != '/' ? (size_t)(tu_file_name(file) - file) : 0;
    char *path = malloc(folder + strlen(name) + 1);
    if (path) {
        memcpy(path, file, folder);
        strcpy(path + folder, name);
    }
    return path;
}

/* The text of a profile that comes with the tool, or NULL. */
static const char *built_in(const char *name)
{
    const struct tu_profile *p = tu_profiles;
    while (p->name && strcmp(p->name, name) != 0)
        p++;
    return p->text;
}

char *tu_profile_beside(const char *file, const char *name)
{
    return built_in(name) ? strdup(name) : beside(file, name);
}

static int include(struct tu_rules *r, const char *name, struct reading from,
                   struct tu_error *error)
{
    from.by_file = true;
    if (++from.depth > INCLUDES_MAX)
        return tu_fail(error, TU_EINVALID, "includes are nested too deeply");
    char *path = tu_profile_beside(from.name, name);
    int result = path ? read_profile(r, path, from, error) : tu_fail_memory(error);
    free(path);
    return result;
}

/* The rest of a line behind a first word and blanks; NULL if it begins with another. */
static const char *after_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(line, word, length) != 0 || !line[length] || !strchr(" \t", line[length]))
        return NULL;
    return line + length + strspn(line + length, " \t");
}

static int read_line(struct tu_rules *r, char *line, struct reading from, struct tu_error *error)
{
    const char *rest;
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n && strchr(" \t\r", line[n - 1]); n--)
        line[n - 1] = '\0';
    if (!*line || *line == '#')
        return 0;
    if ((rest = after_word(line, "include")))
        return include(r, rest, from, error);
    if ((rest = after_word(line, "allow")))
        return tu_rules_allow(r, rest, error);
    return add_rule(r, line, from.given, error);
}

static int read_lines(struct tu_rules *r, char *text, struct reading from, struct tu_error *error)
{
    struct tu_error inner = {0};
    size_t number = 0;
    for (char *line = text, *next; line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (read_line(r, line, from, &inner) < 0)
            return tu_fail(error, inner.code, "%s: line %zu: %s", from.name, number, inner.text);
    }
    return 0;
}

/* What the user names may be a pipe, and is waited for; what a file names is not. */
static int check_named(const char *path, struct tu_error *error)
{
    struct stat st;
    if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
        return 0;
    return tu_fail(error, TU_EINVALID, "%s: is not a regular file", path);
}

/* The whole text of a profile file, in memory to be freed; NULL with the error set. */
static char *load_file(const char *path, struct tu_error *error)
{
    const char *why = tu_distrust_file(path);
    if (why) {
        tu_fail(error, TU_EUSAGE, "%s: no profile is taken from there: %s (chmod go-w)", path, why);
        return NULL;
    }
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(PROFILE_MAX + 1) : NULL;
    size_t length = text ? fread(text, 1, PROFILE_MAX, file) : 0;
    int failed = 0;
    if (!file)
        failed = tu_fail_errno(error, "no profile (auto, exact, same-type), and no file: %s", path);
    else if (!text)
        failed = tu_fail_memory(error);
    else if (ferror(file))
        failed = tu_fail_errno(error, "%s", path);
    else if (length == PROFILE_MAX || memchr(text, '\0', length))
        failed = tu_fail(error, TU_EINVALID, "%s: this is no profile (see tensor-rules(5))", path);
    else
        text[length] = '\0';
    if (file)
        fclose(file);
    if (!failed)
        return text;
    free(text);
    return NULL;
}

static int read_profile(struct tu_rules *r, const char *name, struct reading from,
                        struct tu_error *error)
{
    const char *ready = built_in(name);
    if (++*from.count > PROFILES_MAX)
        return tu_fail(error, TU_EINVALID, "more than %d profiles are included", PROFILES_MAX);
    if (!ready && from.by_file && check_named(name, error) < 0)
        return -1;
    char *text = ready ? strdup(ready) : load_file(name, error);
    if (!text)
        return ready ? tu_fail_memory(error) : -1;
    from.given = !ready;
    from.name = name;
    int result = read_lines(r, text, from, error);
    free(text);
    return result;
}

int tu_rules_profile(struct tu_rules *r, const char *name, bool by_file, struct tu_error *error)
{
    unsigned count = 0;
    return read_profile(r, name, (struct reading){.by_file = by_file, .count = &count}, error);
}
