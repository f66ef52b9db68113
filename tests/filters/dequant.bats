#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-dequant(1): every floating and quantized tensor to one floating type, rounded once.

load ../helpers

# gives EXPECTED COMMAND...: the stream of COMMAND has the tensors of the file EXPECTED, bit for bit.
gives() {
    local expected=$1
    shift
    diff <(tensor-cat "$expected" | show-stream --digests) <("$@" | show-stream --digests)
}

@test "F16 and BF16 to F32" {
    # halves: 1, -2, least denormal 2^-24, least normal 2^-14, largest 65504, inf, -inf, -0
    # BF16: 1, -2, 2^-133 (least denormal), largest, inf, -0
    make-model a.tsr 'h F16 8 : 003c00c001000004ff7b007c00fc0080' 'b BF16 6 : 803f00c001007f7f807f0080' -- \
        want.tsr 'h F32 8 = 1 -2 0x1p-24 0x1p-14 65504 inf -inf -0' 'b F32 6 = 1 -2 0x1p-133 0x1.fep127 inf -0'
    gives want.tsr tensor-dequant a.tsr
    gives want.tsr tensor-dequant --to f32 a.tsr
    gives want.tsr tensor-dequant --to F32 < a.tsr
}

@test "NaN stays NaN, with its sign and what fits of its payload" {
    make-model a.tsr 'h F16 2 : 017e01fe' 'b BF16 2 : c17fc1ff' -- \
        want.tsr 'h F32 2 : 0020c07f0020c0ff' 'b F32 2 : 0000c17f0000c1ff'
    gives want.tsr tensor-dequant a.tsr
}

@test "F32 to F16 and BF16: to nearest, ties to even, once" {
    # Halves near 1 are 2^-10 apart, so 1 + 2^-11 is a tie (to 1) and 1 + 3 2^-11 another (to 1 + 2^-9).
    # 65519.996 is the last that does not overflow; 2^-25 is a tie with 0; 2^-24 (1 + 1/2) ties to 2^-23.
    make-model a.tsr 'w F32 9 = 0x1.002p0 0x1.006p0 0x1.002002p0 65519.996 65520 -65520 0x1p-25 0x1.000002p-25 0x1.8p-24' -- \
        want.tsr 'w F16 9 : 003c 023c 013c ff7b 007c 00fc 0000 0100 0200'
    gives want.tsr tensor-dequant --to f16 a.tsr
    # BF16 near 1 are 2^-7 apart: 1 + 2^-8 ties to 1, 1 + 3 2^-8 to 1 + 2^-6; the largest float32 rounds to infinity
    make-model b.tsr 'w F32 5 = 0x1.01p0 0x1.03p0 0x1.010002p0 0x1.fffffep127 -0x1p-149' -- \
        want.tsr 'w BF16 5 : 803f 823f 813f 807f 0080'
    gives want.tsr tensor-dequant --to bf16 b.tsr
}

@test "F64 to F32, F16 and BF16 is rounded once, not twice" {
    # 1 + 2^-11 + 2^-40 is above the tie of halves; by way of float32, which drops 2^-40, it would be the tie.
    # 1 + 2^-8 + 2^-50 the same for BF16; 1 + 2^-24 + 2^-52 for float32.
    make-model a.tsr 'w F64 4 = 0x1.0020000001p0 0x1.0100000000001p0 0x1.0000010000001p0 -0x1.001ffffffffffp0' -- \
        f16.tsr 'w F16 4 : 013c 043c 003c 00bc' -- \
        bf16.tsr 'w BF16 4 : 803f 813f 803f 80bf' -- \
        f32.tsr 'w F32 4 = 0x1.002p0 0x1.01p0 0x1.000002p0 -0x1.002p0'
    gives f16.tsr tensor-dequant --to f16 a.tsr
    gives bf16.tsr tensor-dequant --to bf16 a.tsr
    gives f32.tsr tensor-dequant a.tsr
}

