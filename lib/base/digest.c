/* SPDX-License-Identifier: MIT */
/* Checksums and digests of bytes that come piece by piece. */
#include "config.h"

#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

static const struct {
    const char *name;
    size_t bytes;
} algorithms[] = {
    [TU_XXH3] = {"xxh3", 8}, /* 64 bits, the canonical (big-endian) form that xxhsum prints */
    [TU_SHA256] = {"sha256", 32},
    [TU_BLAKE2B] = {"blake2b", 64},
};

struct tu_digest {
    enum tu_algorithm algorithm;
    XXH3_state_t *xxh3;
    EVP_MD_CTX *evp;
};

static bool restart(struct tu_digest *d)
{
    if (d->algorithm == TU_XXH3)
        return XXH3_64bits_reset(d->xxh3) == XXH_OK;
    const EVP_MD *md = d->algorithm == TU_SHA256 ? EVP_sha256() : EVP_blake2b512();
    return EVP_DigestInit_ex(d->evp, md, NULL) == 1;
}

struct tu_digest *tu_digest_new(enum tu_algorithm algorithm, struct tu_error *error)
{
    struct tu_digest *d = calloc(1, sizeof *d);
    if (d) {
        d->algorithm = algorithm;
        if (algorithm == TU_XXH3)
            d->xxh3 = XXH3_createState();
        else
            d->evp = EVP_MD_CTX_new();
    }
    if (d && (d->xxh3 || d->evp) && restart(d))
        return d;
    tu_digest_free(d);
    tu_fail(error, TU_ENOMEM, "the %s digest cannot be had from its library",
            tu_algorithm_name(algorithm));
    return NULL;
}

void tu_digest_add(struct tu_digest *d, const void *bytes, size_t length)
{
    if (d->algorithm == TU_XXH3)
        XXH3_64bits_update(d->xxh3, bytes, length);
    else
        EVP_DigestUpdate(d->evp, bytes, length);
}

void tu_digest_take(struct tu_digest *d, char out[static TU_DIGEST_TEXT])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    if (d->algorithm == TU_XXH3) {
        XXH64_canonical_t canonical;
        XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(d->xxh3));
        memcpy(bytes, canonical.digest, sizeof canonical.digest);
    } else {
        EVP_DigestFinal_ex(d->evp, bytes, NULL);
    }
    for (size_t i = 0; i < algorithms[d->algorithm].bytes; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
    restart(d);
}

void tu_digest_free(struct tu_digest *d)
{
    if (!d)
        return;
    XXH3_freeState(d->xxh3);
    EVP_MD_CTX_free(d->evp);
    free(d);
}

int tu_sha256(const void *bytes, size_t length, char out[static TU_DIGEST_TEXT],
              struct tu_error *error)
{
    struct tu_digest *d = tu_digest_new(TU_SHA256, error);
    if (!d)
        return -1;
    tu_digest_add(d, bytes, length);
    tu_digest_take(d, out);
    tu_digest_free(d);
    return 0;
}

const char *tu_algorithm_name(enum tu_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

static bool find(const char *name, size_t bytes, enum tu_algorithm *out)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        if (name ? strcmp(algorithms[i].name, name) == 0 : algorithms[i].bytes == bytes) {
            *out = (enum tu_algorithm)i;
            return true;
        }
    }
    return false;
}

bool tu_algorithm_by_name(const char *name, enum tu_algorithm *out)
{
    return find(name, 0, out);
}

bool tu_algorithm_by_length(size_t digits, enum tu_algorithm *out)
{
    return digits % 2 == 0 && find(NULL, digits / 2, out);
}
