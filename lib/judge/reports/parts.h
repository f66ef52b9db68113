/* SPDX-License-Identifier: MIT */
/* What several reports are made of: text escaped for each dialect, and JSON of what was judged. */
#ifndef TU_REPORT_PARTS_H
#define TU_REPORT_PARTS_H

#include "judge/report.h"

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

/* Writes the object that fill builds of its subject, as JSON. */
typedef int tu_report_fill_fn(struct tu_builder *b, const void *subject, struct tu_error *error);
int tu_report_tree(FILE *out, tu_report_fill_fn *fill, const void *subject,
                   struct tu_error *error) TU_MUST_CHECK;

/* Parts of such an object: the counts with the least and greatest value, one record, and those from
 * first to before end, in the order of the court. */
int tu_put_totals(struct tu_builder *b, const struct tu_court *c, struct tu_error *error);
int tu_put_judged(struct tu_builder *b, const char *key, const struct tu_judged *j,
                  struct tu_error *error);
int tu_put_records(struct tu_builder *b, const char *key, const struct tu_court *c, size_t first,
                   size_t end, struct tu_error *error);

#endif
