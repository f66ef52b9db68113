/* SPDX-License-Identifier: MIT */
/* Finds which tensors of two operands belong together, and what is left of either. */
#include "config.h"

#include "compare/matching.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/select.h"
#include "tensor/name.h"

/* A search that begins anew, because the other side leads from now on. */
enum { AGAIN = TU_PASSING + 1 };

/* ---- Partners with other names ---- */

static bool uses_maps(const struct tu_matching *matching)
{
    return strcmp(matching->options->map, "none") != 0;
}

/* Looks at the names and the metadata of both sides, when the first one has no namesake. */
static int open_partners(struct tu_matching *matching, struct tu_error *error)
{
    if (matching->partners.open)
        return 0;
    struct tu_stated stated[2];
    for (int i = 0; i < 2; i++) {
        struct tu_side *s = &matching->sides[i];
        stated[i] = tu_side_stated(s);
        matching->partners.facts.metadata[i] = stated[i].metadata;
        if (tu_side_catalogue(s, &matching->partners.catalogues[i], error) < 0)
            return -1;
    }
    tu_conventions_make(&matching->conventions, stated, matching->partners.catalogues);
    return tu_partners_open(&matching->partners, matching->options->map, error);
}

/* A rule that cannot be kept is a reason to warn, unless the user named the map. */
static int excuse(struct tu_matching *matching, struct tu_error *reason, struct tu_error *error)
{
    if (strcmp(matching->options->map, "auto") != 0 || reason->code != TU_EINVALID)
        return tu_fail(error, reason->code, "%s", reason->text);
    if (!matching->warned)
        tu_warn(matching->session, "%s", reason->text);
    matching->warned = true;
    return TU_ENDED;
}

static int find_on_side(struct tu_matching *matching, struct tu_pair *p, int i,
                        const struct tu_tensor *like, struct tu_found *out, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, matching->terms.kernels);
    struct tu_error reason = {0};
    if (!uses_maps(matching))
        return TU_ENDED;
    if (open_partners(matching, error) < 0)
        return -1;
    int found = tu_partners_find(&matching->partners, i, like, false, &maker, out, &reason);
    return found < 0 ? excuse(matching, &reason, error) : found;
}

/* The place of what was found on a side, which has then met: TU_FOUND; or TU_ENDED where some of it
 * met another before.  What is tied stands for a tensor that is not there, and meets its own. */
static int place_found(struct tu_matching *matching, struct tu_pair *p, int i,
                       const struct tu_found *f, struct tu_origin *out, struct tu_error *error)
{
    struct tu_side *s = &matching->sides[i];
    int marked = f->tied ? TU_FOUND : tu_side_mark(s, f->view, error);
    if (marked != TU_FOUND)
        return marked;
    struct tu_member m = tu_view_first_leaf(f->view);
    *out = (struct tu_origin){.where = TU_IN_VIEW, .view = f->view, .tensor = m.tensor};
    matching->mapped = true;
    p->roped = f->roped;
    p->padded = f->padded;
    p->addend = f->addend;
    snprintf(p->transform, sizeof p->transform, "%s", f->steps);
    return TU_FOUND;
}

/* Moves the rest of b to its temporary file, so that it can be read in the order of a. */
static int drain(struct tu_matching *matching, struct tu_error *error)
{
    struct tu_record record;
    int more;
    while ((more = tu_side_next(&matching->sides[1], &record, error)) == TU_FOUND)
        if (tu_side_keep(&matching->sides[1], &record.tensor, error) < 0)
            return -1;
    if (more == TU_ENDED) {
        matching->draining = false;
        matching->drained = true;
        matching->lead = 0;
        /* What was looked up while b passed by is looked up anew. */
        tu_partners_close(&matching->partners);
    }
    return more;
}

/* b led, as a stream, but its current tensor needs to be seen another way: from now on a leads. */
static int give_up_lead(struct tu_matching *matching, struct tu_pair *p, struct tu_error *error)
{
    p->present[1] = false;
    matching->draining = true;
    return tu_side_unmeet(&matching->sides[1], error);
}

