#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is named or piped in by mistake is named as what it is, with what to do about it.

load ../helpers

setup() {
    make-model a.safetensors 'w F32 2x2 = 1 2 3 4' -- b.gguf 'w F32 2x2 = 1 2 3 4'
}

# mistaken FRAGMENT FILE: named and piped in, by tools that read models.
mistaken() {
    refuses "$1" tensor-ls "$2"
    refuses "$1" tensor-cos "$2" a.safetensors
    refuses "$1" tensor-cos a.safetensors "$2"
    refuses "$1" sh -c 'cat "$1" | tensor-cat - > /dev/null' sh "$2"
    refuses "$1" sh -c 'tensor-hash < "$1"' sh "$2"
}

@test "pointers, pages and archives" {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' > m.safetensors
    mistaken "is a Git LFS pointer, not the file that it stands for (git lfs pull" m.safetensors
    printf '\r\n  <!DOCTYPE HTML><title>404</title>' > page
    mistaken "is an HTML page" page
    printf '<html>' > page
    mistaken "is an HTML page" page
    printf '\xef\xbb\xbf<?xml version="1.0"?><Error>' > page
    mistaken "is XML, not a file of a model" page
    gzip -c b.gguf > b.gguf.gz
    mistaken "is a gzip file (unpack it: gzip -d)" b.gguf.gz
    printf '\xfd7zXZ\0\0\4' > b.xz
    mistaken "is an xz file (unpack it: xz -d)" b.xz
    printf '\x28\xb5\x2f\xfd\4\0' > b.zst
    mistaken "is a zstd file (unpack it: zstd -d)" b.zst
    printf 'BZh91AY' > b.bz2
    mistaken "is a bzip2 file" b.bz2
    python3 -c 'import tarfile
with tarfile.open("b.tar", "w") as t: t.add("b.gguf")'
    mistaken "is a tar archive" b.tar
    : > empty.safetensors
    mistaken "empty" empty.safetensors
}

@test "models of formats that are not read here" {
    printf '\x89HDF\r\n\x1a\n\0\0\0' > m.h5
    mistaken "is HDF5, as of Keras" m.h5
    printf '\x1c\0\0\0TFL3\x14\0' > m.tflite
    mistaken "is a TFLite model" m.tflite
    printf '\x08\x08\x12\x07pytorch\x1a\x05' > m.onnx
    mistaken "is an ONNX model" m.onnx
    python3 - << 'END'
import pickle, zipfile
open("old.bin", "wb").write(pickle.dumps({"w": [1, 2]}, protocol=2))
open("new.bin", "wb").write(pickle.dumps({"w": [1, 2]}, protocol=4))
with zipfile.ZipFile("m.pt", "w") as z:
    z.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    z.writestr("archive/version", b"3\n")
END
    mistaken "is a Python pickle" old.bin
    mistaken "is a Python pickle" new.bin
    mistaken "is a PyTorch file" m.pt
    printf 'lmgg\1\0\0\0' > m.ggml
    mistaken "older than GGUF" m.ggml
    echo '{"model_type": "llama"}' > config.json
    mistaken "is JSON, not a file of a model" config.json
}

@test "what our own tools print where records are read" {
    tensor-cos a.safetensors b.gguf > results.tsr
    run -2 pipeline 'tensor-cos --json a.safetensors b.gguf | verdict'
    says "verdict: standard input: is the output of tensor-cos --json (leave out --json)"
    run -2 pipeline 'tensor-cos --tsv a.safetensors b.gguf | verdict'
    says "is the output of tensor-cos --tsv (leave out --tsv)"
    run -2 pipeline 'tensor-cos --table a.safetensors b.gguf | verdict'
    says "is the table of tensor-cos (leave out --table)"
    # saved in a file of JSON, too
    tensor-cos --json a.safetensors b.gguf > results.json
    refuses "results.json: is the output of tensor-cos --json" verdict results.json
    run -2 pipeline 'tensor-ls --json a.safetensors | verdict'
    says "is the output of tensor-ls --json (--stream puts out records)"
    run -2 pipeline 'tensor-hash --json a.safetensors | verdict'
    says "is the output of tensor-hash --json (--stream puts out records)"
    run -2 pipeline 'tensor-hash --table a.safetensors | verdict'
    says "is the output of tensor-hash (--stream"
    run -2 pipeline 'tensor-cat --json a.safetensors | tensor-cos - b.gguf 2>&1'
    says "tensor-cos: standard input: is the output of a filter with --json (leave out --json)"
    run -2 pipeline 'tensor-cat --table a.safetensors | tensor-cos - b.gguf 2>&1'
    says "is a table of tensors (leave out --table"
    run -2 pipeline 'tensor-cat --tsv a.safetensors | tensor-cos - b.gguf 2>&1'
    says "is a table of tensors (leave out --tsv"
    run -2 pipeline 'tensor-stat --json a.safetensors | verdict 2>&1'
    says "is the output of" "--json (leave out --json)"
    for mode in --table --json --tsv; do
        run -2 pipeline "verdict $mode --min 0 results.tsr | verdict"
        says "is the output of verdict" "(verdict ends a pipeline)"
    done
}

@test "where no plugin was loaded, that is said" {
    mkdir none
    printf 'nobody knows this' > x
    refuses "x: is of no known format (tensor-ls --formats lists those that are)" tensor-ls x
    echo 'no plugin' > none/tensorutils-x.so
    run --separate-stderr -0 env TENSORUTILS_PLUGINS="$PWD/none" tensor-ls --formats
    if [[ $output == *refused* ]]; then
        refuses "and the plugins that were refused" env TENSORUTILS_PLUGINS="$PWD/none" tensor-ls x
    fi
}

@test "folders that hold no model that is read here say what they hold" {
    mkdir f
    : > f/pytorch_model.bin
    refuses "f: is a directory without a model that is read here; pytorch_model.bin is weights of PyTorch" tensor-ls f
    mv f/pytorch_model.bin f/model.onnx
    refuses "model.onnx is ONNX" tensor-cos f a.safetensors
    # numbered shards without their index
    mkdir s
    tensor-rand --tensor x=400 --tensor y=400 | tensor-save --max-shard-size 2000 s/m.safetensors
    rm s/m.safetensors.index.json
    refuses "s: holds m-00001-of-00002.safetensors, one of 2 shards, and no index (fetch its" tensor-ls s
    # of two models
    cp a.safetensors b.gguf f
    refuses "f: holds models of two formats" tensor-ls f
    # the cache of the hub
    mkdir -p models--X--Y/blobs models--X--Y/refs models--X--Y/snapshots/abc123
    refuses "is a folder of the hub's cache, with 1 snapshots (name one: models--X--Y/snapshots/abc123)" tensor-ls models--X--Y
    cp a.safetensors models--X--Y/snapshots/abc123
    run -0 tensor-ls models--X--Y/snapshots/abc123
}

@test "an address is no file" {
    refuses "https://hf.co/x.safetensors: is an address; fetch what it names first" tensor-ls https://hf.co/x.safetensors
}
