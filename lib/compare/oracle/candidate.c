/* SPDX-License-Identifier: MIT */
/* Tries one explanation on a sample, and keeps it where it explains more than the best so far. */
#include "config.h"

#include "compare/oracle/candidate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of two explanations the later one, which is less likely, has to leave so much less. */
#define BETTER 1.5

/* ---- Texts ---- */

const char *tu_search_say(struct tu_search *s, const char *format, ...)
{
    char text[TU_STEPS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = tu_arena_copy(s->texts, text, strlen(text));
    if (!copy)
        tu_fail_memory(&s->reason);
    return copy;
}

/* "3,4,5" */
void tu_list_numbers(const uint64_t *numbers, size_t count, char out[static TU_STEPS_SIZE])
{
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, TU_STEPS_SIZE - used, "%s%" PRIu64, i ? "," : "",
                                 numbers[i]);
}

const char *tu_search_say_reshape(struct tu_search *s, const uint64_t *shape, uint32_t rank)
{
    char list[TU_STEPS_SIZE];
    tu_list_numbers(shape, rank, list);
    return tu_search_say(s, "reshape(%s)", list);
}

const char *tu_search_say_order(struct tu_search *s, const char *word, const uint64_t *order,
                                size_t count)
{
    enum { SHOWN = 16 };
    char few[TU_STEPS_SIZE];
    tu_list_numbers(order, count < SHOWN ? count : SHOWN, few);
    return tu_search_say(s, "%s(%s%s)", word, few, count > SHOWN ? ",..." : "");
}

/* ---- Candidates ---- */

bool tu_search_failed(struct tu_search *s)
{
    if (s->reason.code != TU_OK && s->reason.code != TU_EINVALID)
        tu_fail(s->error, s->reason.code, "%s", s->reason.text);
    bool failed = s->reason.code != TU_OK && s->reason.code != TU_EINVALID;
    s->reason = (struct tu_error){0};
    return failed;
}

/* Keeps a candidate if it explains much more than the best so far, of which there may be none. */
void tu_search_weigh(struct tu_search *s, const struct tu_candidate *c)
{
    if (c->unexplained * BETTER + TU_NOTHING < s->best.unexplained)
        s->best = *c;
}

bool tu_search_varies(const struct tu_search *s)
{
    const struct tu_likeness itself = tu_likeness(s->a.values, s->a.values, s->a.count);
    return tu_likeness_unexplained(&itself) < 1;
}

/* Nothing that comes later can win. */
bool tu_search_settled(const struct tu_search *s)
{
    return s->best.text && s->best.unexplained <= TU_NOTHING;
}

/* Elements of both sides of a candidate: a few, or all of a sample. */
static int sample_both(struct tu_search *s, const struct tu_candidate *c, bool glance,
                       struct tu_likeness *out)
{
    int (*take)(const struct tu_view *, const struct tu_kernels *, struct tu_sample *,
                struct tu_error *) = glance ? tu_sample_glance : tu_sample_take;
    const struct tu_sample *a = &s->other;
    if (c->sides[0] != s->c->sides[0]) {
        if (take(c->sides[0], s->maker.kernels, &s->other, s->error) < 0)
            return -1;
    } else if (glance) {
        tu_sample_thin(&s->a, &s->other);
    } else {
        a = &s->a;
    }
    if (take(c->sides[1], s->maker.kernels, &s->b, s->error) < 0)
        return -1;
    *out = tu_likeness(a->values, s->b.values, s->b.count);
    return 0;
}

/* Looks at a candidate; a view that is NULL says that it cannot be. */
int tu_search_try(struct tu_search *s, struct tu_candidate c)
{
    struct tu_likeness l;
    if (!c.sides[0] || !c.sides[1] || !c.text || tu_search_settled(s))
        return tu_search_failed(s) ? -1 : 0;
    if (sample_both(s, &c, true, &l) < 0)
        return -1;
    if (l.finite < TU_SEARCH_FEWEST || tu_likeness_unexplained(&l) > TU_HOPELESS)
        return 0;
    if (sample_both(s, &c, false, &l) < 0)
        return -1;
    c.unexplained = tu_likeness_unexplained(&l);
    c.cosine = NAN;
    tu_search_weigh(s, &c);
    return 0;
}

static struct tu_candidate seen_as(const struct tu_search *s, const struct tu_view *b,
                                   const char *text, const char *steps)
{
    return (struct tu_candidate){.sides = {s->c->sides[0], b},
                                 .text = text,
                                 .from = steps ? s->c->name : NULL,
                                 .to = s->c->name,
                                 .steps = steps};
}

int tu_search_try_view(struct tu_search *s, const struct tu_view *b, const char *text,
                       const char *steps)
{
    return tu_search_try(s, seen_as(s, b, text, steps));
}

int tu_search_try_layout(struct tu_search *s, const struct tu_view *b, const char *text,
                         const char *steps)
{
    struct tu_candidate c = seen_as(s, b, text, steps);
    c.layout = true;
    return tu_search_try(s, c);
}

/* ---- Shapes ---- */

bool tu_has_shape(const struct tu_view *v, const uint64_t *shape, uint32_t rank)
{
    return v->tensor.rank == rank &&
           (rank == 0 || memcmp(v->tensor.shape, shape, rank * sizeof *shape) == 0);
}

const struct tu_view *tu_search_shaped(struct tu_search *s, const struct tu_view *v,
                                       const uint64_t *shape, uint32_t rank)
{
    return !v || tu_has_shape(v, shape, rank)
               ? v
               : tu_view_reshape(&s->maker, v, shape, rank, &s->reason);
}
