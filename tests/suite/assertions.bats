#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What looks like an assertion is one.  A test stops at the first command that fails, but bash takes no
# notice of "! command", nor of what fails in a list before its last "&&".

load ../helpers

# none PATTERN: no line of a test has it; those that do are shown.
none() {
    run ! grep -rnE --include='*.bats' --exclude=assertions.bats -e "$1" "$srcdir/tests"
}

@test "no assertion is lost in a negation" {
    none '^ +! [^|]*$'
}

@test "no assertion is lost in a list" {
    none '^ +\[\[? [^|]* \]\]? && \[[^|]*\]$|^ +(cmp|diff|grep|says|refuses) [^|<(]* && [^|]*$'
}

@test "no file is all sweeps, and none has a tag of another name" {
    for file in "$srcdir"/tests/*.bats "$srcdir"/tests/*/*.bats; do
        [ "$(grep -c '^# bats test_tags=sweep$' "$file")" -lt "$(grep -c '^@test ' "$file")" ]
    done
    [ "$(grep -rhE --include='*.bats' '^# *bats ' "$srcdir/tests" | sort -u)" = '# bats test_tags=sweep' ]
}

@test "no assertion can hold for anything" {
    none "^ +(refuses|says) (\"\"|'')"
    none '^ +[^#]*\|\| (true|:)$'
}
