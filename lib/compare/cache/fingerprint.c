/* SPDX-License-Identifier: MIT */
/* Makes digests of tensors in files, and remembers them while the files stay what they are. */
#include "config.h"

#include "compare/cache/fingerprint.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/pipeline.h"

/* No clock of a file system is coarser than this, so many seconds. */
enum { CLOCK_SECONDS = 2, READ_BYTES = 1 << 20, LINE_BYTES = 160 };

/* Where a tensor lies, and the digest of it. */
struct known {
    uint64_t offset, nbytes;
    uint64_t extents; /* 1, or what tells the places of several from others */
    struct tu_fingerprint print;
};

/* A file in the state in which it was opened. */
struct file {
    const struct tu_model *model;
    char id[TU_DIGEST_TEXT];
    void *tree; /* of struct known */
    struct known **list;
    size_t count, capacity;
    bool learned; /* something that is not remembered yet */
};

struct tu_fingerprints {
    const struct tu_store *store;
    struct tu_arena arena; /* of the known */
    struct file **files;
    size_t count, capacity;
};

struct tu_fingerprints *tu_fingerprints_open(const struct tu_store *store, struct tu_error *error)
{
    struct tu_fingerprints *f = calloc(1, sizeof *f);
    if (!f)
        tu_fail_memory(error);
    else
        f->store = store;
    return f;
}

/* ---- States of files ---- */

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool is_unchanged(const struct tu_source *s)
{
    struct stat now;
    return fstat(s->fd, &now) == 0 && same_state(&now, &s->opened);
}

/* Whether a change from now on would show in the times of the file.  A file that was just written,
 * or whose times lie ahead, could be changed again within one tick of its clock.  A time of change
 * in whole seconds is none that the system took from its clock: read-only images state it, and
 * another image in their place may state the same. */
static bool is_settled(const struct tu_source *s)
{
    struct timespec now;
    if (!is_unchanged(s) || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return false;
    time_t last = s->opened.st_mtim.tv_sec > s->opened.st_ctim.tv_sec ? s->opened.st_mtim.tv_sec
                                                                      : s->opened.st_ctim.tv_sec;
    return s->opened.st_ctim.tv_nsec && now.tv_sec > last && now.tv_sec - last > CLOCK_SECONDS;
}

static int make_id(const struct tu_source *s, char out[static TU_DIGEST_TEXT],
                   struct tu_error *error)
{
    const struct stat *st = &s->opened;
    char text[256];
    int n = snprintf(text, sizeof text, "%ju %ju %jd %jd.%09ld %jd.%09ld", (uintmax_t)st->st_dev,
                     (uintmax_t)st->st_ino, (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec,
                     st->st_mtim.tv_nsec, (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    return tu_sha256(text, (size_t)n, out, error);
}

/* ---- What is known ---- */

static int compare_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->nbytes != y->nbytes)
        return x->nbytes < y->nbytes ? -1 : 1;
    return (x->extents > y->extents) - (x->extents < y->extents);
}

static int add_known(struct tu_fingerprints *f, struct file *file, const struct known *new,
                     struct tu_error *error)
{
    struct known *copy = tu_arena_alloc(&f->arena, sizeof *copy);
    if (!copy || !TU_GROW(file->list, file->count, file->capacity))
        return tu_fail_memory(error);
    *copy = *new;
    void *node = tsearch(copy, &file->tree, compare_known);
    if (!node)
        return tu_fail_memory(error);
    if (*(struct known **)node == copy)
        file->list[file->count++] = copy;
    return 0;
}

/* Tensors that begin at one place may go on at others. */
static uint64_t mix_extents(const struct tu_tensor *t)
{
    uint64_t mixed = t->extent_count;
    for (size_t i = 1; i < t->extent_count; i++) {
        mixed = (mixed ^ t->extents[i].offset) * UINT64_C(0x9E3779B97F4A7C15);
        mixed = (mixed ^ mixed >> 32 ^ t->extents[i].length) * UINT64_C(0x9E3779B97F4A7C15);
    }
    return mixed;
}

static struct known key_of(const struct tu_tensor *t)
{
    return (struct known){
        .offset = t->extents->offset, .nbytes = t->nbytes, .extents = mix_extents(t)};
}

static const struct known *find_known(const struct file *file, const struct tu_tensor *t)
{
    struct known key = key_of(t);
    void *node = tfind(&key, &file->tree, compare_known);
    return node ? *(struct known **)node : NULL;
}

/* Lines "OFFSET BYTES EXTENTS SHA-256", which have a checksum and were written below. */
static int read_lines(struct tu_fingerprints *f, struct file *file, const char *text, size_t length,
                      struct tu_error *error)
{
    for (const char *end = text + length; text < end;) {
        struct known k = {.print.settled = true};
        char line[LINE_BYTES];
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = newline ? (size_t)(newline - text) : sizeof line;
        if (n >= sizeof line)
            return 0;
        memcpy(line, text, n);
        line[n] = '\0';
        if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %64[0-9a-f]", &k.offset, &k.nbytes,
                   &k.extents, k.print.sha256) != 4)
            return 0;
        if (add_known(f, file, &k, error) < 0)
            return -1;
        text = newline + 1;
    }
    return 0;
}

static int recall(struct tu_fingerprints *f, struct file *file, struct tu_error *error)
{
    size_t length;
    if (make_id(&file->model->source, file->id, error) < 0)
        return -1;
    char *text = tu_store_get(f->store, TU_STORE_FILES, file->id, &length);
    int result = text ? read_lines(f, file, text, length, error) : 0;
    free(text);
    return result;
}

