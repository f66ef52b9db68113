#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-quant(1): floats to narrower and quantized types.

load ../helpers

# gives EXPECTED COMMAND...: the stream of COMMAND has the tensors of the file EXPECTED, bit for bit.
gives() {
    local expected=$1
    shift
    diff <(tensor-cat "$expected" | show-stream --digests) <("$@" | show-stream --digests)
}

repeat() {
    printf -- "$1 %.0s" $(seq "$2")
}

@test "F16 and BF16, of tensors of any shape" {
    make-model a.tsr 'w F32 2x2 = 1 0x1.002p0 0x1.006p0 65520' 'b F64 1 = 0x1.0020000001p0' 's BF16 - = 2' 'i I8 1 = 3' -- \
        want.tsr 'w F16 2x2 : 003c 003c 023c 007c' 'b F16 1 : 013c' 's F16 - : 0040' 'i I8 1 = 3'
    gives want.tsr tensor-quant --to f16 a.tsr
    make-model a.tsr 'w F32 5 = 1 0x1.01p0 0x1.03p0 0x1.fffffep127 nan' -- \
        want.tsr 'w BF16 5 : 803f 803f 823f 807f c07f'
    gives want.tsr tensor-quant --to BF16 a.tsr
}

@test "Q8_0 is the reference, bit for bit" {
    # The largest is 127, so d = 1 and q = x rounded, halves away from zero.
    # 32 numbers: 127 0.5 -0.5 1.5 -1.5 2.5 0.49 -126.5 3 0 ...
    make-model a.tsr "w F32 1x32 = 127 0.5 -0.5 1.5 -1.5 2.5 0.49 -126.5 3 $(repeat 0 23)" -- \
        want.tsr "w Q8_0 1x32 : 003c 7f 01 ff 02 fe 03 00 81 03 $(repeat 00 23)"
    gives want.tsr tensor-quant --to q8_0 a.tsr
    # The largest is -1: d = 1/127, stored as the half 2008 (0.0078735), but q is made with the d that
    # was not rounded: 0.5 / d = 63.5 goes to 64, and 1 is 127.
    make-model a.tsr "w F32 1x32 = -1 1 0.5 -0.5 $(repeat 0 28)" -- \
        want.tsr "w Q8_0 1x32 : 0820 81 7f 40 c0 $(repeat 00 28)"
    gives want.tsr tensor-quant --to Q8_0 a.tsr
    # zeros
    make-model a.tsr "w F32 1x64 = $(repeat 0 32) $(repeat -0 32)" -- want.tsr "w Q8_0 1x64 : $(repeat 00 68)"
    gives want.tsr tensor-quant --to q8_0 a.tsr
}

@test "Q8_K is the reference, bit for bit" {
    # X = -127 is the first of the largest: f = -127 / X = 1, d = 1, q = x rounded, halves to even; the
    # last 2 bytes of a group of 16 hold its sum.
    make-model a.tsr "w F32 1x256 = -127 0.5 1.5 2.5 -0.5 -1.5 127 $(repeat 0 249)" -- \
        want.tsr "w Q8_K 1x256 : 0000803f 81 00 02 02 00 fe 7f $(repeat 00 249) 0200 $(repeat 0000 15)"
    gives want.tsr tensor-quant --to q8_k a.tsr
    # X = 127 comes first: f = -1, d = -1, and the signs turn; -127 becomes 127
    make-model a.tsr "w F32 1x256 = 0 127 -127 1 $(repeat 0 251) 2" -- \
        want.tsr "w Q8_K 1x256 : 000080bf 00 81 7f ff $(repeat 00 251) fe ffff $(repeat 0000 14) feff"
    gives want.tsr tensor-quant --to q8_k a.tsr
}

