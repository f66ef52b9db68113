/* SPDX-License-Identifier: MIT */
/* The rows of a matrix times those of x, in tiles, in each of the stated orders. */
#include "config.h"

#include "compute/matmul/matmul.h"

#include <cblas.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/blas.h"
#include "base/pipeline.h"

/* A tile has about so many elements, and no less than a row; what is decoded at a time, and what
 * comes of it, has no more than these.  All are part of what f32 gives: a BLAS may add in another
 * order for another number of rows. */
enum { TILE = 4 * TU_TILE, DECODED = TU_TILE, RESULTS = 1 << 20 };

/* Rows of x in float64 that are multiplied at a time. */
enum { PAIR = 2 };

/* ---- Paths ---- */

const char *const tu_path_names[] = {"auto", "f64", "f32", "row", "block", "fused", NULL};

bool tu_path_parse(const char *text, enum tu_path *path)
{
    for (int i = 0; tu_path_names[i]; i++) {
        if (strcmp(text, tu_path_names[i]) == 0) {
            *path = (enum tu_path)i;
            return true;
        }
    }
    return false;
}

const struct tu_dtype *tu_activation_type(const struct tu_dtype *type, uint64_t columns)
{
    static const uint8_t types[TENSOR_DTYPE_LIMIT] = {
#define ROW(ID, name, activation) [TENSOR_##ID] = TENSOR_##activation,
        TU_DOT_TYPES(ROW)
#undef ROW
    };
    const struct tu_dtype *other = tu_dtype(types[type->code]);
    bool whole = other && columns % type->elements == 0 && columns % other->elements == 0;
    return whole ? other : NULL;
}

enum tu_path tu_path_settle(enum tu_path path, const struct tu_dtype *type, uint64_t columns)
{
    if (path != TU_PATH_AUTO)
        return path;
    return tu_activation_type(type, columns) ? TU_PATH_FUSED : TU_PATH_F32;
}

size_t tu_path_block(const struct tu_dtype *type)
{
    return type->elements > 32 ? type->elements : 32;
}

uint64_t tu_matrices(const struct tu_tensor *w)
{
    return w->rank == 3 ? w->shape[0] : 1;
}

uint64_t tu_matrix_rows(const struct tu_tensor *w)
{
    return w->shape[w->rank - 2];
}

uint64_t tu_matrix_columns(const struct tu_tensor *w)
{
    return w->shape[w->rank - 1];
}

/* ---- x ---- */

static void *allocate(uint64_t count, size_t size, struct tu_error *error)
{
    void *p = count <= SIZE_MAX ? calloc(count ? (size_t)count : 1, size) : NULL;
    if (!p)
        tu_fail_memory(error);
    return p;
}

static int decode_all(struct tu_vectors *x, const uint8_t *raw, struct tu_error *error)
{
    const struct tu_geometry *g = &x->geometry;
    struct tu_decoder decoder;
    if (tu_decoder_init(&decoder, g, x->kernels, raw, error) < 0)
        return -1;
    if (!(x->values = allocate(g->elements, sizeof *x->values, error)))
        return -1;
    if (g->elements == 0)
        return 0;
    tu_decode(&decoder, raw + g->dtype->head, 0, (size_t)g->elements, x->values);
    if (!decoder.decode_wide)
        return 0;
    if (!(x->hi = allocate(g->elements, sizeof *x->hi, error)) ||
        !(x->lo = allocate(g->elements, sizeof *x->lo, error)))
        return -1;
    tu_decode_wide(&decoder, raw + g->dtype->head, 0, (size_t)g->elements, x->hi, x->lo);
    return 0;
}

static bool is_activation_type(const struct tu_dtype *type)
{
    return type->code == TENSOR_Q8_0 || type->code == TENSOR_Q8_1 || type->code == TENSOR_Q8_K;
}