/* Names of files prove little: what a dump's tensors are, a map says first. */
static bool is_dump(const struct tu_side *s)
{
    return s->operand.model_count && s->operand.company && s->operand.models[0].format->unnamed;
}

/* Whether the rules of a map count also for a tensor that has a namesake. */
static bool states(const struct tu_matching *matching)
{
    return strcmp(matching->options->map, "auto") != 0 || is_dump(&matching->sides[0]) ||
           is_dump(&matching->sides[1]);
}

/* What a map that the user names states of a tensor that has a namesake; its rules take a's names
 * as left ones, so where b leads, a has to. */
static int find_stated(struct tu_matching *matching, struct tu_pair *p, struct tu_origin *out,
                       struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, matching->terms.kernels);
    int side = !matching->lead;
    struct tu_found f;
    if (!uses_maps(matching) || !states(matching) ||
        (matching->sides[side].operand.is_stream && !matching->drained))
        return TU_ENDED;
    if (open_partners(matching, error) < 0)
        return -1;
    if (strcmp(matching->options->map, "auto") == 0 &&
        !(matching->partners.map && matching->partners.map->stages))
        return TU_ENDED;
    const struct tu_tensor *like = &p->tensors[matching->lead];
    int found = tu_partners_stated(&matching->partners, side, like, &maker, &f, error);
    if (found != TU_FOUND)
        return found;
    if (matching->lead == 1)
        return give_up_lead(matching, p, error) < 0 ? -1 : AGAIN;
    return place_found(matching, p, side, &f, out, error);
}

static bool only_renamed(const struct tu_found *f, const struct tu_tensor *like)
{
    return !*f->steps && f->view->kind == TU_VIEW_LEAF && f->addend == 0 &&
           (!f->padded || tu_same_shape(&f->view->tensor, like));
}

static int find_by_map(struct tu_matching *matching, struct tu_pair *p, struct tu_origin *out,
                       struct tu_error *error)
{
    struct tu_found f;
    int found = find_on_side(matching, p, !matching->lead, &p->tensors[matching->lead], &f, error);
    if (found != TU_FOUND)
        return found;
    if (matching->lead == 1 && !only_renamed(&f, &p->tensors[1]))
        return give_up_lead(matching, p, error) < 0 ? -1 : AGAIN;
    return place_found(matching, p, !matching->lead, &f, out, error);
}

/* A tensor that is left over may stand for one that its partner is left out for, as tied embeddings
 * are. */
static int find_tied(struct tu_matching *matching, struct tu_pair *p, struct tu_error *error)
{
    struct tu_found f;
    struct tu_origin place;
    int found = find_on_side(matching, p, matching->lead, &p->tensors[!matching->lead], &f, error);
    if (found != TU_FOUND || !f.tied)
        return found < 0 ? -1 : 0;
    if (place_found(matching, p, matching->lead, &f, &place, error) < 0)
        return -1;
    p->left_over = true;
    return tu_pair_add(p, matching->lead, &place, error);
}

/* ---- Tensors without a partner ---- */

/* Whether a map says that a tensor has no partner and needs none. */
static bool is_extra(const struct tu_matching *matching, const struct tu_pair *p)
{
    return matching->partners.open && !p->partial &&
           (matching->mapped || matching->partners.apart) &&
           tu_partners_extra(&matching->partners, &p->tensors[!p->present[0]]);
}

/* Of a view, the tensors that are not selected. */
static int count_unselected(void *context, struct tu_member leaf, struct tu_portion portion,
                            struct tu_error *error)
{
    const struct tu_selection **names = context;
    (void)portion, (void)error;
    if (*names && !tu_selects(*names, leaf.tensor))
        *names = NULL;
    return 0;
}

/* Whether the selection, which knows the partner of a tensor by another name, left out some of what
 * would be all of it. */
