#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Plugins from outside of this tree: built against an installation, found, trusted, or refused.

load ../helpers

setup_file() {
    # The flags of an enclosing make are not for this one.
    unset MAKEFLAGS MFLAGS MAKELEVEL
    make -C "$builddir" install DESTDIR="$BATS_FILE_TMPDIR/root" > "$BATS_FILE_TMPDIR/log" 2>&1 || {
        cat "$BATS_FILE_TMPDIR/log" >&2
        return 1
    }
    PKG_CONFIG_PATH=$(dirname "$(find "$BATS_FILE_TMPDIR/root" -name tensorutils.pc)")
    PKG_CONFIG_SYSROOT_DIR=$BATS_FILE_TMPDIR/root
    export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
    # The plugin of the manual page, as it stands there.
    sed -n '/toy\.c: "TOYMODEL"/,/^\.fi$/p' "$srcdir/man/tensor-format.3" | sed '/^\./d; s/\\-/-/g; s/\\e/\\/g; s/\\&//g' > "$BATS_FILE_TMPDIR/toy.c"
    cp "$srcdir/tests/formats/liar.c" "$BATS_FILE_TMPDIR"
    cd "$BATS_FILE_TMPDIR" || return
    mkdir -m 755 plugins
    compile toy.c plugins/toy.so
    compile liar.c plugins/liar.so
}

# compile SOURCE PLUGIN: as somebody would who has nothing but the installation.
compile() {
    # shellcheck disable=SC2046
    $CC -std=c11 -Wall -Wextra -Werror -shared -fPIC $($PKG_CONFIG --cflags tensorutils) -o "$2" "$1"
}

setup() {
    mkdir -m 755 plugins
}

# refused WHY: the plugin in the folder plugins is listed with this reason, and hurts nobody.
refused() {
    run --separate-stderr -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls --formats
    grep -q "^refused .*plugins.*$1" <<< "$output" || {
        echo "refused: $1: was expected in:"
        echo "$output"
        return 1
    }
    make-model m.gguf 'w F32 1 = 1'
    run --separate-stderr -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-cos --json m.gguf m.gguf
    says '"status":"ok"'
}

# ---- The header ----

@test "the header stands alone in C and C++, and is strict" {
    while read -r language standard compiler; do
        command -v "${compiler%% *}" > /dev/null || continue
        for header in tensorutils/format.h tensorutils/dtype.h; do
            # shellcheck disable=SC2046,SC2086 # flags, and CC, are several words
            echo "#include <$header>" | $compiler -x "$language" -std="$standard" -Wall -Wextra -Wpedantic -Wshadow \
                -Werror $($PKG_CONFIG --cflags tensorutils) -fsyntax-only -
        done
    done < <(for standard in c11 c17 gnu17; do printf "c $standard %s\n" "$CC" gcc clang; done
        for standard in c++11 c++17 c++20; do printf "c++ $standard %s\n" g++ clang++; done)
}

@test "a plugin may be written in C++" {
    cat > hello.cc << 'END'
#include <cstring>
#include <tensorutils/format.h>

static unsigned bid(const uint8_t *head, size_t length, uint64_t)
{
    return length >= 8 && std::memcmp(head, "HELLO   ", 8) == 0 ? 64 : 0;
}

static int read(tensor_reader *r)
{
    const void *head = tensor_peek(r, 0, 8);
    if (!head)
        return -1;
    if (r->size < 16)
        return tensor_fail(r, 8, "it has %u floats, not 2", static_cast<unsigned>((r->size - 8) / 4));
    tensor_value greeting = {};
    greeting.type = TENSOR_STRING;
    greeting.string.bytes = "world";
    greeting.string.length = 5;
    if (tensor_value_add(r, "hello", 5, &greeting) < 0)
        return -1;
    if (r->size > 16)
        tensor_warn(r, "%s", "it has more than 2 floats");
    const uint64_t shape[] = {2};
    tensor_entry entry = {};
    entry.name = "w";
    entry.name_length = 1;
    entry.dtype = TENSOR_F32;
    entry.rank = 1;
    entry.shape = shape;
    entry.offset = 8;
    entry.nbytes = 8;
    return tensor_add(r, &entry);
}

static tensor_format hello()
{
    tensor_format format = {};
    format.abi = TENSOR_FORMAT_ABI;
    format.struct_size = sizeof format;
    format.name = "hello";
    format.about = "two floats";
    format.suffixes = ".hello";
    format.bid = bid;
    format.read = read;
    return format;
}

extern "C" {
extern const tensor_format tensor_format_hello;
const tensor_format tensor_format_hello = hello();
}
END
    printf 'HELLO   %08d' 0 > good.hello
    printf 'HELLO   %04d' 0 > bad.hello
    compilers=0
    for compiler in g++ clang++; do
        command -v $compiler > /dev/null || continue
        # shellcheck disable=SC2046
        $compiler -std=c++11 -Wall -Wextra -pedantic -Werror -shared -fPIC $($PKG_CONFIG --cflags tensorutils) \
            -o plugins/hello.so hello.cc
        export TENSORUTILS_PLUGINS=$PWD/plugins
        run -0 tensor-ls --tsv good.hello
        says $'F32\t[2]\t8\t2\t0\t-\t-\tw'
        run -0 tensor-ls --meta --tsv good.hello
        says $'str\thello\tworld'
        refuses "bad.hello: byte 8: it has 1 floats, not 2" tensor-ls bad.hello
        compilers=$((compilers + 1))
    done
    [ $compilers -gt 0 ] || skip "neither g++ nor clang++ is installed"
}

