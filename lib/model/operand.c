/* SPDX-License-Identifier: MIT */
/* Finds out what an operand is, and opens all files that belong to it. */
#include "config.h"

#include "model/operand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/packs/packs.h"
#include "model/lookalike.h"
#include "model/parts.h"
#include "model/shard-index.h"
#include "tree/json.h"

/* Copies what is left of a stream to a temporary file; its descriptor or -1. */
static int spool(struct tu_stream_reader *r, struct tu_error *error)
{
    int fd = tu_temporary(error);
    const uint8_t *bytes;
    ssize_t n = 0;
    while (fd >= 0 && (n = tu_stream_raw(r, &bytes, error)) > 0) {
        if (tu_write_fully(fd, bytes, (size_t)n) < 0) {
            n = tu_fail_errno(error, "%s: temporary file", r->path);
            break;
        }
    }
    if (fd >= 0 && n < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Adds a model for a file that is open. */
static int add_model(struct tu_operand *o, struct tu_session *session, int fd, const char *name,
                     struct tu_error *error)
{
    struct tu_model_options options = {.lenient = session->lenient,
                                       .big_header = session->big_header};
    struct tu_model *larger = reallocarray(o->models, o->model_count + 1, sizeof *larger);
    if (!larger) {
        close(fd);
        return tu_fail_memory(error);
    }
    o->models = larger;
    struct tu_model *m = &o->models[o->model_count];
    if (tu_model_open(m, fd, name, &session->plugins, &options, error) < 0)
        return -1;
    o->model_count++;
    for (size_t i = 0; i < m->warning_count; i++)
        tu_warn(session, "%s: %s", name, m->warnings[i]);
    return 0;
}

/* ---- Models of several files ---- */

static int add_path(struct tu_operand *o, struct tu_session *session, const char *path,
                    struct tu_error *error)
{
    int fd = tu_open_part(path, error);
    return fd < 0 ? -1 : add_model(o, session, fd, path, error);
}

static int compare_members(const void *a, const void *b)
{
    const struct tu_tensor *x = ((const struct tu_member *)a)->tensor;
    const struct tu_tensor *y = ((const struct tu_member *)b)->tensor;
    return tu_compare_names(x->name, x->name_length, y->name, y->name_length);
}

/* Sorts the tensors of all files by name.  None may occur in two of them. */
static int index_members(struct tu_operand *o, struct tu_error *error)
{
    free(o->by_name);
    if (tu_operand_select(o, NULL, &o->by_name, &o->tensor_count, error) < 0)
        return -1;
    qsort(o->by_name, o->tensor_count, sizeof *o->by_name, compare_members);
    for (size_t i = 0; i + 1 < o->tensor_count; i++) {
        const struct tu_member *m = &o->by_name[i];
        bool swapped = m[0].model > m[1].model;
        if (compare_members(m, m + 1) == 0)
            return tu_fail(error, TU_EINVALID, "%s: tensor '%.200s' is in %s, too",
                           m[!swapped].model->source.path, m->tensor->name,
                           m[swapped].model->source.path);
    }
    return 0;
}

/* Real indexes are wrong here too often to be refused, and nothing hangs on it. */
static void check_total(const struct tu_operand *o, const struct tu_session *session,
                        const char *path, const struct tensor_value *stated)
{
    double wanted, bytes = 0;
    if (stated->type == TENSOR_NULL)
        return;
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++)
            bytes += (double)o->models[i].tensors[k].nbytes;
    if (!tu_value_number(stated, &wanted) || wanted != bytes)
        tu_warn(session, "%s: total_size is not that of its tensors, %.0f bytes", path, bytes);
}

/* Notes a file beside the model's, as it was before it was read. */
static void add_companion(struct tu_operand *o, const char *role, const char *path,
                          const struct stat *read)
{
    o->company->files[o->company->file_count++] =
        (struct tu_companion){.role = role, .path = path, .read = *read};
}

static bool is_changed(const struct tu_companion *c)
{
    struct stat now;
    return stat(c->path, &now) < 0 || now.st_dev != c->read.st_dev ||
           now.st_ino != c->read.st_ino || now.st_size != c->read.st_size ||
           tu_modified(&now) != tu_modified(&c->read);
}

/* What config.json says of the model becomes metadata of its first file. */
static int add_config(struct tu_operand *o, const char *path, struct tu_error *error)
{
    enum { CONFIG_BYTES_MAX = 16 << 20 };
    struct tu_model *m = &o->models[0];
    struct tensor_value config;
    struct stat st;
    if (stat(path, &st) < 0)
        return tu_fail_errno(error, "%s", path);
    add_companion(o, "config", path, &st);
    if (tu_read_json(path, CONFIG_BYTES_MAX, &m->arena, &config, error) < 0)
        return -1;
    return tu_value_merge(&config, &m->metadata, &m->arena, &m->metadata, error);
}

static int add_parts(struct tu_operand *o, struct tu_session *session, const struct tu_parts *parts,
                     struct tu_error *error)
{
    o->company = tu_arena_alloc(&o->arena, sizeof *o->company);
    if (!o->company)
        return tu_fail_memory(error);
    *o->company =
        (struct tu_company){.left_out = parts->left_out, .left_out_count = parts->left_out_count};
    tu_allow_files(parts->count);
    for (size_t i = 0; i < parts->count; i++)
        if (add_path(o, session, parts->paths[i], error) < 0 ||
            (parts->dumps && tu_dump_name(&o->models[i], &parts->dumps[i], error) < 0))
            return -1;
    if (parts->index) {
        add_companion(o, "index", parts->index, &parts->index_read);
        if (tu_shard_index_apply(o->models, o->model_count, parts->index, &parts->weight_map,
                                 session, o->company, error) < 0)
            return -1;
    }
    if (index_members(o, error) < 0)
        return -1;
    o->models[0].company = o->company;
    o->folder = parts->folder;
    if (parts->index)
        check_total(o, session, parts->index, &parts->total_size);
    return parts->config ? add_config(o, parts->config, error) : 0;
}

static bool says_number(const struct tu_model *m, const char *key, uint64_t number)
{
    uint64_t stated;
    return tu_value_uint(tu_value_get(&m->metadata, key), &stated) && stated == number;
}

/* Each part of a split says which one it is, and what all of them have. */
static int check_split(const struct tu_operand *o, uint64_t count, struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++) {
        const struct tu_model *m = &o->models[i];
        const struct tensor_value *total = tu_value_get(&m->metadata, "split.tensors.count");
        if (!says_number(m, "split.no", i) || !says_number(m, "split.count", count))
            return tu_fail(error, TU_EINVALID,
                           "%s: its metadata does not say that it is part %zu of %" PRIu64,
                           m->source.path, i + 1, count);
        if (total && !says_number(m, "split.tensors.count", o->tensor_count))
            return tu_fail(error, TU_EINVALID,
                           "%s: the parts of the split have %zu tensors, its split.tensors.count "
                           "is another",
                           m->source.path, o->tensor_count);
    }
    return 0;
}

