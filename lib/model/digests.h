/* SPDX-License-Identifier: MIT */
/*
 * Digests of tensors: of their stored bytes, or of their values as float32, little-endian, so that
 * the same weights in two containers have one digest.  Types that float32 cannot hold, or that are
 * no numbers, count by their stored bytes, which every format keeps in the same order.
 */
#ifndef TU_DIGESTS_H
#define TU_DIGESTS_H

#include "base/digest.h"
#include "model/feed.h"

/* What digests are made of, and how. */
struct tu_hashing {
    const struct tu_session *session;
    enum tu_algorithm algorithm;
    bool decoded;
};

/* What one thread needs for one tensor after another; zero before the first. */
struct tu_hasher {
    struct tu_digest *digest;
    uint8_t *raw;
    float *values; /* of a tile, and room for their bytes */
    size_t raw_capacity;
};

/* The digest, in hexadecimal, of the tensor that a feed has come to; its bytes are read. */
int tu_hash_next(const struct tu_hashing *how, struct tu_hasher *h, struct tu_feed *feed,
                 const struct tu_item *item, char digest[TU_DIGEST_TEXT],
                 struct tu_error *error) TU_MUST_CHECK;
void tu_hasher_free(struct tu_hasher *h);

/* A tensor of a model, and its digest when it is made. */
struct tu_hash_job {
    struct tu_member member;
    char digest[TU_DIGEST_TEXT];
};

/* Makes the digests of all jobs on the session's threads.  *done counts bytes, for its progress,
 * of a total. */
int tu_hash_jobs(const struct tu_hashing *how, struct tu_hash_job *jobs, size_t count,
                 uint64_t *done, uint64_t total, struct tu_error *error) TU_MUST_CHECK;

#endif
