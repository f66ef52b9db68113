/* SPDX-License-Identifier: MIT */
/* tensor-heads: which query and key heads an attention has paired. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/main.h"
#include "compute/attention/heads.h"
#include "tool/output.h"
#include "judge/reports/parts.h"
#include "base/newfile.h"
#include "base/text.h"

static struct tu_tool tool;
static struct tu_output output;
static struct tu_qkv_options group_options = {.scale = NAN};
static bool matrix;
static const char *picture;

static const struct tu_option options[] = {
    {0, "matrix", NULL, "tables have a line for each head, not one for each attention",
     tu_option_flag, &matrix},
    {0, "picture", "FILE.svg", "draw the cosines of each head with every key head",
     tu_option_string, &picture},
    TU_QKV_OPTIONS(group_options),
    TU_SELECT_OPTIONS(tool),
    TU_JOBS_OPTION(tool),
    TU_OUTPUT_OPTIONS(tool),
    TU_INPUT_OPTION(tool),
    TU_PROGRESS_OPTIONS(tool),
    TU_OPTIONS_END,
};

static const struct tu_column mapping_columns[] = {
    {.key = "right", .title = "right", .width = 5},
    {.key = "cosine_similarity", .title = "least_cosine", .width = -14},
    {.key = "residual", .title = "residual", .width = -14},
    {.key = "right_cosine", .title = "right_cosine", .width = -14},
    {.key = "heads", .title = "heads", .width = 6},
    {.key = "kv_heads", .title = "kv_heads", .width = 8},
    {.key = "name", .title = "name", .width = -24},
    {.key = "mapping", .title = "mapping", .width = -48},
    {.key = "hypothesis", .title = "hypothesis"},
    {0},
};

static const struct tu_column head_columns[] = {
    {.key = "head", .title = "head", .width = 5},
    {.key = "query_head", .title = "query_head", .width = 10},
    {.key = "key_head", .title = "key_head", .width = 8},
    {.key = "cosine_similarity", .title = "cosine", .width = -14},
    {.key = "right_key_head", .title = "right_key_head", .width = 14},
    {.key = "right_cosine", .title = "right_cosine", .width = -14},
    {.key = "name", .title = "name"},
    {0},
};

/* ---- Records ---- */

struct subject {
    const char *name;
    const struct tu_heads *heads;
    uint64_t head;
};

/* A rule that does not explain the output is none. */
static const char *mapping_text(const struct tu_heads *s)
{
    const struct tu_head_mapping *m = &s->mappings[0];
    return *s->variant.text || m->residual <= TU_HEADS_EXPLAINED ? m->text
                                                                 : "no simple rule: see the heads";
}

static int put_variant(struct tu_builder *b, const struct tu_heads_variant *v,
                       struct tu_error *error)
{
    if (tu_put_string(b, "hypothesis", v->text, error) < 0)
        return -1;
    return tu_put_real(b, "hypothesis_residual", v->residual, error);
}

static int fill_mapping(struct tu_builder *b, const void *of, struct tu_error *error)
{
    const struct subject *s = of;
    const struct tu_head_mapping *m = &s->heads->mappings[0];
    if (tu_put_string(b, "kind", "mapping", error) < 0 ||
        tu_put_string(b, "name", s->name, error) < 0 ||
        tu_put_string(b, "mapping", mapping_text(s->heads), error) < 0 ||
        tu_put_uint(b, "right", s->heads->right, error) < 0 ||
        tu_put_real(b, "cosine_similarity", m->least, error) < 0 ||
        tu_put_real(b, "residual", m->residual, error) < 0 ||
        tu_put_real(b, "right_cosine", s->heads->right_cosine, error) < 0 ||
        tu_put_real(b, "right_residual", s->heads->right_residual, error) < 0 ||
        (*s->heads->variant.text && put_variant(b, &s->heads->variant, error) < 0) ||
        tu_put_uint(b, "heads", s->heads->heads, error) < 0)
        return -1;
    return tu_put_uint(b, "kv_heads", s->heads->kv_heads, error);
}

