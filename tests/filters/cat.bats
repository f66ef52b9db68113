#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-cat(1): files and streams to one stream; and the selection options that all tools share.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4' 'b F16 3 = 1 2 3' -- \
        b.gguf 'g F32 2x3 = 1 2 3 4 5 6' -- c.apr 'p F32 1 = 7' -- d.tsr 's F64 - = 0.5' -- \
        layers.safetensors 'embed F32 8 = 1 2 3 4 5 6 7 8' 'model.layers.0.w F32 1 = 0' 'model.layers.2.w F16 1 = 2' \
        'model.layers.10.w F32 2 = 10 10' 'blk.27.b BF16 1 = 27' 'blk.3x.b F32 1 = 0' 'norm I8 1 = 1'
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# The names in a stream, one after another.
names() {
    "$@" | tensor-ls --tsv | tail -n +2 | cut -f 8 | tr '\n' ' '
}

@test "files of all formats and streams become one stream" {
    [ "$(names tensor-cat a.safetensors b.gguf c.apr d.tsr)" = "w b g p s " ]
    [ "$(names tensor-cat d.tsr a.safetensors)" = "s w b " ]
}

@test "standard input: without operands, and for -" {
    [ "$(names tensor-cat < d.tsr)" = "s " ]
    [ "$(names tensor-cat b.gguf - a.safetensors < d.tsr)" = "g s w b " ]
    run -0 pipeline 'cat d.tsr | tensor-cat - | tensor-ls --tsv'
    says $'\ts'
}

@test "a file of any format on standard input, also through a pipe" {
    for file in a.safetensors b.gguf c.apr d.tsr; do
        run -0 pipeline "cmp <(tensor-cat < $file | show-stream --digests) <(tensor-cat $file | show-stream --digests)"
        run -0 pipeline "cmp <(cat $file | tensor-cat | show-stream --digests) <(tensor-cat $file | show-stream --digests)"
    done
}

@test "the format is found by the content, not by the name" {
    cp b.gguf "$BATS_TEST_TMPDIR/b.safetensors"
    cp a.safetensors "$BATS_TEST_TMPDIR/model"
    [ "$(names tensor-cat "$BATS_TEST_TMPDIR/b.safetensors" "$BATS_TEST_TMPDIR/model")" = "g w b " ]
}

@test "operands are read in their order, and the first bad one ends the run" {
    refuses "absent.gguf" tensor-cat absent.gguf a.safetensors
    run -0 pipeline 'tensor-cat a.safetensors absent.gguf 2> /dev/null | show-stream || true'
    says '"name": "w"' '"name": "b"' '"kind": "error"'
}

@test "what is said of a source and its tensors" {
    run -0 pipeline 'tensor-cat b.gguf | show-stream'
    says '"id": 0, "path": "b.gguf", "format": "gguf", "bytes": 128' \
        '{"kind": "tensor", "name": "g", "dtype": "F32", "shape": [2, 3], "nbytes": 24, "source": 0, "offset": 96}'
}

@test "metadata and its types go along" {
    make-samples "$BATS_TEST_TMPDIR"
    run -0 pipeline 'tensor-cat "$1"/good-metadata.gguf | show-stream' sh "$BATS_TEST_TMPDIR"
    says '"a": 255, "b": -128, "c": 65535, "d": -32768, "e": 2147483648, "f": -2147483648, "g": 0.10000000149011612, "h": true' \
        '"i": "text", "j": 18446744073709551615, "k": -9223372036854775808, "l": 0.1, "m": ["", "x"], "n": [], "o": [[1], [], [2, 3]]' \
        '"a": "u8", "b": "i8", "c": "u16", "d": "i16", "e": "u32", "f": "i32"' '"m": "[str]", "n": "[u8]", "o": "[array]"'
}

@test "--match and --exclude" {
    [ "$(names tensor-cat --match w a.safetensors)" = "w " ]
    [ "$(names tensor-cat --match '*' --exclude 'b*' a.safetensors)" = "w " ]
    [ "$(names tensor-cat --match w --match g a.safetensors b.gguf)" = "w g " ]
    [ "$(names tensor-cat --exclude w --exclude g a.safetensors b.gguf)" = "b " ]
    [ "$(names tensor-cat --match '[wb]' --exclude '?' a.safetensors)" = "" ]
    # a star matches dots
    [ "$(names tensor-cat --match 'model.*w' layers.safetensors)" = "model.layers.0.w model.layers.2.w model.layers.10.w " ]
    [ "$(names tensor-cat --match W a.safetensors)" = "" ]
}

@test "--layers" {
    [ "$(names tensor-cat --layers 0 layers.safetensors)" = "model.layers.0.w " ]
    [ "$(names tensor-cat --layers 0-3,27 layers.safetensors)" = "model.layers.0.w model.layers.2.w blk.27.b " ]
    [ "$(names tensor-cat --layers 10-10 layers.safetensors)" = "model.layers.10.w " ]
    [ "$(names tensor-cat --layers 4-9 layers.safetensors)" = "" ]
    for list in '' x 1- -1 3-1 1,,2 0-3x 1.5 99999999999999999999; do
        refuses "--layers" tensor-cat "--layers=$list" layers.safetensors
    done
}

