/* SPDX-License-Identifier: MIT */
/* Numbers of another sign or scale, or with one too many. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <math.h>

#include "base/text.h"

/* What the sums tell needs no reading. */
int tu_try_numbers(struct tu_search *s)
{
    struct tu_likeness opposite = s->as_is;
    if (!s->c->sums)
        return 0;
    opposite.dd = opposite.aa + opposite.bb + 2 * opposite.ab;
    const struct tu_metrics m = tu_partial_metrics(s->c->sums);
    const struct tu_candidate sign = {.sides = {s->c->sides[0], s->base},
                                      .unexplained = tu_likeness_unexplained(&opposite),
                                      .cosine = -m.cosine_similarity,
                                      .text = "sign",
                                      .from = s->c->name,
                                      .to = s->c->name,
                                      .steps = "scale(-1)"};
    if (isfinite(m.cosine_similarity) && opposite.finite >= TU_SEARCH_FEWEST)
        tu_search_weigh(s, &sign);
    if (tu_search_try_view(s, tu_view_add(&s->maker, s->base, 1, &s->reason), "add(1)", "add(1)") <
        0)
        return -1;
    return tu_search_try_view(s, tu_view_add(&s->maker, s->base, -1, &s->reason), "add(-1)",
                              "add(-1)");
}

int tu_try_scale(struct tu_search *s)
{
    if (!s->c->sums || s->as_is.finite < TU_SEARCH_FEWEST)
        return 0;
    const struct tu_metrics m = tu_partial_metrics(s->c->sums);
    double dot = s->c->sums->dot.value, bb = s->c->sums->bb.value;
    int shift = s->c->sums->dot.exponent - s->c->sums->bb.exponent;
    float factor = (float)ldexp(dot / bb, shift);
    char number[TU_NUMBER_SIZE];
    if (!isfinite(m.cosine_similarity) || !isfinite(factor) || factor == 0)
        return 0;
    tu_format_float(factor, number);
    /* A small change may be where the sample is not: that of all is 1 - cosine^2. */
    double left = s->c->slight ? m.cosine_distance * (1 + m.cosine_similarity)
                               : tu_likeness_unscaled(&s->as_is);
    const struct tu_candidate scale = {.sides = {s->c->sides[0], s->base},
                                       .unexplained = left,
                                       .cosine = fabs(m.cosine_similarity),
                                       .text = tu_search_say(s, "scale(%g)", (double)factor),
                                       .from = s->c->name,
                                       .to = s->c->name,
                                       .steps = tu_search_say(s, "scale(%s)", number)};
    if (scale.text && scale.steps)
        tu_search_weigh(s, &scale);
    return tu_search_failed(s) ? -1 : 0;
}