@test "pkg-config knows where plugins go" {
    run -0 "$PKG_CONFIG" --variable=plugindir tensorutils
    # (the sysroot may stand before it or not)
    [ -e "$PKG_CONFIG_SYSROOT_DIR${output#"$PKG_CONFIG_SYSROOT_DIR"}/gguf.so" ]
    run -0 "$PKG_CONFIG" --modversion tensorutils
    [ "$output" = "$(tensor-ls --version | sed 's/.* //')" ]
}

@test "what is installed" {
    sed -n 's,^[[:blank:]]*filters/\([a-z0-9-]*\).*,\1,p' "$srcdir/filters/local.mk" > filters
    while read -r filter; do
        [ -x "$(find "$PKG_CONFIG_SYSROOT_DIR" -path "*/bin/$filter")" ]
        [ -s "$(find "$PKG_CONFIG_SYSROOT_DIR" -path "*/man1/$filter.1")" ]
    done < filters
    # a plugin exports its one symbol
    for plugin in gguf safetensors apr npy npz; do
        run -0 pipeline "nm -D --defined-only '$(find "$PKG_CONFIG_SYSROOT_DIR" -name "$plugin.so")' | grep -v ' [wW] ' | grep -o 'tensor_format_[a-z]*'"
        [ "$output" = "tensor_format_$plugin" ]
    done
}

@test "installed tools find plugins where they are told to" {
    tools=$(dirname "$(find "$PKG_CONFIG_SYSROOT_DIR" -name tensor-ls -type f)")
    plugins=$(dirname "$(find "$PKG_CONFIG_SYSROOT_DIR" -name gguf.so)")
    make-model m.gguf 'w F32 1 = 1'
    run -0 env TENSORUTILS_PLUGINS="$plugins" "$tools/tensor-ls" --json m.gguf
    says '"name":"w"'
}

# ---- A plugin from outside ----

@test "the plugin of the manual page is taken" {
    export TENSORUTILS_PLUGINS=$BATS_FILE_TMPDIR/plugins
    run -0 tensor-ls --formats
    says "searched  $BATS_FILE_TMPDIR/plugins"
    [[ $output =~ toy\ +read,write\ +one\ row\ of\ floats ]]
    [[ $output != *refused* ]]
}

@test "all tools know its format" {
    export TENSORUTILS_PLUGINS=$BATS_FILE_TMPDIR/plugins
    tensor-rand --tensor data=4 > a.tsr
    tensor-save small.toy a.tsr
    [ "$(head -c 8 small.toy)" = TOYMODEL ]
    [ "$(stat -c %s small.toy)" -eq 32 ]
    run -0 tensor-ls --json small.toy
    [[ $output == '{"kind":"entry","name":"data","dtype":"F32","shape":[4],"nbytes":16,"elements":4,'* ]]
    run -0 pipeline 'tensor-cat small.toy | tensor-cos - a.tsr | verdict --rule "max_diff <= 0"'
    # shellcheck disable=SC2002
    cat small.toy | tensor-ls --json | grep -q '"name":"data"'
    tensor-save other.safetensors small.toy
    tensor-save --format toy back.bin other.safetensors
    cmp back.bin small.toy
    refuses "toy has no type but F32" pipeline 'tensor-rand --type I8 --tensor data=4 | tensor-save i.toy'
    refuses "holds one tensor, not 2" tensor-save two.toy a.tsr <(tensor-rand --tensor x=1)
    [ ! -e two.toy ]
    [ ! -e i.toy ]
}

@test "without the plugin nobody does" {
    TENSORUTILS_PLUGINS=$BATS_FILE_TMPDIR/plugins tensor-save small.toy <(tensor-rand --tensor data=4)
    refuses "no known format" tensor-ls small.toy
    refuses "no format has this suffix" tensor-save other.toy small.toy
}