int tu_vectors_load(struct tu_vectors *x, const struct tu_member *member,
                    const struct tu_kernels *kernels, struct tu_error *error)
{
    struct tu_tensor t = *member->tensor;
    *x = (struct tu_vectors){.kernels = kernels, .name = member->tensor->name};
    if (tu_tensor_check(&t, &x->geometry, error) < 0)
        return -1;
    x->columns = t.shape[t.rank - 1];
    x->rows = 1;
    for (uint32_t i = 0; i + 1 < t.rank; i++)
        x->rows *= t.shape[i]; /* no more than elements, which were checked */
    uint8_t *raw = allocate(t.nbytes, 1, error);
    if (!raw)
        return -1;
    int result = tu_model_read(member->model, member->tensor, 0, raw, (size_t)t.nbytes, error);
    if (result == 0)
        result = decode_all(x, raw, error);
    if (result == 0 && is_activation_type(x->geometry.dtype) &&
        x->columns % x->geometry.dtype->elements == 0)
        x->raw = raw;
    else
        free(raw);
    if (result < 0)
        tu_vectors_free(x);
    return result;
}

static void forget_rounded(struct tu_vectors *x)
{
    free(x->activations);
    free(x->codes);
    free(x->pairs);
    free(x->scales);
    free(x->terms);
    free(x->sums);
    x->activations = NULL;
    x->codes = x->pairs = NULL;
    x->scales = x->terms = NULL;
    x->sums = NULL;
    x->rounded = NULL;
}

void tu_vectors_free(struct tu_vectors *x)
{
    forget_rounded(x);
    free(x->raw);
    free(x->values);
    free(x->hi);
    free(x->lo);
    *x = (struct tu_vectors){0};
}

/* Block number b of activations, at p, to their place.  Sums are made anew: a file may hold
 * others. */
static void place_block(struct tu_vectors *x, size_t b, const uint8_t *p)
{
    size_t elements = x->rounded->elements, head = x->rounded->bytes - elements;
    bool is_k = x->rounded->code == TENSOR_Q8_K;
    int8_t *codes = x->codes + b * elements;
    x->kernels->decode[is_k ? TENSOR_F32 : TENSOR_F16](p, 1, &x->scales[b]);
    if (x->terms)
        x->kernels->decode[TENSOR_F16](p + 2, 1, &x->terms[b]);
    memcpy(codes, p + (is_k ? 4 : head), elements);
    for (size_t k = 0; is_k && k < 16; k++) {
        int sum = 0;
        for (size_t i = 0; i < 16; i++) {
            sum += codes[16 * k + i];
            x->pairs[b * elements + 16 * k + i] = codes[16 * k + i / 2 + i % 2 * 8];
        }
        x->sums[16 * b + k] = (int16_t)sum;
    }
}

static int make_room(struct tu_vectors *x, uint64_t blocks, struct tu_error *error)
{
    const struct tu_dtype *type = x->rounded;
    if (!(x->activations = allocate(x->rows, sizeof *x->activations, error)) ||
        !(x->codes = allocate(blocks, type->elements, error)) ||
        !(x->scales = allocate(blocks, sizeof *x->scales, error)) ||
        (type->code == TENSOR_Q8_1 && !(x->terms = allocate(blocks, sizeof *x->terms, error))) ||
        (type->code == TENSOR_Q8_K && (!(x->sums = allocate(blocks, 16 * sizeof *x->sums, error)) ||
                                       !(x->pairs = allocate(blocks, type->elements, error)))))
        return -1;
    uint64_t in_row = x->columns / type->elements;
    for (uint64_t i = 0; i < x->rows; i++)
        x->activations[i] = (struct tu_activation){
            .codes = x->codes + i * x->columns,
            .scales = x->scales + i * in_row,
            .terms = x->terms ? x->terms + i * in_row : NULL,
            .sums = x->sums ? x->sums + 16 * i * in_row : NULL,
            .pairs = x->pairs ? x->pairs + i * x->columns : NULL,
        };
    return 0;
}

