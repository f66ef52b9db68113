/* SPDX-License-Identifier: MIT */
/*
 * What a statistic does from layer to layer.  The rms of one stage grows or shrinks by nature, so
 * each is judged by its ratio to the one before: the distance of the logarithm of that from the
 * median of all, in robust standard deviations (1.4826 MAD; the modified z-score of Iglewicz and
 * Hoaglin, 1993, with its limit of 3.5), and by a factor that is no noise.
 */
#ifndef TU_COMPUTE_STAT_SERIES_H
#define TU_COMPUTE_STAT_SERIES_H

#include "base/arena.h"
#include "tensor/tensor.h"

/* Ratios that a series has to have before one of them can stand out; the limit of z; and the factor
 * by which a ratio has to differ from the median of all. */
enum { TU_SERIES_LEAST = 4 };
#define TU_SERIES_Z      3.5
#define TU_SERIES_FACTOR 2.0

/* One layer of a series: a group of a tensor whose name or scope has a layer. */
struct tu_series_member {
    const char *name, *role; /* role: the name with * for the number of the layer */
    uint64_t layer, index;   /* index: of the group on the axis */
    struct tu_tensor tensor; /* shape, and what it is of */
    bool has_layer;          /* without one it belongs to no series */
    bool has_rms;
    double rms;
    /* what tu_series_judge makes */
    size_t position, length; /* of it in the series */
    bool has_ratio, has_spread, has_z;
    double ratio, log_ratio; /* of rms to that of the layer before */
    double median, mad, z;   /* of the series' log ratios; z: of this one */
    bool judged, spike;
    const char *rule; /* why it is a spike, or is not judged; else the rule */
};

/* Role and layer of a tensor; strings live in the arena. */
int tu_series_describe(const struct tu_tensor *t, struct tu_arena *arena,
                       struct tu_series_member *m, struct tu_error *error) TU_MUST_CHECK;
/* Finds the series of the members, whatever their order, and judges each.  Members of one series
 * have to be of equal shape, axes and tokens, and of each layer there has to be one: else the error
 * says which are incomparable, and why. */
int tu_series_judge(struct tu_series_member *members, size_t count,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
