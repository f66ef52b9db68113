#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The promise of the tensor stream: what broke on its way never passes a gate.  tensor-stream(5).
# shellcheck disable=SC2016

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --seed 1 --tensor w=700x1000 --tensor b=1000 > big.tsr
    tensor-save -q big.safetensors big.tsr
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4' 'b F32 3 = 1 2 3' -- \
        a.tsr 'w F32 2x2 = 1 2 3 4' 'b F32 3 = 1 2 3' -- v.tsr 'v F32 1 = 7'
    make-samples samples
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# ---- What a stream is ----

@test "a stream opens with its version and tool and ends with its counts" {
    version=$(tensor-cat --version | sed 's/.* //')
    run -0 pipeline 'tensor-cat a.safetensors | show-stream'
    [ "${lines[0]}" = '{"kind": "stream", "version": 1, "tool": "tensor-cat", "tool_version": "'"$version"'"}' ]
    [[ ${lines[1]} == '{"kind": "source", "id": 0, "path": "a.safetensors", "format": "safetensors"'* ]]
    says '{"kind": "tensor", "name": "w", "dtype": "F32", "shape": [2, 2], "nbytes": 16'
    [[ ${lines[-1]} == '{"kind": "end", "tensors": 2, "records": '* ]]
}

@test "the bytes of a tensor are those of its file" {
    run -0 pipeline 'tensor-cat a.safetensors | show-stream --digests'
    # sha256 of the floats 1 2 3 4, and of 1 2 3
    [ "${lines[0]}" = "$(printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100' | sha256sum | cut -c 1-64) F32 2x2 w" ]
    [ "${lines[1]}" = "$(printf '\0\0\200\77\0\0\0\100\0\0\100\100' | sha256sum | cut -c 1-64) F32 3 b" ]
    run -0 pipeline 'cmp <(show-stream --digests big.tsr) <(tensor-cat big.safetensors | show-stream --digests)'
}