int tu_vectors_round(struct tu_vectors *x, const struct tu_dtype *type, struct tu_error *error)
{
    uint8_t block[TU_BLOCK_MAX * 2];
    if (x->rounded == type || x->geometry.elements == 0)
        return 0;
    forget_rounded(x);
    bool stored = x->raw && x->geometry.dtype == type;
    for (uint64_t i = 0; !stored && i < x->geometry.elements; i++)
        if (!isfinite(x->values[i]))
            return tu_fail(error, TU_EINVALID,
                           "x '%.200s': element %" PRIu64 " is %s: %s has no such number "
                           "(--path f64, f32, row and block take it)",
                           x->name, i, isnan(x->values[i]) ? "NaN" : "infinite", type->name);
    uint64_t blocks = x->geometry.elements / type->elements;
    x->rounded = type;
    if (make_room(x, blocks, error) < 0)
        return -1;
    for (size_t b = 0; b < blocks; b++) {
        if (!stored)
            x->kernels->encode[type->code](x->values + b * type->elements, 1, block);
        place_block(x, b, stored ? x->raw + b * type->bytes : block);
    }
    return 0;
}

int tu_vectors_rounded(const struct tu_vectors *x, struct tu_vectors *out, struct tu_error *error)
{
    *out = (struct tu_vectors){.kernels = x->kernels,
                               .geometry = x->geometry,
                               .name = x->name,
                               .rows = x->rows,
                               .columns = x->columns};
    if (!(out->values = allocate(x->geometry.elements, sizeof *out->values, error)))
        return -1;
    for (uint64_t i = 0; i < x->geometry.elements; i++)
        out->values[i] = x->scales[i / x->rounded->elements] * (float)x->codes[i];
    return 0;
}

/* ---- The products of one tile ---- */

struct job {
    const struct tu_matrix *w;
    const struct tu_product *products;
    size_t count;
    struct tu_decoder decoder;
    uint64_t matrices, rows, columns; /* rows: of all matrices */
    uint64_t matrix_rows;
    size_t tile_rows, decoded_rows;
    bool decodes, wide;             /* whether any product needs the values, and them in float64 */
    uint64_t vectors;               /* the most rows of an x for a matrix */
    uint64_t next;                  /* row */
    uint64_t position;              /* bytes of the tensor that were read in order */
    uint8_t last[2 * TU_BLOCK_MAX]; /* the last of them: rows of some types share a block */
};

struct piece {
    uint64_t first;          /* row */
    size_t rows;             /* of one matrix */
    uint64_t offset, length; /* bytes */
    uint8_t *raw;
    float *values, *results;
    double *hi, *lo, *results64;
};

/* NaN has one set of bits: which of two an operation gives differs among processors. */
static float one_nan(float y)
{
    return isnan(y) ? NAN : y;
}

static double one_nan64(double y)
{
    return isnan(y) ? (double)NAN : y;
}

/* The rows of x for a matrix. */
static uint64_t vectors_of(const struct job *j, const struct tu_product *p)
{
    return p->divided ? p->x->rows / j->matrices : p->x->rows;
}

/* The first of them for the matrix of a row of W. */
static uint64_t first_vector(const struct job *j, const struct tu_product *p, uint64_t row)
{
    return p->divided ? row / j->matrix_rows * vectors_of(j, p) : 0;
}

static void put_result(const struct job *j, const struct tu_product *p, uint64_t row,
                       uint64_t vector, double y)
{
    uint64_t matrix = row / j->matrix_rows;
    size_t at =
        (size_t)((matrix * vectors_of(j, p) + vector) * j->matrix_rows + row % j->matrix_rows);
    if (p->y64)
        p->y64[at] = one_nan64(y);
    else
        p->y[at] = one_nan((float)y);
}

static void multiply_fused(const struct job *j, const struct tu_product *p, const struct piece *t)
{
    const struct tu_dtype *type = j->w->geometry.dtype;
    tu_dot_fn *dot = j->w->kernels->dot[type->code];
    size_t blocks = (size_t)(j->columns / type->elements), row_bytes = blocks * type->bytes;
    const struct tu_activation *x = p->x->activations + first_vector(j, p, t->first);
    uint64_t vectors = vectors_of(j, p);
    for (size_t r = 0; r < t->rows; r++) {
        dot(t->raw + r * row_bytes, blocks, x, (size_t)vectors, t->results);
        for (uint64_t i = 0; i < vectors; i++)
            put_result(j, p, t->first + r, i, (double)t->results[i]);
    }
}