static int put_cosines(struct tu_builder *b, const struct subject *s, struct tu_error *error)
{
    if (tu_builder_open(b, "cosines", strlen("cosines"), TENSOR_ARRAY, TENSOR_FLOAT64, error) < 0)
        return -1;
    for (uint64_t g = 0; g < s->heads->kv_heads; g++) {
        const struct tensor_value cosine = {.type = TENSOR_FLOAT64,
                                            .real = tu_heads_cosine(s->heads, s->head, s->head, g)};
        if (tu_builder_add(b, NULL, 0, &cosine, error) < 0)
            return -1;
    }
    return tu_builder_close(b, error);
}

static int fill_head(struct tu_builder *b, const void *of, struct tu_error *error)
{
    const struct subject *s = of;
    const struct tu_heads *heads = s->heads;
    uint64_t query, key, right = s->head * heads->kv_heads / heads->heads;
    tu_heads_best(heads, s->head, &query, &key);
    if (tu_put_string(b, "kind", "head", error) < 0 ||
        tu_put_string(b, "name", s->name, error) < 0 ||
        tu_put_uint(b, "head", s->head, error) < 0 ||
        tu_put_uint(b, "query_head", query, error) < 0 ||
        tu_put_uint(b, "key_head", key, error) < 0 ||
        tu_put_real(b, "cosine_similarity", tu_heads_cosine(heads, s->head, query, key), error) <
            0 ||
        tu_put_uint(b, "right_key_head", right, error) < 0 ||
        tu_put_real(b, "right_cosine", tu_heads_cosine(heads, s->head, s->head, right), error) < 0)
        return -1;
    return put_cosines(b, s, error);
}

static int put_records(const char *name, const struct tu_heads *heads, struct tu_error *error)
{
    struct subject s = {.name = name, .heads = heads};
    int result = tu_output_built(&output, fill_mapping, &s, error);
    for (; s.head < heads->heads && result == 0; s.head++)
        result = tu_output_built(&output, fill_head, &s, error);
    return result;
}

/* ---- The picture ---- */

enum { CELL = 18, MARGIN = 60 };

static void put_text(FILE *to, const char *text)
{
    char shown[1024];
    tu_escape(text, strlen(text), shown, sizeof shown);
    tu_report_put(to, TU_MARKUP_XML, shown);
}

/* White is 0 or less, blue is 1; a frame marks the right key head. */
static void draw_cell(FILE *to, const struct tu_heads *s, uint64_t head, uint64_t key, int top)
{
    double cosine = tu_heads_cosine(s, head, head, key);
    int shade = cosine > 0 ? (int)lround(255 * (1 - fmin(cosine, 1))) : 255;
    bool right = key == head * s->kv_heads / s->heads;
    fprintf(to,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" stroke=\"%s\">"
            "<title>head %ju, key head %ju: %g</title></rect>\n",
            MARGIN + (int)head * CELL, top + (int)key * CELL, CELL - 2, CELL - 2,
            isnan(cosine) ? "#f88" : "none", right ? "#c00" : "#ddd", (uintmax_t)head,
            (uintmax_t)key, cosine);
    if (!isnan(cosine))
        fprintf(to,
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"rgb(%d,%d,255)\" "
                "pointer-events=\"none\"/>\n",
                MARGIN + (int)head * CELL + 1, top + (int)key * CELL + 1, CELL - 4, CELL - 4, shade,
                shade);
}

static void draw(FILE *to, const char *name, const struct tu_heads *s, int *top)
{
    fprintf(to, "<text x=\"4\" y=\"%d\">", *top + 14);
    put_text(to, name);
    fputs(": ", to);
    put_text(to, s->mappings[0].text);
    fprintf(to, "</text>\n<text x=\"4\" y=\"%d\">key</text>\n", *top + 34);
    *top += 22;
    for (uint64_t g = 0; g < s->kv_heads; g++)
        for (uint64_t h = 0; h < s->heads; h++)
            draw_cell(to, s, h, g, *top);
    *top += (int)s->kv_heads * CELL + 16;
}

/* The drawing so far; its size is known at the end. */
static struct {
    FILE *file;
    char *text;
    size_t length;
    int top;
    uint64_t heads; /* of the widest */
} drawing;

