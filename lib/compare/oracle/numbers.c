/* SPDX-License-Identifier: MIT */
/* Numbers of another sign or scale, or with one too many. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <math.h>

#include "base/text.h"

/* Sign and scale are known from the sums; their candidates need no reading. */
static void try_factor(struct tu_search *s, double cosine, const struct tu_likeness *l)
{
    double dot = s->c->sums->dot.value, bb = s->c->sums->bb.value;
    int shift = s->c->sums->dot.exponent - s->c->sums->bb.exponent;
    float factor = (float)ldexp(dot / bb, shift);
    char number[TU_NUMBER_SIZE];
    struct tu_likeness opposite = *l;
    opposite.dd = l->aa + l->bb + 2 * l->ab;
    const struct tu_candidate sign = {.sides = {s->c->sides[0], s->base},
                                      .unexplained = tu_likeness_unexplained(&opposite),
                                      .cosine = -cosine,
                                      .text = "sign",
                                      .from = s->c->name,
                                      .to = s->c->name,
                                      .steps = "scale(-1)"};
    tu_search_weigh(s, &sign);
    if (!isfinite(factor) || factor == 0)
        return;
    tu_format_float(factor, number);
    const struct tu_candidate scale = {.sides = {s->c->sides[0], s->base},
                                       .unexplained = tu_likeness_unscaled(l),
                                       .cosine = fabs(cosine),
                                       .text = tu_search_say(s, "scale(%g)", (double)factor),
                                       .from = s->c->name,
                                       .to = s->c->name,
                                       .steps = tu_search_say(s, "scale(%s)", number)};
    tu_search_weigh(s, &scale);
}

int tu_try_numbers(struct tu_search *s)
{
    const struct tu_likeness *l = &s->as_is;
    if (!s->c->sums)
        return 0;
    struct tu_metrics m = tu_partial_metrics(s->c->sums);
    if (isfinite(m.cosine_similarity) && l->finite >= TU_SEARCH_FEWEST)
        try_factor(s, m.cosine_similarity, l);
    if (tu_search_try_view(s, tu_view_add(&s->maker, s->base, 1, &s->reason), "add(1)", "add(1)") <
        0)
        return -1;
    return tu_search_try_view(s, tu_view_add(&s->maker, s->base, -1, &s->reason), "add(-1)",
                              "add(-1)");
}
