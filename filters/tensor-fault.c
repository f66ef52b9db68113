/* SPDX-License-Identifier: MIT */
/* tensor-fault: puts a known fault into tensors, so that a gate can prove that it fails. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tool/main.h"
#include "tensor/elements.h"
#include "model/feed.h"
#include "base/random.h"

enum {
    COPY_BYTES = 256 * 1024,
    RUN = 32,     /* elements of a block where the type has none */
    COLUMNS = 64, /* that are turned over at once; of blocks, TU_BLOCK_MAX */
};

enum fault {
    FAULT_NONE,
    FAULT_NAN,
    FAULT_BIT,
    FAULT_SWAP_ROWS,
    FAULT_SWAP_HEADS,
    FAULT_TRANSPOSE,
    FAULT_STALE_SCALE,
    FAULT_CHANNEL,
    FAULT_ZERO_BLOCK,
    FAULT_TRUNCATE,
};

static struct tu_tool tool;
static struct tu_output output;
static enum fault fault;
static uint64_t seed, heads;

static const struct {
    const char *name;
    enum fault fault;
} faults[] = {
    {"nan", FAULT_NAN},
    {"bit", FAULT_BIT},
    {"swap-rows", FAULT_SWAP_ROWS},
    {"swap-heads", FAULT_SWAP_HEADS},
    {"transpose", FAULT_TRANSPOSE},
    {"stale-scale", FAULT_STALE_SCALE},
    {"channel", FAULT_CHANNEL},
    {"zero-block", FAULT_ZERO_BLOCK},
    {"truncate", FAULT_TRUNCATE},
};

/* Where the scale of a block is: at most 8 bytes. */
static const struct {
    enum tensor_dtype code;
    unsigned offset, bytes;
} scales[] = {
    {TENSOR_Q4_0, 0, 2},    {TENSOR_Q4_1, 0, 2},   {TENSOR_Q5_0, 0, 2},   {TENSOR_Q5_1, 0, 2},
    {TENSOR_Q8_0, 0, 2},    {TENSOR_Q8_1, 0, 2},   {TENSOR_Q2_K, 80, 2},  {TENSOR_Q3_K, 108, 2},
    {TENSOR_Q4_K, 0, 2},    {TENSOR_Q5_K, 0, 2},   {TENSOR_Q6_K, 208, 2}, {TENSOR_Q8_K, 0, 4},
    {TENSOR_IQ2_XXS, 0, 2}, {TENSOR_IQ2_XS, 0, 2}, {TENSOR_IQ2_S, 0, 2},  {TENSOR_IQ3_XXS, 0, 2},
    {TENSOR_IQ3_S, 0, 2},   {TENSOR_IQ1_S, 0, 2},  {TENSOR_IQ4_NL, 0, 2}, {TENSOR_IQ4_XS, 0, 2},
    {TENSOR_TQ1_0, 52, 2},  {TENSOR_TQ2_0, 64, 2}, {TENSOR_Q1_0, 0, 2},   {TENSOR_Q2_0, 0, 2},
    {TENSOR_MXFP4, 0, 1},   {TENSOR_NVFP4, 0, 4},  {TENSOR_IQ1_M, 48, 8}, {TENSOR_APR_Q4, 0, 2},
};

static int parse_fault(void *target, const char *text, struct tu_error *error)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (strcmp(text, faults[i].name) == 0) {
            *(enum fault *)target = faults[i].fault;
            return 0;
        }
    return tu_fail(error, TU_EUSAGE,
                   "'%s' is no fault (they are nan, bit, swap-rows, swap-heads, transpose, "
                   "stale-scale, channel, zero-block, truncate)",
                   text);
}

