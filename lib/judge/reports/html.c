/* SPDX-License-Identifier: MIT */
/*
 * HTML: one file that needs no other.  Its policy lets nothing run or load but the one style and
 * the one script below, whose digests it names (tests/judge/report.bats holds them together); what
 * a name could smuggle in would be dead.
 */
#include "config.h"

#include "judge/reports/parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "judge/field.h"
#include "judge/reports/heat-map.h"
#include "base/text.h"
#include "tree/cell.h"

enum { SHADES = 8, BAD_SHADES = 4 };

#define STYLE_DIGEST  "sha256-/lSQbrBlqimC/EkqGmr3O4DixX/gZ8xmH2+gMIVmN3o="
#define SCRIPT_DIGEST "sha256-6VKi8CjkAXjJ+D7iuRwZMbGerl+GBHcU9dcKVQ43wZU="

static const char style[] =
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#1a1a1a;background:#fff}"
    "h1 b{padding:.1em .4em;border-radius:.2em;color:#fff;background:#b3261e}"
    "h1 b.pass{background:#1b7f3b}"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "td,th{padding:.2em .6em;border:1px solid #ddd;text-align:left;font-weight:normal}"
    "th{background:#f5f5f5}code,td.n,.map td{font-family:ui-monospace,monospace;font-size:13px}"
    "td.n{text-align:right}.counts td{font-size:1.6em;text-align:center}"
    ".wide{overflow-x:auto}.worst{display:flex;flex-wrap:wrap;gap:0 3em}.worst "
    "section{max-width:100%}"
    ".map td{text-align:center;padding:.15em .4em;min-width:3.5em}"
    ".map thead th{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left}"
    ".map td.s0{background:#f7fbff}.map td.s1{background:#e3eef9}.map td.s2{background:#cfe1f2}"
    ".map td.s3{background:#b5d4e9}.map td.s4{background:#93c3df}.map td.s5{background:#6daed5}"
    ".map td.s6{background:#4b97c9}.map td.s7{background:#2f7fbc;color:#fff}"
    ".map td.bad{background:#b3261e;color:#fff}.map td.b0{background:#f9d3d0;color:#1a1a1a}"
    ".map td.b1{background:#ee8f88;color:#1a1a1a}.map td.b3{background:#7a120c}"
    ".map td.out{background:#ddd}.map td.none{border:0}"
    "tr.bad td:first-child{background:#b3261e;color:#fff}"
    "th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid #2f7fbc}"
    "th button::after{content:' \\2195';color:#999}"
    "th[aria-sort=ascending] button::after{content:' \\2191'}"
    "th[aria-sort=descending] button::after{content:' \\2193'}"
    "bdi{unicode-bidi:isolate;overflow-wrap:anywhere}bdi:empty::before{content:'(no "
    "name)';color:#777}"
    ".sorts bdi{display:inline-block;min-width:16em}.sorts td:last-child{min-width:14em}"
    "figure{margin:0 0 1.5em}rect{fill:#2f7fbc}";

/* Sorts a table by the column whose head was clicked; numbers as numbers, what is none last. */
static const char script[] =
    "'use strict';"
    "for(const table of document.querySelectorAll('table.sorts'))"
    "table.tHead.querySelectorAll('button').forEach((button,column)=>"
    "button.addEventListener('click',()=>{"
    "const head=button.parentElement,down=head.getAttribute('aria-sort')==='ascending';"
    "for(const other of table.tHead.rows[0].cells)other.removeAttribute('aria-sort');"
    "head.setAttribute('aria-sort',down?'descending':'ascending');"
    "const text=row=>row.cells[column].textContent,number=row=>parseFloat(text(row));"
    "const numbers=head.classList.contains('n'),turn=down?-1:1;"
    "const order=(a,b)=>{if(!numbers)return "
    "turn*text(a).localeCompare(text(b),'en',{numeric:true});"
    "const x=number(a),y=number(b);"
    "return isNaN(x)||isNaN(y)?isNaN(x)-isNaN(y):turn*(x<y?-1:x>y?1:0)};"
    "const body=table.tBodies[0];"
    "for(const row of [...body.rows].sort(order))body.append(row)}))";

static void put(FILE *out, const char *text)
{
    tu_report_put(out, TU_MARKUP_XML, text);
}

/* A name in a script from right to left leaves the direction of what is around it alone. */
static void put_name(FILE *out, const char *name)
{
    fputs("<bdi>", out);
    put(out, name);
    fputs("</bdi>", out);
}

