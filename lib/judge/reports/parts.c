/* SPDX-License-Identifier: MIT */
/* What several reports share: text that no dialect misreads, and the JSON of counts and records. */
#include "config.h"

#include "judge/reports/parts.h"

#include <ctype.h>
#include <string.h>

#include "tree/json.h"

/* ---- Trees ---- */

int tu_report_tree(FILE *out, tu_report_fill_fn *fill, const void *subject, struct tu_error *error)
{
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value map;
    const char *text;
    size_t length;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = fill(&b, subject, error);
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

int tu_put_judged(struct tu_builder *b, const char *key, const struct tu_judged *j,
                  struct tu_error *error)
{
    if (tu_builder_open(b, key, key ? strlen(key) : 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_string(b, "name", j->name, error) < 0 ||
        tu_put_string(b, "verdict", tu_outcome_verdicts[j->outcome], error) < 0 ||
        tu_put_string(b, "status", j->status, error) < 0 ||
        tu_put_real(b, "value", j->value, error) < 0 ||
        tu_put_string(b, "reason", j->reason, error) < 0 ||
        (j->hypothesis && tu_put_string(b, "hypothesis", j->hypothesis, error) < 0) ||
        (j->remedy && tu_put_string(b, "remedy", j->remedy, error) < 0))
        return -1;
    return tu_builder_close(b, error);
}

int tu_put_records(struct tu_builder *b, const char *key, const struct tu_court *c, size_t first,
                   size_t end, struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = first; i < end; i++)
        if (tu_put_judged(b, NULL, &c->items[i], error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

int tu_put_totals(struct tu_builder *b, const struct tu_court *c, struct tu_error *error)
{
    const struct tu_judged *least = tu_court_extreme(c, true), *most = tu_court_extreme(c, false);
    const size_t *n = c->counts;
    const struct {
        const char *key;
        size_t value;
    } totals[] = {
        {"records", c->count},
        {"judged", tu_court_judged(c)},
        {"passed", n[TU_PASSED]},
        {"failed", tu_court_failures(c)},
        {"broke_a_rule", n[TU_FAILED]},
        {"not_compared", n[TU_INCOMPARABLE] + n[TU_MISSING]},
        {"incomparable", n[TU_INCOMPARABLE]},
        {"missing", n[TU_MISSING]},
        {"allowed", n[TU_ALLOWED]},
        {"unjudged", n[TU_UNJUDGED]},
        {"listed", n[TU_LISTED]},
        {"repeated", c->repeated},
        {"streams", c->streams},
        {"compared", c->compared},
        {"facts", c->facts},
        {"facts_differing", c->differing},
        {"facts_listed", c->listed},
    };
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        if (tu_put_uint(b, totals[i].key, totals[i].value, error) < 0)
            return -1;
    for (size_t i = 0; i < TU_RELATIONS; i++)
        if (tu_put_uint(b, tu_relation_words[i], c->relations[i], error) < 0)
            return -1;
    if (tu_put_string(b, "field", tu_court_field(c), error) < 0)
        return -1;
    return least
               ? (tu_put_judged(b, "min", least, error) < 0 ? -1
                                                            : tu_put_judged(b, "max", most, error))
               : 0;
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