/* As dot64, of values that float32 does not hold. */
static double dot_wide(const double *hi, const double *lo, const struct tu_vectors *x, uint64_t row,
                       uint64_t columns)
{
    double lanes[TU_LANES] = {0}, sum = 0;
    uint64_t at = row * columns;
    for (uint64_t i = 0; i < columns; i++) {
        double xh = x->hi ? x->hi[at + i] : (double)x->values[at + i],
               xl = x->lo ? x->lo[at + i] : 0;
        double *lane = &lanes[i % TU_LANES];
        *lane += hi[i] * xh;
        if (lo[i] != 0 || xl != 0)
            *lane += lo[i] * xh + hi[i] * xl;
    }
    for (size_t l = 0; l < TU_LANES; l++)
        sum += lanes[l];
    return sum;
}

/* Whether sums need more than a float32 on one side, or a float64 on the other. */
static bool needs_wide(const struct job *j, const struct tu_vectors *x)
{
    return j->decoder.decode_wide || (x->hi && x->lo);
}

/* The same of an x in float64. */
static void multiply_doubles(const struct job *j, const struct tu_product *p, const struct piece *t,
                             uint64_t row, size_t rows)
{
    size_t columns = (size_t)j->columns;
    uint64_t first = first_vector(j, p, row), vectors = vectors_of(j, p);
    for (uint64_t i = 0; i < vectors; i += PAIR) {
        size_t n = vectors - i < PAIR ? (size_t)(vectors - i) : PAIR;
        j->w->kernels->dot64_wide(t->values, rows, columns, p->x->hi + (first + i) * columns, n,
                                  t->results64);
        for (size_t v = 0; v < n; v++)
            for (size_t r = 0; r < rows; r++)
                put_result(j, p, row + r, i + v, t->results64[v * rows + r]);
    }
}

/* Rows [row, row + rows), whose values are those of the piece. */
static void multiply_values(const struct job *j, const struct tu_product *p, const struct piece *t,
                            uint64_t row, size_t rows)
{
    const struct tu_kernels *kernels = j->w->kernels;
    const struct tu_vectors *x = p->x;
    size_t columns = (size_t)j->columns, block = tu_path_block(j->w->geometry.dtype);
    uint64_t first = first_vector(j, p, row), vectors = vectors_of(j, p);
    if (p->path == TU_PATH_F32) {
        int m = (int)rows, n = (int)columns;
        const float *values = x->values + first * columns;
        if (vectors == 1)
            cblas_sgemv(CblasRowMajor, CblasNoTrans, m, n, 1, t->values, n, values, 1, 0,
                        t->results, 1);
        else
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)vectors, m, n, 1, values, n,
                        t->values, n, 0, t->results, m);
        for (uint64_t i = 0; i < vectors; i++)
            for (size_t r = 0; r < rows; r++)
                put_result(j, p, row + r, i, (double)t->results[i * rows + r]);
        return;
    }
    if (p->path == TU_PATH_F64 && x->hi && !needs_wide(j, x)) {
        multiply_doubles(j, p, t, row, rows);
        return;
    }
    for (uint64_t i = 0; i < vectors; i++) {
        const float *values = x->values ? x->values + (first + i) * columns : NULL;
        if (p->path == TU_PATH_F64 && needs_wide(j, x))
            for (size_t r = 0; r < rows; r++)
                t->results64[r] =
                    dot_wide(t->hi + r * columns, t->lo + r * columns, x, first + i, columns);
        else if (p->path == TU_PATH_F64)
            kernels->dot64(t->values, rows, columns, values, t->results64);
        else
            kernels->fold(t->values, rows, columns, p->path == TU_PATH_ROW ? columns : block,
                          values, t->results);
        for (size_t r = 0; r < rows; r++)
            put_result(j, p, row + r, i,
                       p->path == TU_PATH_F64 ? t->results64[r] : (double)t->results[r]);
    }
}