static const struct tu_option options[] = {
    {0, "fault", "NAME", "nan, bit, swap-rows, swap-heads, transpose, stale-scale, ...",
     parse_fault, &fault},
    {0, "seed", "N", "chooses the place (default 0)", tu_option_u64, &seed},
    {0, "heads", "N", "heads that the rows are divided into, for swap-heads", tu_option_u64,
     &heads},
    TU_SELECT_OPTIONS(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

/* ---- One tensor ---- */

/* A tensor and the fault that it gets. */
struct victim {
    const struct tu_model *model;
    const struct tu_tensor *tensor;
    struct tu_geometry geometry;
    uint64_t span[2], length; /* spans of bytes that are exchanged */
    uint64_t at, count;       /* bytes that are replaced, from at on */
    uint8_t *bytes;           /* by these */
};

static int refuse(const struct victim *v, struct tu_error *error, const char *why)
{
    return tu_fail(error, TU_EUSAGE, "tensor '%s': %s", v->tensor->name, why);
}

/* The n-th number for this tensor below a bound, which is not 0. */
static uint64_t choose(const struct victim *v, uint64_t n, uint64_t bound)
{
    struct tu_random random = tu_random_init(seed, v->tensor->name, v->tensor->name_length);
    return tu_random_bits(&random, n) % bound;
}

static int read_original(const struct victim *v, uint64_t offset, void *to, size_t length,
                         struct tu_error *error)
{
    return tu_model_read(v->model, v->tensor, offset, to, length, error);
}

/* Takes the bytes that are to be replaced, as they are; what was taken before is let go. */
static int take_bytes(struct victim *v, uint64_t at, uint64_t count, struct tu_error *error)
{
    free(v->bytes);
    v->at = at;
    v->count = count;
    v->bytes = malloc(count);
    return v->bytes ? read_original(v, at, v->bytes, count, error) : tu_fail_memory(error);
}

static uint64_t blocks(const struct victim *v)
{
    return (v->geometry.nbytes - v->geometry.dtype->head) / v->geometry.dtype->bytes;
}

/* ---- The faults ---- */

static int find_scale(const struct victim *v, unsigned *offset, unsigned *bytes)
{
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (scales[i].code == v->tensor->dtype) {
            *offset = scales[i].offset;
            *bytes = scales[i].bytes;
            return 0;
        }
    return -1;
}

static uint64_t block_at(const struct victim *v, uint64_t block)
{
    return v->geometry.dtype->head + block * v->geometry.dtype->bytes;
}

/* The NaN of floats, and of the scales of blocks where those are F16 or F32; 0 bytes: there is
 * none. */
static size_t find_nan(const struct tu_dtype *t, unsigned scale_bytes, uint8_t nan[8])
{
    static const struct {
        enum tensor_dtype code;
        uint8_t bytes[8];
    } nans[] = {
        {TENSOR_F64, {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}},
        {TENSOR_F32, {0, 0, 0xc0, 0x7f}},
        {TENSOR_F16, {0x00, 0x7e}},
        {TENSOR_BF16, {0xc0, 0x7f}},
        {TENSOR_F8_E4M3, {0x7f}},
        {TENSOR_F8_E5M2, {0x7f}},
        {TENSOR_F8_E8M0, {0xff}},
    };
    enum tensor_dtype code = t->code;
    if (code == TENSOR_Q8_K)
        code = TENSOR_F32;
    else if (scale_bytes == 2)
        code = TENSOR_F16;
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++)
        if (nans[i].code == code) {
            memcpy(nan, nans[i].bytes, 8);
            return tu_dtype(code)->bytes;
        }
    return 0;
}

/* NaN in one element, or in the scale of one block. */
static int make_nan(struct victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    unsigned offset = 0, bytes = 0;
    uint8_t nan[8];
    if (t->kind == TENSOR_KIND_QUANT)
        find_scale(v, &offset, &bytes);
    size_t size = find_nan(t, bytes, nan);
    if (size == 0)
        return refuse(v, error, "its type has no NaN to put in");
    if (take_bytes(v, block_at(v, choose(v, 0, blocks(v))) + offset, size, error) < 0)
        return -1;
    memcpy(v->bytes, nan, size);
    return 0;
}

static int flip_bit(struct victim *v, struct tu_error *error)
{
    uint64_t bit = choose(v, 0, v->geometry.nbytes * 8);
    if (take_bytes(v, bit / 8, 1, error) < 0)
        return -1;
    *v->bytes ^= (uint8_t)(1u << bit % 8);
    return 0;
}

static int spans_differ(const struct victim *v, uint64_t first, uint64_t other, uint64_t length,
                        bool *differ, struct tu_error *error)
{
    uint8_t x[4096], y[sizeof x];
    *differ = false;
    for (uint64_t done = 0; done < length && !*differ; done += sizeof x) {
        size_t n = length - done < sizeof x ? (size_t)(length - done) : sizeof x;
        if (read_original(v, first + done, x, n, error) < 0 ||
            read_original(v, other + done, y, n, error) < 0)
            return -1;
        *differ = memcmp(x, y, n) != 0;
    }
    return 0;
}

/* Two of count spans of the same length change places: two that differ. */
static int swap_spans(struct victim *v, uint64_t count, uint64_t length, struct tu_error *error)
{
    if (count < 2)
        return refuse(v, error, "there are no two of them to exchange");
    uint64_t head = v->geometry.dtype->head, first = choose(v, 0, count);
    uint64_t step = choose(v, 1, count - 1);
    for (uint64_t i = 0; i < count - 1; i++) {
        uint64_t other = (first + 1 + (step + i) % (count - 1)) % count;
        bool differ;
        if (spans_differ(v, head + first * length, head + other * length, length, &differ, error) <
            0)
            return -1;
        if (differ) {
            v->length = length;
            v->span[0] = head + first * length;
            v->span[1] = head + other * length;
            return 0;
        }
    }
    return refuse(v, error, "all of them are the same");
}

/* Rows of the last dimension; -1 if they do not begin at whole blocks. */
static int rows_of(const struct victim *v, uint64_t *rows, uint64_t *length, struct tu_error *error)
{
    const struct tu_tensor *t = v->tensor;
    uint64_t row = t->rank ? t->shape[t->rank - 1] : 1;
    uint64_t bytes = v->geometry.nbytes - v->geometry.dtype->head;
    *rows = row ? t->elements / row : 0;
    if (t->rank < 2 || *rows == 0 || bytes % *rows)
        return refuse(v, error, "it has no rows of whole blocks");
    *length = bytes / *rows;
    return 0;
}

static int swap_rows(struct victim *v, uint64_t parts, struct tu_error *error)
{
    uint64_t rows = 0, length = 0;
    if (rows_of(v, &rows, &length, error) < 0)
        return -1;
    if (parts == 0)
        return swap_spans(v, rows, length, error);
    return rows % parts ? refuse(v, error, "its rows are not that many heads")
                        : swap_spans(v, parts, rows / parts * length, error);
}

/* The scale of one block becomes that of the one before it. */
static int make_stale(struct victim *v, struct tu_error *error)
{
    unsigned offset, bytes;
    if (find_scale(v, &offset, &bytes) < 0 || blocks(v) < 2)
        return refuse(v, error, "it has no two blocks with a scale");
    uint64_t count = blocks(v), first = choose(v, 0, count - 1);
    uint8_t before[8];
    for (uint64_t i = 0; i < count - 1; i++) { /* the first one from there on that differs */
        uint64_t block = 1 + (first + i) % (count - 1);
        if (read_original(v, block_at(v, block - 1) + offset, before, bytes, error) < 0 ||
            take_bytes(v, block_at(v, block) + offset, bytes, error) < 0)
            return -1;
        if (memcmp(before, v->bytes, bytes) != 0) {
            memcpy(v->bytes, before, bytes);
            return 0;
        }
    }
    return refuse(v, error, "all of its scales are the same");
}

static bool is_zero(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool scale_row(const struct tu_dtype *t, uint8_t *row, uint64_t length, float *values,
                      uint8_t *before)
{
    uint64_t n = length / t->bytes;
    memcpy(before, row, length);
    tool.session.kernels->decode[t->code](row, n, values);
    for (uint64_t i = 0; i < n * t->elements; i++)
        values[i] *= 1.15f;
    tool.session.kernels->encode[t->code](values, n, row);
    return memcmp(before, row, length) != 0;
}

/* One row times 1.15, encoded anew where the type is quantized: the first one from a place on that
 * this changes.  Types of four bits with few scales may round it all away. */
static int scale_channel(struct victim *v, struct tu_error *error)
{
    uint64_t rows = 0, length = 0;
    const struct tu_dtype *t = v->geometry.dtype;
    if (rows_of(v, &rows, &length, error) < 0)
        return -1;
    if (!tool.session.kernels->encode[t->code] || t->head)
        return refuse(v, error, "its type cannot be made from numbers");
    float *values = malloc(length / t->bytes * t->elements * sizeof *values);
    uint8_t *before = malloc(length);
    int result = values && before ? 0 : tu_fail_memory(error);
    uint64_t first = choose(v, 0, rows);
    bool done = false;
    for (uint64_t i = 0; i < rows && result == 0 && !done; i++) {
        result = take_bytes(v, (first + i) % rows * length, length, error);
        done = result == 0 && scale_row(t, v->bytes, length, values, before);
    }
    free(values);
    free(before);
    return result == 0 && !done ? refuse(v, error, "no row of it changes by that") : result;
}

/* Of the blocks from a place on, the first that is not zero already. */
static int zero_block(struct victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t run = t->elements > 1 ? 1 : RUN, count = (blocks(v) + run - 1) / run;
    uint64_t first = choose(v, 0, count);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t block = (first + i) % count * run, left = blocks(v) - block;
        if (take_bytes(v, block_at(v, block), (left < run ? left : run) * t->bytes, error) < 0)
            return -1;
        if (!is_zero(v->bytes, v->count)) {
            memset(v->bytes, 0, v->count);
            return 0;
        }
    }
    return refuse(v, error, "all of it is zero");
}

static int check_matrix(const struct victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    if (v->tensor->rank != 2)
        return refuse(v, error, "it is no matrix");
    if (t->head || (t->elements != 1 && (!tool.session.kernels->encode[t->code] ||
                                         v->tensor->shape[1] % t->elements != 0)))
        return refuse(v, error, "its type cannot be made from numbers");
    return 0;
}

static int choose_fault(struct victim *v, struct tu_error *error)
{
    if (v->geometry.elements == 0)
        return refuse(v, error, "it has no elements");
    switch (fault) {
    case FAULT_NAN:
        return make_nan(v, error);
    case FAULT_BIT:
        return flip_bit(v, error);
    case FAULT_SWAP_ROWS:
        return swap_rows(v, 0, error);
    case FAULT_SWAP_HEADS:
        return swap_rows(v, heads, error);
    case FAULT_TRANSPOSE:
        return check_matrix(v, error);
    case FAULT_STALE_SCALE:
        return make_stale(v, error);
    case FAULT_CHANNEL:
        return scale_channel(v, error);
    case FAULT_ZERO_BLOCK:
        return zero_block(v, error);
    case FAULT_NONE:
    case FAULT_TRUNCATE:
        break;
    }
    return 0;
}

/* ---- The stream ---- */

/* Bytes that another span holds are read from there, up to the end of the span. */
static uint64_t place_of(const struct victim *v, uint64_t offset, size_t *length)
{
    for (int i = 0; i < 2; i++) {
        uint64_t here = v->span[i], there = v->span[!i];
        if (offset < here && here - offset < *length)
            *length = (size_t)(here - offset);
        if (offset >= here && offset - here < v->length) {
            uint64_t left = v->length - (offset - here);
            *length = left < *length ? (size_t)left : *length;
            return there + (offset - here);
        }
    }
    return offset;
}

static int read_faulty(const struct victim *v, uint64_t offset, uint8_t *to, size_t length,
                       struct tu_error *error)
{
    for (size_t done = 0, n; done < length; done += n) {
        n = length - done;
        uint64_t from = place_of(v, offset + done, &n);
        if (read_original(v, from, to + done, n, error) < 0)
            return -1;
    }
    uint64_t first = offset > v->at ? offset : v->at, end = v->at + v->count;
    end = end < offset + length ? end : offset + length;
    if (first < end)
        memcpy(to + (first - offset), v->bytes + (first - v->at), end - first);
    return 0;
}

static int write_faulty(const struct victim *v, struct tu_error *error)
{
    static uint8_t buffer[COPY_BYTES];
    for (uint64_t offset = 0; offset < v->tensor->nbytes; offset += sizeof buffer) {
        uint64_t left = v->tensor->nbytes - offset;
        size_t n = left < sizeof buffer ? (size_t)left : sizeof buffer;
        if (read_faulty(v, offset, buffer, n, error) < 0 ||
            tu_writer_bytes(&output.writer, buffer, n, error) < 0)
            return -1;
    }
    return 0;
}

/* Columns [first, first + count) become rows: read a piece of each row, and turn them over. */
static int write_columns(const struct victim *v, uint64_t first, uint64_t count, uint8_t *pieces,
                         uint8_t *column, struct tu_error *error)
{
    uint64_t rows = v->tensor->shape[0], columns = v->tensor->shape[1];
    size_t size = v->geometry.dtype->bytes;
    for (uint64_t i = 0; i < rows; i++)
        if (read_original(v, (i * columns + first) * size, pieces + i * count * size, count * size,
                          error) < 0)
            return -1;
    for (uint64_t j = 0; j < count; j++) {
        for (uint64_t i = 0; i < rows; i++)
            memcpy(column + i * size, pieces + (i * count + j) * size, size);
        if (tu_writer_bytes(&output.writer, column, rows * size, error) < 0)
            return -1;
    }
    return 0;
}

/* The elements of [a, b] as those of [b, a] lie; the shape says nothing of it. */
static int write_transposed(const struct victim *v, struct tu_error *error)
{
    uint64_t rows = v->tensor->shape[0], columns = v->tensor->shape[1];
    size_t size = v->geometry.dtype->bytes;
    uint8_t *pieces = malloc(rows * COLUMNS * size), *column = malloc(rows * size);
    int result = pieces && column ? 0 : tu_fail_memory(error);
    for (uint64_t first = 0; first < columns && result == 0; first += COLUMNS) {
        uint64_t left = columns - first;
        result = write_columns(v, first, left < COLUMNS ? left : COLUMNS, pieces, column, error);
    }
    free(pieces);
    free(column);
    return result;
}

/* The same of blocks: columns of numbers become rows, which are encoded anew. */
struct blocks_out {
    const struct tu_dtype *dtype;
    float values[TU_BLOCK_MAX];
    size_t count;
};

static int put_number(struct blocks_out *out, float value, struct tu_error *error)
{
    uint8_t block[512];
    out->values[out->count++] = value;
    if (out->count < out->dtype->elements)
        return 0;
    out->count = 0;
    tool.session.kernels->encode[out->dtype->code](out->values, 1, block);
    return tu_writer_bytes(&output.writer, block, out->dtype->bytes, error);
}

/* Columns [first, first + count), which are whole blocks. */
static int write_block_columns(const struct victim *v, uint64_t first, uint64_t count,
                               float *numbers, struct blocks_out *out, struct tu_error *error)
{
    const struct tu_dtype *t = out->dtype;
    uint64_t rows = v->tensor->shape[0], columns = v->tensor->shape[1];
    uint8_t raw[TU_BLOCK_MAX * 4];
    size_t n = count / t->elements;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t block = (i * columns + first) / t->elements;
        if (read_original(v, block * t->bytes, raw, n * t->bytes, error) < 0)
            return -1;
        tool.session.kernels->decode[t->code](raw, n, numbers + i * count);
    }
    for (uint64_t j = 0; j < count; j++)
        for (uint64_t i = 0; i < rows; i++)
            if (put_number(out, numbers[i * count + j], error) < 0)
                return -1;
    return 0;
}

