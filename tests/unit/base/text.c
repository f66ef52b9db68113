/* SPDX-License-Identifier: MIT */
/* Names made printable, and numbers that read back the same. */
#include "config.h"

#include "base/text.h"

#include "../tap.h"

static const char *escaped(const char *text, size_t length)
{
    static char out[256];
    size_t n = tu_escape(text, length, out, sizeof out);
    CHECK_UINT(n, strlen(out));
    return out;
}

#define ESCAPED(literal) escaped(literal, sizeof literal - 1)

TEST(printable_text_stays_as_it_is)
{
    CHECK_STRING(ESCAPED(""), "");
    CHECK_STRING(ESCAPED("model.layers.0"), "model.layers.0");
    CHECK_STRING(ESCAPED("gr\xc3\xb6\xc3\x9f"
                         "e \xe2\x82\xac \xf0\x9f\x98\x80"),
                 "gr\xc3\xb6\xc3\x9f"
                 "e \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK_STRING(ESCAPED("a\\b \"c\""), "a\\b \"c\"");
}

TEST(controls_are_escaped)
{
    CHECK_STRING(ESCAPED("\x1b[31m"), "\\x1b[31m");
    CHECK_STRING(ESCAPED("a\nb\tc\rd\x7f"), "a\\x0ab\\x09c\\x0dd\\x7f");
    CHECK_STRING(ESCAPED("a\0b"), "a\\x00b");
    CHECK_STRING(ESCAPED("\xc2\x9b"
                         "31m"),
                 "\\xc2\\x9b31m");                         /* C1 */
    CHECK_STRING(ESCAPED("\xc2\xa0"), "\xc2\xa0"); /* the first behind C1 */
}

TEST(characters_without_a_shape_are_escaped)
{
    static const struct {
        uint32_t code;
        bool seen;
    } cases[] = {
        {0x00ac, true},   {0x00ad, false},  {0x00ae, true},   {0x034f, false},  {0x061c, false},
        {0x115f, false},  {0x180e, false},  {0x200a, true},   {0x200b, false},  {0x200d, false},
        {0x200f, false},  {0x2010, true},   {0x2027, true},   {0x2028, false},  {0x2029, false},
        {0x202a, false},  {0x202e, false},  {0x202f, true},   {0x2060, false},  {0x2066, false},
        {0x2069, false},  {0x206f, false},  {0x2070, true},   {0x3164, false},  {0xfe00, false},
        {0xfe0f, false},  {0xfe10, true},   {0xfeff, false},  {0xffa0, false},  {0xfffb, false},
        {0xfffd, true},   {0x1d173, false}, {0x1f600, true},  {0xe0001, false}, {0xe007f, false},
        {0xe1000, true},  {0x10ffff, true}, {0x4e2d, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t c = cases[i].code, code;
        char text[8] = {0};
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t k = n - 1; k > 0; k--, c >>= 6)
            text[k] = (char)(0x80 | (c & 0x3f));
        text[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
        CHECK_UINT(tu_hidden(text, n, &code), cases[i].seen ? 0 : n);
        CHECK_UINT(code, cases[i].code);
        CHECK(strcmp(escaped(text, n), text) == 0 ? cases[i].seen : !cases[i].seen);
    }
    uint32_t code;
    CHECK_UINT(tu_hidden("", 0, &code), 0);
    CHECK_UINT(tu_hidden("\n", 1, &code), 1);
    CHECK_UINT(tu_hidden("\xe2\x80", 2, &code), 0); /* cut */
    CHECK_STRING(ESCAPED("a\xe2\x80\xae"
                         "b"),
                 "a\\xe2\\x80\\xaeb");
}

TEST(bytes_that_are_no_utf8_are_escaped)
{
    CHECK_STRING(ESCAPED("\xff\xfe"), "\\xff\\xfe");
    CHECK_STRING(ESCAPED("a\x80z"), "a\\x80z");         /* a continuation alone */
    CHECK_STRING(ESCAPED("a\xc3"), "a\\xc3");           /* cut */
    CHECK_STRING(ESCAPED("\xc0\xaf"), "\\xc0\\xaf");     /* overlong */
    CHECK_STRING(ESCAPED("\xed\xa0\x80"), "\\xed\\xa0\\x80"); /* a surrogate */
}

TEST(what_is_too_long_is_cut_at_a_character)
{
    static const char text[] = "12345\xe2\x82\xac"
                               "90\x1b";
    for (size_t size = 1; size < 40; size++) {
        char out[64];
        memset(out, 'X', sizeof out);
        size_t n = tu_escape(text, sizeof text - 1, out, size);
        CHECK(n < size && out[n] == '\0' && strlen(out) == n && tu_is_utf8(out, n));
        CHECK(out[size] == 'X');
        bool whole = strcmp(out, "12345\xe2\x82\xac"
                                 "90\\x1b") == 0;
        CHECK(whole || size <= 15);
        CHECK(whole || size < 4 || (n >= 3 && strcmp(out + n - 3, "...") == 0));
    }
}

TEST(every_cut_is_safe)
{
    uint64_t state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[24], out[100];
        size_t length = tap_random(&state) % sizeof text, size = 1 + tap_random(&state) % 60;
        for (size_t i = 0; i < length; i++) { /* mostly bytes that begin or go on something */
            static const uint8_t likely[] = {0xe2, 0x82, 0xac, 0xf0, 0x9f, 0xc2, 0x9b, 0x1b, 'a', '\\'};
            uint64_t r = tap_random(&state);
            text[i] = (char)(r & 0x300 ? likely[r % sizeof likely] : (uint8_t)r);
        }
        memset(out, 'X', sizeof out);
        size_t n = tu_escape(text, length, out, size);
        bool good = n < size && strlen(out) == n && tu_is_utf8(out, n) && out[size] == 'X';
        for (size_t i = 0; i < n; i++)
            good = good && (uint8_t)out[i] >= ' ' && out[i] != 0x7f;
        if (!CHECK(good))
            return;
    }
}