static void multiply_decoded(const struct job *j, const struct piece *t)
{
    const struct tu_geometry *g = &j->w->geometry;
    for (size_t r = 0, rows; r < t->rows; r += rows) {
        rows = t->rows - r < j->decoded_rows ? t->rows - r : j->decoded_rows;
        uint64_t first = (t->first + r) * j->columns, offset, length;
        size_t count = rows * (size_t)j->columns;
        tu_geometry_span(g, first, count, &offset, &length);
        const uint8_t *span = t->raw + (offset - t->offset);
        tu_decode(&j->decoder, span, first, count, t->values);
        if (j->wide)
            tu_decode_wide(&j->decoder, span, first, count, t->hi, t->lo);
        for (size_t k = 0; k < j->count; k++)
            if (j->products[k].path != TU_PATH_FUSED)
                multiply_values(j, &j->products[k], t, t->first + r, rows);
    }
}

/* ---- The pipeline ---- */

/* The next bytes in order, of which some may have come with the tile before. */
static int read_in_order(struct job *j, struct piece *t, struct tu_error *error)
{
    size_t again = (size_t)(j->position - t->offset), length = (size_t)t->length;
    size_t kept = length < sizeof j->last ? length : sizeof j->last;
    memcpy(t->raw, j->last + sizeof j->last - again, again);
    if (tu_feed_read(j->w->feed, t->raw + again, length - again, error) < 0)
        return -1;
    memcpy(j->last + sizeof j->last - kept, t->raw + length - kept, kept);
    j->position = t->offset + t->length;
    return 0;
}

static int make_buffers(const struct job *j, struct piece *t, struct tu_error *error)
{
    uint64_t decoded = j->decodes ? j->decoded_rows * j->columns : 0, offset, length;
    uint64_t blocks_over = 2 * (uint64_t)j->w->geometry.dtype->bytes; /* that rows share */
    tu_geometry_span(&j->w->geometry, 0, j->tile_rows * j->columns, &offset, &length);
    uint64_t results = j->vectors * (j->decodes ? j->decoded_rows : 1);
    if (!(t->raw = allocate(length + blocks_over, 1, error)) ||
        !(t->values = allocate(decoded, sizeof *t->values, error)) ||
        !(t->results = allocate(results + j->decoded_rows, sizeof *t->results, error)) ||
        !(t->results64 = allocate(PAIR * j->decoded_rows, sizeof *t->results64, error)))
        return -1;
    if (j->wide && (!(t->hi = allocate(decoded, sizeof *t->hi, error)) ||
                    !(t->lo = allocate(decoded, sizeof *t->lo, error))))
        return -1;
    return 0;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct job *j = context;
    struct piece *t = slot;
    if (j->next == j->rows)
        return 0;
    t->first = j->next;
    uint64_t left = j->matrix_rows - j->next % j->matrix_rows;
    t->rows = left < j->tile_rows ? (size_t)left : j->tile_rows;
    j->next += t->rows;
    tu_geometry_span(&j->w->geometry, t->first * j->columns, t->rows * j->columns, &t->offset,
                     &t->length);
    if (!t->raw && make_buffers(j, t, error) < 0)
        return -1;
    bool anywhere = j->w->member.model || j->w->read;
    return anywhere || read_in_order(j, t, error) == 0 ? 1 : -1;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    (void)scratch;
    const struct job *j = context;
    struct piece *t = slot;
    const struct tu_matrix *w = j->w;
    const struct tu_member *m = &w->member;
    int result = 0;
    if (w->read)
        result = w->read(w->context, t->offset, t->raw, (size_t)t->length, error);
    else if (m->model)
        result = tu_model_read(m->model, m->tensor, t->offset, t->raw, (size_t)t->length, error);
    if (result < 0)
        return -1;
    for (size_t k = 0; k < j->count; k++)
        if (j->products[k].path == TU_PATH_FUSED)
            multiply_fused(j, &j->products[k], t);
    if (j->decodes)
        multiply_decoded(j, t);
    return 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    const struct job *j = context;
    const struct piece *t = slot;
    struct tu_feed *feed = j->w->feed;
    (void)error;
    if (feed && j->w->member.model)
        tu_progress(feed->session, feed->done += t->length, feed->total);
    return 0;
}

