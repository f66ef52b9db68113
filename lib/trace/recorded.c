/* SPDX-License-Identifier: MIT */
/* Reads stages out of a recorded trace, once it is certain that they are the same ones. */
#include "config.h"

#include "trace/recorded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/elements.h"

enum { PIECE = 4096 }; /* elements read at a time */

static struct tu_member find(const struct tu_recorded *r, const struct tu_stage *s)
{
    return tu_operand_find(r->operand, s->name, strlen(s->name));
}

static bool has_shape(const struct tu_tensor *t, const struct tu_stage *s)
{
    return t->rank == s->rank && memcmp(t->shape, s->shape, s->rank * sizeof *s->shape) == 0;
}

const struct tu_tensor *tu_recorded_tensor(const struct tu_recorded *r, const struct tu_stage *s)
{
    return find(r, s).tensor;
}

bool tu_recorded_has(const struct tu_recorded *r, const struct tu_stage *s)
{
    const struct tu_tensor *t = tu_recorded_tensor(r, s);
    return t && (!r->lenient || has_shape(t, s));
}

/* A stage that says nothing of its scope, as dumps of others do not, is taken by its name. */
static int check(const struct tu_recorded *r, const struct tu_stage *s, const struct tu_tensor *t,
                 struct tu_error *error)
{
    char why[160];
    const struct tu_scope here = {.stage = s->stage,
                                  .stage_length = strlen(s->stage),
                                  .has_layer = s->has_layer,
                                  .layer = s->layer,
                                  .has_tokens = true,
                                  .tokens = {0, r->tokens->count},
                                  .ids = r->tokens->digest,
                                  .ids_length = strlen(r->tokens->digest)};
    if (tu_scope_differs(&t->scope, &here, why, sizeof why))
        return tu_fail(error, TU_EINVALID, "%s: '%.100s' was recorded of something else: %s",
                       r->path, s->name, why);
    if (!has_shape(t, s))
        return tu_fail(error, TU_EINVALID, "%s: '%.100s' was recorded in another shape", r->path,
                       s->name);
    return 0;
}

/* The decoder of a recorded stage, after all checks. */
static int begin(const struct tu_recorded *r, const struct tu_stage *s, struct tu_member m,
                 struct tu_decoder *d, struct tu_error *error)
{
    struct tu_tensor t = *m.tensor;
    struct tu_geometry g;
    struct tu_error reason = {0};
    if (check(r, s, &t, error) < 0)
        return -1;
    if (tu_tensor_check(&t, &g, &reason) < 0 ||
        (g.dtype->head == 0
             ? tu_decoder_init(d, &g, r->kernels, NULL, &reason)
             : tu_fail(&reason, TU_EINVALID, "its type cannot be a recorded one")) < 0)
        return tu_fail(error, reason.code, "%s: '%.100s': %.500s", r->path, s->name, reason.text);
    return 0;
}

/* At most PIECE elements. */
static int read_piece(struct tu_member m, const struct tu_decoder *d, uint64_t first, size_t count,
                      double *out, struct tu_error *error)
{
    double lo[PIECE];
    uint64_t offset, length;
    tu_geometry_span(&d->geometry, first, count, &offset, &length);
    uint8_t *raw = malloc((size_t)length);
    int result = raw ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_model_read(m.model, m.tensor, offset, raw, (size_t)length, error);
    if (result == 0)
        tu_decode_wide(d, raw, first, count, out, lo);
    for (size_t i = 0; i < count && result == 0; i++)
        out[i] += lo[i];
    free(raw);
    return result;
}

int tu_recorded_piece(const struct tu_recorded *r, const struct tu_stage *s, uint64_t first,
                      size_t count, double *out, struct tu_error *error)
{
    struct tu_member m = find(r, s);
    struct tu_decoder d;
    if (begin(r, s, m, &d, error) < 0)
        return -1;
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < PIECE ? count - done : PIECE;
        if (read_piece(m, &d, first + done, n, out + done, error) < 0)
            return -1;
    }
    return 0;
}

int tu_recorded_read(const struct tu_recorded *r, const struct tu_stage *s, struct tu_values *out,
                     struct tu_error *error)
{
    double piece[PIECE];
    struct tu_member m = find(r, s);
    struct tu_decoder d;
    if (!tu_recorded_has(r, s))
        return 0;
    if (begin(r, s, m, &d, error) < 0)
        return -1;
    for (uint64_t first = 0, n; first < out->count; first += n) {
        n = out->count - first < PIECE ? out->count - first : PIECE;
        if (read_piece(m, &d, first, (size_t)n, piece, error) < 0)
            return -1;
        for (uint64_t i = 0; i < n; i++)
            tu_values_set(out, first + i, piece[i]);
    }
    return 1;
}
