/* SPDX-License-Identifier: MIT */
/* The search for the x of a matrix. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compute/matmul/task.h"
#include "compute/matmul/x.h"
#include "compute/matmul/matmul.h"

static bool ends_with_x(const struct tu_tensor *t)
{
    return t->name_length >= 2 && strcmp(t->name + t->name_length - 2, ".x") == 0;
}

static bool has_columns(const struct tu_tensor *t, const struct tu_tensor *w)
{
    return t->rank > 0 && t->shape[t->rank - 1] == tu_matrix_columns(w);
}

static bool fits(const struct tu_matmul_xs *xs, const struct tu_tensor *t,
                 const struct tu_tensor *w)
{
    return has_columns(t, w) && xs->kernels->decode[t->dtype] &&
           (w->rank == 2 || t->rank < 3 || (t->rank == 3 && t->shape[0] == w->shape[0]));
}

/* The only tensor for all that fits; *count receives how many there are. */
static struct tu_member find_common(const struct tu_matmul_xs *xs, const struct tu_tensor *w,
                                    size_t *count)
{
    struct tu_member found = {0};
    *count = 0;
    for (size_t i = 0; i < xs->operand->model_count; i++) {
        const struct tu_model *m = &xs->operand->models[i];
        for (size_t k = 0; k < m->count; k++) {
            if (ends_with_x(&m->tensors[k]) || !fits(xs, &m->tensors[k], w))
                continue;
            if ((*count)++ == 0)
                found = (struct tu_member){m, &m->tensors[k]};
        }
    }
    return found;
}

static struct tu_member find_own(const struct tu_matmul_xs *xs, const struct tu_tensor *w,
                                 struct tu_error *error)
{
    size_t length = w->name_length + 2;
    char *name = malloc(length + 1);
    struct tu_member found = {0};
    if (!name) {
        tu_fail_memory(error);
        return found;
    }
    memcpy(name, w->name, w->name_length);
    memcpy(name + w->name_length, ".x", 3);
    found = tu_operand_find(xs->operand, name, length);
    free(name);
    return found;
}

/* Why an x is none for a matrix. */
static int fail_fit(const struct tu_matmul_xs *xs, const char *in, const struct tu_tensor *x,
                    const struct tu_tensor *w, struct tu_error *error)
{
    if (!xs->kernels->decode[x->dtype])
        return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s': type %s is no x", in, x->name,
                       tu_dtype(x->dtype)->name);
    if (has_columns(x, w))
        return tu_fail(error, TU_EINVALID,
                       "%s: tensor '%.200s' is neither [n, in] nor [%" PRIu64
                       ", n, in], as '%.200s' has %" PRIu64 " matrices",
                       in, x->name, tu_matrices(w), w->name, tu_matrices(w));
    return tu_fail(error, TU_EINVALID,
                   "%s: tensor '%.200s' has %" PRIu64 " columns, '%.200s' has %" PRIu64, in,
                   x->name, x->rank ? x->shape[x->rank - 1] : 0, w->name, tu_matrix_columns(w));
}

int tu_matmul_find_x(const struct tu_matmul_xs *xs, const struct tu_tensor *w,
                     struct tu_member *out, struct tu_error *error)
{
    const char *in = tu_operand_name(xs->path);
    uint64_t columns = tu_matrix_columns(w);
    size_t count = 1;
    *out = xs->chosen ? tu_operand_find(xs->operand, xs->chosen, strlen(xs->chosen))
                      : find_own(xs, w, error);
    if (error->code)
        return -1;
    if (xs->chosen && !out->model)
        return tu_fail(error, TU_EUSAGE, "%s: has no tensor '%.200s' (as --x says)", in,
                       xs->chosen);
    if (!out->model)
        *out = find_common(xs, w, &count);
    bool fit = out->model && fits(xs, out->tensor, w);
    if (fit && count == 1)
        return 1;
    if (xs->fitting && !fit)
        return 0;
    /* Not all that has three dimensions is a stack of matrices. */
    if (w->rank == 3 && (count != 1 || (xs->chosen && !has_columns(out->tensor, w))))
        return 0;
    if (!out->model)
        return tu_fail(error, TU_EINVALID,
                       "%s: has no x for '%.200s': neither '%.200s.x' nor one of %" PRIu64
                       " columns (choose matrices with --match or --fitting)",
                       in, w->name, w->name, columns);
    if (!fit)
        return fail_fit(xs, in, out->tensor, w, error);
    return tu_fail(error, TU_EINVALID,
                   "%s: has %zu tensors of %" PRIu64 " columns, as '%.200s' has (choose one with "
                   "--x, or name it '%.200s.x')",
                   in, count, columns, w->name, w->name);
}
