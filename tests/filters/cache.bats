#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# tensor-cos --cache: what is taken from it is what would be computed, and nothing else is.

load ../helpers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    tensor-rand --like qwen2 --num-layers 2 --hidden 64 --heads 4 --kv-heads 2 --head-dim 16 --ffn 96 --vocab 50 > m.tsr
    tensor-save -q a.safetensors m.tsr
    tensor-save -q b.apr m.tsr
    tensor-dequant --to F16 m.tsr | tensor-save -q half.safetensors
    make-families families
    make-model x.safetensors 'same F32 3 = 1 2 3' 'near F32 2 = 3 4' 'far F32 2 = 1 0' 'nan F32 2 = nan 1' 'zero F32 1 = 0' \
        'wide F32 2x3 = 1 2 3 4 5 6' 'only F32 1 = 1' -- \
        y.safetensors 'same F32 3 = 1 2 3' 'near F32 2 = 4 3' 'far F32 2 = 0 1' 'nan F32 2 = 1 1' 'zero F32 1 = 0' \
        'wide F32 3x2 = 1 4 2 5 3 6' 'square F32 2x2 = 1 2 3 4'
    # for those who change one
    for n in 1 2 3; do
        cp b.apr copy-$n.apr
    done
    cp b.apr future.apr
    touch -d '+1 hour' future.apr
    # a file that was just written may change within a tick of its clock, and is not remembered
    sleep 3.1
}

# Files keep their times of change only where they are.
setup() {
    cd "$BATS_FILE_TMPDIR" || return
    cache=$BATS_TEST_TMPDIR/cache
}

# known N M OPERAND...: of M results N come from the cache, and all are those that are computed.
known() {
    local some=$1 all=$2
    shift 2
    tensor-cos "$@" > "$BATS_TEST_TMPDIR/computed"
    run --separate-stderr -0 sh -c 'out=$1; shift; tensor-cos --cache "$@" --progress > "$out"' sh "$BATS_TEST_TMPDIR/out" "$cache" "$@"
    if [ "$stderr" != "tensor-cos: $some of $all results were in the cache" ]; then
        echo "$some of $all were expected: $stderr"
        return 1
    fi
    cmp "$BATS_TEST_TMPDIR/computed" "$BATS_TEST_TMPDIR/out"
}

pairs() {
    find "$cache/pairs" -type f
}

@test "the second time all is known, and the same bytes come out" {
    known 0 27 a.safetensors b.apr
    known 27 27 a.safetensors b.apr
    for mode in --json --tsv --table; do
        [ "$(tensor-cos $mode a.safetensors b.apr)" = "$(tensor-cos $mode --cache "$cache" a.safetensors b.apr)" ]
    done
    # what is known is not computed: a record that was put in its place shows
    python3 - "$cache" << 'END'
import glob, hashlib, sys
entry = next(p for p in glob.glob(sys.argv[1] + "/pairs/*/*") if b"lm_head" in open(p, "rb").read())
head, digest, record = open(entry, "rb").read().split(b"\n", 2)
record = record.replace(b"shape_a", b"shape_z")
key = "".join(entry.split("/")[-2:]).encode()
open(entry, "wb").write(head + b"\n" + hashlib.sha256(key + record).hexdigest().encode() + b"\n" + record)
END
    run -0 tensor-cos --json --cache "$cache" --match lm_head.weight a.safetensors b.apr
    says shape_z
}

@test "part of the tensors, then all of them; and the other way round" {
    known 0 12 --layers 0 a.safetensors b.apr
    known 12 27 a.safetensors b.apr
    known 5 5 --limit 5 a.safetensors b.apr
    known 27 27 --sort size a.safetensors b.apr
    rm -r "$cache"
    known 0 5 --limit 5 a.safetensors b.apr
    known 5 27 a.safetensors b.apr
}

@test "other metrics, and what is not explained, are other results" {
    known 0 27 a.safetensors b.apr
    known 0 27 --oracle never a.safetensors b.apr
    known 0 27 --metrics full a.safetensors b.apr
    known 0 27 --metrics full --oracle never a.safetensors b.apr
    known 27 27 --metrics full --oracle never a.safetensors b.apr
    known 27 27 --oracle never a.safetensors b.apr
    known 27 27 a.safetensors b.apr
}

@test "other bytes are another pair, the same bytes in another file are not" {
    known 0 27 a.safetensors b.apr
    known 27 27 b.apr a.safetensors
    known 0 27 a.safetensors half.safetensors
    known 0 27 half.safetensors a.safetensors
    known 27 27 a.safetensors half.safetensors
    cp a.safetensors "$BATS_TEST_TMPDIR/other"
    known 27 27 "$BATS_TEST_TMPDIR/other" b.apr
    known 27 27 m.tsr b.apr
}