static int write_transposed_blocks(const struct victim *v, struct tu_error *error)
{
    uint64_t rows = v->tensor->shape[0], columns = v->tensor->shape[1];
    struct blocks_out out = {.dtype = v->geometry.dtype};
    float *numbers = calloc(rows, TU_BLOCK_MAX * sizeof *numbers);
    int result = numbers ? 0 : tu_fail_memory(error);
    for (uint64_t first = 0; first < columns && result == 0; first += TU_BLOCK_MAX) {
        uint64_t left = columns - first;
        result = write_block_columns(v, first, left < TU_BLOCK_MAX ? left : TU_BLOCK_MAX, numbers,
                                     &out, error);
    }
    free(numbers);
    return result;
}

static int write_victim(const struct victim *v, struct tu_error *error)
{
    if (fault != FAULT_TRANSPOSE)
        return write_faulty(v, error);
    return v->geometry.dtype->elements == 1 ? write_transposed(v, error)
                                            : write_transposed_blocks(v, error);
}

static int put_victim(const struct tu_feed *feed, const struct tu_item *item,
                      struct tu_error *error)
{
    struct victim v = {
        .model = feed->current.model, .tensor = feed->current.tensor, .geometry = item->geometry};
    int result = choose_fault(&v, error);
    if (result == 0)
        result = tu_output_tensor(&output, &item->tensor, &item->map, error);
    if (result == 0 && tu_output_streams(&output))
        result = write_victim(&v, error);
    free(v.bytes);
    return result;
}

