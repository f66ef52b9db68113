/* SPDX-License-Identifier: MIT */
/* Parses a map line by line, into rules that can be followed from either side. */
#include "config.h"

#include "map/language.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/dtype.h"
#include "base/text.h"
#include "base/path.h"

enum { LINE_MAX_BYTES = 4096, ITEMS_MAX = 4096 };

/* ---- Parsing ---- */

struct parser {
    struct tu_map *map;
    const char *path;
    unsigned line;
    char text[LINE_MAX_BYTES]; /* of the line, with a NUL behind each word that was read */
    char *rest;                /* of text */
    size_t section;
    struct tu_error *error;
};

static int bad(const struct parser *p, const char *format, ...) TU_PRINTF(2, 3);
static int bad(const struct parser *p, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return tu_fail(p->error, TU_EINVALID, "%s: line %u: %s", p->path, p->line, text);
}

static char *skip_blanks(char *text)
{
    return text + strspn(text, " \t");
}

/* The next word of the line, or NULL. */
static char *next_word(struct parser *p)
{
    char *word = skip_blanks(p->rest);
    if (!*word)
        return NULL;
    char *end = word + strcspn(word, " \t");
    p->rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool is_identifier(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)text[i]) && text[i] != '_' &&
            !(i && (isdigit((unsigned char)text[i]) || text[i] == '-')))
            return false;
    return length > 0;
}

static const char *keep(struct parser *p, const char *text, size_t length)
{
    const char *copy = tu_arena_copy(&p->map->arena, text, length);
    if (!copy)
        tu_fail_memory(p->error);
    return copy;
}

static int add_words(struct parser *p, struct tu_word_list *list)
{
    char *word;
    size_t before = list->count;
    while ((word = next_word(p))) {
        if (list->count >= ITEMS_MAX)
            return bad(p, "more than %d words", ITEMS_MAX);
        if (!TU_GROW(list->items, list->count, list->capacity))
            return tu_fail_memory(p->error);
        if (!(list->items[list->count++] = keep(p, word, strlen(word))))
            return -1;
    }
    return list->count > before ? 0 : bad(p, "a name is missing");
}

/* ---- Patterns ---- */

/* The place of a variable among those of the rule. */
static int find_variable(struct parser *p, struct tu_map_rule *rule, const char *name,
                         size_t length, unsigned *out)
{
    for (*out = 0; *out < TU_MAP_NUMBERS_MAX; ++*out) {
        const char *known = rule->names[*out];
        if (known && strlen(known) == length && memcmp(known, name, length) == 0)
            return 0;
        if (!known)
            return (rule->names[*out] = keep(p, name, length)) ? 0 : -1;
    }
    return bad(p, "more than %d different placeholders", TU_MAP_NUMBERS_MAX);
}

static int read_placeholder(struct parser *p, struct tu_map_rule *rule, struct tu_pattern *out,
                            struct tu_piece *piece, const char *name, size_t length)
{
    unsigned variable;
    if (!is_identifier(name, length))
        return bad(p, "'{%.*s}' is no placeholder", (int)length, name);
    if (length == 4 && memcmp(name, "part", 4) == 0) {
        piece->kind = TU_PIECE_PART;
        if (out->part)
            return bad(p, "{part} twice in one name");
        out->part = true;
        return 0;
    }
    piece->kind = TU_PIECE_NUMBER;
    if (find_variable(p, rule, name, length, &variable) < 0)
        return -1;
    if (out->numbers & 1u << variable)
        return bad(p, "{%.*s} twice in one name", (int)length, name);
    piece->variable = variable;
    out->numbers |= 1u << variable;
    return 0;
}