@test "F64 beyond float32" {
    make-model a.tsr 'w F64 6 = 1e300 -1e300 1e-300 nan inf 0x1.fffffefffffffp127' -- \
        want.tsr 'w F32 6 = inf -inf 0 nan inf 0x1.fffffep127'
    gives want.tsr tensor-dequant a.tsr
    make-model want.tsr 'w F16 6 : 007c 00fc 0000 007e 007c 007c'
    gives want.tsr tensor-dequant --to f16 a.tsr
}

@test "integers and booleans pass unchanged, unless --all is given" {
    make-model a.tsr 'i I32 3 = 1 -2 16777217' 'b BOOL 3 = 0 1 2' 'u U64 1 = 18446744073709551615' 'l I64 1 = 9007199254740993' \
        'w F16 1 = 1' -- \
        want.tsr 'i I32 3 = 1 -2 16777217' 'b BOOL 3 = 0 1 2' 'u U64 1 = 18446744073709551615' 'l I64 1 = 9007199254740993' 'w F32 1 = 1' -- \
        all.tsr 'i F32 3 = 1 -2 16777216' 'b F32 3 = 0 1 1' 'u F32 1 = 0x1p64' 'l F32 1 = 0x1p53' 'w F32 1 = 1' -- \
        f16.tsr 'i F16 3 : 003c 00c0 007c' 'b F16 3 : 0000 003c 003c' 'u F16 1 : 007c' 'l F16 1 : 007c' 'w F16 1 : 003c'
    gives want.tsr tensor-dequant a.tsr
    gives all.tsr tensor-dequant --all a.tsr
    gives f16.tsr tensor-dequant --all --to f16 a.tsr
}

@test "complex numbers pass unchanged, even with --all" {
    make-model a.tsr 'c C64 1 = 1+2j'
    gives a.tsr tensor-dequant --all a.tsr
}

@test "blocks to floats" {
    # Q8_0: d = 0.5, q = 1..31, -1;  Q4_0: d = 1, byte j has element j below and j + 16 above, less 8
    make-model a.gguf "q Q8_0 1x32 : 0038$(printf '%02x' {1..31})ff" "r Q4_0 32 : 003c$(printf '%x0' {0..15})" -- \
        want.tsr "q F32 1x32 = $(for i in {1..31}; do echo -n "$((i / 2)).$((i % 2 * 5)) "; done) -0.5" \
        "r F32 32 = $(printf -- '-8 %.0s' {0..15})$(printf '%d ' {-8..7})"
    gives want.tsr tensor-dequant a.gguf
}

@test "rows that are padded to whole blocks" {
    # 2 x 33 of Q8_0: four blocks where rows are padded, three where they are not; d = 1
    local block padded
    block="003c$(printf '01%.0s' {1..32})"
    padded="003c02$(printf '7f%.0s' {1..31})"
    make-model a.tsr "w Q8_0 2x33 : $block$padded$block$padded" -- \
        want.tsr "w F32 2x33 = $(printf '1 %.0s' {1..32}) 2 $(printf '1 %.0s' {1..32}) 2"
    gives want.tsr tensor-dequant a.tsr
    run -0 pipeline 'tensor-dequant a.tsr | show-stream'
    [[ $output != *packing* ]]
}

