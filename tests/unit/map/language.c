/* SPDX-License-Identifier: MIT */
/* The language of maps: how much of each thing a rule may have, and what its parts become. */
#include "config.h"

#include "map/language.h"

#include "tensor/name.h"
#include "tensorutils/dtype.h"

#include "../tap.h"

static struct tu_map map;
static struct tu_error error;

/* The whole text of a map. */
static int parse(const char *text)
{
    error = (struct tu_error){0};
    return tu_map_parse(&map, "some/test.map", text, strlen(text), &error);
}

static void taken(const char *text)
{
    if (parse(text) < 0)
        tap_fail(__FILE__, __LINE__, "'%.60s': %s", text, error.text);
    else
        tu_map_free(&map);
}

static void is_refused(const char *text, const char *why)
{
    int result = parse(text);
    CHECK_FAILS(result, error, why);
    CHECK(error.code == TU_EINVALID);
    if (result == 0)
        tu_map_free(&map);
}

/* A part again and again, between a beginning and an end. */
static const char *many(const char *begin, const char *part, size_t count, const char *end)
{
    static char text[200000];
    char *to = stpcpy(text, begin);
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, part);
    strcpy(to, end);
    return text;
}

TEST(how_much_a_rule_may_have)
{
    taken(many("a", " + a", 7, " = b"));
    is_refused(many("a", " + a", 8, " = b"), "more than 8 names on one side");
    taken(many("a = b : add(1)", ", add(1)", 7, ""));
    is_refused(many("a = b : add(1)", ", add(1)", 8, ""), "more than 8 transforms");
    taken("a.{i}.{j}.{k}.{l} = b.{i}.{j}.{k}.{l}");
    is_refused("a.{i}.{j}.{k}.{l}.{m} = b", "more than 4 different placeholders");
    taken("a = b : reshape(1,2,3,4,5,6,7,8)");
    is_refused("a = b : reshape(1,2,3,4,5,6,7,8,9)", "at most 8 numbers");
    /* a line of 4095 bytes, and one more */
    taken(many("a = ", "b", 4091, ""));
    is_refused(many("a = ", "b", 4092, ""), "longer than");
}

TEST(how_many_keys_a_count_may_have)
{
    taken(many("count h =", " key", 8, "\na = b"));
    is_refused(many("count h =", " key", 9, "\na = b"), "more than 8 keys");
    taken(many("extra", " e", 2000, "\na = b"));
}

TEST(how_many_shares_an_order_may_have)
{
    for (int count = 511; count <= 513; count++) {
        static char text[8000];
        char *to = stpcpy(text, "a = b : order(");
        for (int i = count; i-- > 0;)
            to += sprintf(to, "%d%s", i, i ? "," : ")");
        if (count == 513)
            is_refused(text, "line 1: '512,511,");
        else
            taken(text);
    }
}

/* The only rule of a text. */
static const struct tu_map_rule *rule_of(const char *text)
{
    if (parse(text) < 0 || map.rule_count != 1) {
        tap_fail(__FILE__, __LINE__, "'%s': %s", text, error.text);
        abort();
    }
    return &map.rules[0];
}

