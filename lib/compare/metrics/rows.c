/* SPDX-License-Identifier: MIT */
/* What is noted of each row of a comparison, so that the worst ones are known. */
#include "config.h"

#include "compare/metrics/rows.h"

void tu_row_add(struct tu_row *sum, const struct tu_row *next)
{
    tu_add_scaled(&sum->dot, &next->dot);
    tu_add_scaled(&sum->aa, &next->aa);
    tu_add_scaled(&sum->bb, &next->bb);
    tu_add_scaled(&sum->dd, &next->dd);
    sum->steps += next->steps;
    tu_apart_add(&sum->apart, &next->apart);
}

struct tu_row tu_partial_row(const struct tu_partial *p)
{
    return (struct tu_row){p->dot, p->aa, p->bb, p->dd, p->steps, p->apart};
}

static double row_error(const struct tu_row *r)
{
    double to_a = r->aa.value > 0 ? tu_ratio(r->dd, r->aa) : INFINITY;
    double to_b = r->bb.value > 0 ? tu_ratio(r->dd, r->bb) : INFINITY;
    return to_a < to_b ? to_a : to_b;
}

/* 1 - cos = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|), which keeps its digits where the vectors are
 * close; far apart the plain form does. */
struct tu_angle tu_angle_of(const struct tu_row *r)
{
    struct tu_scaled norms = tu_product_root(r->aa, r->bb);
    double apart = tu_ratio(r->dd, norms),
           cosine = tu_ratio(r->dot, norms); /* |a - b|^2 / (|a| |b|) */
    if (!(apart < 0.5))
        return (struct tu_angle){cosine, 1 - cosine};
    double stretch = sqrt(tu_ratio(r->aa, norms)) - sqrt(tu_ratio(r->bb, norms));
    double distance = (apart - stretch * stretch) / 2;
    return (struct tu_angle){cosine, distance > 0 ? distance : 0};
}

static struct tu_angle row_angle(const struct tu_row *r)
{
    if (r->dd.value == 0)
        return (struct tu_angle){1, 0};
    if (!(r->aa.value > 0 && r->bb.value > 0))
        return (struct tu_angle){0, 1};
    return tu_angle_of(r);
}

/* Whether a row can be among the worst: cheaper than its numbers.  1 - cos is at most |a - b|^2 /
 * (2 |a| |b|). */
static bool may_be_worst(const struct tu_worst_rows *w, const struct tu_row *r)
{
    const double slack = 1 - 0x1p-40;
    double aa = r->aa.value, bb = r->bb.value, dd = r->dd.value, apart = 2 * w->distance;
    if (!w->known || (r->aa.exponent | r->bb.exponent | r->dd.exponent))
        return true;
    return dd >= slack * w->error * (aa > bb ? aa : bb) ||
           dd * dd >= slack * apart * apart * aa * bb;
}

/* Whether the norm of a row, of these squares, grew more from a to b than that of another one. */
static bool grew_more(const struct tu_scaled *aa, const struct tu_scaled *bb,
                      const struct tu_scaled *other_aa, const struct tu_scaled *other_bb)
{
    if (aa->exponent | bb->exponent | other_aa->exponent | other_bb->exponent)
        return tu_ratio(*bb, *aa) > tu_ratio(*other_bb, *other_aa);
    return bb->value * other_aa->value > other_bb->value * aa->value;
}

static void note_gain(struct tu_worst_rows *w, const struct tu_scaled *aa,
                      const struct tu_scaled *bb, uint64_t row)
{
    if (!(aa->value > 0 && bb->value > 0))
        return;
    bool first = !(w->most.aa.value > 0);
    if (first || grew_more(aa, bb, &w->most.aa, &w->most.bb))
        w->most = (struct tu_gain){*aa, *bb, row};
    if (first || grew_more(&w->least.aa, &w->least.bb, aa, bb))
        w->least = (struct tu_gain){*aa, *bb, row};
}

