#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# From every format to every other one and back: types that both have keep their bits, the others are
# refused, or converted on demand and told of.

load ../helpers

FORMATS='safetensors gguf apr npz npy tsr'

# The types of each format.
SAFETENSORS='F64 F32 F16 BF16 F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ F8_E8M0 F6_E2M3 F6_E3M2 F4 C64 I64 I32 I16 I8 U64 U32 U16 U8 BOOL'
NUMPY='F64 F32 F16 C64 I64 I32 I16 I8 U64 U32 U16 U8 BOOL'
GGML='F64 F32 F16 BF16 I64 I32 I16 I8 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ2_S IQ4_XS IQ1_M TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0'
APR='F64 F32 F16 BF16 I64 I32 I8 U8 Q4_K Q6_K APR_Q4 APR_Q8'
declare -gA TYPES=([safetensors]=$SAFETENSORS [npz]=$NUMPY [npy]=$NUMPY [gguf]=$GGML [apr]=$APR
    [tsr]="$SAFETENSORS $GGML APR_Q4 APR_Q8")

# What --convert auto makes of types that a format lacks: FORMAT FROM TO.
AUTO='gguf F8_E4M3 F16
gguf F8_E4M3FNUZ F16
gguf F8_E5M2FNUZ F16
gguf F8_E5M2 F16
gguf F8_E8M0 BF16
gguf F6_E2M3 F16
gguf F6_E3M2 F16
gguf F4 F16
gguf U32 I64
gguf U16 I32
gguf U8 I16
gguf BOOL I8
gguf APR_Q4 F32
gguf APR_Q8 F32
apr F8_E8M0 BF16
apr I16 I32
apr U16 I32
apr U32 I64
apr BOOL I8
apr Q4_0 F32
apr IQ4_XS F32
npz BF16 F32
npz F8_E4M3 F16
npz F8_E8M0 F32
npz F4 F16
npz Q4_K F32
npz MXFP4 F32
npz APR_Q8 F32
npy BF16 F32
npy Q6_K F32
safetensors Q8_0 F32
safetensors TQ1_0 F32
safetensors APR_Q4 F32'

# all.tsr: a tensor of each type, of any bytes.  TYPE.tsr: the same, called array.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    python3 - "$srcdir/tests/tools" > arguments << 'END'
import random, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import formats
dice = random.Random(1)
blocks = {name: row[1:] for name, row in formats.GGML.items()}  # elements and bytes
blocks |= {"F8_E4M3": (1, 1), "F8_E5M2": (1, 1), "F8_E4M3FNUZ": (1, 1), "F8_E5M2FNUZ": (1, 1), "F8_E8M0": (1, 1), "F6_E2M3": (4, 3), "F6_E3M2": (4, 3), "F4": (2, 1),
           "C64": (1, 8), "U64": (1, 8), "U32": (1, 4), "U16": (1, 2), "U8": (1, 1), "BOOL": (1, 1), "APR_Q4": (32, 18), "APR_Q8": (1, 1)}
whole, single = ["all.tsr"], []
for name, (elements, size) in sorted(blocks.items()):
    data = dice.randbytes(2 * 256 // elements * size)
    if name == "BOOL":
        data = bytes(byte & 1 for byte in data)
    if name == "APR_Q8":
        data = b"\0\0\0\x3f" + data  # the scale
    whole.append(f"t.{name} {name} 2x256 : {data.hex()}")
    single += ["--", name + ".tsr", f"array {name} 2x256 : {data.hex()}"]
print("\n".join(whole + single))
END
    mapfile -t arguments < arguments
    make-model "${arguments[@]}"
}

setup() {
    all=$BATS_FILE_TMPDIR/all.tsr
}

# store FILE MODEL [OPTION]...
store() {
    case $1 in
    *.tsr) tensor-cat "${@:3}" "$2" > "$1" ;;
    *)
        rm -f "$1"
        tensor-save --quiet "${@:3}" "$1" "$2"
        ;;
    esac
}

# common A B: the types that two formats have.
common() {
    comm -12 <(tr ' ' '\n' <<< "${TYPES[$1]}" | sort -u) <(tr ' ' '\n' <<< "${TYPES[$2]}" | sort -u)
}