static bool is_bad(const struct tu_judged *j)
{
    return tu_outcome_fails(j->outcome) || j->outcome == TU_UNJUDGED;
}

/* ---- Summary ---- */

static void put_counts(FILE *out, const struct tu_court *c)
{
    char relations[128];
    fputs("<div class=\"wide\"><table class=\"counts\"><thead><tr>", out);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, "<th>%s</th>", tu_outcome_words[i]);
    fputs("</tr></thead><tbody><tr>", out);
    for (size_t i = 0; i < TU_OUTCOMES; i++)
        fprintf(out, "<td>%zu</td>", c->counts[i]);
    fputs("</tr></tbody></table></div>\n", out);
    if (tu_court_relations(c, relations, sizeof relations))
        fprintf(out, "<p>Weights: %s.</p>\n", relations);
}

static void put_escaped(FILE *out, const char *text)
{
    char shown[2048];
    tu_escape(text, strlen(text), shown, sizeof shown);
    put(out, shown);
}

static void put_rules(FILE *out, const struct tu_court *c)
{
    char text[512];
    fputs("<h2>Rules</h2>\n", out);
    if (c->profile) {
        fputs("<p>Profile <code>", out);
        put_escaped(out, c->profile);
        fputs("</code></p>\n", out);
    }
    fputs("<ul>\n", out);
    for (size_t i = 0; i < c->rules.count; i++) {
        if (!tu_court_names(c, i))
            continue;
        tu_rule_text(&c->rules.items[i], false, text, sizeof text);
        fputs("<li><code>", out);
        put_escaped(out, text);
        fprintf(out, "</code> judged %zu</li>\n", c->uses[i].judged);
    }
    fputs("</ul>\n", out);
}

static void put_summary(FILE *out, const struct tu_court *c)
{
    char trouble[512];
    const char *words = tu_court_words(c);
    tu_court_trouble(c, trouble, sizeof trouble);
    fprintf(out, "<h1>verdict: <b class=\"%s\">%s</b></h1>\n",
            tu_court_ruling(c) == TU_PASS ? "pass" : "fail", words);
    if (*trouble) {
        fputs("<p>", out);
        put_escaped(out, trouble);
        fputs("</p>\n", out);
    }
    put_counts(out, c);
    put_rules(out, c);
}

/* ---- Heat map ---- */

/* The shades of what passed, and of what broke a rule. */
struct scales {
    struct tu_scale good, bad;
};

static void put_look(FILE *out, const struct scales *scales, const struct tu_judged *j)
{
    int shade = -1;
    if (!is_bad(j))
        shade = tu_scale_shade(&scales->good, j, SHADES);
    else if (j->outcome == TU_FAILED)
        shade = tu_scale_shade(&scales->bad, j, BAD_SHADES);
    fputs(is_bad(j) ? "bad" : shade < 0 ? "out" : "", out);
    if (shade >= 0)
        fprintf(out, is_bad(j) ? " b%d" : "s%d", shade);
}

static void put_cell(FILE *out, const struct scales *scales, const struct tu_judged *j)
{
    fputs("<td class=\"", out);
    put_look(out, scales, j);
    fputs("\" title=\"", out);
    put(out, j->shown);
    fprintf(out, ": %s", tu_outcome_words[j->outcome]);
    fputs("\">", out);
    if (isnan(j->value))
        fputs(tu_outcome_words[j->outcome], out);
    else
        fprintf(out, "%.5g", j->value);
    fputs("</td>", out);
}

