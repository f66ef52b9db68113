#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-fault(1): each fault does what it says, to what was selected, and a gate sees it.

load helpers

setup() {
    make-model a.tsr "w F32 8x4 = $(seq -s ' ' 1 32)" 'other F32 2 = 1 2' 'h F16 4x2 = 1 2 3 4 5 6 7 8'
    tensor-rand --tensor q=4x256 > r.tsr
}

# numbers TENSOR: its elements, of the F32 tensors in out.tsr.
numbers() {
    tensor-dequant --match "$1" out.tsr | tensor-cat --match "$1" | tensor-save --force "$BATS_TEST_TMPDIR/n.safetensors"
    python3 -c 'import json, struct, sys
data = open(sys.argv[1], "rb").read()
raw = data[8 + struct.unpack("<Q", data[:8])[0]:]
print(*("%g" % x for x in struct.unpack("<%df" % (len(raw) // 4), raw)))' "$BATS_TEST_TMPDIR/n.safetensors"
}

@test "what is not selected passes unchanged" {
    for fault in nan bit swap-rows transpose channel zero-block 'swap-heads --heads 4'; do
        # shellcheck disable=SC2086
        tensor-fault --fault $fault --match w a.tsr > out.tsr
        diff <(tensor-cat --exclude w a.tsr | show-stream --digests) <(tensor-cat --exclude w out.tsr | show-stream --digests)
        [ "$(numbers w)" != "$(seq -s ' ' 1 32)" ]
        [ "$(numbers w | wc -w)" -eq 32 ]
    done
}

@test "the place depends on the seed and the name alone" {
    for fault in nan bit swap-rows channel; do
        tensor-fault --fault $fault --seed 3 --match w a.tsr > one.tsr
        cat a.tsr | tensor-fault --fault $fault --seed 3 --match w > two.tsr
        diff <(show-stream --digests one.tsr) <(show-stream --digests two.tsr)
        places=$(for seed in 0 1 2 3 4 5; do tensor-fault --fault $fault --seed $seed --match w a.tsr | show-stream --digests | sed -n 1p; done | sort -u | wc -l)
        [ "$places" -gt 1 ]
    done
}

@test "nan: one element of floats, one block of a quantized type" {
    tensor-fault --fault nan a.tsr > out.tsr
    run -0 pipeline 'tensor-cos a.tsr out.tsr --tsv | cut -f 12-13'
    [ "$output" = $'nan_a\tnan_b\n0\t1\n0\t1\n0\t1' ]
    tensor-quant --to Q4_K r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault nan q.tsr | tensor-cos q.tsr - --tsv | cut -f 13 | tail -n 1'
    [ "$output" = 256 ]
}

@test "swap-rows and swap-heads move whole rows" {
    tensor-fault --fault swap-rows --match w a.tsr > out.tsr
    run -0 numbers w
    [ "$(xargs -n 4 <<< "$output" | sort -n | xargs)" = "$(seq -s ' ' 1 32)" ]
    tensor-fault --fault swap-heads --heads 2 --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(seq -s ' ' 17 32) $(seq -s ' ' 1 16)" ]
    tensor-quant --to Q8_0 r.tsr > q.tsr
    tensor-fault --fault swap-heads --heads 2 q.tsr | tensor-fault --fault swap-heads --heads 2 > out.tsr
    diff <(show-stream --digests q.tsr) <(show-stream --digests out.tsr)
}

@test "transpose" {
    tensor-fault --fault transpose --match w a.tsr > out.tsr
    [ "$(numbers w)" = "$(for i in 1 2 3 4; do seq -s ' ' $i 4 32; done | xargs)" ]
    tensor-rand --tensor w=300x200 --tensor w2=1x7 > big.tsr
    tensor-fault --fault transpose big.tsr > out.tsr
    tensor-cat --match w big.tsr | tensor-save big.safetensors
    python3 -B - << 'END'
import json, struct
data = open("big.safetensors", "rb").read()
raw = data[8 + struct.unpack("<Q", data[:8])[0]:]
cell = [raw[4 * i:4 * i + 4] for i in range(60000)]
open("want", "wb").write(b"".join(cell[i * 200 + j] for j in range(200) for i in range(300)))
END
    tensor-cat --match w out.tsr | tensor-save out.safetensors
    cmp want <(tail -c 240000 out.safetensors)
}

@test "channel: one row times 1.15" {
    tensor-fault --fault channel --match w a.tsr > out.tsr
    numbers w | xargs -n 4 > got
    [ "$(seq 1 32 | xargs -n 4 | diff - got | grep -c '^>')" -eq 1 ]
    tensor-quant --to Q8_0 r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault channel q.tsr | tensor-cos q.tsr - | verdict --rule "max_rel_diff < 0.2" --rule "cosine_similarity < 1" --rule "cosine_similarity > 0.99"'
}

@test "zero-block and stale-scale" {
    tensor-quant --to Q4_0 r.tsr > q.tsr
    run -0 pipeline 'tensor-fault --fault zero-block q.tsr | tensor-cos q.tsr - | verdict --rule "identical_count >= 992" --rule "identical_count < 1024"'
    tensor-fault --fault stale-scale q.tsr > out.tsr
    run -0 pipeline 'tensor-cos q.tsr out.tsr | verdict --rule "cosine_similarity < 1" --rule "cosine_similarity > 0.9"'
}

@test "every fault fails a gate" {
    tensor-quant --to Q4_0 r.tsr > q.tsr
    for fault in nan bit swap-rows stale-scale channel zero-block 'swap-heads --heads 2'; do
        # shellcheck disable=SC2086
        run -1 pipeline "tensor-fault --fault $fault q.tsr | tensor-cos q.tsr - | verdict --rule 'max_diff <= 0'"
    done
    run -2 pipeline 'tensor-fault --fault truncate q.tsr | tensor-cos q.tsr - | verdict --rule "max_diff <= 0"'
    run -0 pipeline 'tensor-fault --fault truncate q.tsr > cut.tsr'
    refuses "truncated" tensor-ls cut.tsr
}

@test "a tensor that cannot have the fault is trouble" {
    make-model i.tsr 'i I32 4 = 1 2 3 4' -- none.tsr 'e F32 0 = ' -- row.tsr 'r F32 4 = 1 2 3 4'
    refuses "tensor 'i': its type has no NaN" tensor-fault --fault nan i.tsr
    refuses "tensor 'e': it has no elements" tensor-fault --fault bit none.tsr
    refuses "tensor 'r': it has no rows" tensor-fault --fault swap-rows row.tsr
    refuses "tensor 'r': it has no two blocks with a scale" tensor-fault --fault stale-scale row.tsr
    refuses "no matrix" tensor-fault --fault transpose row.tsr
    refuses "not that many heads" tensor-fault --fault swap-heads --heads 3 --match w a.tsr
    refuses "needs --heads" tensor-fault --fault swap-heads a.tsr
    refuses "'none' is no fault" tensor-fault --fault none a.tsr
    refuses "--fault names" tensor-fault a.tsr
}
