/* SPDX-License-Identifier: MIT */
/*
 * A zip archive, read: its members, stored or deflated, and their plain bytes.
 *
 * The directory at the end of the archive is what counts, but where a reader that goes by something
 * else would find other members, the archive is refused.
 */
#ifndef ZIP_READ_H
#define ZIP_READ_H

#include <string.h>

#include "bytes.h"

/* What the records of an archive begin with. */
#define ZIP_LOCAL_MARK   "PK\x03\x04"
#define ZIP_ENTRY_MARK   "PK\x01\x02"
#define ZIP_END_MARK     "PK\x05\x06"
#define ZIP_END64_MARK   "PK\x06\x06"
#define ZIP_LOCATOR_MARK "PK\x06\x07"
#define ZIP_MARK_BYTES   4u

enum {
    ZIP_LOCAL_BYTES = 30, /* of the records, without what is variable */
    ZIP_ENTRY_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP_END64_BYTES = 56,
    ZIP_LOCATOR_BYTES = 20,
    ZIP_WIDE_FIELD = 1, /* zip64: values of 64 bits */
    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
};

static inline bool zip_has_mark(const uint8_t *bytes, const char *mark)
{
    return memcmp(bytes, mark, ZIP_MARK_BYTES) == 0;
}

struct zip_directory {
    uint64_t offset, end, count;
};

/* A member, as the directory has it. */
struct zip_member {
    size_t name; /* place in archive.names */
    size_t name_length;
    bool wanted;    /* its name has the suffix */
    uint64_t local; /* place of its record in the file */
    uint64_t data;  /* of its bytes */
    uint64_t packed, size;
    uint32_t crc;
    uint16_t method, flags; /* those of REFUSED_FLAGS */
};

struct zip_archive {
    struct tensor_reader *r;
    const char *suffix; /* of the members that are wanted; others are only listed */
    struct zip_directory directory;
    struct zip_member *members;
    size_t count, capacity;
    char *names;
    size_t names_length, names_capacity;
    size_t wanted;
    bool deflated; /* some wanted member is */
};

/* Finds all members, and checks what the directory says of them.  r and suffix are set, everything
 * else is zero; zip_free() is due after a failure, too.  Like all below, it returns -1 with an
 * error in the reader. */
int zip_read_directory(struct zip_archive *a);
/* Puts members into the order of their places, and finds their bytes by the records in front of
 * these, which have to say what the directory says. */
int zip_locate_members(struct zip_archive *a);
/* Gives the plain bytes of a located member to tensor_unwrapped(), and checks size and checksum. */
int zip_unpack(struct zip_archive *a, const struct zip_member *m);
/* Whether ".." is a part of a name, as in names that unpack to elsewhere. */
bool zip_climbs(const char *name, size_t length);
void zip_free(struct zip_archive *a);

#endif