TEST(what_steps_become)
{
    const struct tu_map_rule *r =
        rule_of("count h = n\na = b : rope(h), unrope(7), add(-2.5), scale(3), rows(2:9), "
                "columns(0:1), type(F16), byteswap\n");
    static const enum tu_step_kind kinds[] = {TU_STEP_ROPE,  TU_STEP_UNROPE, TU_STEP_ADD,
                                              TU_STEP_SCALE, TU_STEP_ROWS,   TU_STEP_COLUMNS,
                                              TU_STEP_TYPE,  TU_STEP_SWAP};
    CHECK_UINT(r->step_count, 8);
    for (size_t i = 0; i < 8; i++)
        CHECK(r->steps[i].kind == kinds[i]);
    CHECK_STRING(r->steps[0].heads, "h");
    CHECK(!r->steps[1].heads && r->steps[1].head_count == 7 && r->steps[2].addend == -2.5f &&
          r->steps[3].addend == 3);
    CHECK(r->steps[4].first == 2 && r->steps[4].end == 9 && r->steps[5].first == 0 &&
          r->steps[5].end == 1);
    CHECK(r->steps[6].dtype == TENSOR_F16 && !r->padded && !r->tied && r->stacked == -1 &&
          r->line == 2);
    tu_map_free(&map);
    r = rule_of("a = b : padded, reshape(2,*,3), permute(1,0,2), permute(0,2,1), order(2,0,1)");
    CHECK(r->padded && !r->tied && r->step_count == 4);
    CHECK(r->steps[0].rank == 3 && r->steps[0].shape[0] == 2 && r->steps[0].shape[1] == 0 &&
          r->steps[0].shape[2] == 3);
    CHECK(r->steps[1].kind == TU_STEP_PERMUTE && r->steps[1].shape[0] == 1 &&
          r->steps[1].shape[1] == 0);
    /* of the last two axes alone it is a transpose */
    CHECK(r->steps[2].kind == TU_STEP_TRANSPOSE && r->steps[3].shares == 3);
    static const uint64_t order[] = {2, 0, 1}, back[] = {1, 2, 0};
    CHECK(memcmp(r->steps[3].order, order, sizeof order) == 0 &&
          memcmp(r->steps[3].back, back, sizeof back) == 0);
    tu_map_free(&map);
    r = rule_of("a = b : tied");
    CHECK(r->tied && !r->padded && !tu_map_renames(&map));
    tu_map_free(&map);
}

