/* SPDX-License-Identifier: MIT */
/* Puts a pair that disagrees before the layout oracle, with the tensors it may have been exchanged
 * with. */
#include "config.h"

#include "compare/oracle/ask.h"

#include <stdlib.h>
#include <string.h>

/* Tensors of one shape, in the order of their files. */
struct group {
    struct tu_member *members;
    size_t count, capacity;
    size_t own; /* the one that they are looked for */
};

static bool has_shape_of(const struct tu_tensor *a, const struct tu_tensor *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
}

static int gather(const struct tu_operand *o, const struct tu_tensor *like, struct group *g,
                  struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++) {
            const struct tu_tensor *t = &o->models[i].tensors[k];
            if (!has_shape_of(t, like))
                continue;
            if (!TU_GROW(g->members, g->count, g->capacity))
                return tu_fail_memory(error);
            if (strcmp(t->name, like->name) == 0)
                g->own = g->count;
            g->members[g->count++] = (struct tu_member){&o->models[i], t};
        }
    return 0;
}

static void add_other(const struct group *g, size_t which, int side, const struct tu_operand *away,
                      struct tu_oracle_case *c, struct tu_other *others)
{
    struct tu_member m = g->members[which], none = {0};
    if (c->other_count == TU_ORACLE_OTHERS)
        return;
    others[c->other_count++] = (struct tu_other){
        side, m,
        away->is_stream ? none : tu_operand_find(away, m.tensor->name, m.tensor->name_length)};
}

/* Other tensors with which one of the pair may have been exchanged, the nearest first: of b, or,
 * where that is a stream, of a. */
static int find_others(const struct tu_terms *terms, struct tu_pair *p, struct tu_oracle_case *c,
                       struct tu_error *error)
{
    int side = !terms->operands[1]->is_stream;
    const struct tu_operand *o = terms->operands[side];
    struct tu_other *others = tu_arena_alloc(&p->arena, TU_ORACLE_OTHERS * sizeof *others);
    struct group g = {0};
    if (!others)
        return tu_fail_memory(error);
    c->others = others;
    int result = o->is_stream ? 0 : gather(o, &p->stored[side], &g, error);
    for (size_t away = 1; result == 0 && away < g.count; away++) {
        if (away <= g.own)
            add_other(&g, g.own - away, side, terms->operands[!side], c, others);
        if (g.own + away < g.count)
            add_other(&g, g.own + away, side, terms->operands[!side], c, others);
    }
    free(g.members);
    return result;
}

static int make_case(const struct tu_terms *terms, struct tu_pair *p, const struct tu_partial *sums,
                     struct tu_oracle_case *out, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, terms->kernels);
    const char *a = p->stored[0].name, *b = p->stored[1].name;
    *out = (struct tu_oracle_case){.kernels = terms->kernels,
                                   .sums = p->match == TU_MATCH_BOTH ? sums : NULL,
                                   .name = p->left_over && p->lead == 0 ? b : a,
                                   .same_names = strcmp(a, b) == 0 && !*p->transform,
                                   .heads = {p->heads[0], p->heads[1]}};
    for (int i = 0; i < 2; i++) {
        out->sides[i] = tu_pair_view(p, i, terms->kernels, error);
        if (out->sides[i] && i == p->lead && p->addend != 0)
            out->sides[i] = tu_view_add(&maker, out->sides[i], p->addend, error);
        if (!out->sides[i])
            return -1;
    }
    return 0;
}

int tu_pair_explain(const struct tu_terms *terms, struct tu_pair *p, const struct tu_partial *sums,
                    struct tu_error *error)
{
    struct tu_oracle_case c;
    if (make_case(terms, p, sums, &c, error) < 0 ||
        (c.sums && find_others(terms, p, &c, error) < 0))
        return -1;
    return tu_oracle_ask(&c, &p->arena, &p->hypothesis, error);
}

int tu_pair_explain_change(const struct tu_terms *terms, struct tu_pair *p,
                           const struct tu_partial *sums, struct tu_error *error)
{
    struct tu_oracle_case c;
    if (make_case(terms, p, sums, &c, error) < 0)
        return -1;
    c.slight = true;
    return tu_oracle_ask(&c, &p->arena, &p->hypothesis, error);
}
