# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Loaded by every .bats file: `load helpers`.

bats_require_minimum_version 1.5.0

# shellcheck disable=SC1090
. "${TU_TEST_ENVIRONMENT:?run the tests by make check}"

# The system's interpreter, which scripts/setup gives what tests import, or else itself the one on PATH: a wrapper, or
# packages that are looked at whenever it starts, may cost more than the scripts do.
if [ ! -e "$BATS_RUN_TMPDIR/bin" ]; then
    mkdir "$BATS_RUN_TMPDIR/bin"
    if [ -x /usr/bin/python3 ]; then
        ln -s /usr/bin/python3 "$BATS_RUN_TMPDIR/bin/python3"
    else
        ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$BATS_RUN_TMPDIR/bin/python3"
    fi
fi
PATH="$builddir/filters:$srcdir/tests/tools:$srcdir/tests/reference:$BATS_RUN_TMPDIR/bin:$PATH"

# The search for leaks takes a quarter of a short process under sanitizers.  Programs of tests/unit and the
# fuzz targets make it, and every-filter.bats of each filter: these set TU_LEAKS before they load this.
if [ -n "$TU_SANITIZED" ] && [ -z "${TU_LEAKS-}" ]; then
    export ASAN_OPTIONS=detect_leaks=0
fi

# Tests work in an empty folder of their own; setup_file in one that its tests share.
if [ -n "${BATS_TEST_TMPDIR:-}" ]; then
    mkdir -p "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || exit 1
fi

# refuses FRAGMENT COMMAND...: COMMAND exits 2 with one line on standard error, which has FRAGMENT
# and no control characters.
refuses() {
    local fragment=${1:?what the message has is missing}
    shift
    # shellcheck disable=SC2154
    run --separate-stderr -2 "$@"
    if [ "${#stderr_lines[@]}" -ne 1 ] || [[ $stderr != *"$fragment"* || $stderr == *[[:cntrl:]]* ]]; then
        echo "one line with '$fragment' was expected on standard error, this came:"
        echo "$stderr"
        return 1
    fi
}

# says FRAGMENT...: the output of the last run has each of them.
says() {
    local fragment
    for fragment; do
        if [[ -z $fragment || $output != *"$fragment"* ]]; then
            echo "'$fragment' was expected in:"
            echo "$output"
            return 1
        fi
    done
}

# sh -c with pipefail: the status of a pipeline is that of the last part that failed.
pipeline() {
    bash -o pipefail -c "$@"
}

# ends PID STATUS: a job of the background ends with that status.
ends() {
    local status=0
    wait "$1" || status=$?
    if [ $status -ne "$2" ]; then
        echo "exit status $2 was expected of job $1, it was $status"
        return 1
    fi
}