# bats test_tags=sweep
@test "tensors that a map changes" {
    n=$(tensor-cos --json families/llama families/llama.gguf | grep -c '"kind":"compare"')
    known 0 "$n" families/llama families/llama.gguf
    run tensor-cos --json --cache "$cache" families/llama families/llama.gguf
    says '"transform":"unrope'
    known "$n" "$n" families/llama families/llama.gguf
    known "$n" "$n" --map llama families/llama families/llama.gguf
    # those that have numbers added are computed each time; none is ever another
    for family in families/*/; do
        for turn in cold warm; do
            tensor-cos --cache "$cache" "$family" "${family%/}.gguf" > "$BATS_TEST_TMPDIR/$turn"
        done
        tensor-cos "$family" "${family%/}.gguf" > "$BATS_TEST_TMPDIR/computed"
        cmp "$BATS_TEST_TMPDIR/computed" "$BATS_TEST_TMPDIR/cold"
        cmp "$BATS_TEST_TMPDIR/computed" "$BATS_TEST_TMPDIR/warm"
    done
}

@test "transposes" {
    known 0 1 --transpose always --match wide x.safetensors y.safetensors
    known 1 1 --transpose always --match wide x.safetensors y.safetensors
    known 0 1 --transpose never --match wide x.safetensors y.safetensors
    known 0 1 --match wide x.safetensors y.safetensors
    known 0 1 --match square y.safetensors y.safetensors
    known 0 1 --transpose always --match square y.safetensors y.safetensors
    known 1 1 --match square y.safetensors y.safetensors
}

@test "what disagrees, and what is no number, is compared each time" {
    known 0 8 x.safetensors y.safetensors
    # same, near (0.96)
    known 2 8 x.safetensors y.safetensors
    [ "$(pairs | wc -l)" -eq 2 ]
}

# ---- What has changed ----

@test "a tensor that was changed is compared anew, alone" {
    c=$PWD/copy-1.apr
    known 0 27 a.safetensors "$c"
    known 27 27 a.safetensors "$c"
    # one byte near the end of the file, in the last tensor
    printf '\75' | dd of="$c" bs=1 seek=$(($(stat -c %s "$c") - 70)) conv=notrunc status=none
    known 26 27 a.safetensors "$c"
    run -1 pipeline "tensor-cos --cache '$cache' a.safetensors '$c' | verdict --profile exact"
    says "1 failed"
    # at once again: too young to be remembered
    known 26 27 a.safetensors "$c"
    sleep 3.1
    known 26 27 a.safetensors "$c"
    known 27 27 a.safetensors "$c"
}

@test "a file that was changed and given its time again" {
    c=$PWD/copy-2.apr
    touch -r "$c" "$BATS_TEST_TMPDIR/time"
    known 0 27 a.safetensors "$c"
    printf '\75' | dd of="$c" bs=1 seek=$(($(stat -c %s "$c") - 70)) conv=notrunc status=none
    touch -r "$BATS_TEST_TMPDIR/time" "$c"
    [ "$(stat -c '%s %Y' "$c")" = "$(stat -c '%s %Y' "$BATS_TEST_TMPDIR/time" | sed "s/[0-9]*/$(stat -c %s "$c")/")" ]
    known 26 27 a.safetensors "$c"
}

@test "another file in its place, with its size and time" {
    c=$PWD/copy-3.apr
    known 0 27 a.safetensors "$c"
    cp -p "$c" "$c.new"
    printf '\75' | dd of="$c.new" bs=1 seek=$(($(stat -c %s "$c") - 70)) conv=notrunc status=none
    touch -r "$c" "$c.new"
    mv "$c.new" "$c"
    known 26 27 a.safetensors "$c"
}

@test "nothing is kept of a file that was just written, or comes from the future" {
    cp b.apr "$BATS_TEST_TMPDIR/c.apr"
    known 0 27 a.safetensors "$BATS_TEST_TMPDIR/c.apr"
    [ -z "$(pairs)" ]
    # digests of the other, older one are
    [ "$(find "$cache/files" -type f | wc -l)" -eq 1 ]
    known 0 27 a.safetensors future.apr
    [ -z "$(pairs)" ]
}

# ---- Damage ----

