/* SPDX-License-Identifier: MIT */
/* Whether evidence still holds, as text, as rows and as one JSON object. */
#include "config.h"

#include "judge/drift.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "judge/reports/parts.h"

static const char *verdict_of(const struct tu_check *c)
{
    return c->drift.reasons.count ? "fail" : "pass";
}

static int put_lines(struct tu_builder *b, const char *key, const struct tu_lines *lines,
                     struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_STRING, error) < 0)
        return -1;
    for (size_t i = 0; i < lines->count; i++) {
        struct tensor_value line = {.type = TENSOR_STRING,
                                    .string = {lines->items[i], strlen(lines->items[i])}};
        if (tu_builder_add(b, NULL, 0, &line, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int fill(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct tu_check *c = subject;
    if (tu_put_string(b, "kind", "evidence_check", error) < 0 ||
        tu_put_string(b, "verdict", verdict_of(c), error) < 0 ||
        tu_put_string(b, "evidence", c->path, error) < 0 ||
        tu_put_string(b, "claim", c->claim, error) < 0 ||
        tu_put_string(b, "signature", c->signature, error) < 0 ||
        put_lines(b, "notes", &c->drift.notes, error) < 0)
        return -1;
    return put_lines(b, "reasons", &c->drift.reasons, error);
}

int tu_check_json(FILE *out, const struct tu_check *c, struct tu_error *error)
{
    return tu_report_tree(out, fill, c, error);
}

int tu_check_text(FILE *out, const struct tu_check *c, struct tu_error *error)
{
    char claim[1024], signature[1024];
    (void)error;
    tu_escape(c->claim, strlen(c->claim), claim, sizeof claim);
    tu_escape(c->signature, strlen(c->signature), signature, sizeof signature);
    fprintf(out, "verdict: %s\nclaim: %s\nsigned: %s\n", verdict_of(c), claim, signature);
    for (size_t i = 0; i < c->drift.notes.count; i++)
        fprintf(out, "note: %s\n", c->drift.notes.items[i]);
    for (size_t i = 0; i < c->drift.reasons.count; i++)
        fprintf(out, "drift: %s\n", c->drift.reasons.items[i]);
    return 0;
}

int tu_check_tsv(FILE *out, const struct tu_check *c, struct tu_error *error)
{
    (void)error;
    fputs("verdict\treason\n", out);
    for (size_t i = 0; i < c->drift.reasons.count; i++) {
        fputs("fail\t", out);
        tu_report_put(out, TU_MARKUP_CELL, c->drift.reasons.items[i]);
        fputc('\n', out);
    }
    return 0;
}