@test "blocks that run over the rows" {
    # A Q4_K block of 256 times N: d = N as a half, no minimum, all scales 1, all codes 1.
    block() { echo -n "$1 0000 01010101 00000000 01010101 $(printf '11%.0s' {1..128}) "; }
    many() { printf "$1 %.0s" $(seq "$2"); }
    # 2 x 300 elements: in an APR file the size tells whether they are 3 blocks or 2 x 2.
    make-model flat.apr "w Q4_K 2x300 : $(block 003c; block 0040; block 0042)" -- \
        rows.apr "w Q4_K 2x300 : $(block 003c; block 0040; block 0042; block 0044)" -- \
        flat.tsr "w F32 2x300 = $(many 1 256) $(many 2 256) $(many 3 88)" -- \
        rows.tsr "w F32 2x300 = $(many 1 256) $(many 2 44) $(many 3 256) $(many 4 44)"
    gives flat.tsr tensor-dequant flat.apr
    gives rows.tsr tensor-dequant rows.apr
    run -0 pipeline 'tensor-cat flat.apr | show-stream'
    says '"packing": "flat"'
    run -0 pipeline 'tensor-dequant flat.apr | show-stream'
    [[ $output != *packing* ]]
    # and the comparison of the two meets in the middle
    run -0 pipeline 'tensor-cos flat.apr flat.tsr | verdict --rule "max_diff <= 0"'
    run -0 pipeline 'tensor-cat flat.apr | tensor-cos flat.tsr - | verdict --rule "max_diff <= 0"'
    run -0 tensor-cos --json flat.apr rows.apr
    # row 0 is equal; in row 1 the places 300 to 511 have 2 and 3, 512 to 555 3 and 3, the rest 3 and 4
    says '"identical_count":344' '"max_diff":1' '"worst_index":300'
}

@test "tensors that are not selected pass unchanged" {
    make-model a.tsr 'x F16 1 = 1' 'y F16 1 = 2' 'l.1.z BF16 1 = 3' -- \
        x.tsr 'x F32 1 = 1' 'y F16 1 = 2' 'l.1.z BF16 1 = 3' -- y.tsr 'x F16 1 = 1' 'y F32 1 = 2' 'l.1.z F32 1 = 3' -- \
        z.tsr 'x F16 1 = 1' 'y F16 1 = 2' 'l.1.z F32 1 = 3'
    gives x.tsr tensor-dequant --match x a.tsr
    gives y.tsr tensor-dequant --exclude x a.tsr
    gives z.tsr tensor-dequant --dtype bf16 a.tsr
    gives z.tsr tensor-dequant --layers 1 a.tsr
}

@test "the same bytes for any number of threads, from files and streams" {
    tensor-rand --tensor w=300x1001 --tensor b=70000 --type F64 > a.tsr
    tensor-save -q a.safetensors a.tsr
    for to in f32 f16 bf16; do
        tensor-dequant -j 1 --to $to a.tsr | show-stream --digests > want
        for jobs in 2 7; do
            tensor-dequant -j $jobs --to $to a.safetensors | show-stream --digests | cmp - want
            tensor-dequant -j $jobs --to $to < a.tsr | show-stream --digests | cmp - want
        done
    done
}

@test "what is announced is what follows" {
    make-model a.safetensors 'x F16 2 = 1 2' 'i I8 1 = 1'
    run -0 pipeline 'tensor-dequant a.safetensors | show-stream | grep index'
    [ "$output" = '{"kind": "index", "tensors": [{"name": "x", "dtype": "F32", "shape": [2], "nbytes": 8}, {"name": "i", "dtype": "I8", "shape": [1], "nbytes": 1}]}' ]
}

@test "--table tells what the tensors would be" {
    make-model a.safetensors 'x F16 2 = 1 2'
    run -0 tensor-dequant --tsv --to bf16 a.safetensors
    [ "${lines[1]}" = $'BF16\t[2]\t4\t0\tx' ]
}

@test "empty tensors and scalars" {
    make-model a.tsr 'e F16 0x4 = ' 's F16 - = 2' -- want.tsr 'e F32 0x4 = ' 's F32 - = 2'
    gives want.tsr tensor-dequant a.tsr
}

@test "other types are refused" {
    make-model a.tsr 'x F16 1 = 1'
    for type in i8 q4_0 f64 f8_e4m3 F33 ''; do
        refuses "--to" tensor-dequant --to "$type" a.tsr
    done
}