/* One piece of a pattern; its length in the text, or 0 with the error set. */
static size_t read_piece(struct parser *p, struct tu_map_rule *rule, struct tu_pattern *out,
                         const char *text, size_t length)
{
    struct tu_piece *piece = &out->pieces[out->count++];
    const struct tu_piece *before = out->count > 1 ? piece - 1 : NULL;
    *piece = (struct tu_piece){.kind = TU_PIECE_TEXT};
    if (before && before->kind == TU_PIECE_NUMBER && (*text == '{' || *text == '*')) {
        bad(p, "two placeholders with nothing between them");
        return 0;
    }
    if (*text == '{') {
        const char *end = memchr(text, '}', length);
        if (!end) {
            bad(p, "'%.*s' is no placeholder", (int)length, text);
            return 0;
        }
        size_t name = (size_t)(end - text) - 1;
        return read_placeholder(p, rule, out, piece, text + 1, name) < 0 ? 0 : name + 2;
    }
    if (*text == '*') {
        piece->kind = TU_PIECE_STAR;
        if (out->star)
            bad(p, "two stars in one name");
        bool twice = out->star;
        out->star = true;
        return !twice;
    }
    size_t n = 0;
    while (n < length && !strchr("{}*", text[n]))
        n++;
    if (n == 0 || (before && before->kind == TU_PIECE_NUMBER && isdigit((unsigned char)*text))) {
        bad(p, n ? "a digit behind a placeholder" : "'}' without '{'");
        return 0;
    }
    piece->text = keep(p, text, n);
    piece->length = n;
    return piece->text ? n : 0;
}

static int parse_pattern(struct parser *p, struct tu_map_rule *rule, const char *text,
                         struct tu_pattern *out)
{
    size_t length = strlen(text);
    *out = (struct tu_pattern){0};
    if (length && text[length - 1] == ']') {
        const char *open = strrchr(text, '[');
        if (!open || !(out->weight = keep(p, open + 1, strlen(open + 1) - 1)))
            return open ? -1 : bad(p, "']' without '['");
        if (!tu_map_count(p->map, out->weight))
            return bad(p, "no count is called '%s'", out->weight);
        length = (size_t)(open - text);
    }
    if (!length)
        return bad(p, "a name is missing");
    out->pieces = tu_arena_alloc(&p->map->arena, length * sizeof *out->pieces);
    if (!out->pieces)
        return tu_fail_memory(p->error);
    for (size_t at = 0, n; at < length; at += n)
        if (!(n = read_piece(p, rule, out, text + at, length - at)))
            return -1;
    return 0;
}

/* ---- Steps ---- */

/* A number, or the name of a count. */
static int read_heads(struct parser *p, const char *text, struct tu_step *s)
{
    size_t length = strlen(text);
    if (length && tu_pattern_number(text, length, &s->head_count) == length && s->head_count)
        return 0;
    if (!tu_map_count(p->map, text))
        return bad(p, "no count is called '%s'", text);
    s->heads = keep(p, text, length);
    return s->heads ? 0 : -1;
}

/* "3, 4, *": numbers, and * for 0. */
static int read_numbers(struct parser *p, const char *text, struct tu_step *s)
{
    while (*text) {
        uint64_t number = 0;
        size_t n = *text == '*' ? 1 : tu_pattern_number(text, strlen(text), &number);
        if (!n || s->rank == TU_MAP_RANK_MAX)
            return bad(p, "'%s' is no list of at most %d numbers", text, TU_MAP_RANK_MAX);
        s->shape[s->rank++] = number;
        text += n;
        if (*text == ',' && text[1])
            text++;
        else if (*text)
            return bad(p, "'%s' is no list of numbers", text);
    }
    return s->rank ? 0 : bad(p, "numbers are missing");
}

static int read_shape(struct parser *p, const char *text, struct tu_step *s)
{
    unsigned open = 0;
    if (read_numbers(p, text, s) < 0)
        return -1;
    for (uint32_t i = 0; i < s->rank; i++)
        open += s->shape[i] == 0;
    return open <= 1 ? 0 : bad(p, "a shape with more than one *");
}

/* Axes in a new order.  Where the last two alone change places that is a transpose. */
static int read_axes(struct parser *p, const char *text, struct tu_step *s)
{
    unsigned seen = 0;
    if (strchr(text, '*') || read_numbers(p, text, s) < 0)
        return bad(p, "'%s' are no axes", text);
    for (uint32_t i = 0; i < s->rank; i++)
        seen |= s->shape[i] < s->rank ? 1u << s->shape[i] : 0;
    if (seen != (1u << s->rank) - 1)
        return bad(p, "'%s' does not have every axis once", text);
    for (uint32_t i = 0; i < s->rank; i++) {
        bool turned = i + 2 >= s->rank && s->rank >= 2;
        if (s->shape[i] != (turned ? 2 * s->rank - 3 - i : i))
            return 0;
    }
    s->kind = TU_STEP_TRANSPOSE;
    return 0;
}

