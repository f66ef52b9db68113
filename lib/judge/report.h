/* SPDX-License-Identifier: MIT */
/*
 * A verdict in the dialects of others.  How to add one: lib/report-NAME.c with a tu_report_fn, its
 * row in report.c, its paragraph in verdict(1).
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

/* Adds "FORMAT=FILE,..."; target as of an option (cli.h). */
int tu_report_parse(void *target, const char *text, struct tu_error *error);
/* Removes the files of an earlier run, so that none is taken for one of this. */
int tu_report_clear(const struct tu_report_orders *orders, struct tu_error *error) TU_MUST_CHECK;
/* The text of a report in memory to be freed. */
int tu_report_make(const struct tu_report_order *order, const struct tu_report *r, char **text,
                   size_t *length, struct tu_error *error) TU_MUST_CHECK;
void tu_report_orders_free(struct tu_report_orders *orders);

/* ---- For those who write reports ---- */

enum tu_markup {
    TU_MARKUP_XML,       /* text and attributes of XML and HTML */
    TU_MARKUP_MARKDOWN,  /* a piece of code, also in a cell of a table */
    TU_MARKUP_TAP,       /* a description: no directive begins in it */
    TU_MARKUP_QUOTED,    /* between double quotes, in YAML */
    TU_MARKUP_COMMAND,   /* the message of a GitHub command */
    TU_MARKUP_PARAMETER, /* a parameter of one */
    TU_MARKUP_CELL,      /* of TSV: a spreadsheet sees no formula in it */
};

/* Puts text, whose control characters were escaped before. */
void tu_report_put(FILE *out, enum tu_markup markup, const char *text);

/* Writes the object that fill builds, as JSON. */
typedef int tu_report_fill_fn(struct tu_builder *b, const struct tu_report *r,
                              struct tu_error *error);
int tu_report_tree(FILE *out, tu_report_fill_fn *fill, const struct tu_report *r,
                   struct tu_error *error) TU_MUST_CHECK;

/* Parts of such an object: the counts with the least and greatest value, one record, and the first
 * count in the order of the worst, of failures alone if so asked. */
int tu_put_totals(struct tu_builder *b, const struct tu_court *c, struct tu_error *error);
int tu_put_judged(struct tu_builder *b, const char *key, const struct tu_judged *j,
                  struct tu_error *error);
int tu_put_records(struct tu_builder *b, const char *key, const struct tu_court *c, size_t count,
                   bool failures, struct tu_error *error);

/* Why a verdict is neither pass nor fail; "" where it is one of them. */
void tu_report_trouble(const struct tu_court *c, char *out, size_t size);

#endif