# bats test_tags=sweep
@test "a tensor of more than one chunk" {
    # 2^30 + 5 bytes, all but the last of them a hole in the file.
    local bytes=$(((1 << 30) + 5))
    local header="{\"w\":{\"dtype\":\"U8\",\"shape\":[$bytes],\"data_offsets\":[0,$bytes]}}"
    cd "$BATS_TEST_TMPDIR"
    printf "\\$(printf '%03o' "${#header}")\\0\\0\\0\\0\\0\\0\\0%s" "$header" > huge.safetensors
    truncate -s $((8 + ${#header} + bytes - 1)) huge.safetensors
    printf '\7' >> huge.safetensors
    run -0 pipeline 'tensor-cat huge.safetensors | tensor-ls --json'
    says "\"nbytes\":$bytes"
    run -0 pipeline 'tensor-cat huge.safetensors | tail -c 38 | od -An -v -tx1 | tr -d " \n"'
    # five bytes in a chunk of their own, then the end record
    [[ $output == c6000000050000000007*a3656e64* ]]
    rm huge.safetensors
}

# ---- 1. A stream without its end is truncated ----

@test "a producer that is killed fails the gate, and is named" {
    run --separate-stderr -2 sh -c \
        'sh -c "head -c 1000000 big.tsr; kill -9 \$\$" | tensor-cos - big.safetensors | verdict --min 0'
    [[ $stderr == *"tensor-cos: standard input: byte 1000000: truncated: tensor-rand broke off in tensor 'w', "*" bytes short"* ]]
    [[ $stderr == *"verdict: standard input: tensor-cos failed: "*"truncated"* ]]
}

@test "a tool that is killed in the middle of a tensor fails the gate" {
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    tensor-cat big.safetensors > "$BATS_TEST_TMPDIR/pipe" 3>&- &
    local pid=$!
    exec 4< "$BATS_TEST_TMPDIR/pipe"
    head -c 100000 <&4 > "$BATS_TEST_TMPDIR/part"
    kill -9 $pid
    cat <&4 >> "$BATS_TEST_TMPDIR/part"
    exec 4<&-
    ends $pid 137
    [ "$(stat -c %s "$BATS_TEST_TMPDIR/part")" -lt 2800000 ]
    run -2 sh -c 'tensor-cos - big.safetensors < "$1" | verdict --min 0' sh "$BATS_TEST_TMPDIR/part"
    says "tensor-cat broke off in tensor 'w'"
}

@test "a stream that is cut at any object, or beside it, fails the gate" {
    cat > "$BATS_TEST_TMPDIR/cut" << 'END'
tensor-cat a.safetensors > "$1/whole.tsr"
for place in $(show-stream --places "$1/whole.tsr"); do
    for length in $((place - 1)) $place $((place + 1)) $((place + 9)); do
        [ $length -ge 0 ] && [ $length -lt $(stat -c %s "$1/whole.tsr") ] || continue
        head -c $length "$1/whole.tsr" | tensor-cos -q - a.safetensors 2> /dev/null |
            verdict --min 0 > "$1/report" 2>&1
        status=$?
        [ $status -eq 2 ] || { echo "cut at $length: exit $status"; cat "$1/report"; exit 1; }
        count=$((count + 1))
    done
done
echo "$count cuts"
END
    run -0 bash "$BATS_TEST_TMPDIR/cut" "$BATS_TEST_TMPDIR"
    [ "${output% cuts}" -ge 30 ]
}

@test "a cut stream fails the gate whichever way it goes" {
    for command in 'tensor-cos - big.safetensors' 'tensor-cos big.safetensors -' \
        'tensor-cos - big.tsr' 'tensor-cat | tensor-cos - big.safetensors' \
        'tensor-dequant | tensor-cos - big.safetensors' \
        'tensor-dequant --to bf16 -j 3 | tensor-dequant --to f32 | tensor-cos big.tsr -' \
        'tensor-cat --limit 1 | tensor-cos - big.safetensors' \
        'tensor-cat --sort name | tensor-cos - big.safetensors' \
        'tensor-cos - big.safetensors --limit 1' 'tensor-cos - big.safetensors --sort size'; do
        for length in 2000000 2800200; do
            run -2 sh -c "head -c $length big.tsr | $command | verdict --min 0 --allow only_b --allow-empty"
            says truncated
        done
    done
}

@test "a cut stream of results fails the gate" {
    tensor-cos a.safetensors a.tsr > "$BATS_TEST_TMPDIR/results"
    local size
    size=$(stat -c %s "$BATS_TEST_TMPDIR/results")
    run -0 verdict --min 1 "$BATS_TEST_TMPDIR/results"
    for length in 70 100 $((size / 2)) $((size - 30)) $((size - 1)); do
        run -2 sh -c 'head -c "$1" "$2" | verdict --min 0' sh "$length" "$BATS_TEST_TMPDIR/results"
        says truncated
    done
}

@test "two streams that are cut by process substitution" {
    run -2 bash -c 'tensor-cos <(head -c 1000000 big.tsr) <(cat big.tsr) | verdict --min 0'
    says "truncated" "tensor-rand broke off"
    run -2 bash -c 'tensor-cos <(cat big.tsr) <(head -c 1000000 big.tsr) | verdict --min 0'
    says "truncated" "tensor-rand broke off"
}

@test "a cut stream leaves a record of its error" {
    run -0 sh -c 'head -c 100 a.tsr | tensor-cat 2> /dev/null | show-stream'
    [[ ${lines[-1]} == '{"kind": "error", "tool": "tensor-cat", "message": "standard input: byte '*': truncated: test broke off before its end record"}' ]]
}

@test "a cut stream is noticed even if the tensors that were asked for have come" {
    refuses "truncated" sh -c 'head -c 2800200 big.tsr | tensor-cat --match w > /dev/null'
    refuses "truncated" sh -c 'head -c 2800200 big.tsr | tensor-ls --limit 1 > /dev/null'
    refuses "truncated" sh -c 'head -c 2800200 big.tsr | tensor-save w.safetensors --match w'
    [ ! -e w.safetensors ]
}

@test "a file that shrinks while it is read is an error, not a signal" {
    cp big.safetensors "$BATS_TEST_TMPDIR/shrinks.safetensors"
    cd "$BATS_TEST_TMPDIR"
    mkfifo pipe
    tensor-cat shrinks.safetensors > pipe 2> message 3>&- &
    local pid=$!
    exec 4< pipe
    head -c 1000 <&4 > part
    truncate -s 1500000 shrinks.safetensors
    cat <&4 >> part
    exec 4<&-
    ends $pid 2
    grep -q 'tensor-cat: shrinks.safetensors: .*shorter' message
    run -2 sh -c 'tensor-cos - "$1"/big.safetensors < part | verdict --min 0' sh "$BATS_FILE_TMPDIR"
}

@test "a file that changes while it is read is an error" {
    cp big.safetensors "$BATS_TEST_TMPDIR/changes.safetensors"
    cd "$BATS_TEST_TMPDIR"
    mkfifo pipe
    tensor-cat changes.safetensors > pipe 2> message 3>&- &
    local pid=$!
    exec 4< pipe
    head -c 1000 <&4 > part
    printf x | dd of=changes.safetensors bs=1 seek=2000000 conv=notrunc status=none
    cat <&4 >> part
    exec 4<&-
    ends $pid 2
    grep -q 'tensor-cat: changes.safetensors: changed' message
    run -2 sh -c 'tensor-cos - "$1"/big.safetensors < part | verdict --min 0' sh "$BATS_FILE_TMPDIR"
}

# ---- 2. Errors are forwarded ----

@test "a file is not read while results are appended to it" {
    for file in m.tsr m.safetensors; do
        make-model "$file" 'w F32 4 = 1 2 3 4'
        cp "$file" before
        for command in "tensor-cat $file" "tensor-cat - < $file" "tensor-cos before $file" "tensor-quant --to F16 $file"; do
            run -2 sh -c "$command >> $file"
            says "is standard output, too"
        done
    done
    tensor-cat --json before > list
    tensor-cat --json before >> list
}

@test "every filter forwards its producer's error, and nothing after it" {
    for filter in tensor-cat 'tensor-ls --stream' tensor-dequant 'tensor-quant --to f16' 'tensor-cos - a.safetensors' \
        'tensor-cos a.safetensors -'; do
        run -0 sh -c "$filter < samples/bad-error-ended.tsr 2> /dev/null | show-stream"
        [[ ${lines[-1]} == '{"kind": "error", "tool": "'*'", "message": "'*'tensor-x failed: on fire"}' ]]
    done
}

@test "an error goes through four filters to exit 2" {
    run --separate-stderr -2 sh -c \
        'cat samples/bad-error-plain.tsr | tensor-cat | tensor-dequant | tensor-cos - a.safetensors | verdict --min 0'
    [[ ${stderr_lines[-1]} == "verdict: "*"tensor-x failed: on fire"* ]]
}

@test "a tool that fails part-way tells its reader" {
    make-model "$BATS_TEST_TMPDIR/nan.tsr" 'a F32 1x32 = 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1' \
        'w F32 1x32 = 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 nan'
    run -2 sh -c 'tensor-quant --to q8_0 "$1" | tensor-cos - "$1" | verdict --min 0' sh "$BATS_TEST_TMPDIR/nan.tsr"
    says "NaN"
}

@test "whatever a tool fails of, its reader hears of it" {
    tensor-rand --tensor w=4x8 > m.tsr
    tensor-cos m.tsr m.tsr > ok.tsr
    for command in 'tensor-cos --typo m.tsr m.tsr' 'tensor-cos m.tsr' 'tensor-cos --jobs none m.tsr m.tsr' \
        'tensor-cos --jobs' 'TENSORUTILS_CPU=none tensor-cos m.tsr m.tsr' 'tensor-cos -x --table=1 m.tsr m.tsr' \
        'tensor-cat --typo' 'tensor-map' 'tensor-attn m.tsr' 'tensor-heads m.tsr m.tsr' 'tensor-hash --stream -c gone m.tsr' \
        'tensor-quant m.tsr' 'tensor-rand' 'tensor-matmul m.tsr' 'tensor-fault m.tsr' 'tensor-ls --stream gone'; do
        run -2 sh -c "{ cat ok.tsr; $command; cat ok.tsr; } 2>/dev/null | verdict 2>&1"
        says 'failed: '
    done
    # in the form that was asked for, wherever that stands in the command
    for form in json tsv table; do
        run --separate-stderr -2 tensor-cos --typo --$form m.tsr m.tsr
        [ -z "$output" ]
    done
    # these two put out no stream
    run --separate-stderr -2 tensor-save --typo
    [ -z "$output" ]
    run --separate-stderr -2 verdict --typo
    [ -z "$output" ]
}

@test "a tool that is killed before its first tensor came is missed" {
    tensor-rand --tensor w=4x8 > m.tsr
    mkfifo never
    sleep 60 > never &
    holder=$!
    for tool in tensor-cat 'tensor-hash --stream' 'tensor-cos m.tsr' tensor-attn 'tensor-heads m.tsr' tensor-dequant 'tensor-fault --fault nan'; do
        # shellcheck disable=SC2086
        $tool - < never > cut.tsr &
        job=$!
        tries=0
        until [ -s cut.tsr ]; do
            tries=$((tries + 1))
            [ $tries -lt 1000 ]
            sleep 0.02
        done
        kill -9 $job
        ends $job 137
        run -2 sh -c '{ tensor-cos m.tsr m.tsr; cat cut.tsr; } | verdict 2>&1'
        says 'broke off before its end record'
        run -2 sh -c '{ cat cut.tsr; tensor-cos m.tsr m.tsr; } | verdict 2>&1'
        says 'a segment opens inside another'
        rm cut.tsr
    done
    kill $holder
}

@test "an operand that is not there fails the gate" {
    run -2 sh -c 'tensor-cat absent.gguf | tensor-cos - a.safetensors | verdict --min 0 --allow-empty'
    says "absent.gguf"
    run -2 sh -c 'tensor-cos a.safetensors absent.gguf | verdict --min 0 --allow-empty'
    says "absent.gguf"
    run -2 sh -c 'tensor-cat a.safetensors absent.gguf | tensor-cos - a.safetensors | verdict --min 0'
    says "absent.gguf"
}

@test "an error within a tensor is told as it is" {
    refuses "tensor-x failed: on fire" tensor-cat samples/bad-error-in-tensor.tsr
}

# ---- 3. Counts ----

@test "an end that counts what did not come fails the gate" {
    for sample in tensors tensors-0 records max; do
        run -2 sh -c 'tensor-cos - samples/good-plain.tsr < "samples/bad-end-$1.tsr" | verdict --min 0' sh $sample
        says "counts"
    done
}

@test "a stream whose nbytes lies fails the gate" {
    for sample in few-bytes few-bytes-end few-bytes-next many-bytes many-bytes-next tensor-nbytes-more tensor-nbytes-less; do
        for order in '- samples/good-plain.tsr' 'samples/good-plain.tsr -'; do
            run -2 sh -c 'tensor-cos $2 < "samples/bad-$1.tsr" | verdict --min 0' sh $sample "$order"
        done
    done
}

# ---- 4. Nothing is not a pass ----

@test "no stream at all fails the gate" {
    for producer in ':' 'false' 'tensor-cat absent.gguf' 'exit 3'; do
        run -2 sh -c "($producer) | verdict --min 0 --allow-empty"
        run -2 sh -c "($producer) | tensor-cos - a.safetensors | verdict --min 0 --allow-empty"
        run -2 sh -c "($producer) | tensor-cat | tensor-cos - a.safetensors | verdict --min 0 --allow-empty"
    done
}

@test "a comparison of nothing is no pass, unless it is allowed" {
    make-model none.tsr
    run -2 sh -c 'tensor-cos none.tsr none.tsr | verdict --min 0'
    says "no record was judged"
    run -0 sh -c 'tensor-cos none.tsr none.tsr | verdict --min 0 --allow-empty'
    says "verdict: pass"
    run -2 sh -c 'tensor-cat a.safetensors | verdict --min 0'
    says "no record was judged"
    run -2 sh -c 'tensor-ls --stream a.safetensors | verdict --min 0'
    says "no record was judged"
}

@test "models without tensors are nothing to compare" {
    run -2 sh -c 'tensor-cos samples/good-no-tensors.gguf samples/good-no-tensors.safetensors | verdict --min 0'
    says "no record was judged"
}

# ---- Segments ----

@test "streams that follow one another are one" {
    run -0 pipeline 'cat a.tsr v.tsr | tensor-ls --tsv | cut -f 8'
    [ "$output" = $'name\nw\nb\nv' ]
    cat a.tsr v.tsr > "$BATS_TEST_TMPDIR/av.tsr"
    run -0 pipeline 'tensor-ls --tsv "$1" | cut -f 8' sh "$BATS_TEST_TMPDIR/av.tsr"
    [ "$output" = $'name\nw\nb\nv' ]
    run -0 pipeline 'cat a.tsr v.tsr | tensor-cos - "$1" | verdict --rule "identical_count >= 1"' sh "$BATS_TEST_TMPDIR/av.tsr"
    says "3 passed"
}

@test "sources are numbered through segments and operands" {
    run -0 pipeline '{ tensor-cat a.safetensors; tensor-cat big.safetensors; } | tensor-cat - a.safetensors |
        show-stream | grep -o "\"id\": .\|\"source\": ."'
    [ "$output" = $'"id": 0\n"source": 0\n"source": 0\n"id": 1\n"source": 1\n"source": 1\n"id": 2\n"source": 2\n"source": 2' ]
}

@test "a second segment that breaks off fails the gate" {
    run -2 sh -c '{ cat a.tsr; head -c 60 v.tsr; } | tensor-cos - a.safetensors | verdict --min 0 --allow only_a'
    says truncated
}

@test "one name twice in a stream cannot be compared" {
    cp v.tsr "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR"
    cat v.tsr v.tsr > vv.tsr
    for pair in 'vv.tsr v.tsr' 'v.tsr vv.tsr' '- v.tsr' 'v.tsr -'; do
        run -2 sh -c "cat vv.tsr | tensor-cos $pair | verdict --min 0"
        says "'v'" "twice"
    done
}

@test "one name twice in a stream is not told to be alone" {
    cp v.tsr samples/good-plain.tsr "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR"
    cat v.tsr v.tsr > vv.tsr
    run -2 bash -c 'cat vv.tsr | tensor-cos - good-plain.tsr | verdict --min 0 --allow only_a --allow only_b'
    says "'v'" "twice"
    run -2 bash -c 'tensor-cos <(cat vv.tsr) <(cat v.tsr) | verdict --min 0 --allow only_a'
    run -2 bash -c 'tensor-cos <(cat v.tsr) <(cat vv.tsr) | verdict --min 0 --allow only_b'
}

# ---- What a filter does not know ----

@test "records of a kind that a filter does not know pass through it" {
    for filter in tensor-cat tensor-dequant 'tensor-quant --to f16' 'tensor-ls --stream'; do
        run -0 pipeline "$filter < samples/good-unknown-kind.tsr | show-stream"
        says '{"kind": "weather", "rain": true, "deep": {"a": [1, 2.5, null, "x", '
    done
}

@test "records of a kind that tensor-cos does not know pass through it" {
    for pair in '- samples/good-plain.tsr' 'samples/good-plain.tsr -'; do
        run -0 pipeline "tensor-cos $pair < samples/good-unknown-kind.tsr | show-stream"
        says '{"kind": "weather", "rain": true, "deep": {"a": [1, 2.5, null, "x", '
    done
}

@test "records that pass through a filter keep their types" {
    for filter in tensor-cat tensor-dequant; do
        run -0 pipeline "cmp <(show-stream samples/good-unknown-kind.tsr | grep weather) \
            <($filter < samples/good-unknown-kind.tsr | show-stream | grep weather)"
    done
}

@test "keys of a tensor that a filter does not know are kept" {
    for filter in tensor-cat tensor-dequant 'tensor-dequant --to f16' 'tensor-quant --to bf16 --all'; do
        run -0 pipeline "$filter < samples/good-unknown-keys.tsr | show-stream"
        says '"stage": "ffn_out", "layer": 3, "orig_shape": [2, 2]'
    done
}

@test "the order of records is kept" {
    run -0 pipeline 'cat samples/good-unknown-kind.tsr samples/good-nan.tsr samples/good-unknown-keys.tsr | tensor-dequant | show-stream'
    [[ ${lines[1]} == *weather* && ${lines[2]} == *'"tensor"'* && ${lines[4]} == *'"stat"'*NaN*-Infinity* && ${lines[5]} == *stage* ]]
}

# ---- Ends of pipes and disks ----

@test "a reader that has seen enough ends its writer quietly" {
    for writer in 'tensor-cat big.safetensors' 'tensor-dequant --to bf16 big.tsr' 'tensor-rand --tensor w=1000x1000' \
        'tensor-cat big.tsr' 'cat big.tsr | tensor-cat' 'tensor-cat --table $(yes big.tsr | head -2000)'; do
        run --separate-stderr -0 bash -c "$writer | head -c 1 > /dev/null; echo \${PIPESTATUS[-2]}"
        [ "$output" = 141 ]
        [ -z "$stderr" ]
    done
}

@test "a reader that has seen enough ends its writer quietly, even where SIGPIPE is ignored" {
    run --separate-stderr -0 bash -c 'trap "" PIPE; tensor-cat big.safetensors | head -c 1 > /dev/null; echo ${PIPESTATUS[0]}'
    [ "$output" = 141 ]
    [ -z "$stderr" ]
}

@test "a full disk is trouble" {
    for writer in 'tensor-cat big.safetensors' 'tensor-cat a.safetensors' 'cat a.tsr | tensor-cat' 'tensor-dequant big.tsr' \
        'tensor-quant --to bf16 a.tsr' 'tensor-rand --tensor w=3' 'tensor-ls a.tsr' 'tensor-ls --json a.tsr' \
        'tensor-cos a.tsr a.safetensors' 'tensor-cos --json a.tsr a.safetensors' 'tensor-cos --table a.tsr a.tsr'; do
        refuses "standard output: No space left on device" sh -c "$writer > /dev/full"
    done
    tensor-cos a.tsr a.tsr > "$BATS_TEST_TMPDIR/results"
    refuses "No space left on device" sh -c 'verdict --min 0 "$1" > /dev/full' sh "$BATS_TEST_TMPDIR/results"
}

@test "a failing pass is not a pass: verdict that cannot be printed exits 2" {
    run -2 sh -c 'tensor-cos a.tsr a.tsr | verdict --min 0 > /dev/full'
}

@test "claims of lengths take no memory" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer maps terabytes"
    # A record that says it has 4 GiB of text, and then the end; or a producer that goes on and on.
    refuses "byte 32: truncated" bash -c '(ulimit -v 60000; exec tensor-ls samples/bad-str32-4g.tsr)'
    refuses "byte 32: truncated" bash -c '(ulimit -v 60000; exec tensor-ls) < <(cat samples/bad-str32-4g.tsr)'
    refuses "byte 32: a record of more than 1 GiB" bash -c '{ head -c -6 samples/bad-str32-4g.tsr; cat /dev/zero; } |
        (ulimit -v 2300000; exec timeout 60 tensor-ls)'
}

@test "records that pass through take no memory, however many they are" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer maps terabytes"
    # 49,000 records more take less than 2 MB more: what is kept of one is less than 42 bytes
    run -0 python3 - << 'END'
import subprocess, sys
from struct import pack
measure = '''import os, subprocess, sys
p = subprocess.Popen(["tensor-cos", "-j", "2", "-", "samples/good-plain.tsr"], stdin=open(sys.argv[1], "rb"), stdout=subprocess.PIPE)
out = len(p.stdout.read())
print(out, os.wait4(p.pid, 0)[2].ru_maxrss)'''
def run(records):
    with open("records.tsr", "wb") as file:
        file.write(bytes.fromhex("82a46b696e64a673747265616da776657273696f6e01") + bytes.fromhex("81a46b696e64a16e") * records +
                   bytes.fromhex("83a46b696e64a3656e64a774656e736f727300a77265636f726473ce") + pack(">I", records))
    out, kilobytes = map(int, subprocess.run([sys.executable, "-c", measure, "records.tsr"], capture_output=True, check=True).stdout.split())
    assert out > 8 * records
    return kilobytes
few, many = run(1000), run(50000)
print(few, many)
assert many < few + 2048
END
}

@test "a record of very many values is refused before it fills memory" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer maps terabytes"
    refuses "a record of more than 2^24 values" bash -c 'python3 -c "
import sys
sys.stdout.buffer.write(bytes.fromhex(\"82a46b696e64a673747265616da776657273696f6e0182a46b696e64a16ea161dd02000000\") + bytes([0xc0]) * (1 << 25))" 2> /dev/null |
        (ulimit -v 400000; exec tensor-ls)'
}

@test "a pipeline that divides and meets again does not wait for itself" {
    # Output must not linger in a filter that waits for input which the other branch holds up.
    tensor-rand --tensor x=512x2048 --type F64 > f64.tsr
    mkfifo quantized
    run -0 timeout 20 bash -o pipefail -c \
        'tee < f64.tsr >(tensor-quant --to Q2_K > quantized) | tensor-cos --json - quantized | grep -c "\"status\":\"ok\""'
    [ "$output" = 1 ]
    rm f64.tsr quantized
}

@test "no tensor is ever whole in memory" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer keeps shadows of memory"
    # 400 MB that take no room on the disk; the largest process of the pipeline keeps below 64 MB.
    local header='{"w":{"dtype":"F32","shape":[10000,10000],"data_offsets":[0,400000000]}}'
    cd "$BATS_TEST_TMPDIR"
    printf "\\$(printf '%03o' "${#header}")\\0\\0\\0\\0\\0\\0\\0%s" "$header" > zeros.safetensors
    truncate -s $((8 + ${#header} + 400000000)) zeros.safetensors
    for pipeline in 'tensor-cat zeros.safetensors | tensor-cos - zeros.safetensors' \
        'tensor-cos zeros.safetensors zeros.safetensors' 'tensor-cat zeros.safetensors | tensor-dequant --to f16 | tensor-ls'; do
        run -0 python3 -c 'import resource, subprocess, sys
subprocess.run(["sh", "-c", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$pipeline"
        echo "$pipeline: $output MB"
        [ "$output" -lt 64 ]
    done
    rm zeros.safetensors
}

@test "a stream larger than memory passes through little of it" {
    [ -z "$TU_SANITIZED" ] || skip "a sanitizer maps terabytes"
    # Address space, not resident memory, is what can be bounded here: 64 MB beside the threads' stacks.
    tensor-rand --tensor w=5000x5000 > large.tsr
    run -0 bash -o pipefail -c '(ulimit -v 150000; exec tensor-cat large.tsr) | (ulimit -v 150000; exec tensor-dequant -j 2 --to f16) |
        (ulimit -v 150000; exec tensor-cos -j 2 - large.tsr) | verdict --min 0.99'
    run -0 bash -o pipefail -c '(ulimit -v 150000; exec tensor-cos -j 2 <(cat large.tsr) <(cat large.tsr)) | verdict --min 1'
    rm large.tsr
}