static int read_range(struct parser *p, const char *text, struct tu_step *s)
{
    size_t n = tu_pattern_number(text, strlen(text), &s->first);
    size_t m =
        n && text[n] == ':' ? tu_pattern_number(text + n + 1, strlen(text + n + 1), &s->end) : 0;
    if (!m || text[n + 1 + m] || s->end <= s->first)
        return bad(p, "'%s' is no range (as 0:128)", text);
    return 0;
}

static int read_float(struct parser *p, const char *text, struct tu_step *s)
{
    double number;
    bool scale = s->kind == TU_STEP_SCALE;
    if (!tu_parse_double(text, &number) || !isfinite((float)number) || (float)number == 0)
        return bad(p, "'%s' is no number to be %s", text, scale ? "multiplied with" : "added");
    s->addend = (float)number;
    return 0;
}

/* Every share once. */
static int read_order(struct parser *p, const char *text, struct tu_step *s)
{
    uint64_t order[TU_MAP_ORDER_MAX], back[TU_MAP_ORDER_MAX];
    size_t count = 0;
    memset(back, 0xff, sizeof back);
    while (*text) {
        uint64_t share;
        size_t n = tu_pattern_number(text, strlen(text), &share);
        if (!n || count == TU_MAP_ORDER_MAX || share >= TU_MAP_ORDER_MAX ||
            back[share] != UINT64_MAX)
            return bad(p, "'%s' is no order of at most %d shares", text, TU_MAP_ORDER_MAX);
        back[share] = count;
        order[count++] = share;
        text += n;
        if (*text == ',' && text[1])
            text++;
        else if (*text)
            return bad(p, "'%s' is no list of numbers", text);
    }
    if (!count)
        return bad(p, "numbers are missing");
    for (size_t i = 0; i < count; i++)
        if (back[i] == UINT64_MAX)
            return bad(p, "share %zu is missing", i);
    s->shares = count;
    s->order = (const void *)keep(p, (const void *)order, count * sizeof *order);
    s->back = (const void *)keep(p, (const void *)back, count * sizeof *back);
    return s->order && s->back ? 0 : -1;
}

static int read_type(struct parser *p, const char *text, struct tu_step *s)
{
    const struct tu_dtype *type = tu_dtype_by_name(text, strlen(text));
    if (!type)
        return bad(p, "'%s' is no element type", text);
    s->dtype = type->code;
    return 0;
}

static int set_step(struct parser *p, const char *word, const char *argument, struct tu_step *s)
{
    static const struct {
        const char *name;
        enum tu_step_kind kind;
    } words[] = {{"rope", TU_STEP_ROPE},           {"unrope", TU_STEP_UNROPE},
                 {"transpose", TU_STEP_TRANSPOSE}, {"permute", TU_STEP_PERMUTE},
                 {"reshape", TU_STEP_RESHAPE},     {"rows", TU_STEP_ROWS},
                 {"columns", TU_STEP_COLUMNS},     {"add", TU_STEP_ADD},
                 {"scale", TU_STEP_SCALE},         {"order", TU_STEP_ORDER},
                 {"type", TU_STEP_TYPE},           {"byteswap", TU_STEP_SWAP}};
    size_t i = 0, count = sizeof words / sizeof *words;
    while (i < count && strcmp(words[i].name, word) != 0)
        i++;
    if (i == count)
        return bad(p, "'%s' is no transform", word);
    s->kind = words[i].kind;
    if (!argument != (s->kind == TU_STEP_TRANSPOSE || s->kind == TU_STEP_SWAP))
        return bad(p, argument ? "'%s' takes no argument" : "'%s' needs an argument", word);
    switch (words[i].kind) {
    case TU_STEP_ROPE:
    case TU_STEP_UNROPE:
        return read_heads(p, argument, s);
    case TU_STEP_PERMUTE:
        return read_axes(p, argument, s);
    case TU_STEP_RESHAPE:
        return read_shape(p, argument, s);
    case TU_STEP_ROWS:
    case TU_STEP_COLUMNS:
        return read_range(p, argument, s);
    case TU_STEP_ADD:
    case TU_STEP_SCALE:
        return read_float(p, argument, s);
    case TU_STEP_ORDER:
        return read_order(p, argument, s);
    case TU_STEP_TYPE:
        return read_type(p, argument, s);
    case TU_STEP_TRANSPOSE:
    case TU_STEP_SWAP:
        break;
    }
    return 0;
}

