/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "judge/report.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree/json.h"
#include "model/save.h"
#include "base/text.h"

static const struct {
    const char *name;
    tu_report_fn *write;
    bool speaks; /* on standard output, where no file is named */
} formats[] = {
    {"json", tu_report_json, false},    {"junit", tu_report_junit, false},
    {"tap", tu_report_tap, false},      {"markdown", tu_report_markdown, false},
    {"html", tu_report_html, false},    {"sarif", tu_report_sarif, false},
    {"github", tu_report_github, true},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* ---- Orders ---- */

static int add_order(struct tu_report_orders *orders, const char *text, size_t length,
                     struct tu_error *error)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals ? (size_t)(equals - text) : length, i = 0;
    while (i < FORMATS &&
           (strlen(formats[i].name) != name || strncmp(formats[i].name, text, name) != 0))
        i++;
    if (i == FORMATS)
        return tu_fail(error, TU_EUSAGE,
                       "'%.*s' is no report (json, junit, tap, markdown, html, sarif, github)",
                       (int)length, text);
    if (!equals && !formats[i].speaks)
        return tu_fail(error, TU_EUSAGE, "%s needs a file: %s=FILE", formats[i].name,
                       formats[i].name);
    if (equals && (equals + 1 == text + length || strncmp(equals, "=-", length - name) == 0))
        return tu_fail(error, TU_EUSAGE,
                       "%s needs the name of a file, standard output has the text",
                       formats[i].name);
    char *path = equals ? strndup(equals + 1, length - name - 1) : NULL;
    if ((equals && !path) || !TU_GROW(orders->items, orders->count, orders->capacity)) {
        free(path);
        return tu_fail_memory(error);
    }
    orders->items[orders->count++] =
        (struct tu_report_order){formats[i].name, formats[i].write, path};
    return 0;
}

int tu_report_parse(void *target, const char *text, struct tu_error *error)
{
    for (const char *end;; text = end + 1) {
        end = text + strcspn(text, ",");
        if (add_order(target, text, (size_t)(end - text), error) < 0)
            return -1;
        if (!*end)
            return 0;
    }
}

static int check_twice(const struct tu_report_orders *orders, size_t which, struct tu_error *error)
{
    const struct tu_report_order *order = &orders->items[which];
    for (size_t i = 0; i < which; i++) {
        const char *path = orders->items[i].path;
        if (path && order->path ? tu_same_place(path, order->path) : path == order->path)
            return tu_fail(error, TU_EUSAGE, "--report: two reports to one place: %s",
                           path ? path : order->format);
    }
    return 0;
}

int tu_report_clear(const struct tu_report_orders *orders, struct tu_error *error)
{
    struct stat st;
    for (size_t i = 0; i < orders->count; i++)
        if (check_twice(orders, i, error) < 0)
            return -1;
    for (size_t i = 0; i < orders->count; i++) {
        const char *path = orders->items[i].path;
        if (!path || lstat(path, &st) < 0)
            continue;
        if (!S_ISREG(st.st_mode))
            return tu_fail(error, TU_EUSAGE, "%s: this is no file that a report could replace",
                           path);
        if (unlink(path) < 0 && errno != ENOENT)
            return tu_fail_errno(error, "%s: cannot remove the old report", path);
    }
    return 0;
}

void tu_report_orders_free(struct tu_report_orders *orders)
{
    for (size_t i = 0; i < orders->count; i++)
        free(orders->items[i].path);
    free(orders->items);
    *orders = (struct tu_report_orders){0};
}

int tu_report_make(const struct tu_report_order *order, const struct tu_report *r, char **text,
                   size_t *length, struct tu_error *error)
{
    *text = NULL;
    FILE *out = open_memstream(text, length);
    if (!out)
        return tu_fail_memory(error);
    int result = order->write(out, r, error);
    bool whole = !ferror(out);
    if ((fclose(out) != 0 || !whole) && result == 0)
        result = tu_fail_memory(error);
    if (result < 0)
        free(*text);
    return result;
}

int tu_report_tree(FILE *out, tu_report_fill_fn *fill, const struct tu_report *r,
                   struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value map;
    const char *text;
    size_t length;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = fill(&b, r, error);
    if (result < 0)
        tu_builder_cancel(&b);
    else
        result = tu_builder_end(&b, &map, error);
    if (result == 0)
        result = tu_json_text(&map, &arena, &text, &length, error);
    if (result == 0)
        fprintf(out, "%s\n", text);
    tu_arena_free(&arena);
    return result;
}

