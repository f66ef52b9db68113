/* SPDX-License-Identifier: MIT */
/*
 * The yardsticks and loops that no filter runs alone, for scripts/bench: decoders from cache, and
 * what OpenBLAS's sgemm reaches.
 *
 *   bench-kernels decoders SECONDS    for each type: name, Gelements/s, and the same of a memcpy of
 *                                     its output, measured in turns
 *   bench-kernels sgemm SECONDS       Gflop/s of one thread
 *   bench-kernels products TYPE ROWS THREADS NxOUTxIN...
 *                                     decodes N matrices of OUT rows and IN columns and multiplies
 * ROWS rows with each, in the calls of sgemm that tensor-trace makes, and does nothing else: what a
 * forward pass cannot be faster than bench-kernels time COMMAND        how long a shell command
 * takes, and the most memory that one of its processes has resident, in kB bench-kernels forget
 * FILE...      takes files out of the page cache bench-kernels decode TYPE N       decodes N
 * elements: for counting instructions bench-kernels reduce N            compares N elements
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cblas.h>

#include "base/clock.h"
#include "compare/metrics/sums.h"
#include "tensor/dtype.h"
#include "tensor/elements.h"

enum { ELEMENTS = 4096, TURNS = 7 };
/* Elements of a weight that tensor-trace multiplies at a time, and the widest row. */
enum { BENCH_TILE = 1 << 20, BENCH_WIDTH = 1 << 16 };

static uint8_t blocks[ELEMENTS * 8];
static float first[ELEMENTS], second[ELEMENTS];

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return values[n / 2];
}

/* Elements a second of a loop that runs for some seconds. */
static double rate_decoding(tu_decode_fn *decode, size_t n, size_t elements, double seconds)
{
    double start = tu_seconds(), now;
    uint64_t rounds = 0;
    do {
        for (int i = 0; i < 64; i++)
            decode(blocks, n, first);
        rounds += 64;
    } while ((now = tu_seconds()) - start < seconds);
    return (double)(rounds * elements) / (now - start);
}

static double rate_copying(size_t elements, double seconds)
{
    double start = tu_seconds(), now;
    uint64_t rounds = 0;
    do {
        for (int i = 0; i < 64; i++) {
            memcpy(second, first, elements * sizeof *first);
            __asm__ volatile("" : : "r"(second) : "memory"); /* or the copies are one */
        }
        rounds += 64;
    } while ((now = tu_seconds()) - start < seconds);
    return (double)(rounds * elements) / (now - start);
}

static int measure_decoders(const struct tu_kernels *kernels, double seconds)
{
    size_t count;
    const struct tu_dtype *types = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *t = &types[i];
        double ours[TURNS], copies[TURNS];
        size_t n = ELEMENTS / t->elements, elements = n * t->elements;
        tu_decode_fn *decode = kernels->decode[t->code];
        for (size_t turn = 0; decode && turn < TURNS; turn++) {
            ours[turn] = rate_decoding(decode, n, elements, seconds / TURNS / 2);
            copies[turn] = rate_copying(elements, seconds / TURNS / 2);
        }
        if (decode)
            printf("%s\t%.3f\t%.3f\n", t->name, median(ours, TURNS) / 1e9,
                   median(copies, TURNS) / 1e9);
    }
    return 0;
}

static int measure_sgemm(double seconds)
{
    enum { SIZE = 1024 };
    double rates[TURNS];
    float *a = calloc((size_t)3 * SIZE * SIZE, sizeof *a), *b = a + SIZE * SIZE;
    if (!a)
        return 2;
    for (size_t i = 0; i < (size_t)2 * SIZE * SIZE; i++)
        a[i] = (float)(i % 7);
    openblas_set_num_threads(1);
    for (size_t turn = 0; turn < TURNS; turn++) {
        double start = tu_seconds(), now;
        uint64_t rounds = 0;
        do {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIZE, SIZE, SIZE, 1, a, SIZE, b,
                        SIZE, 0, b + SIZE * SIZE, SIZE);
            rounds++;
        } while ((now = tu_seconds()) - start < seconds / TURNS);
        rates[turn] = 2.0 * SIZE * SIZE * SIZE * (double)rounds / (now - start);
    }
    printf("sgemm\t%.3f\n", median(rates, TURNS) / 1e9);
    free(a);
    return 0;
}

/* One thread's share of products: every so manieth tile of each matrix. */
struct share {
    pthread_t thread;
    tu_decode_fn *decode;
    const struct tu_dtype *type;
    char **matrices; /* "NxOUTxIN", up to NULL */
    size_t rows, number, threads;
    const float *x;
    bool failed;
};

static void multiply_tiles(const struct share *s, size_t outputs, size_t inputs, float *values,
                           float *results)
{
    size_t tile = inputs < BENCH_TILE ? BENCH_TILE / inputs : 1;
    for (size_t at = s->number * tile; at < outputs; at += s->threads * tile) {
        size_t n = outputs - at < tile ? outputs - at : tile;
        for (size_t done = 0; done < n * inputs; done += ELEMENTS)
            s->decode(blocks, ELEMENTS / s->type->elements, values + done);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)s->rows, (int)n, (int)inputs, 1,
                    s->x, (int)inputs, values, (int)inputs, 0, results, (int)n);
    }
}

