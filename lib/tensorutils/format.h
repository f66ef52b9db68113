/* SPDX-License-Identifier: MIT */
/*
 * The plugin interface of tensorutils: what a file format has to say about itself.
 *
 * How to add a format NAME:
 *   1. plugins/NAME.c defines `const struct tensor_format tensor_format_NAME`, opened with
 *      TENSOR_FORMAT_HEADER and filled with designated initialisers;
 *   2. its lines in plugins/local.mk, a page man/tensor-format-NAME.5 with its line in
 * man/local.mk, samples of tests/tools/make-samples, which tests/formats/hostile.bats walks through
 * by kind, and a target of tests/fuzz, whose README says how. Outside this tree: compile with
 * `pkg-config --cflags tensorutils`, link a shared object NAME.so (no library is needed) and name
 * its folder in TENSORUTILS_PLUGINS.
 *
 * A format describes, the core reads.  A plugin sees bytes at offsets, never a file descriptor,
 * and reads no tensor data: it reports metadata and, for each tensor, name, type, shape and byte
 * range.  The core checks each range against the file, each size against type and shape, names,
 * duplicates and overlaps, once for all formats.
 *
 * Functions return 0, or -1 after a call of tensor_fail (or of another function that failed: the
 * first message stands).  Everything passed to the host is copied; everything the host passes is
 * lent until the call returns.
 */
#ifndef TENSORUTILS_FORMAT_H
#define TENSORUTILS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensorutils/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENSOR_FORMAT_ABI 1u
#define TENSOR_MAX_RANK   16u
#define TENSOR_MAX_NAME   65536u

/* How blocks lie over a tensor whose rows are no whole number of blocks. */
enum tensor_packing {
    TENSOR_PACKING_ROWS = 0, /* each row starts a new block, its last block is padded */
    TENSOR_PACKING_FLAT = 1, /* blocks run over the flat tensor */
};

/* A tensor as its file describes it. */
struct tensor_entry {
    const char *name;
    size_t name_length;
    uint32_t dtype;   /* enum tensor_dtype */
    uint32_t packing; /* enum tensor_packing */
    uint32_t rank;
    const uint64_t *shape; /* row-major, outermost dimension first */
    uint64_t offset;       /* reading: of the data, from the start of the file; writing: from the
                              start of the data section */
    uint64_t nbytes;
};

/* Types of metadata values; the numeric ones keep the width that the file gave them. */
enum tensor_value_type {
    TENSOR_NULL,
    TENSOR_BOOLEAN,
    TENSOR_UINT8,
    TENSOR_INT8,
    TENSOR_UINT16,
    TENSOR_INT16,
    TENSOR_UINT32,
    TENSOR_INT32,
    TENSOR_UINT64,
    TENSOR_INT64,
    TENSOR_FLOAT32,
    TENSOR_FLOAT64,
    TENSOR_STRING, /* bytes; UTF-8 by convention, not checked */
    TENSOR_ARRAY,
    TENSOR_MAP,
};

struct tensor_string {
    const char *bytes; /* followed by a NUL that is not part of the value */
    size_t length;
};

struct tensor_array {
    const struct tensor_value *items;
    size_t count;
};

struct tensor_map {
    const struct tensor_pair *pairs;
    size_t count;
};

struct tensor_value {
    uint8_t type;    /* enum tensor_value_type */
    uint8_t element; /* arrays: type of every item where the file states one, else TENSOR_NULL;
                        strings: TENSOR_UINT8 if they are bytes rather than text */
    union {
        bool boolean;
        uint64_t uint; /* every unsigned width */
        int64_t sint;  /* every signed width */
        double real;   /* FLOAT32 and FLOAT64 */
        struct tensor_string string;
        struct tensor_array array;
        struct tensor_map map;
    };
};

struct tensor_pair {
    struct tensor_value key; /* TENSOR_STRING */
    struct tensor_value value;
};

/* ---- Reading ------------------------------------------------------------------------------ */

struct tensor_reader;

