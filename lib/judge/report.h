/* SPDX-License-Identifier: MIT */
/*
 * A verdict in the dialects of others.  How to add one: lib/judge/reports/NAME.c with a
 * tu_report_fn, its row in report.c, its paragraph in verdict(1).
 *
 * Reports are the same bytes for the same records: no times, no host, no order but that of the
 * court.  Names of tensors come from strangers; whatever a report says of them goes through
 * tu_report_put.
 */
#ifndef TU_REPORT_H
#define TU_REPORT_H

#include <stdio.h>

#include "judge/court.h"

/* What a report is made of: a court that was sorted. */
struct tu_report {
    const struct tu_court *court;
    size_t worst; /* tensors to show more of */
};

/* Writes a report.  The stream is memory; whether it took all is the caller's to check. */
typedef int tu_report_fn(FILE *out, const struct tu_report *r, struct tu_error *error);
tu_report_fn tu_report_github, tu_report_html, tu_report_json, tu_report_junit, tu_report_markdown,
    tu_report_sarif, tu_report_tap, tu_report_text, tu_report_tsv;

/* One report that was asked for. */
struct tu_report_order {
    const char *format;
    tu_report_fn *write;
    char *path; /* NULL: standard output */
};

struct tu_report_orders {
    struct tu_report_order *items;
    size_t count, capacity;
};

/* Adds "FORMAT=FILE,..."; target as of an option (tool/main.h). */
int tu_report_parse(void *target, const char *text, struct tu_error *error);
/* Removes the files of an earlier run, so that none is taken for one of this. */
int tu_report_clear(const struct tu_report_orders *orders, struct tu_error *error) TU_MUST_CHECK;
/* The same for a run that ended before it could look at its options, so that nothing is known but
 * the text of one: a file is removed if it begins as a report of its format does. */
void tu_report_forget(const char *list);
/* The text of a report in memory to be freed. */
int tu_report_make(const struct tu_report_order *order, const struct tu_report *r, char **text,
                   size_t *length, struct tu_error *error) TU_MUST_CHECK;
void tu_report_orders_free(struct tu_report_orders *orders);

#endif