static void release(void *context, void *slot)
{
    struct piece *t = slot;
    (void)context;
    free(t->raw);
    free(t->values);
    free(t->results);
    free(t->hi);
    free(t->lo);
    free(t->results64);
}

static int open_decoder(struct job *j, struct tu_error *error)
{
    const struct tu_matrix *w = j->w;
    uint8_t head[8] = {0};
    unsigned bytes = w->geometry.dtype->head;
    if (w->read) {
        j->decoder = w->decoder;
        return 0;
    }
    if (bytes && w->member.model) {
        if (tu_model_read(w->member.model, w->member.tensor, 0, head, bytes, error) < 0)
            return -1;
    } else if (bytes && tu_feed_read(w->feed, head, bytes, error) < 0) {
        return -1;
    }
    j->position = bytes;
    return tu_decoder_init(&j->decoder, &w->geometry, w->kernels, head, error);
}

/* A BLAS counts with int. */
static int check_blas(const struct job *j, const struct tu_vectors *x, struct tu_error *error)
{
    return j->columns <= INT_MAX && x->rows <= INT_MAX
               ? 0
               : tu_fail(error, TU_EINVALID,
                         "tensor '%.200s': --path f32 takes at most %d columns and rows of x",
                         j->w->tensor->name, INT_MAX);
}

static void zero(const struct job *j)
{
    for (size_t k = 0; k < j->count; k++) {
        uint64_t vectors = j->rows ? vectors_of(j, &j->products[k]) : 0;
        /* Without columns there may be 2^62 rows, in a file of 100 bytes. */
        for (uint64_t r = 0; vectors && r < j->rows; r++)
            for (uint64_t i = 0; i < vectors; i++)
                put_result(j, &j->products[k], r, i, 0);
    }
}

int tu_multiply(const struct tu_matrix *w, const struct tu_product *products, size_t count,
                unsigned threads, struct tu_error *error)
{
    const struct tu_pipeline pipeline = {.slot_size = sizeof(struct piece),
                                         .take = take,
                                         .work = work,
                                         .put = put,
                                         .release = release};
    struct job j = {.w = w,
                    .products = products,
                    .count = count,
                    .matrices = tu_matrices(w->tensor),
                    .matrix_rows = tu_matrix_rows(w->tensor),
                    .columns = tu_matrix_columns(w->tensor)};
    j.rows = j.matrices * j.matrix_rows;
    if (j.rows == 0 || j.columns == 0) {
        zero(&j);
        return 0;
    }
    if (open_decoder(&j, error) < 0)
        return -1;
    for (size_t k = 0; k < count; k++) {
        const struct tu_vectors *x = products[k].x;
        j.decodes = j.decodes || products[k].path != TU_PATH_FUSED;
        j.wide = j.wide || (products[k].path == TU_PATH_F64 && needs_wide(&j, x));
        uint64_t vectors = vectors_of(&j, &products[k]);
        j.vectors = j.vectors < vectors ? vectors : j.vectors;
        if (products[k].path == TU_PATH_F32 && check_blas(&j, x, error) < 0)
            return -1;
    }
    size_t tile = w->tile ? w->tile : TILE, decoded = w->tile ? w->tile : DECODED;
    j.tile_rows = j.columns < tile ? (size_t)(tile / j.columns) : 1;
    j.decoded_rows = j.columns < decoded ? (size_t)(decoded / j.columns) : 1;
    if (j.vectors && j.decoded_rows > RESULTS / j.vectors)
        j.decoded_rows = j.vectors < RESULTS ? (size_t)(RESULTS / j.vectors) : 1;
    j.tile_rows = j.tile_rows < j.matrix_rows ? j.tile_rows : (size_t)j.matrix_rows;
    j.decoded_rows = j.decoded_rows < j.tile_rows ? j.decoded_rows : j.tile_rows;
    tu_blas_alone();
    struct tu_pipeline run = pipeline;
    run.context = &j;
    return tu_pipeline_run(&run, j.rows > j.tile_rows ? threads : 1, error);
}