static void note_noise(struct tu_worst_rows *w, double noise, uint64_t index)
{
    if (!w->predicted || noise > w->noise) {
        w->noise = noise;
        w->noise_row = index;
    }
    w->predicted = true;
}

/* The mean square of a row below which a type cannot hold it with the usual precision: its numbers,
 * or its scales, which are halves, lose their digits there. */
static double faint_square(const struct tu_decoder *d)
{
    switch (d->geometry.dtype->code) {
    case TENSOR_Q2_K:
    case TENSOR_Q3_K:
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
    case TENSOR_Q6_K:
        return 0x1p-36;
    case TENSOR_Q4_0:
    case TENSOR_Q4_1:
    case TENSOR_Q5_0:
    case TENSOR_Q5_1:
    case TENSOR_APR_Q4:
        return 0x1p-34;
    case TENSOR_F16:
    case TENSOR_F8_E5M2:
    case TENSOR_F8_E5M2FNUZ:
        return 0x1p-28;
    case TENSOR_BF16:
        return 0x1p-240;
    case TENSOR_F8_E4M3:
    case TENSOR_F8_E4M3FNUZ:
        return 0x1p-12;
    case TENSOR_Q8_0:
    case TENSOR_Q8_1:
    case TENSOR_IQ4_NL:
        return 0x1p-26;
    case TENSOR_Q8_K:
    case TENSOR_MXFP4:
        return 0;
    default:
        return d->geometry.dtype->kind == TENSOR_KIND_QUANT ? 0x1p-22 : 0;
    }
}

static bool is_at_least(struct tu_scaled square, double least)
{
    return square.value > 0 && tu_unscale(square) >= least;
}

double tu_faint_row(const struct tu_comparison *c)
{
    double a = faint_square(&c->decoders[0]), b = faint_square(&c->decoders[1]);
    return (a > b ? a : b) * (double)c->row;
}

void tu_rows_note(struct tu_worst_rows *w, double faint, uint64_t index, const struct tu_row *r)
{
    tu_apart_note(&w->apart, index, &r->apart);
    if (!is_at_least(r->aa, faint) && !is_at_least(r->bb, faint))
        return;
    if (r->steps > 0 && isfinite(r->steps))
        note_noise(w, tu_unscale(r->dd) / r->steps, index);
    note_gain(w, &r->aa, &r->bb, index);
    if ((w->known && r->dd.value == 0) || !may_be_worst(w, r))
        return;
    const struct tu_angle angle = row_angle(r);
    double error = row_error(r);
    if (!w->known || error > w->error) {
        w->error = error;
        w->error_row = index;
    }
    if (!w->known || angle.distance > w->distance) {
        w->distance = angle.distance;
        w->cosine = angle.cosine;
        w->cosine_row = index;
    }
    w->known = true;
}

void tu_note_row(struct tu_worst_rows *w, const struct tu_comparison *c, uint64_t index,
                 const struct tu_row *r)
{
    tu_rows_note(w, tu_faint_row(c), index, r);
}

void tu_worst_rows_move(struct tu_worst_rows *w, uint64_t rows)
{
    tu_apart_rows_move(&w->apart, rows);
    w->error_row += rows;
    w->cosine_row += rows;
    w->least.row += rows;
    w->most.row += rows;
}

void tu_worst_rows_add(struct tu_worst_rows *sum, const struct tu_worst_rows *next)
{
    note_gain(sum, &next->least.aa, &next->least.bb, next->least.row);
    note_gain(sum, &next->most.aa, &next->most.bb, next->most.row);
    tu_apart_rows_add(&sum->apart, &next->apart);
    if (next->predicted)
        note_noise(sum, next->noise, next->noise_row);
    if (!next->known)
        return;
    if (!sum->known || next->error > sum->error) {
        sum->error = next->error;
        sum->error_row = next->error_row;
    }
    if (!sum->known || next->distance > sum->distance) {
        sum->distance = next->distance;
        sum->cosine = next->cosine;
        sum->cosine_row = next->cosine_row;
    }
    sum->known = true;
}