TEST(what_is_no_step)
{
    static const struct {
        const char *step, *why;
    } cases[] = {{"rows(3:3)", "no range"},
                 {"rows(4:3)", "no range"},
                 {"rows(1)", "no range"},
                 {"rows(1:2x)", "no range"},
                 {"rows(:2)", "no range"},
                 {"rows(2-3)", "no range"},
                 {"rows(12:3)", "no range"},
                 {"columns(1:)", "no range"},
                 {"order(0,2)", "share 1"},
                 {"order(1,1)", "no order"},
                 {"order(0,)", "no list"},
                 {"order(0;1)", "no list"},
                 {"permute(0,0)", "every axis"},
                 {"permute(0,2)", "every axis"},
                 {"permute(*,0)", "no axes"},
                 {"reshape(*,*)", "more than one *"},
                 {"reshape(2,)", "no list"},
                 {"add(inf)", "no number"},
                 {"add(0)", "no number"},
                 {"scale(1e99)", "no number"},
                 {"scale(0)", "no number"},
                 {"type(F17)", "no element type"},
                 {"rope(0)", "no count"},
                 {"rope(2x)", "no count"},
                 {"transpose(1)", "takes no argument"},
                 {"rope", "needs an argument"},
                 {"turn", "no transform"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        snprintf(text, sizeof text, "a = b : %s", cases[i].step);
        is_refused(text, cases[i].why);
        CHECK(strstr(error.text, "some/test.map: line 1: "));
    }
}

static const struct {
    const char *line, *why;
} no_rules[] = {{"a} = b", "'}' without '{'"},
             {"a = b}", "'}' without '{'"},
             {"a{n = b", "'{n' is no placeholder"},
             {"a{N!}c = b", "'{N!}' is no placeholder"},
             {"a{n}5 = b{n}", "a digit behind a placeholder"},
             {"a{n}{m} = b{n}.{m}", "two placeholders with nothing between them"},
             {"a{n}* = b{n}.*", "two placeholders with nothing between them"},
             {"a*.* = b*", "two stars in one name"},
             {"a.{n}.{n} = b.{n}", "{n} twice in one name"},
             {"{m}.a.{n}.{n} = b.{n}", "{n} twice in one name"},
             {"a.{part}.{part} = b.{part}", "{part} twice in one name"},
             {"a.{part} = b", "have to stand in every name of a rule"},
             {"a = b.{part}", "have to stand in every name of a rule"},
             {"a.* = b", "have to stand in every name of a rule"},
             {"a + b.{part} = c", "have to stand in every name of a rule"},
             {"a + b = c + d", "names are joined on both sides"},
             {"a = b.{n}", "a placeholder stands on the right alone"},
             {"a.{n}.{m} = b", "the right lacks two placeholders"},
             {"a.{n} = b + c", "a stack cannot be split into joined names"},
             {"a.{n} + b = c.{n}", "need the same placeholders"},
             {"a.{n} = b.{n} + c", "need the same placeholders"},
             {"a[h] = b", "a share in a name that is not joined"},
             {"a = b[h]", "a share in a name that is not joined"},
             {"a[h] + b = c", "a share is missing in a name that is joined"},
             {"a + b[h] = c", "a share is missing in a name that is joined"},
             {"a[g] + b[g] = c", "no count is called 'g'"},
             {"a = b : rope(g)", "no count is called 'g'"},
             {"a + b = c : tied", "a tied rule joins and changes nothing"},
             {"a = b + c : tied", "a tied rule joins and changes nothing"},
             {"a.{n} = b : tied", "a tied rule joins and changes nothing"},
             {"a = b : tied, add(1)", "a tied rule joins and changes nothing"},
             {"a = b :", "a transform is missing"},
             {"a = b : add(1),", "a transform is missing"},
             {"a = b c", "'c' behind a rule"},
             {"a b", "neither a directive nor a rule"},
             {"a =", "a name is missing"},
             {"= b", "a name is missing"},
             {"a + = b", "a name"},
             {"a = b : add(1", "has no ')'"},
             {"[gguf", "is no section"},
             {"count H = n", "a count needs a new name of small letters"},
             {"count h = n", "a count needs a new name of small letters"},
             {"count k =", "a metadata key is missing"},
             {"count k n", "'=' is missing"},
             {"left a\nleft b", "said twice"},
             {"a = b\x01", "a control character"},
             {"a\xff = b", "no UTF-8"}};

TEST(what_is_no_rule)
{
    for (size_t i = 0; i < sizeof no_rules / sizeof *no_rules; i++) {
        char text[100];
        snprintf(text, sizeof text, "count h = n\n%s", no_rules[i].line);
        is_refused(text, no_rules[i].why);
        if (!CHECK(strstr(error.text, "some/test.map: line ")))
            return;
    }
}

TEST(what_rules_may_be)
{
    taken("w = a + b");
    taken("a + b = w : add(1)");
    taken("count h = n\nq[h] + k[h] = qk");
    taken("a.{part} + b.{part} = c.{part}");
    taken("a.{n}.b{m} + c.{m}.{n} = d.{n}.{m}");
    taken("e.{n}.{m} = s.{m}");
    taken("a.{n}.5 = b.{n}");
    taken("a = b # what follows is no 'c'");
    taken("# a = b = c\n\t# more\na#b = c # d");
}

TEST(comments_begin_behind_a_blank)
{
    CHECK(parse("a#b = c\t#d = e\n#f = g\n h = i #") == 0);
    CHECK_UINT(map.rule_count, 2);
    CHECK(map.rules[0].line == 1 && map.rules[1].line == 3);
    struct tu_place found = {0};
    CHECK(tu_map_find(&map, true, TU_ANY_SECTION, "a#b", 3, &found));
    tu_map_free(&map);
}

TEST(places_come_one_after_another)
{
    CHECK(parse("x = a\ny = x\nx + z = b\nt = x : tied\n[two]\nx.{n} = c.{n}\nx = d") == 0);
    struct tu_place at = {0};
    CHECK(tu_map_find(&map, true, TU_ANY_SECTION, "x", 1, &at) && at.rule == &map.rules[0]);
    CHECK(tu_map_find(&map, true, TU_ANY_SECTION, "x", 1, &at) && at.rule == &map.rules[2]);
    CHECK(tu_map_find(&map, true, TU_ANY_SECTION, "x", 1, &at) && at.rule == &map.rules[5]);
    CHECK(!tu_map_find(&map, true, TU_ANY_SECTION, "x", 1, &at));
    at = (struct tu_place){0};
    CHECK(tu_map_find(&map, true, map.rules[5].section, "x", 1, &at) && at.rule == &map.rules[5]);
    CHECK(!tu_map_find(&map, true, map.rules[5].section, "x", 1, &at));
    tu_map_free(&map);
}

/* Whether a name is of the only left pattern, and what its placeholders are then. */
static struct tu_bindings bound;
static bool matches(const char *pattern, const char *name)
{
    char text[300];
    snprintf(text, sizeof text, "%s = z.%s", pattern, pattern);
    const struct tu_map_rule *r = rule_of(text);
    bound = (struct tu_bindings){0};
    bool result = tu_pattern_matches(&r->left[0], name, strlen(name), &bound);
    if (result) {
        size_t length;
        char *made = tu_pattern_name(&r->left[0], &bound, &map.arena, &length);
        CHECK_UINT(length, strlen(made));
        CHECK_STRING(made, name);
    }
    tu_map_free(&map);
    return result;
}

TEST(patterns_and_names)
{
    CHECK(matches("a.{n}.w", "a.12.w") && bound.numbers[0] == 12 && bound.bound == 1);
    CHECK(matches("a.{n}.{m}", "a.0.7") && bound.numbers[0] == 0 && bound.numbers[1] == 7 &&
          bound.bound == 3);
    CHECK(!matches("a.{n}.w", "a..w") && !matches("a.{n}.w", "a.x.w") &&
          !matches("a.{n}.w", "a.1.v") && !matches("a.{n}.w", "a.1.w2"));
    CHECK(!matches("a.{n}.w", "a.01.w") && !matches("a.{n}.w", "b.1.w") &&
          !matches("a.{n}.w", "a.99999999999999999999.w"));
    CHECK(matches("a.*", "a.b.c") && bound.star_length == 3 && matches("*.w", "x.y.w") &&
          bound.star_length == 3);
    CHECK(!matches("a.*.w", "a.w") && matches("w", "w") && !matches("w", "ww") &&
          !matches("ww", "w"));
}

TEST(numbers_have_at_most_nine_digits)
{
    static const struct {
        const char *text;
        size_t digits;
        uint64_t number;
    } cases[] = {{"0", 1, 0},          {"7.w", 1, 7},  {"123456789", 9, 123456789},
                 {"1234567890", 0, 0}, {"01", 0, 0},   {"00", 0, 0},
                 {"", 0, 0},           {"x1", 0, 0},   {"-1", 0, 0},
                 {"999999999x", 9, 999999999}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t number;
        CHECK_UINT(tu_pattern_number(cases[i].text, strlen(cases[i].text), &number),
                   cases[i].digits);
        if (cases[i].digits)
            CHECK_UINT(number, cases[i].number);
    }
    uint64_t number;
    CHECK(tu_pattern_number("123", 2, &number) == 2 && number == 12);
    CHECK(tu_pattern_number("123", 0, &number) == 0);
}

TEST(parts_are_weights_and_biases)
{
    CHECK(matches("a.{part}", "a.weight") && bound.part_length == 6);
    CHECK(matches("a.{part}", "a.bias") && bound.part_length == 4);
    CHECK(!matches("a.{part}", "a.scale") && !matches("a.{part}", "a.weigh") &&
          !matches("a.{part}", "a.bia") && !matches("a.{part}", "a.") &&
          !matches("a.{part}", "a.weights"));
    CHECK(matches("a.{part}.{n}", "a.bias.2") && matches("a.{part}.{n}", "a.weight.0"));
}

/* What was bound before has to come again. */
TEST(bound_placeholders)
{
    const struct tu_map_rule *r = rule_of("a.{n}.{m}.{part} = b.{m}.{n}.{part}");
    static const struct {
        const char *name;
        bool matches;
    } cases[] = {{"b.4.3.weight", true}, {"b.3.4.weight", false}, {"b.4.3.bias", false},
                 {"b.4.33.weight", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_bindings b = {0};
        CHECK(tu_pattern_matches(&r->left[0], "a.3.4.weight", 12, &b) && b.bound == 3 &&
              b.numbers[0] == 3 && b.numbers[1] == 4);
        CHECK(tu_pattern_matches(&r->right[0], cases[i].name, strlen(cases[i].name), &b) ==
              cases[i].matches);
    }
    tu_map_free(&map);
}

TEST(prefixes_of_both_are_left_out)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {{"model.layers.{n}.w", "layers.3.w", true},
                 {"layers.{n}.w", "model.layers.3.w", true},
                 {"transformer.h.{n}", "model.h.3", true},
                 {"model.w", "w", true},
                 {"model.w", "module.w", true},
                 {"model.{n}", "3", true},
                 {"{n}.w", "model.3.w", true},
                 {"{part}", "model.weight", true},
                 {"model.{part}", "bias", true},
                 {"layers.{n}.w", "other.layers.3.w", false},
                 {"model.layers.{n}.w", "layer.3.w", false},
                 {"model.layers.{n}.w", "lay", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        struct tu_bindings b = {0};
        snprintf(text, sizeof text, "%s = z.%s", cases[i].pattern, cases[i].pattern);
        const struct tu_map_rule *r = rule_of(text);
        if (tu_pattern_matches(&r->left[0], cases[i].name, strlen(cases[i].name), &b) !=
            cases[i].matches)
            tap_fail(__FILE__, __LINE__, "'%s' and '%s'", cases[i].pattern, cases[i].name);
        tu_map_free(&map);
    }
}

TEST(names_without_what_says_nothing)
{
    static const struct {
        const char *name, *bare;
    } cases[] = {{"model.layers.0.w", "layers.0.w"},
                 {"language_model.model.w", "w"},
                 {"transformer.h.0", "h.0"},
                 {"_orig_mod.model.w", "w"},
                 {"model.diffusion_model.w", "w"},
                 {"module._fsdp_wrapped_module.model.w", "w"},
                 {"base_model.model.model.layers.0.w", "layers.0.w"},
                 {"base_models.w", "base_models.w"},
                 {"w", "w"},
                 {"models.w", "models.w"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].name);
        const char *bare = tu_bare_name(cases[i].name, &length);
        CHECK_UINT(length, strlen(cases[i].bare));
        CHECK_STRING(bare, cases[i].bare);
    }
}

static struct tu_place place;
static bool found(bool left, size_t section, const char *name, size_t length)
{
    place = (struct tu_place){0};
    return tu_map_find(&map, left, section, name, length, &place);
}

TEST(rules_are_found_from_both_sides)
{
    static const char text[] = "[one]\nx.{n} = y.{n}\nt = x.0 : tied\n[two]\nu + v = w\n";
    CHECK(parse(text) == 0 && map.rule_count == 3 && map.sections.count == 2);
    CHECK_STRING(map.name, "test");
    CHECK(found(true, TU_ANY_SECTION, "x.4", 3) && place.rule == &map.rules[0] &&
          place.bindings.numbers[0] == 4);
    CHECK(found(false, TU_ANY_SECTION, "y.3", 3) && place.rule == &map.rules[0] &&
          place.which == 0);
    CHECK(!found(false, TU_ANY_SECTION, "x.4", 3) && !found(true, TU_ANY_SECTION, "t", 1));
    CHECK(found(true, map.rules[2].section, "v", 1) && place.rule == &map.rules[2] &&
          place.which == 1);
    CHECK(!found(true, map.rules[0].section, "v", 1) && !tu_map_renames(&map));
    tu_map_free(&map);
    CHECK(parse("a = b\nc.{n} = d.{n}") == 0 && tu_map_renames(&map));
    tu_map_free(&map);
    CHECK(parse("a + c = b") == 0 && !tu_map_renames(&map));
    tu_map_free(&map);
    CHECK(parse("a = b : transpose") == 0 && !tu_map_renames(&map));
    tu_map_free(&map);
}
