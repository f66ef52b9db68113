/* SPDX-License-Identifier: MIT */
/* The table of reports: which ones a user ordered, and where each of them goes. */
#include "config.h"

#include "judge/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/newfile.h"
#include "base/text.h"

static const struct {
    const char *name;
    tu_report_fn *write;
    const char *opening; /* the bytes that each begins with */
    bool speaks;         /* on standard output, where no file is named */
} formats[] = {
    {"json", tu_report_json, "{\"kind\":\"verdict\",", false},
    {"junit", tu_report_junit,
     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"verdict\"", false},
    {"tap", tu_report_tap, "TAP version 13\n1..", false},
    {"markdown", tu_report_markdown, "## verdict: ", false},
    {"html", tu_report_html,
     "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", false},
    {"sarif", tu_report_sarif, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",",
     false},
    {"github", tu_report_github, "::", true},
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

/* Whether a file begins as a report of a format does. */
static bool is_report(const char *path, const char *opening)
{
    char head[128];
    struct stat st;
    size_t length = strlen(opening);
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    size_t read = file ? fread(head, 1, length < sizeof head ? length : sizeof head, file) : 0;
    if (file)
        fclose(file);
    return read == length && memcmp(head, opening, length) == 0;
}

void tu_report_forget(const char *list)
{
    struct tu_report_orders orders = {0};
    struct tu_error ignored = {0};
    (void)tu_report_parse(&orders, list, &ignored);
    for (size_t i = 0; i < orders.count; i++)
        for (size_t k = 0; k < FORMATS; k++)
            if (orders.items[i].path && formats[k].write == orders.items[i].write &&
                is_report(orders.items[i].path, formats[k].opening))
                unlink(orders.items[i].path);
    tu_report_orders_free(&orders);
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
