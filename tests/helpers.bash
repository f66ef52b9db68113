# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Loaded by every .bats file: `load helpers`.

bats_require_minimum_version 1.5.0

# shellcheck disable=SC1090
. "${TU_TEST_ENVIRONMENT:?run the tests by make check}"

cd "$BATS_TEST_TMPDIR" || exit 1
