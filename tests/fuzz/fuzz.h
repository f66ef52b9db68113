/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets.  A target takes any bytes and aborts where the library breaks a promise that its
 * headers make; memory errors are for the sanitizers to find.
 *
 * How to add a target: a function here, its row in entry.c, its source in local.mk, its seeds in
 * make-seeds and its words in NAME.dict.
 */
#ifndef TU_FUZZ_H
#define TU_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

typedef void fuzz_fn(const uint8_t *data, size_t size);

fuzz_fn fuzz_apr, fuzz_aprt, fuzz_gguf, fuzz_npy, fuzz_npz, fuzz_safetensors; /* formats.c */
fuzz_fn fuzz_expand;                                               /* expand.c */
fuzz_fn fuzz_stream;                                               /* stream.c */
fuzz_fn fuzz_facts, fuzz_pieces;                                   /* facts.c */
fuzz_fn fuzz_origin;                                               /* origin.c */
fuzz_fn fuzz_index, fuzz_json, fuzz_rule, fuzz_text;               /* words.c */
fuzz_fn fuzz_decode;                                               /* decode.c */
fuzz_fn fuzz_contract, fuzz_evidence;                              /* contracts.c */
fuzz_fn fuzz_map;                                                  /* maps.c */

struct fuzz_target {
    const char *name;
    fuzz_fn *run;
};
extern const struct fuzz_target fuzz_targets[]; /* up to one without a name */

/* libFuzzer, AFL++ and standalone.c start here.  FUZZ_TARGET names the target. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Promises (check.c) ---- */

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_broken(const char *file, int line, const char *what);
/* The same for a call that must succeed: shows its message. */
#define FUZZ_WORKS(call, error)                                                                    \
    ((call) >= 0 ? (void)0 : fuzz_broken(__FILE__, __LINE__, (error)->text))

/* A failure has a code, and a message that can be shown on a terminal. */
void fuzz_check_error(const struct tu_error *error);
/* Text that was made for people holds no control characters and is UTF-8. */
void fuzz_check_printable(const char *text, size_t length);
/* JSON does not tell float32 from float64, which is written with other digits. */
bool fuzz_has_float32(const struct tensor_value *value);
/* Metadata becomes JSON and MessagePack, and comes back the same. */
void fuzz_check_metadata(const struct tensor_value *map);
/* What model.h says of every tensor, and the metadata. */
void fuzz_check_model(const struct tu_model *m);

/* The value as JSON; at least a NUL. */
const char *fuzz_json_text(const struct tensor_value *value, struct tu_arena *arena);
/* MessagePack and back. */
void fuzz_repack(const struct tensor_value *value, struct tu_arena *arena,
                 struct tensor_value *out);

/* ---- Tools (tools.c) ---- */

/* Bytes as a file; its descriptor. */
int fuzz_file(const void *data, size_t size);

/* Bytes that grow. */
struct fuzz_bytes {
    uint8_t *bytes;
    size_t length, capacity;
};
void fuzz_append(struct fuzz_bytes *out, const void *bytes, size_t length);

/* A format that reads as another does, but whose peeks are copies of just the bytes asked for, gone
 * with the next: reading beyond them, or too late, is a memory error.  One at a time. */
struct tensor_format fuzz_strict_format(const struct tensor_format *format);
/* Calls a function that reads with a reader of this kind. */
int fuzz_call_strictly(struct tensor_reader *core, int (*function)(struct tensor_reader *));

/* Writes a model in a format; false where the format refuses. */
bool fuzz_write(const struct tu_model *m, const struct tensor_format *format,
                struct fuzz_bytes *out);

#endif