static void put_layers(FILE *out, const struct tu_heat *h, const struct scales *scales)
{
    size_t next = 0;
    fputs("<div class=\"wide\"><table class=\"map\" id=\"layers\"><thead><tr><th>layer</th>", out);
    for (size_t i = 0; i < h->columns; i++) {
        fputs("<th>", out);
        put_name(out, h->roles[i] + h->common);
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (size_t row = 0; row < h->rows; row++) {
        fprintf(out, "<tr><th>%" PRIu64 "</th>", h->layers[row]);
        for (size_t column = 0; column < h->columns; column++) {
            const struct tu_heat_cell *cell = &h->cells[next];
            if (next < h->layered && cell->row == row && cell->column == column)
                put_cell(out, scales, cell->item);
            else
                fputs("<td class=\"none\"></td>", out);
            while (next < h->layered && h->cells[next].row == row &&
                   h->cells[next].column == column)
                next++;
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void put_others(FILE *out, const struct tu_heat *h, const struct scales *scales)
{
    fputs("<table class=\"map\" id=\"others\"><tbody>\n", out);
    for (size_t i = h->layered; i < h->count; i++) {
        fputs("<tr><th>", out);
        put_name(out, h->cells[i].role);
        fputs("</th>", out);
        put_cell(out, scales, h->cells[i].item);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void put_span(FILE *out, const struct tu_scale *scale, const char *what)
{
    if (scale->high > 0)
        fprintf(out, "%s, from light to dark: %.3g to %.3g. ", what,
                scale->turned ? scale->high : scale->low, scale->turned ? scale->low : scale->high);
}

/* What the shades mean. */
static void put_key(FILE *out, const struct tu_court *c, const struct scales *scales)
{
    fprintf(out, "<p>Shown is %s%s. ", tu_court_field(c),
            scales->good.cosine ? "; shades are of its distance from 1" : "");
    put_span(out, &scales->good, "Blue");
    put_span(out, &scales->bad, "Red, which broke a rule");
    fputs("</p>\n", out);
}

static int put_map(FILE *out, const struct tu_court *c, struct tu_error *error)
{
    enum { OTHERS_MAX = 100 };
    struct tu_heat heat;
    struct scales scales;
    if (tu_heat_make(&heat, c, error) < 0)
        return -1;
    tu_scale_make(&scales.good, c, TU_PASSED);
    tu_scale_make(&scales.bad, c, TU_FAILED);
    if (heat.layered) {
        fprintf(out, "<h2>%s, by layer and role</h2>\n", tu_court_field(c));
        if (tu_heat_is_small(&heat))
            put_layers(out, &heat, &scales);
        else
            fprintf(out, "<p>%zu layers by %zu roles are too many to be drawn.</p>\n", heat.rows,
                    heat.columns);
        if (heat.count > heat.layered && heat.count - heat.layered <= OTHERS_MAX)
            put_others(out, &heat, &scales);
        put_key(out, c, &scales);
    }
    tu_heat_free(&heat);
    return 0;
}

/* ---- The worst ---- */

/* Which distances are counted in a bucket: 0, 1, 2, 3 to 4, 5 to 8 and so on. */
static void put_distances(FILE *out, size_t bucket)
{
    if (bucket < 3)
        fprintf(out, "%zu", bucket);
    else
        fprintf(out, "%.0f to %.0f", ldexp(1, (int)bucket - 2) + 1, ldexp(1, (int)bucket - 1));
}

/* Counts of distances in units of the last place, as bars. */
static void put_histogram(FILE *out, const struct tensor_value *counts)
{
    enum { BAR = 12, HEIGHT = 60, BARS_MAX = 66 };
    double most = 0, x;
    if (!counts || counts->type != TENSOR_ARRAY || counts->array.count > BARS_MAX)
        return;
    for (size_t i = 0; i < counts->array.count; i++)
        if (tu_value_number(&counts->array.items[i], &x) && isfinite(x) && x > most)
            most = x;
    fprintf(out, "<figure><svg width=\"%zu\" height=\"%d\" role=\"img\">",
            BAR * counts->array.count, HEIGHT);
    for (size_t i = 0; i < counts->array.count && most > 0; i++) {
        bool drawn = tu_value_number(&counts->array.items[i], &x) && isfinite(x) && x > 0;
        int height = drawn ? (int)ceil(x / most * HEIGHT) : 0;
        fprintf(out, "<rect x=\"%zu\" y=\"%d\" width=\"%d\" height=\"%d\"><title>", BAR * i,
                HEIGHT - height, BAR - 1, height);
        put_distances(out, i);
        fprintf(out, ": %.17g</title></rect>", drawn ? x : 0);
    }
    fputs("</svg><figcaption>units in the last place apart: 0, 1, 2, 3 to 4, 5 to 8 and so "
          "on</figcaption></figure>\n",
          out);
}

static void put_field(FILE *out, const struct tensor_value *record, const char *name)
{
    struct tensor_value room;
    char text[512];
    const struct tensor_value *value = tu_field(record, name, &room);
    if (!value)
        return;
    tu_format_cell(value, false, text, sizeof text);
    fprintf(out, "<tr><th>%s</th><td class=\"n\">", name);
    put(out, text);
    fputs("</td></tr>\n", out);
}

static void put_one(FILE *out, const struct tu_judged *j)
{
    static const char *const fields[] = {
        "status",
        "dtype_a",
        "dtype_b",
        "shape_a",
        "shape_b",
        "transform",
        "max_diff",
        "cosine_similarity",
        "rmse",
        "sqnr_db",
        "norm_ratio",
        "noise_ratio",
        "worst_row",
        "worst_row_error",
        "worst_cosine_row",
        "worst_row_cosine",
        "worst_noise_row",
        "worst_row_noise_ratio",
        "worst_gain_row",
        "worst_row_gain",
        "trimmed_cosine",
        "beyond_tenth_percent",
        "beyond_one_percent",
        "beyond_ten_percent",
        "identical_share",
        "nan_a",
        "nan_b",
        "worst_index",
        "worst_a",
        "worst_b",
        "transform",
        "hypothesis",
        "hypothesis_cosine",
        "remedy",
    };
    fputs("<section><h3>", out);
    put_name(out, j->shown);
    fprintf(out, "</h3>\n<p>%s", tu_outcome_words[j->outcome]);
    fputs(*j->reason ? ": " : "", out);
    put(out, j->reason);
    fputs("</p>\n<table>\n", out);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        put_field(out, &j->record, fields[i]);
    fputs("</table>\n", out);
    put_histogram(out, tu_value_get(&j->record, "ulp_histogram"));
    fputs("</section>\n", out);
}

static void put_worst(FILE *out, const struct tu_report *r)
{
    const struct tu_court *c = r->court;
    size_t ranked = tu_court_ranked(c), count = r->worst < ranked ? r->worst : ranked;
    if (!count)
        return;
    fputs("<h2>Worst tensors</h2>\n<div class=\"worst\">\n", out);
    for (size_t i = 0; i < count; i++)
        put_one(out, &c->items[i]);
    fputs("</div>\n", out);
}

/* ---- All ---- */

static void put_number(FILE *out, double value)
{
    char number[TU_NUMBER_SIZE];
    tu_format_double(value, number);
    fprintf(out, "<td class=\"n\">%s</td>", isnan(value) ? "" : number);
}

static double number_of(const struct tu_judged *j, const char *field)
{
    struct tensor_value room;
    double number;
    return tu_value_number(tu_field(&j->record, field, &room), &number) ? number : NAN;
}

static void put_type(FILE *out, const struct tu_judged *j, const char *field)
{
    char text[64];
    const struct tensor_value *type = tu_value_get(&j->record, field);
    tu_format_cell(type, false, text, sizeof text);
    fputs("<td>", out);
    put(out, type ? text : "");
    fputs("</td>", out);
}

static void put_row(FILE *out, const struct tu_judged *j)
{
    fprintf(out, "<tr%s><td>%s</td>", is_bad(j) ? " class=\"bad\"" : "",
            tu_outcome_words[j->outcome]);
    put_number(out, j->value);
    put_number(out, number_of(j, "max_diff"));
    put_number(out, number_of(j, "norm_ratio"));
    put_type(out, j, "dtype_a");
    put_type(out, j, "dtype_b");
    fputs("<td>", out);
    put_name(out, j->shown);
    fputs("</td><td>", out);
    put(out, j->reason);
    fputs("</td></tr>\n", out);
}

static void put_all(FILE *out, const struct tu_court *c)
{
    fprintf(
        out,
        "<h2>All tensors</h2>\n<div class=\"wide\"><table class=\"sorts\" id=\"all\"><thead><tr>"
        "<th><button>outcome</button></th><th class=\"n\"><button>%s</button></th>"
        "<th class=\"n\"><button>max_diff</button></th>"
        "<th class=\"n\"><button>norm_ratio</button></th><th><button>a</button></th>"
        "<th><button>b</button></th><th><button>name</button></th>"
        "<th><button>why</button></th></tr></thead><tbody>\n",
        tu_court_field(c));
    for (size_t i = 0; i < c->count; i++)
        put_row(out, &c->items[i]);
    fputs("</tbody></table></div>\n", out);
}

int tu_report_html(FILE *out, const struct tu_report *r, struct tu_error *error)
{
    const struct tu_court *c = r->court;
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src '" STYLE_DIGEST "'; script-src '" SCRIPT_DIGEST "'\">\n"
            "<title>verdict: %s</title>\n<style>%s</style>\n</head>\n<body>\n",
            tu_court_words(c), style);
    put_summary(out, c);
    if (put_map(out, c, error) < 0)
        return -1;
    put_worst(out, r);
    put_all(out, c);
    fprintf(out, "<script>%s</script>\n</body>\n</html>\n", script);
    return 0;
}
