/* SPDX-License-Identifier: MIT */
/* Puts the axes of a tensor in any order, by what views can do: a matrix the other way round, and
 * rows in another order. */
#include "config.h"

#include "map/axes.h"

/* Brings an axis to the end: of what lies before, in and behind it, a matrix the other way round.
 */
static const struct tu_view *move_last(const struct tu_view_maker *m, const struct tu_view *of,
                                       uint32_t axis, struct tu_error *error)
{
    const uint64_t *shape = of->tensor.shape;
    uint32_t rank = of->tensor.rank;
    uint64_t groups[3] = {1, shape[axis], 1}, moved[TENSOR_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        groups[i < axis ? 0 : 2] *= i == axis ? 1 : shape[i];
        moved[i < axis ? i : i == axis ? rank - 1 : i - 1] = shape[i];
    }
    of = tu_view_reshape(m, of, groups, 3, error);
    of = of ? tu_view_transpose(m, of, error) : NULL;
    return of ? tu_view_reshape(m, of, moved, rank, error) : NULL;
}

/* Axes of which the last one does not stay: it comes to the end, and then the others move. */
const struct tu_view *tu_view_permute_all(const struct tu_view_maker *m, const struct tu_view *of,
                                          const uint64_t *axes, uint32_t rank, bool undo,
                                          struct tu_error *error)
{
    uint64_t from[TENSOR_MAX_RANK];
    bool moves = false;
    for (uint32_t i = 0; i < rank; i++)
        from[undo ? axes[i] : i] = undo ? i : axes[i];
    uint64_t last = from[rank - 1];
    of = move_last(m, of, (uint32_t)last, error);
    for (uint32_t i = 0; i < rank; i++) {
        from[i] = i == rank - 1 ? i : from[i] - (from[i] > last);
        moves |= from[i] != i;
    }
    return of && moves ? tu_view_permute(m, of, from, rank, false, error) : of;
}