@test "Q4_0 is the reference, bit for bit" {
    # X = -8: d = 1, code = trunc(x + 8.5), at most 15; element j in the low half, j + 16 in the high half of byte j
    # -8 -7.6 -7.4 0 0.4 0.5 7 7.9 and eight zeros; then sixteen times 1
    make-model a.tsr "w F32 1x32 = -8 -7.6 -7.4 0 0.4 0.5 7 7.9 $(repeat 0 8) $(repeat 1 16)" -- \
        want.tsr "w Q4_0 1x32 : 003c 90 90 91 98 98 99 9f 9f $(repeat 98 8)"
    gives want.tsr tensor-quant --to q4_0 a.tsr
    # X = 8: d = -1, so codes run the other way
    make-model a.tsr "w F32 1x32 = 8 -7 1 $(repeat 0 29)" -- want.tsr "w Q4_0 1x32 : 00bc 80 8f 87 $(repeat 88 13)"
    gives want.tsr tensor-quant --to q4_0 a.tsr
}

@test "what a quantized type costs on normally distributed weights" {
    # Bounds a little above what the reference quantizers of the types reach.
    tensor-rand --seed 3 --tensor w=64x4096 > a.tsr
    for bound in 'Q8_0 4e-5' 'Q4_0 8e-3' 'Q4_1 6.5e-3' 'Q5_0 2e-3' 'Q5_1 1.5e-3' 'Q2_K 1e-1' 'Q3_K 2.5e-2' 'Q4_K 5.5e-3' \
        'Q5_K 1.5e-3' 'Q6_K 4e-4' 'Q8_K 6e-5' 'IQ4_NL 7e-3' 'IQ4_XS 7.5e-3' 'NVFP4 9e-3'; do
        # shellcheck disable=SC2086
        set -- $bound
        run -0 pipeline "tensor-quant --to $1 a.tsr | tensor-cos a.tsr - | verdict --rule 'nmse < $2' --rule 'dtype_b == $1'"
    done
}

@test "Q4_K keeps the cosine that the main job asks for" {
    tensor-rand --seed 4 --like qwen2 --num-layers 1 --hidden 256 --heads 4 --kv-heads 2 --head-dim 64 --ffn 512 --vocab 300 > a.tsr
    run -0 pipeline 'tensor-quant --to Q4_K a.tsr | tensor-cos a.tsr - | verdict --min 0.99'
    run -1 pipeline 'tensor-quant --to Q4_K a.tsr | tensor-cos a.tsr - | verdict --min 0.999'
    run -0 pipeline 'tensor-quant --to Q6_K a.tsr | tensor-cos a.tsr - | verdict --min 0.9995'
}

@test "blocks of equal numbers, and of zeros, are exact where the type can be" {
    make-model a.tsr "w F32 1x512 = $(repeat 0 256) $(repeat 2 256)"
    for type in Q4_0 Q8_0 Q8_K Q4_K Q6_K Q2_K Q3_K Q5_K; do
        run -0 pipeline "tensor-quant --to $type a.tsr | tensor-cos a.tsr - | verdict --rule 'max_diff <= 0.02'"
    done
    make-model z.tsr "w F32 1x256 = $(repeat 0 256)"
    for type in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_K Q4_K Q6_K Q2_K Q3_K Q5_K; do
        run -0 pipeline "tensor-quant --to $type z.tsr | tensor-cos z.tsr - | verdict --rule 'max_diff <= 0' --allow undefined"
    done
}

@test "one large number does not spoil the others of another block" {
    make-model a.tsr "w F32 1x512 = 10000 $(repeat 0 255) $(repeat 0.5 128) $(repeat -0.5 128)"
    for type in Q4_0 Q8_0 Q4_K Q6_K; do
        tensor-quant --to $type a.tsr | tensor-dequant > b.tsr
        run -0 pipeline 'tensor-cos a.tsr b.tsr | verdict --rule "max_rel_diff < 0.2"'
    done
}