TEST(utf8)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"", true},
        {"ascii", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc2", false},
        {"\xc2\x41", false},
        {"\xc2\xc2", false},
        {"\xe0\x80\x80", false},
        {"\xe0\x9f\xbf", false},
        {"\xe2\x82", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xf0\x80\x80\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\xfe", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tu_is_utf8(cases[i].text, strlen(cases[i].text)) != cases[i].good)
            tap_fail(__FILE__, __LINE__, "case %zu", i);
    CHECK(tu_is_utf8("a\0b", 3));
}

static const char *number(double value)
{
    static char text[TU_NUMBER_SIZE];
    tu_format_double(value, text);
    return text;
}

TEST(doubles_are_short)
{
    CHECK_STRING(number(0), "0");
    CHECK_STRING(number(1), "1");
    CHECK_STRING(number(-1.5), "-1.5");
    CHECK_STRING(number(0.1), "0.1");
    CHECK_STRING(number(1e-5), "1e-05");
    CHECK_STRING(number(1e300), "1e+300");
    CHECK_STRING(number(1.0 / 3), "0.3333333333333333");
    CHECK_STRING(number(0.1 + 0.2), "0.30000000000000004");
    CHECK_STRING(number(NAN), "nan");
    CHECK_STRING(number(INFINITY), "inf");
    CHECK_STRING(number(-INFINITY), "-inf");
    CHECK_STRING(number(9007199254740992), "9007199254740992");
}

TEST(doubles_read_back_the_same)
{
    static const double edges[] = {0.0, -0.0, 0x1p-1074, -0x1p-1074, 0x1.fffffffffffffp-1023, 0x1p-1022,
                                   0x1.fffffffffffffp1023, 0x1.0000000000001p0, 5e-324, 123456789012345680};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        CHECK_REAL(strtod(number(edges[i]), NULL), edges[i]);
    uint64_t state = 2;
    for (int round = 0; round < 100000; round++) {
        uint64_t bits = tap_random(&state);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value) && !CHECK_REAL(strtod(number(value), NULL), value))
            return;
        if (!CHECK(strlen(number(value)) < TU_NUMBER_SIZE))
            return;
    }
}

TEST(sizes_for_people)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},          {999, "999 B"},           {1000, "1.0 kB"},
                 {999949, "999.9 kB"},     {999950, "1.0 MB"},
                 {3200000000, "3.2 GB"}, {UINT64_MAX, "18.4 EB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TU_NUMBER_SIZE];
        tu_format_bytes(cases[i].bytes, text);
        CHECK_STRING(text, cases[i].text);
    }
}

TEST(whole_numbers)
{
    uint64_t n;
    CHECK(tu_parse_u64("0", &n) && n == 0);
    CHECK(tu_parse_u64("007", &n) && n == 7);
    CHECK(tu_parse_u64("18446744073709551615", &n) && n == UINT64_MAX);
    static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "1.0", "0x10", "1e3", "18446744073709551616",
                                      "99999999999999999999999", "one", "1k"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tu_parse_u64(bad[i], &n))
            tap_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
}

TEST(reals)
{
    double x;
    CHECK(tu_parse_double("0.999", &x) && x == 0.999);
    CHECK(tu_parse_double("-1e-4", &x) && x == -1e-4);
    CHECK(tu_parse_double("inf", &x) && isinf(x));
    CHECK(tu_parse_double("nan", &x) && isnan(x));
    static const char *const bad[] = {"", " 1", "1 ", "1x", "--1", "one", "1,5", "\t1", "\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tu_parse_double(bad[i], &x))
            tap_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
}

TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},           {"512", 512},          {"1k", 1000},      {"1kB", 1000},  {"1Ki", 1024},
                {"64KiB", 65536},   {"5M", 5000000},       {"5Mi", 5242880},  {"1G", 1000000000},
                {"1Gi", 1073741824}, {"2T", 2000000000000}, {"1B", 1},
                {"16777215Ti", 18446742974197923840u}};
    uint64_t n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!tu_parse_size(good[i].text, &n) || n != good[i].bytes)
            tap_fail(__FILE__, __LINE__, "'%s'", good[i].text);
    static const char *const bad[] = {"", "k", "-1", "1 k", "1kk", "1Q", "1Mo", "1.5G", "0x10", "16777216Ti",
                                      "18446744073709551616", "20000000T", "1i", "1iB", "1kiBB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tu_parse_size(bad[i], &n))
            tap_fail(__FILE__, __LINE__, "'%s' was taken as %ju", bad[i], (uintmax_t)n);
}
