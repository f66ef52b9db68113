#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-hunt(7): every command of the tutorial runs, in its order, and prints what the page says.

load ../helpers

@test "the tutorial does what it says" {
    run -0 run-tutorial "${srcdir:?}/man/tensor-hunt.7"
    [[ $output =~ ^([0-9]+)' commands'$ ]]
    [ "${BASH_REMATCH[1]}" -ge 20 ]
}

@test "and would be caught if it did not" {
    page=${srcdir:?}/man/tensor-hunt.7
    sed 's/verdict: pass/verdict: fail/' "$page" > other.7
    run -1 run-tutorial other.7
    [[ $output == *"prints something else"* ]]
    rm -f ./*.tsr
    sed '/^\$ cat fix.map/,/^\$ tensor/s/order(1,0,2,3)/order(0,1,2,3)/' "$page" > other.7
    run -1 run-tutorial other.7
    [[ $output == *"order(1,0,2,3)"* ]]
}