/* What is known of a model's file. */
static struct file *file_of(struct tu_fingerprints *f, const struct tu_model *m,
                            struct tu_error *error)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->files[i]->model == m)
            return f->files[i];
    struct file *file = tu_arena_alloc(&f->arena, sizeof *file);
    if (!file || !TU_GROW(f->files, f->count, f->capacity)) {
        tu_fail_memory(error);
        return NULL;
    }
    *file = (struct file){.model = m};
    f->files[f->count++] = file;
    return recall(f, file, error) < 0 ? NULL : file;
}

/* ---- Learning ---- */

/* A piece of work: a tensor whose digest is made. */
struct slot {
    struct tu_member member;
    struct file *file;
    struct tu_fingerprint print;
};

static int hash(struct slot *s, struct tu_error *error)
{
    const struct tu_tensor *t = s->member.tensor;
    struct tu_digest *d = tu_digest_new(TU_SHA256, error);
    uint8_t *buffer = malloc(READ_BYTES);
    int result = !d ? -1 : buffer ? 0 : tu_fail_memory(error);
    s->print.settled = is_settled(&s->member.model->source);
    for (uint64_t done = 0; result == 0 && done < t->nbytes;) {
        uint64_t rest = t->nbytes - done;
        size_t n = rest < READ_BYTES ? (size_t)rest : READ_BYTES;
        result = tu_model_read(s->member.model, t, done, buffer, n, error);
        if (result == 0)
            tu_digest_add(d, buffer, n);
        done += n;
    }
    if (result == 0)
        tu_digest_take(d, s->print.sha256);
    tu_digest_free(d);
    free(buffer);
    return result;
}

static int keep(struct tu_fingerprints *f, const struct slot *s, struct tu_error *error)
{
    struct known k = key_of(s->member.tensor);
    k.print = s->print;
    s->file->learned |= k.print.settled;
    return add_known(f, s->file, &k, error);
}

static bool lies_in_file(const struct tu_member *m)
{
    return m->model && m->model->source.named && m->tensor->extent_count;
}

int tu_fingerprint_of(struct tu_fingerprints *f, struct tu_member member,
                      struct tu_fingerprint *out, bool *has, struct tu_error *error)
{
    struct slot s = {.member = member};
    *has = lies_in_file(&member);
    if (!*has)
        return 0;
    s.file = file_of(f, member.model, error);
    const struct known *k = s.file ? find_known(s.file, member.tensor) : NULL;
    if (!s.file || (!k && (hash(&s, error) < 0 || keep(f, &s, error) < 0)))
        return -1;
    *out = k ? k->print : s.print;
    return 0;
}

/* The work is laid out before it begins, since take and put run at the same time. */
struct learning {
    struct tu_fingerprints *prints;
    struct tu_session *session;
    struct slot *slots;
    size_t count, next;
    uint64_t done, total; /* bytes */
};

static int lay_out(struct learning *l, const struct tu_member *members, size_t count,
                   struct tu_error *error)
{
    l->slots = reallocarray(NULL, count + 1, sizeof *l->slots);
    if (!l->slots)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++) {
        if (!lies_in_file(&members[i]))
            continue;
        struct file *file = file_of(l->prints, members[i].model, error);
        if (!file)
            return -1;
        if (find_known(file, members[i].tensor))
            continue;
        l->slots[l->count++] = (struct slot){.member = members[i], .file = file};
        l->total += members[i].tensor->nbytes;
    }
    return 0;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct learning *l = context;
    (void)error;
    if (l->next == l->count)
        return 0;
    *(struct slot *)slot = l->slots[l->next++];
    return 1;
}

static int work(void *context, void *slot, void *scratch, struct tu_error *error)
{
    (void)context, (void)scratch;
    return hash(slot, error);
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct learning *l = context;
    const struct slot *s = slot;
    l->done += s->member.tensor->nbytes;
    tu_progress(l->session, l->done, l->total);
    return keep(l->prints, s, error);
}

int tu_fingerprints_learn(struct tu_fingerprints *f, struct tu_session *session,
                          const struct tu_member *members, size_t count, struct tu_error *error)
{
    struct learning l = {.prints = f, .session = session};
    const struct tu_pipeline pipeline = {
        .context = &l, .slot_size = sizeof(struct slot), .take = take, .work = work, .put = put};
    int result = lay_out(&l, members, count, error);
    if (result == 0)
        result = tu_pipeline_run(&pipeline, (unsigned)session->threads, error);
    free(l.slots);
    return result;
}

/* ---- Remembering ---- */

bool tu_fingerprints_hold(const struct tu_fingerprints *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!is_unchanged(&f->files[i]->model->source))
            return false;
    return true;
}

/* Best effort: what is not remembered is made again. */
static void remember(const struct tu_fingerprints *f, const struct file *file)
{
    struct tu_error ignored = {0};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out && i < file->count; i++) {
        const struct known *k = file->list[i];
        if (k->print.settled)
            fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", k->offset, k->nbytes,
                    k->extents, k->print.sha256);
    }
    bool whole = out && !ferror(out);
    if (out && fclose(out) == 0 && whole)
        (void)!tu_store_put(f->store, TU_STORE_FILES, file->id, text, length, &ignored);
    free(text);
}

static void ignore(void *node)
{
    (void)node;
}

void tu_fingerprints_close(struct tu_fingerprints *f)
{
    for (size_t i = 0; f && i < f->count; i++) {
        struct file *file = f->files[i];
        if (file->learned && is_unchanged(&file->model->source))
            remember(f, file);
        if (file->tree)
            tdestroy(file->tree, ignore);
        free(file->list);
    }
    if (f) {
        free(f->files);
        tu_arena_free(&f->arena);
    }
    free(f);
}