# Types, shapes and digests of the stored bytes.
state() {
    tensor-ls --tsv "$1" | cut -f 1-3,6
    tensor-hash --table "$1"
}

# keeps FILE MODEL: MODEL, stored in FILE, keeps all that the state in the file want has.
keeps() {
    store "$1" "$2"
    state "$1" > got
    cmp want got || {
        echo "$1 from $2"
        return 1
    }
}

@test "A to B and back to A keeps the bits of every type that both have" {
    local types count=0
    for a in $FORMATS; do
        for b in $FORMATS; do
            types=$(common "$a" "$b")
            [ "$a" != "$b" ] || continue
            [ "$a" != npy ] && [ "$b" != npy ] || continue
            tensor-cat --dtype "${types//$'\n'/,}" "$all" > some.tsr
            [ "$(tensor-ls --tsv some.tsr | wc -l)" -eq $((1 + $(wc -w <<< "$types"))) ]
            state some.tsr > want
            keeps "a.$a" some.tsr
            keeps "b.$b" "a.$a"
            keeps "c.$a" "b.$b"
            count=$((count + 1))
        done
    done
    [ $count -eq 20 ]
}

@test "so does one array" {
    local count=0 numbers
    for other in npz gguf apr safetensors tsr; do
        # that of all types is a matter of npy's header, and takes its time
        [ "$other" = npz ] && numbers=. || numbers='^(F16|I64|I8)$'
        for type in $(common npy "$other" | grep -E "$numbers"); do
            state "$BATS_FILE_TMPDIR/$type.tsr" > want
            keeps a.npy "$BATS_FILE_TMPDIR/$type.tsr"
            keeps "b.$other" a.npy
            keeps c.npy "b.$other"
            keeps "d.$other" c.npy
            count=$((count + 1))
        done
    done
    [ $count -eq $((13 + 4 * 3)) ]
}

@test "a type that a format lacks is refused by its name, with the option that helps" {
    local format from to
    while read -r format from to; do
        refuses "m.$format: tensor 'array' ($from): $format has no type $from (--convert auto makes it $to)" \
            tensor-save "m.$format" "$BATS_FILE_TMPDIR/$from.tsr"
        refuses "has no type $from (--convert auto" tensor-save --convert none "m.$format" "$BATS_FILE_TMPDIR/$from.tsr"
        [ ! -e "m.$format" ]
    done <<< "$AUTO"
}

# Bits that float32 can tell apart are compared as such, the others as numbers.
@test "--convert auto: the smallest type that holds every value, told in a line" {
    local format from to
    while read -r format from to; do
        run --separate-stderr -0 tensor-save --convert auto -f "m.$format" "$BATS_FILE_TMPDIR/$from.tsr"
        [ "$stderr" = "tensor-save: warning: 1 tensor converted from $from to $to ($format has no type $from): first array" ]
        run -0 tensor-ls --tsv "m.$format"
        says "$to"$'\t[2, 256]'
        case $to in
        I64 | I32) tensor-cos "m.$format" "$BATS_FILE_TMPDIR/$from.tsr" | verdict --rule 'max_diff <= 0' > /dev/null ;;
        *) cmp <(tensor-hash --decoded --table "m.$format") <(tensor-hash --decoded --table "$BATS_FILE_TMPDIR/$from.tsr") ;;
        esac
    done <<< "$AUTO"
}

@test "what the format has is not converted, whatever is asked" {
    for format in $FORMATS; do
        [ "$format" != tsr ] || continue
        for type in F16 I64 F64; do
            run --separate-stderr -0 tensor-save -f --convert F32 "m.$format" "$BATS_FILE_TMPDIR/$type.tsr"
            [ -z "$stderr" ]
            cmp <(state "m.$format") <(state "$BATS_FILE_TMPDIR/$type.tsr")
        done
    done
}