/* The stream breaks off in the middle of the tensor, as that of a killed producer does. */
static int break_off(struct tu_feed *feed, const struct tu_item *item, struct tu_error *error)
{
    static uint8_t buffer[COPY_BYTES];
    uint64_t half = item->tensor.nbytes / 2;
    size_t n = half < sizeof buffer ? (size_t)half : sizeof buffer;
    if (tu_output_tensor(&output, &item->tensor, &item->map, error) < 0 ||
        tu_feed_read(feed, buffer, n, error) < 0 ||
        tu_writer_bytes(&output.writer, buffer, n, error) < 0)
        return -1;
    return tu_writer_flush(&output.writer, error);
}

static int put_items(struct tu_feed *feed, struct tu_error *error)
{
    struct tu_item item;
    int more, result = 0;
    while (result == 0 && (more = tu_feed_next(feed, &item, error)) > 0) {
        bool tensor = item.kind == TU_KIND_TENSOR;
        if (tensor && tu_selects(&tool.session.selection, &item.tensor)) {
            if (fault == FAULT_TRUNCATE && tu_output_streams(&output))
                return break_off(feed, &item, error);
            result = put_victim(feed, &item, error);
        } else {
            result = tensor ? tu_feed_pass(feed, &item, &output, error)
                            : tu_output_record(&output, &item.map, error);
        }
    }
    if (result < 0 || more < 0)
        return -1;
    return tu_output_close(&output, error);
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_feed feed;
    if (fault == FAULT_NONE)
        return tu_fail(error, TU_EUSAGE, "--fault names what to put in");
    if (fault == FAULT_SWAP_HEADS && heads == 0)
        return tu_fail(error, TU_EUSAGE, "--fault swap-heads needs --heads");
    if (tu_output_open(&output, t, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    tu_feed_open(&feed, &t->session, operands, count, false);
    feed.stating = tu_output_streams(&output);
    feed.access = TU_ACCESS_RANDOM;
    int result = put_items(&feed, error);
    tu_feed_close(&feed);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-fault",
        .synopsis = "--fault NAME [OPTION]... [MODEL|-]...",
        .about =
            "Puts a known fault into the selected tensors, at a place that the seed chooses, so\n"
            "that a gate can prove that it fails.  Everything else passes unchanged.",
        .options = options,
        .max_operands = SIZE_MAX,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