/* A GGUF file that is part of a split stands for the whole. */
static int complete_split(struct tu_operand *o, struct tu_session *session, const char *path,
                          struct tu_error *error)
{
    struct tu_parts parts;
    uint64_t count;
    const struct tensor_value *meta = &o->models[0].metadata;
    if (!tu_value_uint(tu_value_get(meta, "split.count"), &count) || count < 2)
        return 0;
    if (tu_parts_of_split(path, count, &o->arena, &parts, error) < 0)
        return -1;
    if (parts.count == 0)
        return tu_fail(error, TU_EINVALID,
                       "%s: is one of %" PRIu64 " parts, but its name does not say which "
                       "(PREFIX-00001-of-%05" PRIu64 ".gguf)",
                       path, count, count);
    tu_model_close(&o->models[0]);
    o->model_count = 0;
    if (add_parts(o, session, &parts, error) < 0)
        return -1;
    return session->lenient ? 0 : check_split(o, count, error);
}

static int open_folder(struct tu_operand *o, struct tu_session *session, const char *path,
                       struct tu_error *error)
{
    struct tu_parts parts;
    if (tu_parts_of_folder(path, &o->arena, &parts, error) < 0 ||
        add_parts(o, session, &parts, error) < 0)
        return -1;
    return o->model_count == 1 ? complete_split(o, session, o->models[0].source.path, error) : 0;
}

