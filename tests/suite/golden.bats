#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The larger checks, against files that other programs made: golden-check says what the folder holds.

load ../helpers

setup() {
    [ -n "${TU_GOLDEN:-}" ] || skip "TU_GOLDEN names no folder of golden files"
}

@test "files that other programs made" {
    run -0 golden-check "$TU_GOLDEN"
    echo "$output"
}