/* What the core offers to a plugin that reads; use the tensor_* wrappers below. */
struct tensor_reader_host {
    const void *(*peek)(struct tensor_reader *, uint64_t offset, size_t length);
    int (*add)(struct tensor_reader *, const struct tensor_entry *);
    int (*value)(struct tensor_reader *, const char *key, size_t key_length,
                 const struct tensor_value *value);
    int (*open)(struct tensor_reader *, const char *key, size_t key_length,
                enum tensor_value_type type, enum tensor_value_type element);
    int (*close)(struct tensor_reader *);
    int (*json)(struct tensor_reader *, uint64_t offset, uint64_t length);
    int (*emit)(struct tensor_reader *, const void *bytes, size_t length);
    int (*fail)(struct tensor_reader *, uint64_t offset, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
    void (*warn)(struct tensor_reader *, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
};

/* One file whose index is being read. */
struct tensor_reader {
    const struct tensor_reader_host *host;
    uint64_t size;   /* bytes of the file */
    bool lenient;    /* accept what real writers made wrong, with a warning */
    bool big_header; /* accept a header beyond the limit that other readers have */
};

/* How many bytes of a file's start a bid sees. */
#define TENSOR_BID_BYTES 4096u

/* Bytes [offset, offset + length) of the file, or NULL with the message made when the file is
 * shorter.  Valid until the next call; length is at most TENSOR_PEEK_MAX. */
#define TENSOR_PEEK_MAX (1u << 20)
static inline const void *tensor_peek(struct tensor_reader *r, uint64_t offset, size_t length)
{
    return r->host->peek(r, offset, length);
}

/* Adds one tensor to the index. */
static inline int tensor_add(struct tensor_reader *r, const struct tensor_entry *entry)
{
    return r->host->add(r, entry);
}

/* Adds one metadata value (no array, no map) to the map or array that is open; key is NULL in an
 * array. */
static inline int tensor_value_add(struct tensor_reader *r, const char *key, size_t key_length,
                                   const struct tensor_value *value)
{
    return r->host->value(r, key, key_length, value);
}

/* Opens a map or array inside the one that is open; the outermost map is open from the start. */
static inline int tensor_value_open(struct tensor_reader *r, const char *key, size_t key_length,
                                    enum tensor_value_type type, enum tensor_value_type element)
{
    return r->host->open(r, key, key_length, type, element);
}

static inline int tensor_value_close(struct tensor_reader *r)
{
    return r->host->close(r);
}

/* Adds the members of the JSON object at [offset, offset + length) of the file as metadata. */
static inline int tensor_value_json(struct tensor_reader *r, uint64_t offset, uint64_t length)
{
    return r->host->json(r, offset, length);
}

/* In unwrap: appends bytes to the plain form of the file. */
static inline int tensor_unwrapped(struct tensor_reader *r, const void *bytes, size_t length)
{
    return r->host->emit(r, bytes, length);
}

/* Records why the file cannot be read, with the byte offset of the cause; is -1. */
#define tensor_fail(r, offset, ...) ((r)->host->fail((r), (offset), __VA_ARGS__))
/* Tells the user of something odd that does not stop the reading. */
#define tensor_warn(r, ...) ((r)->host->warn((r), __VA_ARGS__))

/* ---- Writing ------------------------------------------------------------------------------ */

struct tensor_writer;

struct tensor_writer_host {
    int (*emit)(struct tensor_writer *, const void *bytes, size_t length);
    int (*json)(struct tensor_writer *, const struct tensor_value *, const char **text,
                size_t *length);
    int (*fail)(struct tensor_writer *, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
};

/* One file that is being written: its tensors in the order of their data, and its metadata. */
struct tensor_writer {
    const struct tensor_writer_host *host;
    const struct tensor_entry *tensors;
    size_t count;
    const struct tensor_value *metadata; /* a map */
    uint64_t room;        /* write_head: pad the head to this many bytes if the format can */
    uint64_t data_bytes;  /* of the data section, padding included */
    uint32_t part;        /* number of this file, from 0, of a model of several */
    uint32_t parts;       /* how many there are; 1 for a whole model */
    uint64_t all_tensors; /* in all parts */
    uint32_t crc32;       /* write_tail: CRC-32 (zlib) of head and data */

    /* For formats with write_prefix. */
    uint64_t prefix;              /* write_prefix: where it begins, from the start of the data */
    const uint32_t *tensor_crc32; /* CRC-32 (zlib) of each tensor's bytes; 0 until they came */
};

/* Appends bytes to the head (or prefix, or tail) of the file. */
static inline int tensor_emit(struct tensor_writer *w, const void *bytes, size_t length)
{
    return w->host->emit(w, bytes, length);
}

/* The value as JSON text, valid until the file is written. */
static inline int tensor_to_json(struct tensor_writer *w, const struct tensor_value *value,
                                 const char **text, size_t *length)
{
    return w->host->json(w, value, text, length);
}

/* Records why the file cannot be written; is -1. */
#define tensor_write_fail(w, ...) ((w)->host->fail((w), __VA_ARGS__))

/* ---- The format --------------------------------------------------------------------------- */

struct tensor_format {
    uint32_t abi;         /* TENSOR_FORMAT_ABI; checked before anything else is read */
    uint32_t struct_size; /* sizeof(struct tensor_format) where the plugin was compiled */
    const char *name;     /* lower case, as users write it: "gguf" */
    const char *about;    /* one line */
    const char *suffixes; /* for files to be written, separated by blanks: ".gguf" */

    /* Alignments in bytes: of each tensor, counted from the start of the data section, and of the
     * data section itself.  Used for writing. */
    uint32_t tensor_alignment;
    uint32_t data_alignment;
    bool wants_crc32; /* write_tail needs tensor_writer.crc32 */

    /* How many bits of the file's first length bytes (TENSOR_BID_BYTES, or the whole file) prove
     * that it is of this format; 0 if it is not.  size is that of the file. */
    unsigned (*bid)(const uint8_t *head, size_t length, uint64_t size);

    /* For formats that may be compressed as a whole, or have elements in an order that is not the
     * core's: 0 if this file is plain, or 1 after its plain form, which read is given instead, was
     * emitted by tensor_unwrapped; 2 if what was emitted is to be unwrapped once more (at most 4
     * times).  The core keeps it in an unlinked temporary file.  The plugin bounds what it emits by
     * sizes the file states.  May be NULL. */
    int (*unwrap)(struct tensor_reader *r);

    /* Reports metadata and tensors. */
    int (*read)(struct tensor_reader *r);

    /* Whether a tensor can be stored: NULL, or the reason why not, as a literal ("has no type
     * Q4_K").  NULL slot: the format cannot be written. */
    const char *(*refuse)(const struct tensor_entry *entry);

    /* Emits everything before the data section.  The data section begins at the next multiple of
     * data_alignment; the core fills the gap with zeros. */
    int (*write_head)(struct tensor_writer *w);

    /* Emits what follows the data; NULL: nothing does. */
    int (*write_tail)(struct tensor_writer *w);

    /* Slots from here on came later: a plugin that was compiled without them has NULL and false. */

    /* Emits what stands right before the bytes of tensors[index], for formats that give each tensor
     * a record of its own.  It is called when the tensor comes (it is the last of tensors then), to
     * give the prefix its room, and again when all tensors have come and their checksums are known;
     * what it emits then must be as long, and takes the place of what it emitted first.  So its
     * length may depend on the tensor and on where the prefix begins, and on nothing else: part,
     * metadata and the tensors that follow are not known at first.  Prefixes begin at multiples of
     * tensor_alignment, their tensors right behind them; offsets of tensors, and data_bytes, count
     * them.  Not together with wants_crc32.  NULL: nothing stands there. */
    int (*write_prefix)(struct tensor_writer *w, size_t index);

    /* Writing: the format has no place for metadata.  The user is told that it is lost. */
    bool drops_metadata;

    /* A file holds one tensor and does not name it: where several files are read together, as those
     * of a folder, each is called after its file. */
    bool unnamed;
};

#define TENSOR_FORMAT_HEADER .abi = TENSOR_FORMAT_ABI, .struct_size = sizeof(struct tensor_format)

#ifdef __cplusplus
}
#endif
#endif
