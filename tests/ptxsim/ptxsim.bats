#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stand-in for the CUDA driver: it computes what a GPU would, and finds what a GPU would not tell.

# Functions are called by each().
# shellcheck disable=SC2317
load ../helpers

setup_file() {
    export SHARED_FOLDER=$BATS_FILE_TMPDIR
    compile nvcc kernels
    compile clang kernels
    compile nvcc faults
    compile clang faults
}

setup() {
    export LD_LIBRARY_PATH=$builddir/tests/ptxsim
    ptx=$SHARED_FOLDER
}

# compile COMPILER NAME: NAME-COMPILER.ptx, or why there is none in NAME-COMPILER.why.
compile() {
    local to=$BATS_FILE_TMPDIR/$2-$1 from=$srcdir/tests/ptxsim/$2.cu tool
    if [ "$1" = nvcc ]; then
        tool=$(PATH=$PATH:/usr/local/cuda/bin type -P nvcc) || { echo "no nvcc" > "$to.why"; return 0; }
        "$tool" -ptx -arch=compute_75 -w -o "$to.ptx" "$from" > "$to.why" 2>&1 && return
    else
        tool=$(type -P clang clang-{21..14} | head -n 1)
        if [ -z "$tool" ]; then
            echo "no clang" > "$to.why"
            return
        fi
        "$tool" -x cuda --cuda-device-only --cuda-gpu-arch=sm_75 -Xclang -target-feature -Xclang +ptx64 \
            -nocudainc -nocudalib -Wno-unknown-cuda-version -S -O3 -o "$to.ptx" "$from" > "$to.why" 2>&1 && return
    fi
    rm -f "$to.ptx"
}

# each COMMAND: for the PTX of every compiler, with ptx_of NAME.
each() {
    local done=0
    for compiler in nvcc clang; do
        [ -e "$ptx/kernels-$compiler.ptx" ] || continue
        "$@"
        done=1
    done
    [ $done = 1 ] || skip "no nvcc, and no clang that compiles CUDA"
}

ptx_of() {
    echo "$ptx/$1-$compiler.ptx"
}

@test "instructions and calls" {
    run -0 "$builddir/tests/ptxsim/unit"
}

@test "approximations with errors as large as may be" {
    run -0 env PTXSIM_APPROX=worst "$builddir/tests/ptxsim/unit"
}

@test "kernels give what the host computes" {
    kernels() {
        run -0 env PTXSIM_MODULE="$(ptx_of kernels)" "$builddir/tests/ptxsim/check"
    }
    each kernels
}

@test "kernels give it in any order of warps and blocks" {
    kernels() {
        for seed in 1 2 3; do
            run -0 env PTXSIM_SEED="$seed" PTXSIM_MODULE="$(ptx_of kernels)" "$builddir/tests/ptxsim/check"
        done
    }
    each kernels
}

@test "kernels bear approximations at their worst" {
    kernels() {
        run -0 env PTXSIM_APPROX=worst PTXSIM_MODULE="$(ptx_of kernels)" "$builddir/tests/ptxsim/check"
    }
    each kernels
}

# finds WHAT RESULT KERNEL THREADS SHARED BUFFER...: the launch succeeds, as nobody knows yet; then
# there is one line on standard error, and the same error again and again.
finds() {
    local what=$1 result=$2
    shift 2
    run --separate-stderr -0 "$builddir/tests/ptxsim/run" "$(ptx_of faults)" "$@"
    if [ "$output" != "CUDA_SUCCESS $result $result" ] || [ "${#stderr_lines[@]}" -ne 1 ] ||
        [[ $stderr != "ptxsim: kernel $1, block (0,0,0), thread ("*"PTX line "*"$what"* ]]; then
        echo "$compiler, $1: '$what' was expected, this came: $output $stderr"
        return 1
    fi
}

