#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-save(1): a file appears when it is whole, holds what came, and replaces nothing unasked.

load ../helpers

setup() {
    make-model a.tsr 'w F32 2x3 = 1 2 3 4 5 6' 'b F16 3 = 1 2 3' 's F32 - = 7' 'i I8 5 = 1 2 3 4 5'
}

# same A B: the same tensors, to the last byte, whatever the order.
same() {
    diff <(tensor-cat "$1" | show-stream --digests | sort) <(tensor-cat "$2" | show-stream --digests | sort)
}

# What is in the folder, on one line.
folder() {
    find . -mindepth 1 -printf '%P\n' | sort | tr '\n' ' '
}

@test "the suffix names the format" {
    for suffix in safetensors st gguf apr; do
        run --separate-stderr -0 tensor-save m.$suffix a.tsr
        [ -z "$output" ]
        [ -z "$stderr" ]
    done
    cmp m.safetensors m.st
    [ "$(head -c 4 m.gguf)" = GGUF ]
    [ "$(head -c 3 m.apr)" = APR ]
    [ "$(head -c 9 m.st | tail -c 1)" = "{" ]
}

@test "--format names it, whatever the suffix" {
    tensor-save --format gguf model a.tsr
    tensor-save --format=apr model.gguf a.tsr
    [ "$(head -c 4 model)" = GGUF ]
    [ "$(head -c 3 model.gguf)" = APR ]
    refuses "'onnx' is no format" tensor-save --format onnx m a.tsr
    refuses "no format has this suffix" tensor-save m.weights a.tsr
    refuses "no format has this suffix" tensor-save safetensors a.tsr
    refuses "can be read but not written" tensor-save m.tsr a.tsr
}

@test "what is saved is what came" {
    for suffix in safetensors apr; do
        tensor-save m.$suffix a.tsr
        same m.$suffix a.tsr
        [ "$(tensor-ls --tsv m.$suffix | cut -f 8 | tr '\n' ' ')" = "name w b s i " ]
    done
    # GGUF knows no scalars: they come back with a dimension of 1
    tensor-save --exclude s m.gguf a.tsr
    same m.gguf <(tensor-cat --exclude s a.tsr)
    tensor-save --match s s.gguf a.tsr
    run -0 tensor-ls --json s.gguf
    says '"shape":[1]'
}

@test "from standard input, from files, from several" {
    make-model v.gguf 'v F32 1 = 9'
    tensor-save one.safetensors < a.tsr
    # shellcheck disable=SC2002
    cat a.tsr | tensor-save two.safetensors -
    tensor-save three.safetensors one.safetensors v.gguf
    cmp one.safetensors two.safetensors
    same three.safetensors <(cat a.tsr; tensor-cat v.gguf)
}

@test "files that other programs made are the same bytes, from format to format and back" {
    tensor-rand --tensor w=33x65 --tensor b=7 --type BF16 | tensor-save x.safetensors
    for way in 'gguf' 'apr' 'gguf apr' 'apr gguf' 'gguf apr gguf'; do
        rm -f step.*
        cp x.safetensors step.safetensors
        local last=step.safetensors
        for suffix in $way; do
            tensor-cat "$last" | tensor-save -f "step.$suffix"
            last=step.$suffix
        done
        tensor-cat "$last" | tensor-save -f back.safetensors
        same back.safetensors x.safetensors
        run -0 pipeline "tensor-cos x.safetensors $last | verdict --rule 'max_diff <= 0' --min 1"
    done
}

@test "a file that is saved again is the same bytes" {
    make-samples samples
    for suffix in safetensors gguf apr; do
        tensor-save m.$suffix a.tsr
        tensor-save n.$suffix m.$suffix
        cmp m.$suffix n.$suffix
    done
    tensor-save one.gguf samples/good-metadata.gguf
    tensor-save two.gguf one.gguf
    cmp one.gguf two.gguf
}

