/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that are the same bytes on every machine: made of integer operations and IEEE
 * additions, multiplications, divisions and square roots alone.  Element i of a tensor depends on
 * the seed, the tensor's name and i, so ranges can be made in any order.
 */
#ifndef TU_RANDOM_H
#define TU_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct tu_random {
    uint64_t key;
};

/* The key is FNV-1a of the name (offset basis 0xcbf29ce484222325, prime 0x100000001b3), xored with
 * the mixed seed, and mixed. */
struct tu_random tu_random_init(uint64_t seed, const char *name, size_t name_length);

/* 64 random bits for an index: the index-th number of SplitMix64 (Steele, Lea, Flood 2014) started
 * at the key. */
uint64_t tu_random_bits(const struct tu_random *random, uint64_t index);

/* Elements [first, first + count) of a tensor, rounded to float32.
 * uniform: low + (high - low) * u, with u the top 53 bits over 2^53, so low <= x < high up to the
 * rounding; normal: mean + deviation * inverse CDF((top 52 bits + 1/2) / 2^52), by Wichura's
 * algorithm AS 241 (PPND16), whose error is about 1e-16. */
void tu_random_uniform(const struct tu_random *random, uint64_t first, size_t count, double low,
                       double high, float *out);
void tu_random_normal(const struct tu_random *random, uint64_t first, size_t count, double mean,
                      double deviation, float *out);

/* The quantile of the standard normal distribution for 0 < p < 1. */
double tu_normal_quantile(double p);

#endif