/* ---- Opening ---- */

static void leave_stream(struct tu_operand *o)
{
    tu_stream_close(&o->stream);
    o->file = (struct tu_source){0};
    o->fd = -1;
    o->is_stream = false;
}

static int open_file(struct tu_operand *o, struct tu_session *session, const char *name,
                     const uint8_t *head, size_t length, struct tu_error *error)
{
    struct tu_parts parts;
    bool index = tu_is_shard_index(name, head, length);
    int fd = o->fd;
    leave_stream(o);
    if (!index)
        return add_model(o, session, fd, name, error) < 0 ? -1
                                                          : complete_split(o, session, name, error);
    close(fd);
    if (tu_parts_of_index(name, &o->arena, &parts, error) < 0)
        return -1;
    return add_parts(o, session, &parts, error);
}

/* What comes through a pipe is all that there is. */
static int check_whole(const struct tu_operand *o, struct tu_error *error)
{
    uint64_t count;
    const struct tu_model *m = &o->models[0];
    if (!tu_value_uint(tu_value_get(&m->metadata, "split.count"), &count) || count < 2)
        return 0;
    return tu_fail(error, TU_EINVALID,
                   "%s: is one of %" PRIu64 " parts of a model (name its file, or pipe it through "
                   "tensor-cat)",
                   m->source.path, count);
}

static int open_spooled(struct tu_operand *o, struct tu_session *session, const char *name,
                        struct tu_error *error)
{
    int fd = spool(&o->stream, error), pipe = o->fd;
    if (fd < 0)
        return -1;
    leave_stream(o);
    close(pipe);
    return add_model(o, session, fd, name, error) < 0 ? -1 : check_whole(o, error);
}

/* What stands in the stream is a tensor stream, or a file of another format, which has to be copied
 * before it can be read where it is no regular one. */
static int settle_stream(struct tu_operand *o, struct tu_session *session, const char *name,
                         enum tu_access access, bool regular, struct tu_error *error)
{
    const uint8_t *head;
    ssize_t length = tu_stream_head(&o->stream, &head, error);
    if (length < 0)
        return -1;
    bool is_tsr = tu_stream_bid(head, (size_t)length) || length == 0;
    bool stays = regular ? access == TU_ACCESS_SEQUENTIAL : access != TU_ACCESS_RANDOM;
    if (is_tsr && stays && session->packs != TU_PACKS_NEVER)
        stays = !tu_stream_foretells(&o->stream, tu_packs_suspect);
    if (is_tsr && stays)
        return 0;
    if (regular)
        return open_file(o, session, name, head, (size_t)length, error);
    if (!is_tsr && !tu_recognize(&session->plugins, head, (size_t)length, UINT64_MAX, name, error))
        return -1;
    return open_spooled(o, session, name, error);
}

/* A file that results are put into while it is read: it would change, or never end. */
static int check_output(const struct stat *st, const char *name, struct tu_error *error)
{
    struct stat out;
    if (!S_ISREG(st->st_mode) || fstat(STDOUT_FILENO, &out) < 0 || out.st_dev != st->st_dev ||
        out.st_ino != st->st_ino)
        return 0;
    return tu_fail(error, TU_EUSAGE, "%s: is standard output, too", name);
}