@test "block types keep their bytes" {
    tensor-rand --tensor w=4x512 > f.tsr
    for type in Q4_0 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K; do
        tensor-quant --to $type f.tsr > q.tsr
        tensor-save -f q.gguf q.tsr
        same q.gguf q.tsr
    done
    for type in Q4_K Q6_K APR_Q4; do
        tensor-quant --to $type f.tsr > q.tsr
        tensor-save -f q.apr q.tsr
        same q.apr q.tsr
    done
}

@test "a type that the format does not have" {
    tensor-rand --tensor w=1x256 | tensor-quant --to Q4_0 > q.tsr
    refuses "tensor 'w' (Q4_0): safetensors has no type Q4_0" tensor-save m.safetensors q.tsr
    refuses "tensor 'w' (Q4_0): apr has no type Q4_0" tensor-save m.apr q.tsr
    tensor-rand --tensor w=1x256 --type U16 > u.tsr
    refuses "gguf has no type U16" tensor-save m.gguf u.tsr
    [ "$(folder)" = "a.tsr q.tsr u.tsr " ]
}

@test "names and shapes that the format cannot hold" {
    make-model long.tsr "$(printf 'n%.0s' {1..64}) F32 1 = 1" -- deep.tsr 'w F32 1x1x1x1x1 = 1' -- meta.tsr '__metadata__ F32 1 = 1' -- \
        longer.tsr "$(printf 'n%.0s' {1..300}) F32 1 = 1" -- deeper.tsr 'w F32 1x1x1x1x1x1x1x1x1 = 1'
    refuses "at most 63 bytes" tensor-save m.gguf long.tsr
    refuses "at most 4 dimensions" tensor-save m.gguf deep.tsr
    refuses "__metadata__" tensor-save m.safetensors meta.tsr
    refuses "at most 256 bytes" tensor-save m.apr longer.tsr
    refuses "at most 8 dimensions" tensor-save m.apr deeper.tsr
    tensor-save long.safetensors longer.tsr
    tensor-save deep.safetensors deeper.tsr
    same long.safetensors longer.tsr
    same deep.safetensors deeper.tsr
}

@test "an existing file stays as it is" {
    echo precious > m.safetensors
    refuses "m.safetensors: exists already" tensor-save m.safetensors a.tsr
    [ "$(cat m.safetensors)" = precious ]
    ln -s absent link.gguf
    refuses "link.gguf: exists already" tensor-save link.gguf a.tsr
    mkdir folder.apr
    refuses "folder.apr: exists already" tensor-save folder.apr a.tsr
    refuses "folder.apr" tensor-save --force folder.apr a.tsr
    [ "$(folder)" = "a.tsr folder.apr link.gguf m.safetensors " ]
}

@test "it is known before anything is read that a file exists" {
    echo precious > m.safetensors
    mkfifo never
    refuses "exists already" timeout 5 tensor-save m.safetensors never
}

@test "--force replaces it, when the new one is whole" {
    tensor-save m.safetensors a.tsr
    make-model b.tsr 'v F32 1 = 1'
    run -2 pipeline 'head -c 60 b.tsr | tensor-save --force m.safetensors'
    same m.safetensors a.tsr
    tensor-save --force m.safetensors b.tsr
    same m.safetensors b.tsr
    tensor-save -f m.safetensors a.tsr
    same m.safetensors a.tsr
    [ "$(folder)" = "a.tsr b.tsr m.safetensors " ]
}

@test "what is no file is never replaced" {
    mkfifo pipe.gguf
    refuses "pipe.gguf" tensor-save --force pipe.gguf a.tsr
    [ -p pipe.gguf ]
}

@test "a file can take the place of its own source" {
    tensor-save m.safetensors a.tsr
    tensor-dequant --to bf16 m.safetensors | tensor-save --force m.safetensors
    same m.safetensors <(tensor-dequant --to bf16 a.tsr)
}

@test "a file that comes into being meanwhile is not replaced" {
    mkfifo pipe
    tensor-save m.safetensors pipe 2> message 3>&- &
    local pid=$!
    exec 4> pipe
    head -c 60 a.tsr >&4
    echo precious > m.safetensors
    tail -c +61 a.tsr >&4
    exec 4>&-
    ends $pid 2
    grep -q 'exists already' message
    [ "$(cat m.safetensors)" = precious ]
    [ "$(folder)" = "a.tsr m.safetensors message pipe " ]
}