static void *work(void *context)
{
    struct share *s = context;
    for (char **m = s->matrices; *m && !s->failed; m++) {
        size_t count, outputs, inputs;
        s->failed = sscanf(*m, "%zux%zux%zu", &count, &outputs, &inputs) != 3 || inputs == 0 ||
                    inputs > BENCH_WIDTH;
        size_t tile = !s->failed && inputs < BENCH_TILE ? BENCH_TILE / inputs : 1;
        float *values = s->failed ? NULL : calloc(tile * inputs + ELEMENTS, sizeof *values);
        float *results = s->failed ? NULL : calloc(s->rows * tile, sizeof *results);
        s->failed = !values || !results;
        for (size_t i = 0; i < count && !s->failed; i++)
            multiply_tiles(s, outputs, inputs, values, results);
        free(values);
        free(results);
    }
    return NULL;
}

static int run_products(const struct tu_kernels *kernels, char **arguments)
{
    const struct tu_dtype *t = tu_dtype_by_name(arguments[0], strlen(arguments[0]));
    size_t rows = strtoul(arguments[1], NULL, 10), threads = strtoul(arguments[2], NULL, 10);
    struct share *shares = calloc(threads ? threads : 1, sizeof *shares);
    float *x = calloc(rows * BENCH_WIDTH, sizeof *x);
    bool failed = !t || !kernels->decode[t->code] || !rows || !threads || !shares || !x;
    openblas_set_num_threads(1);
    for (size_t i = 0; i < rows * BENCH_WIDTH && !failed; i++)
        x[i] = (float)(i % 7);
    size_t started = 0;
    for (; started < threads && !failed; started++) {
        shares[started] = (struct share){.decode = kernels->decode[t->code],
                                         .type = t,
                                         .matrices = arguments + 3,
                                         .rows = rows,
                                         .number = started,
                                         .threads = threads,
                                         .x = x};
        if (pthread_create(&shares[started].thread, NULL, work, &shares[started]) != 0)
            break;
    }
    failed = failed || started < threads;
    for (size_t i = 0; i < started; i++)
        failed |= pthread_join(shares[i].thread, NULL) != 0 || shares[i].failed;
    free(shares);
    free(x);
    return failed ? 2 : 0;
}

static int decode_elements(const struct tu_kernels *kernels, const char *name, uint64_t elements)
{
    const struct tu_dtype *t = tu_dtype_by_name(name, strlen(name));
    if (!t || !kernels->decode[t->code])
        return 2;
    size_t n = ELEMENTS / t->elements;
    for (uint64_t done = 0; done < elements; done += n * t->elements)
        kernels->decode[t->code](blocks, n, first);
    return 0;
}

static int reduce_elements(const struct tu_kernels *kernels, uint64_t elements)
{
    struct tu_sums sums = {0};
    for (size_t i = 0; i < ELEMENTS; i++)
        second[i] = 1 + (first[i] = (float)(i % 11));
    for (uint64_t done = 0; done < elements; done += TU_COMPARE_BLOCK)
        kernels->reduce(first, second, TU_COMPARE_BLOCK, 0.9f, &(const struct tu_run_steps){0},
                        &sums);
    return sums.dot > 0 ? 0 : 2;
}

static int time_command(const char *command)
{
    struct rusage usage;
    int status;
    double start = tu_seconds();
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
            _exit(2);
        execlp("bash", "bash", "-o", "pipefail", "-c", command, (char *)NULL);
        _exit(2);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 2;
    printf("%.6f %ld\n", tu_seconds() - start, usage.ru_maxrss);
    return status ? 2 : 0;
}

/* Only what is on the disk can be taken out. */
static int forget(char **paths)
{
    for (; *paths; paths++) {
        int fd = open(*paths, O_RDONLY);
        if (fd < 0 || fsync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
            perror(*paths);
            return 2;
        }
        close(fd);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct tu_kernels *kernels = tu_kernels_choose(getenv("TENSORUTILS_CPU"));
    if (!kernels)
        return 2;
    memset(blocks, 0x21, sizeof blocks);
    if (argc == 3 && strcmp(argv[1], "decoders") == 0)
        return measure_decoders(kernels, strtod(argv[2], NULL));
    if (argc == 3 && strcmp(argv[1], "time") == 0)
        return time_command(argv[2]);
    if (argc == 3 && strcmp(argv[1], "sgemm") == 0)
        return measure_sgemm(strtod(argv[2], NULL));
    if (argc > 5 && strcmp(argv[1], "products") == 0)
        return run_products(kernels, argv + 2);
    if (argc > 2 && strcmp(argv[1], "forget") == 0)
        return forget(argv + 2);
    if (argc == 4 && strcmp(argv[1], "decode") == 0)
        return decode_elements(kernels, argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "reduce") == 0)
        return reduce_elements(kernels, strtoull(argv[2], NULL, 10));
    fputs("usage: bench-kernels decoders|sgemm SECONDS | products TYPE ROWS THREADS NxOUTxIN... | "
          "time COMMAND | forget FILE... | decode TYPE N | reduce N\n",
          stderr);
    return 2;
}