static int parse_step(struct parser *p, struct tu_map_rule *rule, char *text)
{
    char *open = strchr(text, '('), *argument = NULL;
    if (strcmp(text, "padded") == 0 || strcmp(text, "tied") == 0) {
        *(*text == 'p' ? &rule->padded : &rule->tied) = true;
        return 0;
    }
    if (open) {
        size_t length = strlen(open);
        if (open[length - 1] != ')')
            return bad(p, "'%s' has no ')'", text);
        open[length - 1] = *open = '\0';
        argument = open + 1;
    }
    if (rule->step_count == TU_MAP_STEPS_MAX)
        return bad(p, "more than %d transforms", TU_MAP_STEPS_MAX);
    return set_step(p, text, argument, &rule->steps[rule->step_count++]);
}

/* ---- Rules ---- */

static int parse_side(struct parser *p, struct tu_map_rule *rule, char *word,
                      struct tu_pattern *side, size_t *count, char **after)
{
    for (;;) {
        if (!word || strcmp(word, "=") == 0 || strcmp(word, "+") == 0 || strcmp(word, ":") == 0)
            return bad(p, "a name is missing");
        if (*count == TU_MAP_SIDE_MAX)
            return bad(p, "more than %d names on one side", TU_MAP_SIDE_MAX);
        if (parse_pattern(p, rule, word, &side[(*count)++]) < 0)
            return -1;
        *after = next_word(p);
        if (!*after || strcmp(*after, "+") != 0)
            return 0;
        word = next_word(p);
    }
}

static int check_side(struct parser *p, const struct tu_pattern *side, size_t count,
                      const struct tu_pattern *like)
{
    for (size_t i = 0; i < count; i++) {
        if (side[i].part != like->part || side[i].star != like->star)
            return bad(p, "{part} and * have to stand in every name of a rule, or in none");
        if (side[i].numbers != side[0].numbers)
            return bad(p, "names that are joined need the same placeholders");
        if (!side[i].weight != !side[0].weight)
            return bad(p, "a share is missing in a name that is joined");
    }
    return side[0].weight && count == 1 ? bad(p, "a share in a name that is not joined") : 0;
}

static int check_rule(struct parser *p, struct tu_map_rule *rule)
{
    unsigned left = rule->left[0].numbers, right = rule->right[0].numbers;
    unsigned missing = left & ~right;
    if (rule->left_count > 1 && rule->right_count > 1)
        return bad(p, "names are joined on both sides");
    if (check_side(p, rule->left, rule->left_count, &rule->left[0]) < 0 ||
        check_side(p, rule->right, rule->right_count, &rule->left[0]) < 0)
        return -1;
    if (right & ~left)
        return bad(p, "a placeholder stands on the right alone");
    if (missing & (missing - 1))
        return bad(p, "the right lacks two placeholders");
    if (missing && rule->right_count > 1)
        return bad(p, "a stack cannot be split into joined names");
    if (rule->tied &&
        (rule->left_count > 1 || rule->right_count > 1 || missing || rule->step_count))
        return bad(p, "a tied rule joins and changes nothing");
    rule->stacked = missing ? __builtin_ctz(missing) : -1;
    return 0;
}

static int parse_steps(struct parser *p, struct tu_map_rule *rule)
{
    char *text = p->rest, *to = text;
    for (char *from = text; *from; from++)
        if (*from != ' ' && *from != '\t')
            *to++ = *from;
    *to = '\0';
    for (int depth = 0; *text; text = to) {
        for (to = text; *to && (*to != ',' || depth); to++)
            depth += (*to == '(') - (*to == ')');
        bool more = *to == ',';
        *to = '\0';
        to += more;
        if (parse_step(p, rule, text) < 0)
            return -1;
        if (more && !*to)
            return bad(p, "a transform is missing");
    }
    return 0;
}

/* Rules belong to the section whose line came last; it may have been open before. */
static int open_section(struct parser *p, const char *name, size_t length)
{
    struct tu_word_list *list = &p->map->sections;
    for (p->section = 0; p->section < list->count; p->section++)
        if (strlen(list->items[p->section]) == length &&
            memcmp(list->items[p->section], name, length) == 0)
            return 0;
    if (list->count >= ITEMS_MAX)
        return bad(p, "more than %d sections", ITEMS_MAX);
    if (!TU_GROW(list->items, list->count, list->capacity))
        return tu_fail_memory(p->error);
    return (list->items[list->count++] = keep(p, name, length)) ? 0 : -1;
}