/* ---- Escapes ---- */

/* Characters that XML does not have (U+FFFE, U+FFFF), and those that turn the direction of what
 * follows: a name would read as another. */
static bool is_unfit(const char *p)
{
    static const char *const unfit[] = {
        "\xEF\xBF\xBE", "\xEF\xBF\xBF", "\xE2\x80\x8E", "\xE2\x80\x8F", "\xE2\x80\xAA",
        "\xE2\x80\xAB", "\xE2\x80\xAC", "\xE2\x80\xAD", "\xE2\x80\xAE", "\xE2\x81\xA6",
        "\xE2\x81\xA7", "\xE2\x81\xA8", "\xE2\x81\xA9"};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        if (strncmp(p, unfit[i], 3) == 0)
            return true;
    return false;
}

static void put_xml(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (strchr("<>&\"'", *p)) {
            fprintf(out, "&#%d;", *p);
        } else if (is_unfit(p)) {
            for (const char *end = p + 3; p < end; p++)
                fprintf(out, "\\x%02x", (unsigned char)*p);
            p--;
        } else {
            putc(*p, out);
        }
    }
}

/* Code between backticks takes everything as it is, but what ends it, or the cell around it; such
 * text becomes HTML in which every character that could mean something is a number. */
static void put_markdown(FILE *out, const char *text)
{
    bool plain = *text && *text != ' ' && text[strlen(text) - 1] != ' ' && !strpbrk(text, "`|");
    fputs(plain ? "`" : "<code>", out);
    for (const char *p = text; *p; p++) {
        if (plain || isalnum((unsigned char)*p) || (unsigned char)*p >= 0x80)
            putc(*p, out);
        else
            fprintf(out, "&#%d;", *p);
    }
    fputs(plain ? "`" : "</code>", out);
}

static void put_command(FILE *out, const char *text, bool parameter)
{
    for (const char *p = text; *p; p++) {
        if (*p == '%' || (parameter && strchr(":,", *p)))
            fprintf(out, "%%%02X", *p);
        else
            putc(*p, out);
    }
}

void tu_report_put(FILE *out, enum tu_markup markup, const char *text)
{
    switch (markup) {
    case TU_MARKUP_XML:
        put_xml(out, text);
        return;
    case TU_MARKUP_MARKDOWN:
        put_markdown(out, text);
        return;
    case TU_MARKUP_COMMAND:
    case TU_MARKUP_PARAMETER:
        put_command(out, text, markup == TU_MARKUP_PARAMETER);
        return;
    case TU_MARKUP_CELL:
        if (*text && strchr("=+-@", *text))
            fprintf(out, "\\x%02X", *text++);
        fputs(text, out);
        return;
    case TU_MARKUP_TAP:
    case TU_MARKUP_QUOTED:
        for (const char *special = markup == TU_MARKUP_TAP ? "\\#" : "\\\""; *text; text++) {
            if (strchr(special, *text))
                putc('\\', out);
            putc(*text, out);
        }
        return;
    }
}

void tu_report_trouble(const struct tu_court *c, char *out, size_t size)
{
    char rule[400], claim[200];
    const struct tu_rule *idle = tu_court_idle(c);
    switch (tu_court_ruling(c)) {
    case TU_PASS:
    case TU_FAIL:
        *out = '\0';
        return;
    case TU_WRONG_COUNT:
        tu_escape(c->claim, strlen(c->claim), claim, sizeof claim);
        snprintf(out, size, "%zu tensors were judged, the claim %s expects %" PRIu64,
                 tu_court_judged(c), claim, c->expected);
        return;
    case TU_IDLE_RULE:
        tu_rule_text(idle, false, rule, sizeof rule);
        snprintf(out, size, "the rule '%s' was about no record", rule);
        return;
    case TU_NOTHING_JUDGED:
        snprintf(
            out, size,
            "no record was judged (is there a tensor-cos before this? --allow-empty accepts it)");
        return;
    case TU_NOT_ALL_JUDGED:
        snprintf(out, size, "%zu records have no rule about them (--allow unjudged accepts it)",
                 c->counts[TU_UNJUDGED]);
        return;
    }
}
