/* SPDX-License-Identifier: MIT */
/* The whole work of a filter that changes the types of some tensors and passes on the rest. */
#include "config.h"

#include "tool/convert.h"

#include <string.h>

#include "compute/convert.h"
#include "model/feed.h"
#include "stream/record.h"
#include "tool/main.h"

static int write_bytes(void *context, const void *bytes, size_t length, struct tu_error *error)
{
    return tu_writer_bytes(context, bytes, length, error);
}

static int convert_tensor(struct tu_feed *feed, const struct tu_item *item,
                          const struct tu_dtype *to, struct tu_output *output,
                          struct tu_error *error)
{
    struct tu_tensor made;
    if (tu_convert_describe(&item->tensor, to, &made, error) < 0 ||
        tu_output_tensor(output, &made, &item->map, error) < 0)
        return -1;
    return tu_output_streams(output)
               ? tu_convert_bytes(feed, item, to, write_bytes, &output->writer, error)
               : 0;
}

/* ---- The index, which tells what will follow ---- */

static int put_planned(struct tu_builder *b, const struct tensor_value *row,
                       const struct tu_conversion *how, struct tu_arena *arena,
                       struct tu_error *error)
{
    struct tu_tensor t, made;
    struct tu_geometry geometry;
    if (tu_tensor_from_value(row, arena, &t, &geometry, error) < 0)
        return -1;
    const struct tu_dtype *to = how->plan(&t, false);
    if (to && tu_convert_describe(&t, to, &made, error) < 0)
        return -1;
    if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
        tu_put_tensor(b, to ? &made : &t, error) < 0)
        return -1;
    return tu_builder_close(b, error);
}

static int put_index(const struct tensor_value *index, const struct tu_conversion *how,
                     struct tu_output *output, struct tu_error *error)
{
    const struct tensor_value *rows = tu_value_get(index, "tensors");
    size_t count = rows && rows->type == TENSOR_ARRAY ? rows->array.count : 0;
    struct tu_arena arena = {0};
    struct tu_builder b;
    struct tensor_value map;
    if (tu_builder_begin(&b, &arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    int result = tu_put_string(&b, "kind", "index", error);
    if (result == 0)
        result = tu_builder_open(&b, "tensors", strlen("tensors"), TENSOR_ARRAY, TENSOR_MAP, error);
    for (size_t i = 0; i < count && result == 0; i++)
        result = put_planned(&b, &rows->array.items[i], how, &arena, error);
    if (result == 0 && (result = tu_builder_close(&b, error)) == 0)
        result = tu_builder_end(&b, &map, error);
    if (result == 0)
        result = tu_output_record(output, &map, error);
    else
        tu_builder_cancel(&b);
    tu_arena_free(&arena);
    return result;
}

static int convert_item(struct tu_feed *feed, const struct tu_item *item,
                        const struct tu_conversion *how, struct tu_output *output,
                        struct tu_error *error)
{
    if (item->kind == TU_KIND_INDEX)
        return put_index(&item->map, how, output, error);
    if (item->kind != TU_KIND_TENSOR)
        return tu_output_record(output, &item->map, error);
    const struct tu_dtype *to = how->plan(&item->tensor, true);
    return to ? convert_tensor(feed, item, to, output, error)
              : tu_feed_pass(feed, item, output, error);
}

static int convert_items(struct tu_feed *feed, const struct tu_conversion *how,
                         struct tu_output *output, struct tu_error *error)
{
    struct tu_item item;
    int more;
    while ((more = tu_feed_next(feed, &item, error)) > 0)
        if (convert_item(feed, &item, how, output, error) < 0)
            return -1;
    return more;
}

int tu_convert_operands(struct tu_tool *tool, struct tu_output *output, char **operands,
                        size_t count, const struct tu_conversion *how, struct tu_error *error)
{
    struct tu_feed feed;
    if (tu_output_open(output, tool, "tensor", tu_tensor_columns, error) < 0)
        return -1;
    tu_feed_open(&feed, &tool->session, operands, count, false);
    feed.stating = feed.announcing = tu_output_streams(output);
    int result = convert_items(&feed, how, output, error);
    tu_feed_close(&feed);
    return result < 0 ? -1 : tu_output_close(output, error);
}