static int parse_rule(struct parser *p, char *word)
{
    struct tu_map *map = p->map;
    char *after;
    if (map->rule_count >= ITEMS_MAX)
        return bad(p, "more than %d rules", ITEMS_MAX);
    if (!TU_GROW(map->rules, map->rule_count, map->rule_capacity))
        return tu_fail_memory(p->error);
    struct tu_map_rule *rule = &map->rules[map->rule_count];
    if (!map->sections.count && open_section(p, "right", strlen("right")) < 0)
        return -1;
    *rule = (struct tu_map_rule){.line = p->line, .section = p->section};
    if (parse_side(p, rule, word, rule->left, &rule->left_count, &after) < 0)
        return -1;
    if (!after || strcmp(after, "=") != 0)
        return bad(p, "neither a directive nor a rule (LEFT = RIGHT : TRANSFORM)");
    if (parse_side(p, rule, next_word(p), rule->right, &rule->right_count, &after) < 0)
        return -1;
    if (after && strcmp(after, ":") != 0)
        return bad(p, "'%s' behind a rule", after);
    if (after && !*skip_blanks(p->rest))
        return bad(p, "a transform is missing");
    if (after && parse_steps(p, rule) < 0)
        return -1;
    map->rule_count++;
    return check_rule(p, rule);
}

/* ---- Directives ---- */

static int parse_count(struct parser *p, struct tu_map *map)
{
    char *name = next_word(p), *word;
    struct tu_count count = {0};
    if (!name || !is_identifier(name, strlen(name)) || tu_map_count(map, name))
        return bad(p, "a count needs a new name of small letters");
    if (!(count.name = keep(p, name, strlen(name))))
        return -1;
    word = next_word(p);
    if (!word || strcmp(word, "=") != 0)
        return bad(p, "'=' is missing");
    while ((word = next_word(p))) {
        size_t length = strlen(word);
        bool other = *word == '(' && word[length - 1] == ')';
        if (count.source_count == sizeof count.sources / sizeof *count.sources)
            return bad(p, "more than %zu keys", count.source_count);
        const char *text = keep(p, word + other, length - 2 * (size_t)other);
        if (!text)
            return -1;
        if (other && !tu_map_count(map, text))
            return bad(p, "no count is called '%s'", text);
        count.sources[count.source_count].text = text;
        count.sources[count.source_count++].is_count = other;
    }
    if (!count.source_count)
        return bad(p, "a metadata key is missing");
    if (!TU_GROW(map->counts, map->count_count, map->count_capacity))
        return tu_fail_memory(p->error);
    map->counts[map->count_count++] = count;
    return 0;
}

static int parse_extra(struct parser *p, struct tu_map *map)
{
    struct tu_map_rule none = {0};
    char *word;
    while ((word = next_word(p))) {
        if (map->extra_count >= ITEMS_MAX)
            return bad(p, "more than %d extra tensors", ITEMS_MAX);
        if (!TU_GROW(map->extras, map->extra_count, map->extra_capacity))
            return tu_fail_memory(p->error);
        if (parse_pattern(p, &none, word, &map->extras[map->extra_count]) < 0)
            return -1;
        map->extra_count++;
    }
    return 0;
}

static int parse_section(struct parser *p, const char *word)
{
    size_t length = strlen(word);
    if (length < 3 || word[length - 1] != ']' || !is_identifier(word + 1, length - 2))
        return bad(p, "'%s' is no section (as [gguf])", word);
    return open_section(p, word + 1, length - 2);
}

static int keep_rest(struct parser *p, const char **out)
{
    char *text = skip_blanks(p->rest);
    if (*out)
        return bad(p, "said twice");
    p->rest = text + strlen(text);
    *out = keep(p, text, strlen(text));
    return *out ? 0 : -1;
}