@test "its bad files are refused like others" {
    export TENSORUTILS_PLUGINS=$BATS_FILE_TMPDIR/plugins
    tensor-rand --tensor data=4 | tensor-save small.toy
    for length in 16 20 31; do
        head -c $length small.toy > cut.toy
        refuses "cut.toy: byte 8: it has fewer than 4 floats" tensor-ls cut.toy
    done
    printf 'TOYMODEL\377\377\377\377\377\377\377\377' > huge.toy
    refuses "huge.toy" tensor-ls huge.toy
}

# ---- The core checks what plugins say ----

# lies FRAGMENT SCRIPT: a file that makes the plugin of liar.c do as the script says.
lies() {
    printf 'LIAR\n%s\n%064d\n' "$2" 0 > liar.file
    TENSORUTILS_PLUGINS=$BATS_FILE_TMPDIR/plugins refuses "$1" timeout 5 tensor-ls liar.file
}

@test "a plugin that speaks the truth" {
    printf 'LIAR\nadd w 23 8 0 1 8\nvalue k v\nadd v 2 4 8 1 1\n%064d\n' 0 > liar.file
    run -0 env TENSORUTILS_PLUGINS="$BATS_FILE_TMPDIR/plugins" tensor-ls --tsv liar.file
    says $'U8\t[8]\t8\t8\t0\t-\t-\tw' $'F32\t[1]\t4\t1\t0\t-\t-\tv'
}

@test "a plugin that lies about tensors" {
    # add NAME DTYPE NBYTES OFFSET RANK DIMENSION...
    lies "liar.file: tensor 'w' at byte 1000: its 8 bytes end beyond the file" 'add w 23 8 1000 1 8'
    lies "end beyond the file" 'add w 23 8 18446744073709551612 1 8'
    lies "overflow" 'add w 23 18446744073709551615 1 1 18446744073709551615'
    lies "overflow" 'add w 2 0 0 2 4294967296 4294967296'
    lies "its type U8 and shape need 9" 'add w 23 8 0 1 9'
    lies "unknown element type 9999" 'add w 9999 8 0 1 8'
    lies "unknown element type 0" 'add w 0 8 0 1 8'
    lies "16 dimensions" 'add w 23 1 0 17 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1'
    lies "overlap" $'add w 23 8 0 1 8\nadd v 23 8 7 1 8'
    lies "twice" $'add w 23 8 0 1 8\nadd w 23 8 8 1 8'
    lies "its name is empty" 'add - 23 8 0 1 8'
    lies "UTF-8" $'add \xff 23 8 0 1 8'
}

@test "a plugin that lies about metadata, or asks too much" {
    lies "twice" $'value k v\nvalue k w'
    lies "closed" 'close'
    lies "open" 'open k'
    lies "nested" "$(printf 'open k%.0s\n' {1..40})"
    lies "truncated" 'peek 1000 1'
    lies "truncated" 'peek 0 1048577'
    lies "truncated" 'peek 18446744073709551615 16'
    lies "JSON" 'json 0 10'
    lies "truncated" 'json 1000 10'
    lies "it is a lie" 'fail 5'
    lies 'it is a \x1b lie' 'escape 5'
    lies "without a reason" 'silent'
}

# ---- Refused plugins ----

@test "another ABI number" {
    sed 's/TENSOR_FORMAT_HEADER,/.abi = 999, .struct_size = sizeof(struct tensor_format),/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
    refused "ABI"
}

@test "a struct that is too short" {
    sed 's/TENSOR_FORMAT_HEADER,/.abi = TENSOR_FORMAT_ABI, .struct_size = 16,/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
    refused "too short"
}

@test "a struct that is longer, from a newer header, is taken" {
    sed 's/TENSOR_FORMAT_HEADER,/.abi = TENSOR_FORMAT_ABI, .struct_size = sizeof(struct tensor_format) + 64,/' \
        "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
    run -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls --formats
    [[ $output =~ toy\ +read,write ]]
}

@test "without a slot that must be there" {
    for slot in bid read name about suffixes; do
        sed "/^ *\.$slot = /d; s/^static unsigned bid/unsigned bid(const uint8_t *, size_t, uint64_t);\nunsigned bid/" \
            "$BATS_FILE_TMPDIR/toy.c" | sed 's/^static int read_toy/int read_toy(struct tensor_reader *);\nint read_toy/' > toy.c
        compile toy.c plugins/toy.so
        refused "it "
    done
    sed '/^ *\.write_head = /d; s/^static int write_head/int write_head(struct tensor_writer *);\nint write_head/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
    refused "write_head"
}

