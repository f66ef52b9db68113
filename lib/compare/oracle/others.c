/* SPDX-License-Identifier: MIT */
/* Another tensor in the place of the one that belongs there. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <string.h>

/* The view of a side with another tensor in place of the one it shows. */
static const struct tu_view *in_place_of(struct tu_search *s, int side, struct tu_member m)
{
    const struct tu_view *v = side ? s->base : s->c->sides[0];
    if (!s->maker.kernels->decode[m.tensor->dtype])
        return NULL;
    return v->kind == TU_VIEW_LEAF ? tu_view_leaf(&s->maker, m, &s->reason)
                                   : tu_view_rebased(&s->maker, v, m, &s->reason);
}

/* Elements out of the middle of a tensor. */
static int read_middle(struct tu_search *s, const struct tu_view *v,
                       float out[static TU_SEARCH_MIDDLE])
{
    uint64_t all = v->tensor.elements;
    size_t n = all < TU_SEARCH_MIDDLE ? (size_t)all : TU_SEARCH_MIDDLE;
    return tu_view_values(v, s->maker.kernels, (all - n) / 2, n, out, s->error);
}

/* A first look at one side with another tensor, which rules out most. */
static int resembles(struct tu_search *s, int side, const struct tu_view *v, bool *alike)
{
    float values[TU_SEARCH_MIDDLE];
    uint64_t all = v->tensor.elements;
    if (read_middle(s, v, values) < 0)
        return -1;
    struct tu_likeness l = tu_likeness(side ? s->middle[0] : values, side ? values : s->middle[1],
                                       all < TU_SEARCH_MIDDLE ? (size_t)all : TU_SEARCH_MIDDLE);
    *alike = tu_likeness_unexplained(&l) < TU_HOPELESS;
    return 0;
}

/* Whether what is seen one way holds the other way, as far as it can be looked at. */
static int is_mutual(struct tu_search *s, const struct tu_other *other, bool *mutual)
{
    *mutual = true;
    if (!other->partner.model)
        return 0;
    const struct tu_view *v = in_place_of(s, !other->side, other->partner);
    *mutual = false;
    if (!v || v->tensor.elements != s->base->tensor.elements)
        return tu_search_failed(s) ? -1 : 0;
    return resembles(s, !other->side, v, mutual);
}

static int try_other(struct tu_search *s, const struct tu_other *other)
{
    const struct tu_tensor *like = &s->c->sides[0]->tensor;
    const char *name = other->member.tensor->name;
    bool alike = false, mutual;
    struct tu_candidate c = {.sides = {s->c->sides[0], s->base}};
    const struct tu_view *v = in_place_of(s, other->side, other->member);
    c.sides[other->side] = v = tu_search_shaped(s, v, like->shape, like->rank);
    if (!v || strlen(name) > TU_TOLD_NAME_MAX)
        return tu_search_failed(s) ? -1 : 0;
    if (resembles(s, other->side, v, &alike) < 0)
        return -1;
    if (!alike)
        return 0;
    if (is_mutual(s, other, &mutual) < 0)
        return -1;
    c.text = tu_search_say(s, "%s(%s)", mutual ? "exchange" : "copy", name);
    if (s->c->same_names) {
        c.from = other->side ? name : s->c->name;
        c.to = other->side ? s->c->name : name;
    }
    return tu_search_try(s, c);
}

int tu_try_others(struct tu_search *s)
{
    if (read_middle(s, s->c->sides[0], s->middle[0]) < 0 ||
        read_middle(s, s->base, s->middle[1]) < 0)
        return -1;
    for (size_t i = 0; i < s->c->other_count && i < TU_ORACLE_OTHERS && !tu_search_settled(s); i++)
        if (try_other(s, &s->c->others[i]) < 0)
            return -1;
    return 0;
}
