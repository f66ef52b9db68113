/* SPDX-License-Identifier: MIT */
/* What paths are made of. */
#include "config.h"

#include "base/path.h"

#include "../tap.h"

static const char *folder_of(const char *path)
{
    static char text[64];
    const char *folder;
    size_t length = tu_folder_of(path, &folder);
    snprintf(text, sizeof text, "%.*s", (int)length, folder);
    return text;
}

TEST(a_folder_and_a_name)
{
    static const struct {
        const char *path, *folder, *name;
    } cases[] = {{"a", ".", "a"},        {"/a", "/", "a"},       {"/", "/", ""},
                 {"a/b", "a", "b"},      {"a/b/", "a/b", ""},    {"./a", ".", "a"},
                 {"/a/b.c", "/a", "b.c"}, {"a.b/c", "a.b", "c"}, {"", ".", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STRING(folder_of(cases[i].path), cases[i].folder);
        CHECK_STRING(tu_file_name(cases[i].path), cases[i].name);
    }
}

TEST(an_extension)
{
    CHECK_UINT(tu_file_stem("a.map"), 1);
    CHECK_UINT(tu_file_stem("a.b.map"), 3);
    CHECK_UINT(tu_file_stem("map"), 3);
    CHECK_UINT(tu_file_stem(".map"), 4); /* hidden */
    CHECK_UINT(tu_file_stem("a."), 1);
    CHECK_UINT(tu_file_stem(""), 0);
}

TEST(a_suffix)
{
    CHECK_UINT(tu_stem("a.weight", 8, ".weight"), 1);
    CHECK_UINT(tu_stem("a.weight!", 8, ".weight"), 1); /* as long as it is said to be */
    CHECK_UINT(tu_stem(".weight", 7, ".weight"), 0);   /* nothing stands in front of it */
    CHECK_UINT(tu_stem("a.weighs", 8, ".weight"), 0);
    CHECK_UINT(tu_stem("weight", 6, ".weight"), 0);
    CHECK_UINT(tu_stem("", 0, ".weight"), 0);
    CHECK_UINT(tu_stem("ab", 2, ""), 2);
}