@test "tensors of one dimension stay, unless --all is given" {
    make-model a.tsr "b F32 32 = $(repeat 1 32)" "w F32 1x32 = $(repeat 1 32)" 's F32 - = 1'
    run -0 pipeline 'tensor-quant --to q8_0 a.tsr | tensor-ls --tsv | cut -f 1,8'
    [ "$output" = $'dtype\tname\nF32\tb\nQ8_0\tw\nF32\ts' ]
    run --separate-stderr -0 pipeline 'tensor-quant --all --to q8_0 a.tsr | tensor-ls --tsv | cut -f 1,8'
    [ "$output" = $'dtype\tname\nQ8_0\tb\nQ8_0\tw\nF32\ts' ]
    [[ $stderr == *"warning: tensor 's' stays F32"* ]]
}

@test "rows that are no whole blocks stay, with a warning" {
    make-model a.tsr "w F32 2x33 = $(repeat 1 66)" "v F32 2x32 = $(repeat 1 64)"
    run --separate-stderr -0 pipeline 'tensor-quant --to q8_0 a.tsr | tensor-ls --tsv | cut -f 1,8'
    [ "$output" = $'dtype\tname\nF32\tw\nQ8_0\tv' ]
    [[ ${#stderr_lines[@]} -eq 1 && $stderr == "tensor-quant: warning: tensor 'w' stays F32: "*"blocks of 32"* ]]
    run --separate-stderr -0 pipeline 'tensor-quant -q --to q8_0 a.tsr | tensor-ls --tsv'
    [ -z "$stderr" ]
    run --separate-stderr -0 pipeline 'tensor-quant --to q4_k a.tsr | tensor-ls --tsv | cut -f 1'
    [ "$output" = $'dtype\nF32\nF32' ]
}

@test "that nothing was changed is said" {
    make-model a.tsr "w F16 2x32 = $(repeat 1 64)" "v F16 32 = $(repeat 1 32)"
    run --separate-stderr -0 sh -c 'tensor-quant --to f16 a.tsr > /dev/null'
    [ "$stderr" = "tensor-quant: warning: nothing was changed: all 2 tensors are F16 already" ]
    run --separate-stderr -0 sh -c 'tensor-quant --to q8_0 --match v a.tsr > /dev/null'
    [ "$stderr" = "tensor-quant: warning: nothing was changed: none of 1 tensors can be made Q8_0 (--all takes those of one dimension, too)" ]
    run --separate-stderr -0 sh -c 'tensor-quant -q --to f16 a.tsr > /dev/null'
    [ -z "$stderr" ]
}

@test "integers, booleans and quantized tensors pass unchanged" {
    make-model a.gguf "i I32 1x32 = $(repeat 5 32)" "q Q4_0 1x32 : 003c $(repeat 88 16)" "w F16 1x32 = $(repeat 1 32)"
    run --separate-stderr -0 pipeline 'tensor-quant --to q8_0 --all a.gguf | tensor-ls --tsv | cut -f 1'
    [[ $stderr == "tensor-quant: warning: 1 tensor is quantized already, as Q4_0, and passes unchanged (tensor-dequant before this makes them Q8_0"* ]]
    [ "$output" = $'dtype\nI32\nQ4_0\nQ8_0' ]
    diff <(tensor-cat --exclude w a.gguf | show-stream --digests) \
        <(tensor-quant --to q8_0 a.gguf | tensor-cat --exclude w | show-stream --digests)
}

@test "NaN and infinity end the run at their place" {
    for number in nan inf -inf; do
        make-model a.tsr "ok F32 1x256 = $(repeat 1 256)" "w F32 2x256 = $(repeat 1 300) $number $(repeat 1 211)"
        for type in q8_0 q4_0 q4_k q6_k q8_k; do
            refuses "tensor 'w': element 300 is" pipeline "tensor-quant --to $type a.tsr > /dev/null"
        done
        run -0 pipeline 'tensor-quant --to f16 a.tsr | tensor-ls --tsv'
    done
}

@test "numbers that are too large for the scale of a block end the run at their place" {
    local type
    tensor-rand --tensor w=2x256 --seed 4 > small.tsr
    for scale in 1e6 1e20 1e38; do
        echo "w = w : scale($scale)" > s.map
        tensor-map --map ./s.map --to right small.tsr > large.tsr
        for type in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0 APR_Q4; do
            # either it says so, or what came is the tensor, as far as the type can tell
            status=0
            tensor-quant --to "$type" large.tsr > q.tsr 2> said || status=$?
            echo "$scale $type: $status $(< said)"
            if [ $status -eq 2 ]; then
                [[ $(< said) =~ ^"tensor-quant: tensor 'w': element "[0-9]+" is "[-0-9.e+]+": a block of $type cannot hold it"$ ]]
            else
                [ $status -eq 0 ]
                tensor-quant --to "$type" small.tsr | tensor-cos --json small.tsr - > want
                tensor-cos --json large.tsr q.tsr > got
                python3 -c '
import json, sys
want, got = (json.load(open(name)) for name in ("want", "got"))
assert got["status"] == "ok" and abs(got["cosine_similarity"] - want["cosine_similarity"]) < 0.02, (want, got)'
            fi
        done > log || { cat log; return 1; }
        cat log >> all
    done
    # F16 holds 65504: a block of Q8_0 127 times that, at most
    grep -q '1e6 Q8_0: 0' all
    grep -q '1e20 Q8_0: 2' all
    grep -q '1e20 Q4_K: 2' all
    grep -q '1e38 Q8_K: 0' all
    grep -q '1e20 MXFP4: 0' all
}

@test "a float64 number beyond float32 is no number for a block" {
    make-model a.tsr "w F64 1x32 = 1e300 $(repeat 1 31)"
    refuses "'w'" pipeline 'tensor-quant --to q8_0 a.tsr > /dev/null'
}

@test "selection" {
    make-model a.tsr "x F32 1x32 = $(repeat 1 32)" "l.0.y F16 1x32 = $(repeat 1 32)"
    run -0 pipeline 'tensor-quant --to q8_0 --match x a.tsr | tensor-ls --tsv | cut -f 1 | tr "\n" " "'
    [ "$output" = "dtype Q8_0 F16 " ]
    run -0 pipeline 'tensor-quant --to q8_0 --layers 0 a.tsr | tensor-ls --tsv | cut -f 1 | tr "\n" " "'
    [ "$output" = "dtype F32 Q8_0 " ]
    run -0 pipeline 'tensor-quant --to q8_0 --dtype f16 a.tsr | tensor-ls --tsv | cut -f 1 | tr "\n" " "'
    [ "$output" = "dtype F32 Q8_0 " ]
}

@test "the same bytes for any number of threads and on any processor" {
    tensor-rand --seed 5 --tensor w=130x1024 > a.tsr
    for type in F16 BF16 Q8_0 Q8_K Q4_0 Q4_K Q6_K; do
        TENSORUTILS_CPU=baseline tensor-quant -j 1 --to $type a.tsr > want
        tensor-quant -j 2 --to $type a.tsr | cmp - want
        tensor-quant -j 7 --to $type < a.tsr | cmp - want
        for cpu in $(tensor-ls --cpu | sed -n 's/^\([a-z0-9]*\) *built, supported.*/\1/p'); do
            TENSORUTILS_CPU=$cpu tensor-quant --to $type a.tsr | cmp - want
        done
    done
}

@test "--to must be given, and be a type that can be made" {
    make-model a.tsr "w F32 1x32 = $(repeat 1 32)"
    refuses "--to" tensor-quant a.tsr
    for type in i8 c64 iq2_xxs f8_e4m3 apr_q8; do
        refuses "--to" tensor-quant --to $type a.tsr
    done
    refuses "'F33'" tensor-quant --to F33 a.tsr
}

@test "--table tells what the tensors would be" {
    make-model a.safetensors "w F32 1x32 = $(repeat 1 32)"
    run -0 tensor-quant --tsv --to q8_0 a.safetensors
    [ "${lines[1]}" = $'Q8_0\t[1, 32]\t34\t0\tw' ]
}