static bool is_left_out(struct tu_matching *matching, const struct tu_pair *p)
{
    int i = !p->present[0];
    const struct tu_tensor *t = &p->tensors[i];
    struct tu_error ignored = {0};
    struct tu_found f;
    struct tu_pair scratch = {0};
    const struct tu_selection *names = &matching->names;
    if (!matching->partners.open)
        return false;
    const struct tu_view_maker maker = tu_pair_maker(&scratch, matching->terms.kernels);
    bool whole = tu_partners_find(&matching->partners, !i, t, false, &maker, &f, &ignored) > 0 &&
                 (f.padded || f.view->tensor.elements == t->elements);
    bool left_out =
        whole && tu_view_portions(f.view, count_unselected, &names, &ignored) == 0 && !names;
    tu_arena_free(&scratch.arena);
    return left_out;
}

/* Says what a tensor without a partner is: false where it is none of the comparison's business. */
static bool judge_alone(struct tu_matching *matching, struct tu_pair *p)
{
    p->extra = is_extra(matching, p);
    return p->extra || !is_left_out(matching, p);
}

/* ---- Filling pairs ---- */

/* Finds the leading tensor of a pair, or one that is left over, unless that was done before a
 * record came in between. */
static int fill_first(struct tu_matching *matching, struct tu_pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct tu_origin place;
    if (p->present[matching->lead])
        return TU_FOUND;
    if (matching->draining) {
        int left = drain(matching, error);
        if (left != TU_ENDED)
            return left;
    }
    int more = tu_side_lead(&matching->sides[matching->lead], &record, &place, error);
    if (more == TU_FOUND)
        return tu_pair_add(p, matching->lead, &place, error) < 0 ? -1 : TU_FOUND;
    const struct tu_coverage *shown = NULL;
    if (more == TU_ENDED)
        more = tu_side_left_over(&matching->sides[!matching->lead], &record, &place, &shown, error);
    if (more != TU_FOUND)
        return more;
    if (tu_pair_add(p, !matching->lead, &place, error) < 0)
        return -1;
    if (shown) {
        tu_pair_set_partial(p, shown);
        return more;
    }
    return find_tied(matching, p, error) < 0 ? -1 : more;
}

static int fill_pair(struct tu_matching *matching, struct tu_pair *p, struct tu_error *error)
{
    struct tu_record record;
    struct tu_origin partner;
    int more = fill_first(matching, p, error);
    if (more == TU_FOUND && p->present[matching->lead] && !p->present[!matching->lead]) {
        int found = find_stated(matching, p, &partner, error);
        if (found == TU_ENDED)
            found = tu_side_find(&matching->sides[!matching->lead], &p->tensors[matching->lead],
                                 &record, &partner, error);
        if (found == TU_ENDED)
            found = find_by_map(matching, p, &partner, error);
        if (found == AGAIN)
            return fill_pair(matching, p, error);
        if (found < 0 || found == TU_PASSING)
            return found;
        if (found == TU_FOUND && tu_pair_add(p, !matching->lead, &partner, error) < 0)
            return -1;
    }
    return more;
}

/* Types differ between the sides: a pair is selected where one of them is asked for. */
static bool is_selected(const struct tu_matching *matching, const struct tu_pair *p)
{
    const struct tu_selection *s = &matching->session->selection;
    bool selected = !s->by_dtype || (p->present[0] && s->dtypes[p->stored[0].dtype]) ||
                    (p->present[1] && s->dtypes[p->stored[1].dtype]);
    if (s->tally) {
        s->tally->typed += selected;
        s->tally->untyped += !selected;
    }
    return selected;
}

static void count_heads(const struct tu_matching *matching, struct tu_pair *p)
{
    const struct tu_stated stated[2] = {tu_side_stated(&matching->sides[0]),
                                        tu_side_stated(&matching->sides[1])};
    uint64_t layer = 0;
    (void)tu_layer_of(p->stored[!p->present[0]].name, &layer);
    tu_conventions_heads(stated, layer, p->heads);
}

/* After the limit the rest is gone through without comparing, so that a broken stream is noticed.
 */