@test "damaged entries are passed over, and made again" {
    known 0 27 a.safetensors b.apr
    pairs > "$BATS_TEST_TMPDIR/list"
    mapfile -t list < "$BATS_TEST_TMPDIR/list"
    : > "${list[0]}"
    truncate -s -1 "${list[1]}"
    truncate -s 30 "${list[2]}"
    truncate -s 86 "${list[3]}"
    echo >> "${list[4]}"
    cp "${list[6]}" "${list[5]}"
    printf 'x' | dd of="${list[7]}" bs=1 seek=200 conv=notrunc status=none
    printf 'x' | dd of="${list[8]}" bs=1 seek=5 conv=notrunc status=none
    printf '0000' | dd of="${list[9]}" bs=1 seek=30 conv=notrunc status=none
    rm "${list[10]}"
    head -c 1000000 /dev/urandom > "${list[11]}"
    ln -sf "${list[13]}" "${list[12]}"
    rm "${list[14]}"
    mkfifo "${list[14]}"
    known 14 27 a.safetensors b.apr
    known 27 27 a.safetensors b.apr
    # digests of files
    find "$cache/files" -type f > "$BATS_TEST_TMPDIR/list"
    mapfile -t list < "$BATS_TEST_TMPDIR/list"
    [ ${#list[@]} -eq 2 ]
    sed -i '3s/^1/2/' "${list[0]}"
    cp "${list[0]}" "${list[1]}"
    known 27 27 a.safetensors b.apr
    rm -r "$cache/files"
    known 27 27 a.safetensors b.apr
}

@test "a cache that cannot be written to is a warning, one" {
    mkdir "$BATS_TEST_TMPDIR/full"
    mount -t tmpfs -o size=4k,mode=700 none "$BATS_TEST_TMPDIR/full" 2> /dev/null || skip "nothing can be mounted here"
    run --separate-stderr -0 sh -c "tensor-cos --cache '$BATS_TEST_TMPDIR/full' a.safetensors b.apr > '$BATS_TEST_TMPDIR/out'"
    umount "$BATS_TEST_TMPDIR/full"
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "tensor-cos: warning: --cache: "*"No space left on device" ]]
    tensor-cos a.safetensors b.apr | cmp - "$BATS_TEST_TMPDIR/out"
}

@test "many at once with one cache" {
    for n in 1 2 3 4 5 6; do
        tensor-cos --cache "$cache" a.safetensors b.apr > "$BATS_TEST_TMPDIR/$n" &
        jobs[n]=$!
    done
    for n in 1 2 3 4 5 6; do
        ends "${jobs[n]}" 0
        tensor-cos a.safetensors b.apr | cmp - "$BATS_TEST_TMPDIR/$n"
    done
    known 27 27 a.safetensors b.apr
    [ -z "$(find "$cache" -name '.new*')" ]
}

# ---- Where it may be ----

@test "a folder that others could write to is refused" {
    mkdir "$cache"
    chmod 777 "$cache"
    refuses "others may write to it" tensor-cos --cache "$cache" a.safetensors b.apr
    chmod 755 "$cache"
    run -0 tensor-cos --cache "$cache" a.safetensors b.apr
    chmod 757 "$cache/pairs"
    refuses "pairs: is no safe place for a cache: others may write to it" tensor-cos --cache "$cache" a.safetensors b.apr
    [ "$(id -u)" -eq 0 ] || skip "only root can give a folder away"
    chmod 755 "$cache/pairs"
    chown 12345 "$cache"
    refuses "it belongs to another user" tensor-cos --cache "$cache" a.safetensors b.apr
}

@test "what is no folder" {
    : > "$cache"
    chmod 600 "$cache"
    refuses "is no folder" tensor-cos --cache "$cache" a.safetensors b.apr
    refuses "No such file" tensor-cos --cache "$BATS_TEST_TMPDIR/absent/cache" a.safetensors b.apr
    refuses "--cache" tensor-cos --cache '' a.safetensors b.apr
    refuses "--repeat computes" tensor-cos --repeat 2 --cache "$BATS_TEST_TMPDIR" a.safetensors b.apr
}

@test "a new one is for its owner alone" {
    (umask 0 && tensor-cos --cache "$cache" a.safetensors b.apr > /dev/null)
    [ -z "$(find "$cache" -perm /077)" ]
}

# ---- File systems that are not like others ----

@test "a file whose time of change is in whole seconds is not remembered" {
    [ -z "$TU_SANITIZED" ] || skip "the library comes before what the sanitizer has to be behind"
    cat > "$BATS_TEST_TMPDIR/image.c" << 'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
int fstat(int fd, struct stat *st)
{
    int result = ((int (*)(int, struct stat *))dlsym(RTLD_NEXT, "fstat"))(fd, st);
    st->st_ctim.tv_nsec = 0;
    return result;
}
END
    # shellcheck disable=SC2086 # CC may have options
    $CC -shared -fPIC -o "$BATS_TEST_TMPDIR/image.so" "$BATS_TEST_TMPDIR/image.c"
    export LD_PRELOAD=$BATS_TEST_TMPDIR/image.so
    known 0 27 a.safetensors b.apr
    known 0 27 a.safetensors b.apr
    unset LD_PRELOAD
    [ -z "$(pairs)" ]
    known 0 27 a.safetensors b.apr
    known 27 27 a.safetensors b.apr
}

# ---- Streams ----

@test "streams are compared as ever" {
    known 0 27 a.safetensors b.apr
    for operands in '- b.apr' '<(cat a.safetensors) b.apr' '- <(cat b.apr)'; do
        run --separate-stderr -0 bash -c "tensor-cat a.safetensors | tensor-cos --progress --json --cache '$cache' $operands"
        [[ $stderr == *"0 of 27 results"* ]]
        [ "$output" = "$(bash -c "tensor-cat a.safetensors | tensor-cos --json $operands")" ]
    done
    [ "$(pairs | wc -l)" -eq 27 ]
}