static int parse_line(struct parser *p, char *line)
{
    struct tu_map *map = p->map;
    p->rest = line;
    char *word = next_word(p);
    if (!word || *word == '#')
        return 0;
    if (*word == '[')
        return parse_section(p, word);
    if (strcmp(word, "about") == 0)
        return keep_rest(p, &map->about);
    if (strcmp(word, "left") == 0)
        return keep_rest(p, &map->left);
    if (strcmp(word, "architecture") == 0)
        return add_words(p, &map->architectures);
    if (strcmp(word, "model_type") == 0)
        return add_words(p, &map->model_types);
    if (strcmp(word, "count") == 0)
        return parse_count(p, map);
    if (strcmp(word, "extra") == 0)
        return parse_extra(p, map);
    if (strcmp(word, "guessed") == 0) {
        map->guessed = true;
        return 0;
    }
    if (strcmp(word, "stages") == 0) {
        map->stages = true;
        return 0;
    }
    return parse_rule(p, word);
}

/* Cuts a comment, which begins with a # at the start or behind a blank. */
static void cut_comment(char *line)
{
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || c[-1] == ' ' || c[-1] == '\t'))
            *c = '\0';
}

static int parse_lines(struct parser *p, const char *text, size_t length)
{
    char *line = p->text;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t n = end ? (size_t)(end - text) - at : length - at;
        p->line++;
        if (n >= sizeof p->text)
            return bad(p, "longer than %zu bytes", sizeof p->text - 1);
        memcpy(line, text + at, n);
        line[n] = '\0';
        if (n && line[n - 1] == '\r')
            line[n - 1] = '\0';
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)text[at + i] < ' ' && text[at + i] != '\t' && text[at + i] != '\r')
                return bad(p, "a control character");
        if (!tu_is_utf8(line, strlen(line)))
            return bad(p, "no UTF-8");
        cut_comment(line);
        if (parse_line(p, line) < 0)
            return -1;
        at += n + 1;
    }
    return 0;
}

static int name_map(struct parser *p)
{
    const char *name = tu_file_name(p->path);
    p->map->name = keep(p, name, tu_file_stem(name));
    return p->map->name ? 0 : -1;
}

int tu_map_parse(struct tu_map *map, const char *path, const char *text, size_t length,
                 struct tu_error *error)
{
    *map = (struct tu_map){0};
    struct parser p = {.map = map, .path = path, .error = error};
    int result = name_map(&p);
    if (result == 0 && length > TU_MAP_BYTES_MAX)
        result =
            tu_fail(error, TU_EINVALID, "%s: a map of more than %u bytes", path, TU_MAP_BYTES_MAX);
    if (result == 0)
        result = parse_lines(&p, text, length);
    if (result == 0 && !map->rule_count)
        result = tu_fail(error, TU_EINVALID, "%s: has no rules", path);
    if (result == 0 && !map->left)
        map->left = "left";
    if (result < 0)
        tu_map_free(map);
    return result;
}

void tu_map_free(struct tu_map *map)
{
    free(map->architectures.items);
    free(map->model_types.items);
    free(map->sections.items);
    free(map->counts);
    free(map->rules);
    free(map->extras);
    tu_arena_free(&map->arena);
    *map = (struct tu_map){0};
}

bool tu_map_find(const struct tu_map *map, bool left, size_t section, const char *name,
                 size_t length, struct tu_place *place)
{
    for (size_t i = place->rule ? (size_t)(place->rule - map->rules) + 1 : 0; i < map->rule_count;
         i++) {
        const struct tu_map_rule *rule = &map->rules[i];
        const struct tu_pattern *side = left ? rule->left : rule->right;
        size_t count = left ? rule->left_count : rule->right_count;
        if (rule->tied || (section != TU_ANY_SECTION && rule->section != section))
            continue;
        for (size_t k = 0; k < count; k++) {
            *place = (struct tu_place){.rule = rule, .which = k};
            if (tu_pattern_matches(&side[k], name, length, &place->bindings))
                return true;
        }
    }
    return false;
}

const struct tu_count *tu_map_count(const struct tu_map *map, const char *name)
{
    for (size_t i = 0; i < map->count_count; i++)
        if (strcmp(map->counts[i].name, name) == 0)
            return &map->counts[i];
    return NULL;
}

bool tu_map_renames(const struct tu_map *map)
{
    for (size_t i = 0; i < map->rule_count; i++) {
        const struct tu_map_rule *r = &map->rules[i];
        if (r->step_count || r->stacked >= 0 || r->left_count > 1 || r->right_count > 1 || r->tied)
            return false;
    }
    return true;
}
