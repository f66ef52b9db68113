/* SPDX-License-Identifier: MIT */
/* Trees to MessagePack and back, over msgpack-c. */
#ifndef TU_MSGPACK_H
#define TU_MSGPACK_H

#include "tree/value.h"

/* Values of one object: each takes some 60 bytes of memory, whatever it takes in the stream. */
#define TU_SCAN_OBJECTS (UINT64_C(1) << 24)

/* Finds where a MessagePack object ends in bytes that are still arriving, so that nothing is
 * allocated on the word of a length field.  Zero-initialise for each object. */
struct tu_scan {
    size_t position;                   /* bytes understood so far */
    uint64_t objects;                  /* that ended or opened so far */
    size_t depth;                      /* open maps and arrays */
    uint64_t left[TU_VALUE_DEPTH + 1]; /* objects still to come in each */
};

/* 1: the object is bytes[0 .. scan->position); 0: more bytes are needed, call again with the same
 * scan and all bytes so far; -1: no MessagePack, an extension type, nested too deep, or of too many
 * values. */
int tu_scan_object(struct tu_scan *scan, const uint8_t *bytes, size_t length);

/* Decodes one whole object that tu_scan_object has accepted. */
int tu_unpack(const uint8_t *bytes, size_t length, struct tu_arena *arena, struct tensor_value *out,
              struct tu_error *error);

/* The value as MessagePack in a buffer that the caller frees.  Strings that are no UTF-8 become
 * bin, so that any MessagePack library can read the stream. */
int tu_pack(const struct tensor_value *value, char **bytes, size_t *length, struct tu_error *error);

#endif