static int open_any(struct tu_operand *o, struct tu_session *session, const char *path,
                    enum tu_access access, struct tu_error *error)
{
    const char *name = tu_operand_name(path);
    struct stat st;
    if (strstr(path, "://") && stat(path, &st) < 0)
        return tu_fail(error, TU_EUSAGE,
                       "%s: is an address; fetch what it names first (curl -LO, or huggingface-cli "
                       "download)",
                       path);
    o->fd = tu_open_operand(path, error);
    if (o->fd < 0)
        return -1;
    if (fstat(o->fd, &st) < 0)
        return tu_fail_errno(error, "%s", name);
    if (isatty(o->fd))
        return tu_fail(error, TU_EUSAGE, "%s: is a terminal (name a file, or pipe a stream in)",
                       name);
    if (check_output(&st, name, error) < 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        close(o->fd);
        o->fd = -1;
        o->is_stream = false;
        return open_folder(o, session, path, error);
    }
    if ((S_ISREG(st.st_mode) && tu_source_open(&o->file, o->fd, name, error) < 0) ||
        tu_stream_open(&o->stream, o->fd, name, error) < 0)
        return -1;
    return settle_stream(o, session, name, access, S_ISREG(st.st_mode), error);
}

/* Weights that are several tensors become one each. */
static int unpack(struct tu_operand *o, struct tu_session *session, struct tu_error *error)
{
    int changed = o->is_stream ? 0 : tu_packs_find(o, session, error);
    if (changed > 0 && o->tensor_count)
        changed = index_members(o, error);
    return changed < 0 ? -1 : 0;
}

int tu_operand_open(struct tu_operand *o, struct tu_session *session, const char *path,
                    enum tu_access access, struct tu_error *error)
{
    *o = (struct tu_operand){.is_stream = true, .fd = -1};
    if (open_any(o, session, path, access, error) == 0 && unpack(o, session, error) == 0) {
        for (size_t i = 0; i < o->model_count; i++)
            o->models[i].source.standard = strcmp(path, "-") == 0;
        return 0;
    }
    tu_operand_close(o);
    return -1;
}

void tu_operand_close(struct tu_operand *o)
{
    tu_stream_close(&o->stream);
    if (o->fd >= 0)
        close(o->fd);
    for (size_t i = 0; i < o->model_count; i++)
        tu_model_close(&o->models[i]);
    free(o->models);
    free(o->by_name);
    tu_arena_free(&o->arena);
    *o = (struct tu_operand){.is_stream = true, .fd = -1};
}

/* ---- Tensors ---- */

struct tu_member tu_operand_find(const struct tu_operand *o, const char *name, size_t length)
{
    const struct tu_tensor wanted = {.name = name, .name_length = length}, *only = NULL;
    const struct tu_member key = {.tensor = &wanted}, *found = NULL;
    if (o->tensor_count)
        found = bsearch(&key, o->by_name, o->tensor_count, sizeof *o->by_name, compare_members);
    else if (o->model_count && (only = tu_model_find(o->models, name, length)))
        return (struct tu_member){o->models, only};
    return found ? *found : (struct tu_member){0};
}

int tu_operand_select(const struct tu_operand *o, const struct tu_selection *selection,
                      struct tu_member **members, size_t *count, struct tu_error *error)
{
    size_t total = 1;
    for (size_t i = 0; i < o->model_count; i++)
        total += o->models[i].count;
    *members = reallocarray(NULL, total, sizeof **members);
    *count = 0;
    if (!*members)
        return tu_fail_memory(error);
    for (size_t i = 0; i < o->model_count; i++)
        for (size_t k = 0; k < o->models[i].count; k++)
            if (!selection || tu_selects(selection, &o->models[i].tensors[k]))
                (*members)[(*count)++] =
                    (struct tu_member){&o->models[i], &o->models[i].tensors[k]};
    if (selection)
        tu_selection_sort(selection, *members, *count);
    return 0;
}

int tu_operand_unchanged(const struct tu_operand *o, struct tu_error *error)
{
    for (size_t i = 0; i < o->model_count; i++)
        if (tu_source_unchanged(&o->models[i].source, error) < 0)
            return -1;
    for (size_t i = 0; o->company && i < o->company->file_count; i++)
        if (is_changed(&o->company->files[i]))
            return tu_fail(error, TU_EIO, "%s: changed while it was read",
                           o->company->files[i].path);
    return o->file.path ? tu_source_unchanged(&o->file, error) : 0;
}
