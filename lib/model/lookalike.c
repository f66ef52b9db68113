/* SPDX-License-Identifier: MIT */
/* Names files that are no model by their first bytes, and says what to do about them. */
#include "config.h"

#include "model/lookalike.h"

#include <string.h>
#include <strings.h>

#define MAGIC(text) text, sizeof(text) - 1

/* Bytes at an offset, what they are the start of, and what to do. */
static const struct {
    size_t offset;
    const char *bytes;
    size_t length;
    const char *what;
} magics[] = {
    {0, MAGIC("version https://git-lfs.github.com/spec/"),
     "a Git LFS pointer, not the file that it stands for (git lfs pull fetches that)"},
    {0, MAGIC("\x1f\x8b\x08"), "a gzip file (unpack it: gzip -d)"},
    {0, MAGIC("\x28\xb5\x2f\xfd"), "a zstd file (unpack it: zstd -d)"},
    {0,
     MAGIC("\xfd"
           "7zXZ\0"),
     "an xz file (unpack it: xz -d)"},
    {0, MAGIC("BZh"), "a bzip2 file (unpack it: bzip2 -d)"},
    {0, MAGIC("7z\xbc\xaf\x27\x1c"), "a 7z archive (unpack it: 7z x)"},
    {257, MAGIC("ustar"), "a tar archive (unpack it: tar -xf)"},
    {0, MAGIC("\x89HDF\r\n\x1a\n"),
     "HDF5, as of Keras (load it there and save it as SafeTensors or .npz)"},
    {4, MAGIC("TFL3"), "a TFLite model, which no plugin here reads (convert it from its source)"},
    {0, MAGIC("lmgg"), "GGML, older than GGUF (convert it with llama.cpp)"},
    {0, MAGIC("tjgg"), "GGJT, older than GGUF (convert it with llama.cpp)"},
    {0, MAGIC("fmgg"), "GGMF, older than GGUF (convert it with llama.cpp)"},
    {0, MAGIC("%PDF-"), "a PDF document"},
    {0, MAGIC("verdict: "), "the output of verdict (verdict ends a pipeline)"},
    {0, MAGIC("status          cosine "), "the table of tensor-cos (leave out --table)"},
    {0, MAGIC("status\tcosine_similarity\t"), "the output of tensor-cos --tsv (leave out --tsv)"},
    {0, MAGIC("dtype     shape "), "a table of tensors (leave out --table; tensor-ls: --stream)"},
    {0, MAGIC("dtype\tshape\t"), "a table of tensors (leave out --tsv; tensor-ls: --stream)"},
    {0, MAGIC("# digest "), "the output of tensor-hash (--stream puts out records)"},
    {0, MAGIC("digest\tname"), "the output of tensor-hash --tsv (--stream puts out records)"},
    {0, MAGIC("verdict\tstatus\t"), "the output of verdict --tsv (verdict ends a pipeline)"},
};

/* Who prints JSON records of a kind. */
static const struct {
    const char *kind, *what;
} kinds[] = {
    {"compare", "the output of tensor-cos --json (leave out --json)"},
    {"fact",
     "the output of tensor-cos or tensor-ls --json (leave out --json; tensor-ls: --stream)"},
    {"entry", "the output of tensor-ls --json (--stream puts out records)"},
    {"total", "the output of tensor-ls --json (--stream puts out records)"},
    {"hash", "the output of tensor-hash --json (--stream puts out records)"},
    {"model_hash", "the output of tensor-hash --json (--stream puts out records)"},
    {"verdict", "the output of verdict --json (verdict ends a pipeline)"},
    {"stat", "the output of tensor-stat --json (leave out --json)"},
    {"heads", "the output of tensor-heads --json (leave out --json)"},
    {"matmul", "the output of tensor-matmul --json (leave out --json)"},
    {"tensor", "the output of a filter with --json (leave out --json)"},
};

static const char *of_magics(const uint8_t *head, size_t length, unsigned *bits)
{
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        *bits = 8 * (unsigned)magics[i].length;
        if (length >= magics[i].offset + magics[i].length &&
            memcmp(head + magics[i].offset, magics[i].bytes, magics[i].length) == 0)
            return magics[i].what;
    }
    return NULL;
}

/* Web servers answer with pages where a file was asked for. */
static const char *of_markup(const uint8_t *head, size_t length, unsigned *bits)
{
    static const char *const openings[] = {"<!doctype html", "<html", "<head", "<?xml"};
    size_t blank = 0;
    while (blank < length && memchr(" \t\r\n\xef\xbb\xbf", head[blank], 7))
        blank++;
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        size_t n = strlen(openings[i]);
        *bits = 8 * (unsigned)n;
        if (length - blank >= n && strncasecmp((const char *)head + blank, openings[i], n) == 0)
            return i < 3 ? "an HTML page, not a file of a model (a download that failed, or that "
                           "needs a login)"
                         : "XML, not a file of a model (a download that failed?)";
    }
    return NULL;
}