@test "--dtype" {
    [ "$(names tensor-cat --dtype F16,i8 layers.safetensors)" = "model.layers.2.w norm " ]
    [ "$(names tensor-cat --dtype Q4_K layers.safetensors)" = "" ]
    refuses "'F33'" tensor-cat --dtype F16,F33 layers.safetensors
    refuses "--dtype" tensor-cat --dtype= layers.safetensors
}

@test "--limit" {
    [ "$(names tensor-cat --limit 1 a.safetensors b.gguf)" = "w " ]
    [ "$(names tensor-cat --limit 3 a.safetensors b.gguf d.tsr)" = "w b g " ]
    [ "$(names tensor-cat --limit 0 a.safetensors)" = "w b " ]
    [ "$(names tensor-cat --limit 99 a.safetensors)" = "w b " ]
    [ "$(names tensor-cat --limit 1 --exclude w a.safetensors b.gguf)" = "b " ]
    for number in '' -1 x 1.5 18446744073709551616; do
        refuses "--limit" tensor-cat "--limit=$number" a.safetensors
    done
}

@test "--sort" {
    [ "$(names tensor-cat --sort file layers.safetensors)" = \
        "embed model.layers.0.w model.layers.2.w model.layers.10.w blk.27.b blk.3x.b norm " ]
    # numbers in names are numbers
    [ "$(names tensor-cat --sort name layers.safetensors)" = \
        "blk.3x.b blk.27.b embed model.layers.0.w model.layers.2.w model.layers.10.w norm " ]
    # largest first: 32, 8, then two of 4, two of 2 and one of 1 by name
    [ "$(names tensor-cat --sort size layers.safetensors)" = \
        "embed model.layers.10.w blk.3x.b model.layers.0.w blk.27.b model.layers.2.w norm " ]
    [ "$(names tensor-cat --sort size --limit 2 layers.safetensors)" = "embed model.layers.10.w " ]
    # each operand by itself
    [ "$(names tensor-cat --sort name a.safetensors d.tsr)" = "b w s " ]
    refuses "'random'" tensor-cat --sort random a.safetensors
}

@test "selection and order of a stream are those of a file" {
    tensor-cat layers.safetensors > "$BATS_TEST_TMPDIR/layers.tsr"
    for options in '--sort=name' '--sort=size --limit=3' '--layers=0-9 --sort=size' '--dtype=F32 --exclude=embed' '--limit=2 --match=*w'; do
        read -ra options <<< "$options"
        want=$(names tensor-cat "${options[@]}" layers.safetensors)
        [ -n "$want" ]
        [ "$(names tensor-cat "${options[@]}" "$BATS_TEST_TMPDIR/layers.tsr")" = "$want" ]
        [ "$(names tensor-cat "${options[@]}" < "$BATS_TEST_TMPDIR/layers.tsr")" = "$want" ]
        [ "$(names tensor-cat "${options[@]}" <(cat "$BATS_TEST_TMPDIR/layers.tsr"))" = "$want" ]
    done
}

@test "what is announced is what follows" {
    run -0 pipeline 'tensor-cat a.safetensors | show-stream'
    [[ $output == *'{"kind": "index", "tensors": [{"name": "w", '*'{"name": "b", '*'"tensor"'* ]]
    # a selection is told in the announcement, or nothing is announced
    run -0 pipeline 'tensor-cat --exclude b a.safetensors | show-stream'
    [[ $output != *'"name": "b"'* ]]
    run -0 pipeline 'tensor-cat a.safetensors | tensor-cat --exclude b | show-stream'
    [[ $output != *'"name": "b"'* ]]
    run -0 pipeline 'tensor-cat a.safetensors | tensor-dequant --to bf16 | show-stream'
    [[ $output != *F32* && $output != *'"F16"'* ]]
}

@test "a stream goes through tensor-cat unchanged" {
    tensor-cat a.safetensors b.gguf > "$BATS_TEST_TMPDIR/one.tsr"
    tensor-cat "$BATS_TEST_TMPDIR/one.tsr" > "$BATS_TEST_TMPDIR/two.tsr"
    cd "$BATS_TEST_TMPDIR"
    rest() {
        show-stream $1 | grep -v '"index"\|"end"' | sed 's/, "commands": \[[^]]*\]//'
    }
    diff <(rest one.tsr) <(rest two.tsr)
    show-stream two.tsr | grep -q '"commands": \["tensor-cat a.safetensors b.gguf", "tensor-cat [^ ]*"\]'
    diff <(show-stream --digests one.tsr) <(show-stream --digests two.tsr)
}

