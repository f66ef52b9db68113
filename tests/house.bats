#!/usr/bin/env bats
# The rules of the house, as tests/tools/house has them: the tree keeps each, and each is seen to fail
# on a fault that is planted in a copy of the tree.  No build, nothing but sh and awk.

load helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    (cd "$srcdir" && tar -cf - --exclude='*.o' --exclude=.libs --exclude=.deps \
        --exclude=tests/fuzz/found Makefile.am configure.ac CONTRIBUTING.md README.md filters lib man plugins scripts tests) | tar -xf -
}

# holds CHECK...: the tree keeps the rules.
holds() {
    run -0 house -C "$srcdir" "$@"
    [ -z "$output" ]
}

# plant FILE [LINES]: appends lines to a file of the copy, or makes it; the file is as before when
# the test ends.
plant() {
    cd "$BATS_FILE_TMPDIR"
    planted=$1
    [ ! -e "$1" ] || cp "$1" "$BATS_TEST_TMPDIR/before"
    printf '%s\n' "${@:2}" >> "$1"
}

# catches CHECK LINE WHAT: the check finds the planted fault at that line ($: the last).
catches() {
    local line=$2
    [ "$line" != '$' ] || line=$(wc -l < "$planted")
    run -1 house "$1"
    says "$planted:$line: $3"
}

teardown() {
    [ -z "${planted-}" ] || cd "$BATS_FILE_TMPDIR"
    [ -z "${planted-}" ] || rm "$planted"
    [ ! -e "$BATS_TEST_TMPDIR/before" ] || cp "$BATS_TEST_TMPDIR/before" "$planted"
}

@test "every folder of lib/ is a wing, which includes those above it" {
    holds wings
    plant lib/WINGS 'attic       base loft              what nobody needs'
    catches wings '$' 'attic includes loft, which is no wing'
    catches wings '$' 'there is no lib/attic'
}

@test "a wing that includes one below it in lib/WINGS is found" {
    plant lib/WINGS
    sed -i 's/^base  *- /base        tool /' lib/WINGS
    line=$(grep -n ^base lib/WINGS)
    catches wings "${line%%:*}" 'base includes tool, which stands below it'
}

@test "an include that lib/WINGS does not allow is found" {
    holds includes
    plant lib/judge/court.c '#include "model/model.h"'
    catches includes '$' 'judge includes model (model/model.h)'
}

@test "an include that names no wing, or no file, is found" {
    plant filters/verdict.c '#include "court.h"' '#include "judge/courtyard.h"'
    catches includes '$' 'there is no lib/judge/courtyard.h'
    says 'filters/verdict.c' '"court.h" names no wing'
}

@test "a plugin knows the interface, and what is compiled into it" {
    plant plugins/apr.c '#include "base/text.h"'
    catches includes '$' 'a plugin includes base/text.h, which is not compiled into it'
}

@test "an inner header that is included from outside is found" {
    holds faces
    plant filters/verdict.c '#include "judge/field.h"'
    cp lib/WINGS "$BATS_TEST_TMPDIR/WINGS"
    echo 'face judge court report reports/parts artifact drift evidence' >> lib/WINGS
    run -1 house faces
    cp "$BATS_TEST_TMPDIR/WINGS" lib/WINGS
    says "filters/verdict.c:$(wc -l < filters/verdict.c): judge/field.h is an inner header of judge"
}

@test "a tag, an enumerator and a macro that others see are defined once" {
    holds doubles
    plant lib/map/partner.c 'struct tu_arena {' '    int x;' '};' 'enum { A, TU_DUPLICATES_REFUSED };' '#define TU_GROW(x) x'
    catches doubles '$' 'macro TU_GROW is defined in lib/base/arena.h, too'
    last=$(wc -l < "$planted")
    says "$planted:$((last - 1)): enumerator TU_DUPLICATES_REFUSED" "$planted:$((last - 4)): tag tu_arena"
}

@test "a circle of headers is found" {
    holds circles
    plant lib/base/error.h '#include "tree/value.h"'
    run -1 house circles
    says 'base/error.h, which leads back to it'
}

@test "a room without an opening sentence is found" {
    holds openings
    plant lib/base/attic.c '/* SPDX-License-Identifier: MIT */' '#include "config.h"'
    catches openings 2 'opens with no sentence'
    printf '%s\n' '/* SPDX-License-Identifier: MIT */' '/* attic */' > lib/base/attic.c
    catches openings 2 'opens with no sentence'
    printf '%s\n' '/* SPDX-License-Identifier: MIT */' '/*' ' * Keeps what nobody needs,' ' * in order.' ' */' > lib/base/attic.c
    run house openings
    [[ $output != *attic* ]]
}

@test "a path that a comment names is there" {
    holds signposts
    plant lib/base/text.c '/* As tests/formats.bats does, and lib/base/t*.c; see judge/courtyard.h and cellar.h. */'
    catches signposts '$' 'there is no tests/formats.bats'
    catches signposts '$' 'there is no judge/courtyard.h'
    catches signposts '$' 'no file is called cellar.h'
}

@test "a name that a comment names is there" {
    plant lib/base/text.c '/* Like tu_text_of_nothing, and tu_escape. */'
    catches signposts '$' 'nothing is called tu_text_of_nothing'
    [[ $output != *tu_escape* ]]
}

@test "a make variable and a target that a text names are there" {
    plant CONTRIBUTING.md 'Then ROOMS in lib/local.mk,' 'the list `ATTICS` in' '`table.c`, and `make attic`.'
    catches signposts '$' 'make knows no attic'
    catches signposts '$' 'table.c has no ATTICS'
    says "local.mk has no ROOMS"
}

@test "a page that a page names is there" {
    plant man/verdict.1 'See \fBtensor\-attic\fR(1) and \fBtensor\-cos\fR(1), made by scripts/attic.'
    catches signposts '$' 'there is no man/tensor-attic.1'
    catches signposts '$' 'there is no scripts/attic'
    [[ $output != *tensor-cos* ]]
}

@test "the drawing in CONTRIBUTING.md is that of lib/WINGS" {
    holds drawing
    plant CONTRIBUTING.md
    sed -i 's/^\( judge .*\)|/\1o/' CONTRIBUTING.md
    line=$(grep -n '^ judge ' CONTRIBUTING.md)
    catches drawing "${line%%:*}" 'the drawing is not that of lib/WINGS'
}

@test "a file, a function, a filter and a folder that have grown too large are found" {
    holds sizes
    plant filters/attic.c 'int f(void)' '{' "$(printf '    f();\n%.0s' {1..49})" '}' "$(seq -f '// %g' 750)"
    catches sizes 2 'a function of 51 lines'
    catches sizes 400 'a filter of 400 lines or more that does not say why'
    catches sizes 801 'a file of more than 800 lines'
    mkdir lib/tool/attic
    for i in $(seq 31); do echo > "lib/tool/attic/$i.c"; done
    run -1 house sizes
    rm -r lib/tool/attic
    says 'more than 30 files in lib/tool/attic/'
}