@test "every planted fault is found" {
    failed=CUDA_ERROR_LAUNCH_FAILED
    illegal=CUDA_ERROR_ILLEGAL_ADDRESS
    faults() {
        run --separate-stderr -0 "$builddir/tests/ptxsim/run" "$(ptx_of faults)" good 64 0 256
        [ "$output$stderr" = "CUDA_SUCCESS CUDA_SUCCESS CUDA_SUCCESS" ]
        run --separate-stderr -0 "$builddir/tests/ptxsim/run" "$(ptx_of faults)" warp_barrier 64 0 256
        [ "$output$stderr" = "CUDA_SUCCESS CUDA_SUCCESS CUDA_SUCCESS" ]
        finds "shared memory" $failed missing_barrier 64 0 256
        finds "shared memory race: read at" $failed missing_second_barrier 64 0 256
        finds "write of 4 bytes at" $illegal beyond_end 64 0 256
        finds "-4 bytes from the start of an allocation of 256" $illegal before_start 64 0 256 256
        finds "0x100 of shared memory, which has 256 declared" $illegal beyond_shared 96 0 384
        finds "declared and 252 dynamic ones" $illegal beyond_dynamic 64 252 256
        finds "read of shared memory at 0xfc that was never written" $failed unwritten_shared 64 0 256
        finds "read of device memory that was never written" $failed unwritten_device 64 0 256 -256
        finds "barrier in divergent code" $failed divergent_barrier 64 0 256
        finds "deadlock: waits at barrier 1" $failed deadlock 64 0 256
        finds "misaligned write of 4 bytes" CUDA_ERROR_MISALIGNED_ADDRESS misaligned 64 0 512
        finds "elsewhere" $failed lonely_shuffle 32 0 256
        finds "by another lane of the warp" $failed missing_warp_barrier 32 0 128
        finds "and a read by another lane" $failed missing_second_warp_barrier 64 0 256
        finds "trap" $failed trapped 32 0 256
        PTXSIM_LIMIT=10000 finds "more instructions than PTXSIM_LIMIT" $failed endless 32 0 256
    }
    each faults
}

@test "a launch that is to be waited for gives its fault itself" {
    launch() {
        run -0 env CUDA_LAUNCH_BLOCKING=1 "$builddir/tests/ptxsim/run" "$(ptx_of faults)" trapped 32 0 256
        says "CUDA_ERROR_LAUNCH_FAILED CUDA_ERROR_LAUNCH_FAILED"
    }
    each launch
}

@test "statistics" {
    count() {
        rm -f stats
        run -0 env PTXSIM_STATS=stats "$builddir/tests/ptxsim/run" "$(ptx_of faults)" good 64 0 256
        run -0 env PTXSIM_STATS=stats PTXSIM_MODULE="$(ptx_of kernels)" "$builddir/tests/ptxsim/check"
        run -0 python3 -c '
import json
launches = [json.loads(line) for line in open("stats")]
good = launches[0]
assert (good["kernel"], good["grid"], good["block"]) == ("good", [1, 1, 1], [64, 1, 1]), good
# 64 floats, of which 8 are in a sector; nothing else happens to memory.
assert good["global_store_bytes"] == 256 and good["global_store_sectors"] == 8, good
assert good["global_load_bytes"] == good["distinct_bytes_read"] == good["barriers"] == 0, good
assert good["kinds"]["st.global"] == {"warp": 2, "lane": 64}, good
by_name = {launch["kernel"]: launch for launch in launches}
# Each element of both matrices of 48 x 48 is read by 3 blocks; 9 blocks, 8 warps, 3 tiles, 2 barriers.
matmul = by_name["matmul"]
assert matmul["global_load_bytes"] == 2 * 3 * 48 * 48 * 4, matmul
assert matmul["global_load_sectors"] == 2 * 3 * 48 * 48 * 4 // 32, matmul
assert matmul["distinct_bytes_read"] == 2 * 48 * 48 * 4, matmul
assert matmul["barriers"] == 9 * 8 * 3 * 2, matmul
assert matmul["kinds"]["fma.f32"]["lane"] == 48 ** 3, matmul
# All of a warp store into rows that are 17 floats apart: one bank twice.  The loads are without conflict.
assert matmul["bank_conflicts"] == 9 * 8 * 3, matmul
assert matmul["divergent_branches"] == 0 < by_name["diverge"]["divergent_branches"]
'
    }
    each count
}