@test "--table, --tsv, --json describe and hold no data" {
    run -0 tensor-cat --tsv a.safetensors
    [ "$output" = $'dtype\tshape\tnbytes\tsource\tname\nF32\t[2, 2]\t16\t0\tw\nF16\t[3]\t6\t0\tb' ]
    run -0 tensor-cat --json --match b a.safetensors
    [[ $output == '{"kind":"tensor","name":"b","dtype":"F16","shape":[3],"nbytes":6,"source":0,"offset":'*'}' ]]
    run -0 tensor-cat --table a.safetensors
    [[ ${lines[0]} == "dtype "*"shape "*"bytes "*name ]]
    [[ ${lines[1]} == "F32 "*"[2, 2] "*"16 B "*w ]]
}

@test "--lenient accepts what real writers made wrong, with a warning that --quiet hides" {
    make-samples "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR"
    for sample in bad-hole-last.safetensors bad-hole.safetensors bad-crc.apr bad-unsorted.apr; do
        run -2 tensor-cat --table $sample
        run --separate-stderr -0 tensor-cat --table --lenient $sample
        [[ $stderr == "tensor-cat: warning: $sample: "* && ${#stderr_lines[@]} -eq 1 ]]
        run --separate-stderr -0 tensor-cat --table --lenient --quiet $sample
        [ -z "$stderr" ]
    done
    for sample in bad-field-unknown.safetensors bad-metadata-number.safetensors bad-metadata-key-twice.safetensors \
        bad-alignment-4.gguf; do
        run -2 tensor-cat --table $sample
        run -0 tensor-cat --table --lenient $sample
    done
    # but nothing that would read the wrong bytes
    for sample in bad-overlap.safetensors bad-offsets-beyond.safetensors bad-overlap.gguf bad-offset-beyond.apr bad-column-major.apr; do
        refuses "$sample" tensor-cat --lenient $sample
    done
}

@test "an empty model is an empty stream, whatever is selected of it" {
    make-model none.tsr
    run -0 pipeline 'tensor-cat --match nothing none.tsr | show-stream'
    [[ ${lines[-1]} == '{"kind": "end", "tensors": 0, '* ]]
}

@test "names that are not what they seem to be are shown as what they are" {
    python3 - <<'P' > names.tsr
import struct, sys
def text(s):
    b = s.encode()
    return (bytes([0xA0 + len(b)]) if len(b) < 32 else b"\xd9" + bytes([len(b)])) + b
def record(*pairs):
    return bytes([0x80 + len(pairs)]) + b"".join(text(k) + v for k, v in pairs)
names = ["\u202egpj.ssap", "a\u200bb", "tab\there", "line\nend", "=1+1", "+1", "-1", "@a", "mid=dle",
         "back\\x41slash", "back\\slash", "end\\\u202e", "\U000e0041", "m\u0308", "\u2028"]
out = record(("kind", text("stream")), ("version", b"\x01"), ("tool", text("test")))
for name in names:
    out += record(("kind", text("tensor")), ("name", text(name)), ("dtype", text("F32")), ("shape", b"\x90"),
                  ("nbytes", b"\x04")) + b"\xc4\x04\0\0\0\0"
out += record(("kind", text("end")), ("tensors", bytes([len(names)])), ("records", b"\0"))
sys.stdout.buffer.write(out)
P
    tensor-cat --tsv names.tsr | cut -f 5 > cells
    cat > want <<'P'
name
\xe2\x80\xaegpj.ssap
a\xe2\x80\x8bb
tab\x09here
line\x0aend
\x3D1+1
\x2B1
\x2D1
\x40a
mid=dle
back\\x41slash
back\slash
end\\\xe2\x80\xae
\xf3\xa0\x81\x81
m̈
\xe2\x80\xa8
P
    diff want cells
    # the escapes give every name back
    python3 - <<'P'
import re
def back(cell):
    out, at, data = b"", 0, cell
    for m in re.finditer(r"(\\+)(x(?:[0-9a-fA-F]{2})?)", data):
        slashes = m[1]
        rest = m[2] if len(slashes) % 2 else "x"
        out += data[at : m.start()].encode() + b"\\" * (len(slashes) // 2)
        out += bytes([int(rest[1:], 16)]) if len(slashes) % 2 else b"x"
        at = m.start() + len(slashes) + len(rest)
    return (out + data[at:].encode()).decode()
names = ["\u202egpj.ssap", "a\u200bb", "tab\there", "line\nend", "=1+1", "+1", "-1", "@a", "mid=dle",
         "back\\x41slash", "back\\slash", "end\\\u202e", "\U000e0041", "m\u0308", "\u2028"]
cells = open("cells", encoding="utf-8").read().split("\n")[1:-1]
assert [back(c) for c in cells] == names, [back(c) for c in cells]
P
    for form in --table --json; do
        tensor-cat $form names.tsr > shown
        run -1 grep -qP '[\x{200b}\x{202e}\x{2028}\x{e0041}\t]' shown
    done
    tensor-cat --json names.tsr | grep -qF '"name":"\u202egpj.ssap"'
    tensor-cat --json names.tsr | grep -qF '"name":"\udb40\udc41"'
    # messages, too
    run --separate-stderr -1 sh -c 'tensor-rand --tensor w=2 | tensor-cos names.tsr - | verdict --worst 20'
    [[ $output != *$'\u202e'* && $output == *'\xe2\x80\xaegpj'* ]]
}