/* Objects of one line each that begin with their kind are ours. */
static const char *of_json(const uint8_t *head, size_t length, unsigned *bits)
{
    static const char opening[] = "{\"kind\":\"";
    size_t skip = sizeof opening - 1;
    *bits = 8 * (unsigned)skip;
    if (length < skip || memcmp(head, opening, skip) != 0) {
        *bits = 8;
        return length > 1 && head[0] == '{' && memchr(" \t\r\n\"}", head[1], 6)
                   ? "JSON, not a file of a model (name the folder, or the shard index)"
                   : NULL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].kind);
        if (length > skip + n && memcmp(head + skip, kinds[i].kind, n) == 0 &&
            head[skip + n] == '"')
            return kinds[i].what;
    }
    return "the output of a filter with --json (leave out --json)";
}

/* torch.save's archives begin with a member DIR/data.pkl, its older files and others' with a
 * pickle. The row of a plugin that reads them would be these lines. */
static const char *of_pickle(const uint8_t *head, size_t length, unsigned *bits)
{
    static const char member[] = "data.pkl";
    enum { LOCAL_BYTES = 30, NAME_LENGTH_AT = 26 };
    const size_t suffix = sizeof member - 1;
    if (length > LOCAL_BYTES && memcmp(head, "PK\x03\x04", 4) == 0) {
        size_t end = LOCAL_BYTES + head[NAME_LENGTH_AT] + 256u * head[NAME_LENGTH_AT + 1];
        *bits = 8 * (4 + (unsigned)suffix);
        return end <= length && end >= LOCAL_BYTES + suffix &&
                       memcmp(head + end - suffix, member, suffix) == 0
                   ? "a PyTorch file, whose pickle is a program that is not run here (load it in "
                     "PyTorch, and save it with safetensors.torch)"
                   : NULL;
    }
    *bits = 20;
    bool pickle = length > 3 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 &&
                  (head[1] < 4 || head[2] == 0x95) && memchr("}](\x8a\x95\x8c\x63", head[2], 7);
    return pickle ? "a Python pickle, as of older PyTorch: a program that is not run here (load it "
                    "there, and save it with safetensors.torch)"
                  : NULL;
}

/* ModelProto: its version, then the name of its producer. */
static const char *of_onnx(const uint8_t *head, size_t length, unsigned *bits)
{
    *bits = 21;
    if (length < 5 || head[0] != 0x08 || head[1] == 0 || head[1] > 32 || head[2] != 0x12 ||
        head[3] == 0 || head[3] > 64 || length < 4u + head[3])
        return NULL;
    for (size_t i = 0; i < head[3]; i++)
        if (head[4 + i] < ' ' || head[4 + i] > '~')
            return NULL;
    return "an ONNX model, which no plugin here reads (compare what it was exported from)";
}

const char *tu_lookalike(const uint8_t *head, size_t length, unsigned *bits)
{
    static const char *(*const kinds_of[])(const uint8_t *, size_t, unsigned *) = {
        of_magics, of_markup, of_json, of_pickle, of_onnx};
    for (size_t i = 0; i < sizeof kinds_of / sizeof *kinds_of; i++) {
        const char *what = kinds_of[i](head, length, bits);
        if (what)
            return what;
    }
    *bits = 0;
    return NULL;
}

/* What to do where nobody knows the bytes: it may be that a plugin is missing. */
static const char *advice(const struct tu_plugins *plugins)
{
    size_t loaded = 0, refused = 0;
    for (size_t i = 0; i < plugins->count; i++) {
        refused += plugins->items[i].refused != NULL;
        loaded += plugins->items[i].format && plugins->items[i].format->unwrap != NULL;
        loaded += plugins->items[i].format && plugins->items[i].format->refuse != NULL;
    }
    if (!loaded)
        return "no format plugin was loaded: tensor-ls --formats says where they were looked for";
    return refused ? "tensor-ls --formats lists those that are, and the plugins that were refused"
                   : "tensor-ls --formats lists those that are";
}

const struct tensor_format *tu_recognize(const struct tu_plugins *plugins, const uint8_t *head,
                                         size_t length, uint64_t size, const char *path,
                                         struct tu_error *error)
{
    unsigned bits;
    const struct tensor_format *format = tu_plugins_detect(plugins, head, length, size);
    const char *what = tu_lookalike(head, length, &bits);
    if (format && (!what || format->bid(head, length, size) >= bits))
        return format;
    if (what)
        tu_fail(error, TU_EINVALID, "%s: is %s", path, what);
    else
        tu_fail(error, TU_EINVALID, "%s: is of no known format (%s)", path, advice(plugins));
    return NULL;
}