# with_prefix CODE [SLOT]: the toy with something before its tensor.
with_prefix() {
    sed "s/^const struct tensor_format/static int write_prefix(struct tensor_writer *w, size_t index)\n{\n$1\n}\n\n&/
        s/^ *\.refuse = /    .write_prefix = write_prefix,\n    $2\n&/" "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
}

@test "what stands before a tensor is written again when its checksum is known" {
    export TENSORUTILS_PLUGINS=$PWD/plugins
    with_prefix 'return tensor_emit(w, \&w->tensor_crc32[index], 4);'
    tensor-rand --tensor data=4 > a.tsr
    tensor-save small.toy a.tsr
    python3 - << 'END'
import struct, zlib
data = open("small.toy", "rb").read()
assert len(data) == 16 + 4 + 16 and struct.unpack("=I", data[16:20])[0] == zlib.crc32(data[20:])
END
    with_prefix 'return tensor_emit(w, "12345", w->tensor_crc32[index] ? 5 : 4);'
    refuses "big.toy: format toy changed the length of a prefix" tensor-save big.toy a.tsr
    [ ! -e big.toy ]
    with_prefix 'return tensor_write_fail(w, "no prefix %zu", index);'
    refuses "big.toy: no prefix 0" tensor-save big.toy a.tsr
    with_prefix 'return tensor_emit(w, "", index);' '.wants_crc32 = true,'
    refused "wants the checksum"
}

@test "another symbol than its file name says" {
    cp "$BATS_FILE_TMPDIR/plugins/toy.so" plugins/game.so
    refused "symbol"
}

@test "a hyphen in a file name is an underscore in the symbol" {
    sed 's/tensor_format_toy/tensor_format_my_toy/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/my-toy.so
    run -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls --formats
    [[ $output =~ toy\ +read,write && $output != *refused* ]]
}

@test "a file that is no shared object" {
    echo "I am no plugin." > plugins/toy.so
    refused "toy.so"
    : > plugins/toy.so
    refused "toy.so"
    head -c 500 "$BATS_FILE_TMPDIR/plugins/toy.so" > plugins/toy.so
    refused "toy.so"
    rm plugins/toy.so
    mkdir plugins/toy.so
    refused "toy.so"
}

@test "a plugin with an undefined symbol" {
    printf 'int nowhere(void);\nint also_here(void);\nint also_here(void) { return nowhere(); }\n' | cat "$BATS_FILE_TMPDIR/toy.c" - > toy.c
    compile toy.c plugins/toy.so
    refused "nowhere"
}

@test "folders and files that others may write" {
    cp "$BATS_FILE_TMPDIR/plugins/toy.so" plugins
    chmod 777 plugins
    refused "others may write"
    [[ $(TENSORUTILS_PLUGINS=$PWD/plugins tensor-ls --formats) != *"one row of floats"* ]]
    chmod 755 plugins
    chmod 666 plugins/toy.so
    refused "others may write"
    chmod 755 plugins/toy.so
    run -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls --formats
    says "one row of floats"
}

@test "files of another user" {
    [ "$(id -u)" -eq 0 ] || skip "only root can give files away"
    cp "$BATS_FILE_TMPDIR/plugins/toy.so" plugins
    chown 12345 plugins/toy.so
    refused "another user"
}

@test "a folder that is not there" {
    run --separate-stderr -0 env TENSORUTILS_PLUGINS="$PWD/absent:$PWD/plugins:" tensor-ls --formats
    grep -q '^refused .*absent: No such file' <<< "$output"
    make-model m.gguf 'w F32 1 = 1'
    run -0 env TENSORUTILS_PLUGINS="$PWD/absent" tensor-ls m.gguf
}

@test "what is no .so is not looked at" {
    echo garbage > plugins/README
    echo garbage > plugins/toy.so.bak
    echo garbage > plugins/.so
    run -0 env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls --formats
    [[ $output != *refused* ]]
}

@test "of two plugins of one name the first counts" {
    sed 's/one row of floats/the first of two/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/toy.so
    run -0 env TENSORUTILS_PLUGINS="$PWD/plugins:$BATS_FILE_TMPDIR/plugins" tensor-ls --formats
    says "the first of two"
    [[ $output != *"one row of floats"* ]]
    grep -q '^refused .*toy.so: .*before' <<< "$output"
    # so one can take the place of one that comes with the suite
    sed 's/\.name = "toy"/.name = "gguf"/; s/tensor_format_toy/tensor_format_gguf/' "$BATS_FILE_TMPDIR/toy.c" > toy.c
    compile toy.c plugins/gguf.so
    make-model m.gguf 'w F32 1 = 1'
    refuses "no known format" env TENSORUTILS_PLUGINS="$PWD/plugins" tensor-ls m.gguf
}