@test "a truncated or failed stream leaves nothing" {
    size=$(stat -c %s a.tsr)
    for suffix in safetensors gguf apr; do
        for length in 0 20 60 100 $((size / 2)) $((size - 1)); do
            run -2 pipeline "head -c $length a.tsr | tensor-save m.$suffix"
        done
        run -2 pipeline "tensor-cat absent.gguf | tensor-save m.$suffix"
        run -2 tensor-save m.$suffix a.tsr absent.gguf
    done
    [ "$(folder)" = "a.tsr " ]
}

@test "one name twice" {
    refuses "came twice" pipeline 'cat a.tsr a.tsr | tensor-save m.safetensors'
    [ "$(folder)" = "a.tsr " ]
}

@test "a run that is killed leaves nothing" {
    mkfifo pipe
    tensor-save m.safetensors pipe 3>&- &
    local pid=$! tries=0
    exec 4> pipe
    head -c -8 a.tsr >&4
    # it has begun to write, whatever the file is called by now
    until readlink "/proc/$pid/fd"/* | grep -q "^$PWD/[^p]"; do
        sleep 0.05
        tries=$((tries + 1))
        [ $tries -lt 200 ]
    done
    kill -9 $pid
    exec 4>&-
    ends $pid 137
    [ "$(folder)" = "a.tsr pipe " ]
}

@test "a full disk leaves nothing" {
    # A file system of 64 kB, where that is possible: as root, with a mount namespace.
    mkdir small
    unshare -m mount -t tmpfs -o size=64k none small 2> /dev/null || skip "no mounts here"
    tensor-rand --tensor w=100000 > large.tsr
    run --separate-stderr -2 unshare -m sh -c 'mount -t tmpfs -o size=64k none small
        tensor-save small/m.safetensors large.tsr; status=$?; ls -A small >&3; exit $status' 3> left
    [[ $stderr == "tensor-save: small/m.safetensors: No space left on device" ]]
    [ ! -s left ]
}

@test "a limit of file sizes leaves nothing" {
    tensor-rand --tensor w=100000 > large.tsr
    run -2 bash -c 'trap "" XFSZ; ulimit -f 100; tensor-save m.safetensors large.tsr'
    says "File too large"
    [ "$(folder)" = "a.tsr large.tsr " ]
}

@test "a folder that is not there, or may not be written" {
    refuses "absent/m.safetensors" tensor-save absent/m.safetensors a.tsr
    mkdir -m 555 locked
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --bounding-set=-dac_override)
        "${as[@]}" true 2> /dev/null || skip "root may write everywhere, and cannot be kept from it here"
    fi
    refuses "locked/m.safetensors: Permission denied" "${as[@]}" tensor-save locked/m.safetensors a.tsr
}

@test "the file has the permissions that the umask asks for" {
    (umask 027; tensor-save m.safetensors a.tsr)
    [ "$(stat -c %a m.safetensors)" = 640 ]
    (umask 022; tensor-save --force m.safetensors a.tsr)
    [ "$(stat -c %a m.safetensors)" = 644 ]
}

# ---- Metadata ----

@test "SafeTensors to SafeTensors keeps the metadata" {
    make-samples samples
    tensor-save m.safetensors samples/good-metadata.safetensors
    diff <(tensor-ls --meta --tsv m.safetensors) <(tensor-ls --meta --tsv samples/good-metadata.safetensors)
    run -0 tensor-ls --meta --tsv m.safetensors
    says $'str\tformat\tpt' $'str\ta\t'
    # and through a pipe
    # shellcheck disable=SC2002
    tensor-cat samples/good-metadata.safetensors | tensor-dequant | tensor-save n.safetensors
    diff <(tensor-ls --meta --tsv m.safetensors) <(tensor-ls --meta --tsv n.safetensors)
}

@test "GGUF to GGUF keeps the metadata with its types" {
    make-samples samples
    tensor-cat samples/good-metadata.gguf | tensor-save m.gguf
    diff <(tensor-ls --meta --json m.gguf | grep -o '"meta":.*') <(tensor-ls --meta --json samples/good-metadata.gguf | grep -o '"meta":.*')
    run -0 tensor-ls --meta --json m.gguf
    says '"a":"u8"' '"b":"i8"' '"c":"u16"' '"d":"i16"' '"e":"u32"' '"f":"i32"' '"m":"[str]"' '"n":"[u8]"'
    run -0 tensor-ls --meta --tsv m.gguf
    says $'f32\tg\t0.1' $'f64\tl\t0.1' $'i64\tk\t-9223372036854775808' $'u64\tj\t18446744073709551615'
    tensor-cat samples/good-metadata-bytes.gguf | tensor-save b.gguf
    cmp <(head -c 100 b.gguf) <(head -c 100 samples/good-metadata-bytes.gguf)
}

@test "keys that tell of the layout of another GGUF file are left out" {
    make-samples samples
    tensor-save m.gguf samples/good-alignment.gguf
    run -0 tensor-ls --meta --tsv m.gguf
    [[ $output != *alignment* ]]
    same m.gguf samples/good-alignment.gguf
}

@test "from format to format metadata stays where there is a place for it" {
    make-samples samples
    tensor-save m.apr samples/good-metadata.safetensors
    run -0 tensor-ls --meta --tsv m.apr
    says $'str\tformat\tpt'
    tensor-save m.safetensors samples/good-metadata.gguf
    run -0 tensor-ls --meta --tsv m.safetensors
    says $'str\ta\t255' $'str\ti\ttext' $'str\tm\t["","x"]'
    tensor-save m.gguf samples/good-metadata.safetensors
    run -0 tensor-ls --meta --tsv m.gguf
    says $'str\tformat\tpt'
}

@test "of two sources with one key the later counts" {
    make-samples samples
    make-model other.tsr 'other F32 1 = 1'
    tensor-rand --like qwen2 --num-layers 1 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 32 --vocab 9 > x.tsr
    tensor-rand --like qwen2 --num-layers 1 --hidden 32 --heads 2 --kv-heads 1 --head-dim 16 --ffn 64 --vocab 9 > y.tsr
    tensor-save m.gguf <(tensor-cat --match lm_head.weight x.tsr; tensor-cat --match model.norm.weight y.tsr)
    run -0 tensor-ls --meta --tsv m.gguf
    says $'\tintermediate_size\t64' $'\tvocab_size\t9'
}

# ---- What the files look like ----

@test "SafeTensors: data at a multiple of 8, no gaps, a header that any JSON reader reads" {
    tensor-save m.safetensors a.tsr
    python3 - << 'END'
import json, struct
data = open("m.safetensors", "rb").read()
n, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + n])
assert (8 + n) % 8 == 0
end = 0
for t in sorted(header.values(), key=lambda t: t["data_offsets"]):
    assert t["data_offsets"][0] == end
    end = t["data_offsets"][1]
assert 8 + n + end == len(data)
assert header["w"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
assert data[8 + n:8 + n + 24] == struct.pack("<6f", 1, 2, 3, 4, 5, 6)
END
}

@test "GGUF: version 3, aligned to 32, padded" {
    tensor-save m.gguf a.tsr
    python3 - << 'END'
import struct
data = open("m.gguf", "rb").read()
assert struct.unpack("<4sIQQ", data[:24]) == (b"GGUF", 3, 4, 0)
assert len(data) % 32 == 0
assert data[-128:-104] == struct.pack("<6f", 1, 2, 3, 4, 5, 6)
assert data[24:24 + 8 + 1 + 4 + 16 + 4 + 8] == struct.pack("<Q1sIQQIQ", 1, b"w", 2, 3, 2, 0, 0)
END
}

@test "APR: checksums, order of the index, alignment" {
    tensor-save m.apr a.tsr
    python3 - << 'END'
import json, struct, zlib
data = open("m.apr", "rb").read()
assert data[:8] == b"APR\0\2\0\0\4"
count, place, length, index, begin, crc = struct.unpack("<IQIQQI", data[8:44])
assert (count, place) == (4, 64) and index % 64 == begin % 64 == 0
assert crc == zlib.crc32(data[:40] + data[44:64])
assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])
meta = json.loads(data[64:64 + length])
assert meta["param_count"] == 15 and meta["total_size"] == 24 + 6 + 4 + 5, meta
at, names = index, []
for _ in range(count):
    n, = struct.unpack_from("<H", data, at)
    names.append(data[at + 2:at + 2 + n])
    rank = data[at + 3 + n]
    offset, size = struct.unpack_from("<QQ", data, at + 4 + n + 8 * rank)
    assert offset % 64 == 0 and begin + offset + size <= len(data) - 4
    at += 20 + n + 8 * rank
assert names == sorted(names) == [b"b", b"i", b"s", b"w"]
END
}

@test "a file of no tensors" {
    for suffix in safetensors gguf apr; do
        make-model none.tsr
        tensor-save m.$suffix none.tsr
        run -0 tensor-ls --table m.$suffix
        says "0 tensors"
    done
}

@test "a stream that announces something else than what comes" {
    # The head's place is made for the tensors that were announced; here more and longer ones come.
    tensor-rand --tensor w=50000 > first.tsr
    tensor-save f.safetensors first.tsr
    make-model many.tsr "$(printf 'n%.0s' {1..3000}) F32 1 = 1"
    tensor-save m.safetensors f.safetensors many.tsr
    same m.safetensors <(cat first.tsr many.tsr)
    # ... and fewer
    tensor-cat m.safetensors | tensor-cat --exclude w | tensor-save n.safetensors
    same n.safetensors many.tsr
}

@test "selection, and nothing on standard output" {
    run -0 tensor-save --match '[wb]' --exclude b m.safetensors a.tsr
    [ -z "$output" ]
    same m.safetensors <(tensor-cat --match w a.tsr)
    tensor-save --limit 2 n.safetensors < a.tsr
    same n.safetensors <(tensor-cat --limit 2 a.tsr)
    tensor-save --dtype I8 o.gguf a.tsr
    same o.gguf <(tensor-cat --match i a.tsr)
}

@test "too few operands" {
    refuses "too few operands" tensor-save
}

@test "a file name that begins with a dash or has blanks" {
    tensor-save "my model.safetensors" a.tsr
    tensor-save -- -m.gguf a.tsr
    [ -e "my model.safetensors" ]
    [ -e ./-m.gguf ]
}

@test "operands in the order of cp: what would be done, and what to type" {
    make-model old.safetensors 'w F32 2 = 1 2' -- new.gguf 'w F32 2 = 3 4'
    cp old.safetensors kept.safetensors
    cp new.gguf kept.gguf
    refuses "old.safetensors: exists already, and absent.gguf does not; the file to write comes first (tensor-save absent.gguf old.safetensors)" \
        tensor-save old.safetensors absent.gguf
    refuses "absent.gguf does not; the file to write comes first" tensor-save --force old.safetensors absent.gguf
    refuses "old.safetensors: exists already; new.gguf would be written over it (tensor-cat new.gguf | tensor-save --force old.safetensors does that" \
        tensor-save old.safetensors new.gguf
    refuses "old.safetensors: is a model, too, and --force replaces none that may be the source; new.gguf would" \
        tensor-save --force old.safetensors new.gguf
    cmp old.safetensors kept.safetensors
    cmp new.gguf kept.gguf
    # what it says to type does that
    tensor-cat new.gguf | tensor-save --force old.safetensors
    run -0 pipeline 'tensor-cos --map none old.safetensors new.gguf | verdict --profile exact'
    tensor-save --force new.gguf - < kept.safetensors
    run -0 pipeline 'tensor-cos --map none new.gguf kept.safetensors | verdict --profile exact'
    # a saved stream is no file that could have been meant
    tensor-cat kept.gguf > kept.tsr
    tensor-save --force old.safetensors kept.tsr
    mkdir f
    cp kept.safetensors f/model.safetensors
    refuses "f/model.safetensors: is read, too" tensor-save --force f/model.safetensors f
}
