/* SPDX-License-Identifier: MIT */
/*
 * Rotary positions: numbers i and i + dim/2 of a head, as a pair, are turned by the angle
 *
 *   t * f(i),   f(i) = base^(-2i/dim)                                              without scaling
 *   f(i) / factor                                                                  linear
 *   f(i) / divisor(i)                                                  llama3, longrope: its lists
 *   f(i) (1 - r(i)) + f(i)/factor r(i),   r(i) = clip((i - low) / (high - low), 0, 1)         yarn
 *
 * at position t, and multiplied by attn_factor; where low and high are dim ln(original / (2 pi
 * beta)) / (2 ln base) for beta_fast and beta_slow, low rounded down and high up, unless truncate
 * is false, within [0, dim - 1].  Longrope takes its short list where all tokens fit into the
 * original context, else its long one.
 *
 * Su et al., "RoFormer" (2021); Peng et al., "YaRN" (2023); Ding et al., "LongRoPE" (2024).
 */
#ifndef TU_TRACE_ROPE_H
#define TU_TRACE_ROPE_H

#include "trace/config.h"
#include "trace/values.h"

/* The angles of a position, each divided by the position: [dim / 2].  local: of a layer with a
 * window.  length: of all tokens, which longrope decides by. */
void tu_rope_frequencies(const struct tu_trace_rope *r, bool local, uint64_t length, double *out);

/* Turns rows [tokens][heads][head_dim], of which the first has position first.  Sines and cosines
 * are made in float64. */
void tu_rope_turn(const struct tu_trace_rope *r, const double *frequencies, uint64_t first,
                  uint64_t heads, uint64_t head_dim, const struct tu_values *x,
                  struct tu_values *out);

#endif