static int finish_picture(struct tu_error *error)
{
    char *all = NULL;
    if (fclose(drawing.file) != 0)
        return tu_fail_memory(error);
    int length = asprintf(&all,
                          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%ju\" height=\"%d\" "
                          "font-family=\"sans-serif\" font-size=\"12\">\n"
                          "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n%s</svg>\n",
                          (uintmax_t)(drawing.heads * CELL + 2 * MARGIN), drawing.top + MARGIN / 2,
                          drawing.text);
    int result = length < 0 ? tu_fail_memory(error)
                            : tu_save_text(picture, true, all, (size_t)length, error);
    free(all);
    free(drawing.text);
    return result;
}

/* ---- The work ---- */

static int check_output(const struct tu_qkv *g, const struct tu_operand *outputs,
                        struct tu_qkv_tensor *out, struct tu_error *error)
{
    const struct tu_attention *a = &g->attention;
    struct tu_member member = tu_qkv_beside(outputs, g, "attn_out");
    if (!member.model)
        return tu_fail(error, TU_EINVALID, "%s: has no tensor '%.*sattn_out'",
                       outputs->models[0].source.path, (int)g->prefix_length, g->prefix);
    if (member.tensor->elements != a->batches * a->queries * a->heads * a->value_dim)
        return tu_fail(error, TU_EINVALID,
                       "%s: tensor '%s' is not one head of an output for each query and head",
                       member.model->source.path, member.tensor->name);
    return tu_qkv_open(out, member, &tool.session, error);
}

static int compare_group(struct tu_qkv *g, const struct tu_operand *outputs, struct tu_error *error)
{
    struct tu_qkv_tensor out;
    struct tu_heads heads;
    if (check_output(g, outputs, &out, error) < 0 ||
        tu_heads_compare(g, &out, &tool.session, &heads, error) < 0)
        return -1;
    const char *name = out.member.tensor->name;
    int result = put_records(name, &heads, error);
    if (result == 0 && picture) {
        drawing.heads = heads.heads > drawing.heads ? heads.heads : drawing.heads;
        draw(drawing.file, name, &heads, &drawing.top);
    }
    tu_heads_free(&heads);
    return result;
}

static int compare_groups(const struct tu_operand *outputs, const struct tu_operand *inputs,
                          struct tu_error *error)
{
    struct tu_qkv *groups = NULL;
    size_t count = 0;
    int result = tu_qkv_find(inputs, &tool.session, &group_options, &groups, &count, error);
    if (result == 0 && picture && !(drawing.file = open_memstream(&drawing.text, &drawing.length)))
        result = tu_fail_memory(error);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = compare_group(&groups[i], outputs, error);
        tu_progress(&tool.session, i + 1, count);
    }
    if (result == 0 && picture)
        result = finish_picture(error);
    for (size_t i = 0; i < count; i++)
        tu_qkv_free(&groups[i]);
    free(groups);
    return result == 0 ? tu_output_close(&output, error) : result;
}

static int run(struct tu_tool *t, char **operands, size_t count, struct tu_error *error)
{
    struct tu_operand outputs, inputs;
    (void)count;
    if (strcmp(operands[0], "-") == 0 && strcmp(operands[1], "-") == 0)
        return tu_fail(error, TU_EUSAGE, "both operands are standard input");
    if (tu_output_open(&output, t, matrix ? "head" : "mapping",
                       matrix ? head_columns : mapping_columns, error) < 0)
        return -1;
    if (tu_operand_open(&outputs, &t->session, operands[0], TU_ACCESS_RANDOM, error) < 0)
        return -1;
    int result = tu_operand_open(&inputs, &t->session, operands[1], TU_ACCESS_RANDOM, error);
    if (result == 0) {
        result = compare_groups(&outputs, &inputs, error);
        tu_operand_close(&inputs);
    }
    tu_operand_close(&outputs);
    return result;
}

int main(int argc, char **argv)
{
    static const struct tu_command command = {
        .name = "tensor-heads",
        .synopsis = "[OPTION]... OUTPUT INPUT",
        .about =
            "Finds which query and key heads made each head of P.attn_out in OUTPUT, out of P.q,\n"
            "P.k and P.v in INPUT: the pairing that explains it, with its cosines.",
        .options = options,
        .min_operands = 2,
        .max_operands = 2,
        .run = run,
    };
    return tu_main(&command, &tool, argc, argv);
}