static bool beyond_limit(struct tu_matching *matching)
{
    uint64_t limit = matching->session->selection.limit;
    return limit && matching->given >= limit;
}

/* Whether a pair belongs to the share that was asked for: what leads is divided, and what is left
 * over at the end is the last one's. */
static bool is_shared(struct tu_matching *matching, const struct tu_pair *p)
{
    const struct tu_share *share = &matching->session->selection.share;
    if (!share->count)
        return true;
    return p->present[matching->lead] && !p->left_over && !p->partial
               ? tu_share_takes(share, &matching->shared, p->stored[matching->lead].nbytes)
               : tu_share_is_last(share);
}

int tu_matching_next(struct tu_matching *matching, struct tu_pair **out, struct tu_error *error)
{
    for (;;) {
        if (!matching->filling && !(matching->filling = calloc(1, sizeof *matching->filling)))
            return tu_fail_memory(error);
        struct tu_pair *p = matching->filling;
        int more = fill_pair(matching, p, error);
        if (more == TU_PASSING)
            return more;
        matching->filling = NULL;
        bool alone = more == TU_FOUND && !(p->present[0] && p->present[1]);
        bool wanted = more == TU_FOUND && is_shared(matching, p) && is_selected(matching, p) &&
                      (!alone || judge_alone(matching, p)) && !beyond_limit(matching);
        p->lead = matching->lead;
        if (wanted && matching->terms.oracle)
            count_heads(matching, p);
        if (wanted) {
            matching->given++;
            *out = p;
            return TU_FOUND;
        }
        tu_pair_free(p);
        if (more != TU_FOUND)
            return more;
    }
}

/* A map that the user names has to be there, also where no tensor needs it. */
static int check_map(const char *which, struct tu_error *error)
{
    struct tu_maps maps = {0};
    if (strcmp(which, "auto") == 0 || strcmp(which, "none") == 0)
        return 0;
    int result = tu_maps_load_one(&maps, which, error);
    tu_maps_free(&maps);
    return result;
}

static int open_share(struct tu_matching *p, struct tu_error *error)
{
    const struct tu_side *lead = &p->sides[0];
    if (lead->operand.is_stream || p->sides[1].operand.is_stream)
        return tu_fail(error, TU_EUSAGE, "--shard divides files, and an operand is a stream");
    for (size_t i = 0; i < lead->selected; i++)
        p->shared.total += lead->order[i].tensor->nbytes;
    return 0;
}

int tu_matching_open(struct tu_matching *p, struct tu_session *session, const char *const paths[2],
                     const struct tu_pair_options *options, struct tu_error *error)
{
    *p = (struct tu_matching){.session = session, .names = session->selection, .options = options};
    p->names.by_dtype = false;
    p->terms = (struct tu_terms){session->kernels, options->transposing,
                                 options->oracle,  options->full,
                                 &p->partners,     {&p->sides[0].operand, &p->sides[1].operand},
                                 &p->conventions};
    if (check_map(options->map, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        p->opened++;
        if (tu_side_open(&p->sides[i], session, &p->names, paths[i], i ? "b" : "a", &p->sources,
                         error) < 0)
            return -1;
    }
    if (session->selection.share.count && open_share(p, error) < 0)
        return -1;
    /* A stream leads a file; of two files or two streams, a leads. */
    p->lead = p->sides[1].operand.is_stream && !p->sides[0].operand.is_stream;
    return 0;
}

void tu_matching_close(struct tu_matching *p)
{
    if (p->filling)
        tu_pair_free(p->filling);
    for (unsigned i = 0; i < p->opened; i++)
        tu_side_close(&p->sides[i]);
    tu_partners_close(&p->partners);
}

struct tu_passing *tu_matching_passing(struct tu_matching *p)
{
    for (int i = 0; i < 2; i++) {
        struct tu_passing *passing = p->sides[i].passing;
        p->sides[i].passing = NULL;
        if (passing)
            return passing;
    }
    return NULL;
}