@test "the report counts alike conversions together" {
    make-model m.tsr 'a BF16 2 = 1 2' 'b BF16 1 = 3' 'c F32 1 = 4' 'd F8_E4M3 1 : 38' 'e BF16 1 = 5'
    run --separate-stderr -0 tensor-save --convert auto m.npz m.tsr
    [ "${#stderr_lines[@]}" -eq 2 ]
    [ "${stderr_lines[0]}" = "tensor-save: warning: 3 tensors converted from BF16 to F32 (npz has no type BF16): first a" ]
    [ "${stderr_lines[1]}" = "tensor-save: warning: 1 tensor converted from F8_E4M3 to F16 (npz has no type F8_E4M3): first d" ]
    tensor-cos m.npz m.tsr | verdict --rule 'max_diff <= 0'
    run --separate-stderr -0 tensor-save --quiet -f --convert auto n.npz m.tsr
    [ -z "$stderr" ]
    cmp m.npz n.npz
    # a stream, one thread; several files; a run that failed does not report
    run -0 pipeline 'tensor-cat m.tsr | tensor-save -q -j 1 -f --convert auto n.npz'
    cmp m.npz n.npz
    tensor-save -q --convert auto --max-shard-size 100 s.npz m.tsr
    cmp <(tensor-hash --table m.npz) <(tensor-hash --table s-*-of-00005.npz)
    refuses 'exists already' tensor-save --convert auto m.npz m.tsr
}

@test "no type holds the values: refused, unless one is named" {
    make-model u.tsr 'u U64 2 : 01000000000000000100000000008000' -- v.tsr 'v U64 1 : 0000000000000080' -- \
        n.tsr 'n I16 2 = 5 -1' -- c.tsr 'c C64 1 : 0000803f00000040'
    refuses "gguf has no type U64, nor one that holds all its values (--convert TYPE names another)" tensor-save u.gguf u.tsr
    refuses "nor one that holds all its values" tensor-save --convert auto u.gguf u.tsr
    run --separate-stderr -0 tensor-save --convert F64 u.gguf u.tsr
    [ "$stderr" = "tensor-save: warning: 1 tensor converted from U64 to F64, rounded (gguf has no type U64): first u" ]
    # 2^55 + 1 is between two doubles
    tensor-save -q u.safetensors <(tensor-cat u.gguf)
    [ "$(tail -c 16 u.safetensors | od -An -tx8 | tr -s ' ')" = " 3ff0000000000000 4360000000000000" ]
    # An integer type is exact or fails.
    run --separate-stderr -0 tensor-save --convert I64 -f u.gguf u.tsr
    [ "$stderr" = "tensor-save: warning: 1 tensor converted from U64 to I64 (gguf has no type U64): first u" ]
    refuses "tensor 'v': element 0 is 9223372036854775808: I64 has no such number" tensor-save --convert I64 v.gguf v.tsr
    refuses "tensor 'n': element 1 is -1: U8 has no such number" tensor-save --convert U8 n.apr n.tsr
    [ ! -e v.gguf ]
    [ ! -e n.apr ]
    # What no type can help is not blamed on the type.
    refuses "gguf has no type C64" tensor-save --convert auto c.gguf c.tsr
    refuses "and it cannot be stored as F32 there" tensor-save --convert F32 c.gguf c.tsr
    refuses "cannot be made F4" tensor-save --convert F4 c.gguf c.tsr
    refuses "--convert" tensor-save --convert F33 c.gguf c.tsr
    make-model d.tsr 'w F32 1x1x1x1x1 = 1'
    run --separate-stderr -2 tensor-save --convert auto d.gguf d.tsr
    [ "$stderr" = "tensor-save: d.gguf: tensor 'w' (F32): gguf has at most 4 dimensions" ]
}

@test "a named type is made by the quantizers, for what the format lacks" {
    tensor-rand --tensor w=4x256 --type F32 | tensor-quant --to Q4_0 > q.tsr
    run --separate-stderr -0 tensor-save --convert Q4_K q.apr q.tsr
    [ "$stderr" = "tensor-save: warning: 1 tensor converted from Q4_0 to Q4_K, rounded (apr has no type Q4_0): first w" ]
    cmp <(tensor-hash --table q.apr) <(tensor-dequant q.tsr | tensor-quant --to Q4_K | tensor-hash --table)
}

@test "metadata that a format has no place for is told of" {
    make-samples samples
    run --separate-stderr -0 tensor-save m.npz samples/good-metadata.safetensors
    [[ $stderr =~ ^"tensor-save: warning: "[0-9]+" keys of metadata are lost: npz has no place for them"$ ]]
    cmp <(tensor-hash --table m.npz) <(tensor-hash --table samples/good-metadata.safetensors)
}
