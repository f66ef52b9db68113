#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a newcomer meets first: what is missing is said at once and with what to install, and a build
# knows when it is no longer the one that was asked for.

load ../helpers

# fake NAME [SCRIPT]: a program that comes before any other of its name.
fake() {
    mkdir -p fakes
    printf '#!/bin/sh\n%s\n' "${2-}" > "fakes/$1"
    chmod +x "fakes/$1"
    [[ $PATH == "$PWD/fakes:"* ]] || PATH=$PWD/fakes:$PATH
}

@test "the README installs what scripts/setup does" {
    sed -n '/^    apt-get install/,/[^\\]$/p' "$srcdir/README.md" | tr -s ' \\' '\n\n' |
        grep -vx -e apt-get -e install -e '-.*' -e '' | sort > readme
    diff readme <(sh "$srcdir/scripts/setup" --list check)
}

@test "setup tells a user who may not install what root is to install" {
    fake dpkg-query
    fake id 'echo 1000'
    fake sudo 'exit 1'
    fake apt-get 'echo apt-get was called; exit 1'
    for what in build check; do
        run --separate-stderr -2 sh "$srcdir/scripts/setup" $what
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 2 ]
        [[ ${stderr_lines[1]} == '    apt-get install -y --no-install-recommends '* ]]
        diff <(sed '1d; s/.*recommends //' <<< "$stderr" | tr ' ' '\n' | sort) <(sh "$srcdir/scripts/setup" --list $what)
    done
}

@test "setup installs what is missing and nothing else" {
    fake dpkg-query 'case $4 in bats | make) exit 1 ;; esac; echo installed'
    fake id 'echo 0'
    fake apt-get 'echo "$*" >> calls'
    run -0 sh "$srcdir/scripts/setup"
    diff calls - << 'END'
update
install -y --no-install-recommends make bats
END
    fake dpkg-query 'echo installed'
    rm calls
    run -0 sh "$srcdir/scripts/setup"
    [ ! -e calls ]
}

@test "configure lists all that is missing in the end" {
    mkdir -p source/lib/tensorutils
    cp -r "$srcdir/configure" "$srcdir/build-aux" source
    cp "$srcdir/lib/tensorutils/format.h" source/lib/tensorutils
    run --separate-stderr -1 env -u PKG_CONFIG_PATH source/configure PKG_CONFIG=false CC=false
    for package in gcc $(sh "$srcdir/scripts/setup" --list build | grep -- '-dev$'); do
        [[ $stderr =~ \(Debian:\ ([a-z0-9]*\ )*"$package" ]]
        [[ ${stderr_lines[-1]} =~ ^'On Debian, as root: apt-get install '.*$package ]]
    done
    [[ ${stderr_lines[0]} == 'configure: error: these are missing:' ]]
}

@test "without a tool that all tests need, one line says what to install" {
    run -0 sh "$srcdir/tests/tools/need-tools"
    [ -z "$output" ]
    run --separate-stderr -1 env BATS=nowhere sh "$srcdir/tests/tools/need-tools"
    [ "$stderr" = "the tests need: nowhere; on Debian, as root: apt-get install bats" ]
    mkdir empty
    run --separate-stderr -1 env PATH="$PWD/empty" /bin/sh "$srcdir/tests/tools/need-tools"
    [ "$stderr" = "the tests need: bats python3; on Debian, as root: apt-get install bats python3" ]
    # make check asks first
    unset MAKEFLAGS MFLAGS MAKELEVEL
    run -2 make -C "$builddir" tools-are-there BATS=nowhere
    says "the tests need: nowhere"
}

# A source tree whose configure and make say that they ran.
tree() {
    mkdir -p tree/scripts tree/lib tree/filters tree/plugins tree/man tree/tests
    cp "$srcdir/scripts/build" tree/scripts
    cat > tree/configure << 'END'
#!/bin/sh
echo "configure $*" >> ran
printf 'all:\n\t@echo make >> ran\nclean:\n\t@echo clean >> ran\n' > Makefile
touch config.status
END
    chmod +x tree/configure
    touch tree/configure.ac tree/Makefile.am tree/lib/local.mk
    touch tree/config.h.in tree/Makefile.in
    for tool in automake libtoolize pkg-config; do
        fake $tool 'echo 1'
    done
    fake autoreconf 'touch Makefile.in; echo autoreconf >> out/ran'
    unset CC CFLAGS TU_CONFIGURE MAKEFLAGS MFLAGS MAKELEVEL
    unset "${!PKG_CONFIG@}"
}

# builds RAN... -- OPTION...: a build with these options runs these steps.
builds() {
    local steps=()
    while [ "$1" != -- ]; do
        steps+=("$1")
        shift
    done
    mkdir -p tree/out
    : > tree/out/ran
    (cd tree && sh scripts/build out "${@:2}")
    diff tree/out/ran <(printf '%s\n' "${steps[@]}")
}

# breaks OPTION...: a build with these options fails.
breaks() {
    (cd tree && run -2 sh scripts/build out "$@")
}

@test "a build configures again when it has to, and only then" {
    tree
    builds 'configure --x' clean make -- --x
    builds make -- --x
    # other options, and those of the environment
    builds 'configure --y' clean make -- --y
    TU_CONFIGURE=--z builds 'configure --z --y' clean make -- --y
    builds 'configure ' clean make --
    # another compiler, by name or by version
    fake mycc 'echo mycc 1'
    CC=mycc builds 'configure ' clean make --
    CC=mycc builds make --
    fake mycc 'echo mycc 2'
    CC=mycc builds 'configure ' clean make --
    builds 'configure CC=mycc' clean make -- CC=mycc
    fake mycc 'echo mycc 3'
    builds 'configure CC=mycc' clean make -- CC=mycc
    # a compiler of CUDA kernels that came: objects stay
    fake clang 'echo clang 99'
    builds 'configure CC=mycc' make -- CC=mycc
    builds make -- CC=mycc
}

@test "a build prepares configure again when what it is made of has changed" {
    tree
    builds 'configure ' clean make --
    touch -d '+1 minute' tree/lib/local.mk
    builds autoreconf make --
    touch tree/lib/local.mk tree/configure.ac
    rm tree/Makefile.in
    builds autoreconf make --
    touch -d '+1 minute' tree/configure
    builds 'configure ' make --
    # no autoconf: one line
    rm fakes/libtoolize
    touch -d '+2 minutes' tree/lib/local.mk
    mkdir bin
    for tool in sh find dirname mkdir; do
        ln -s "$(command -v $tool)" bin
    done
    run --separate-stderr -2 env PATH="$PWD/bin" sh tree/scripts/build tree/out
    [ "$stderr" = "build: there is no autoreconf: 'sh scripts/setup build' installs what is missing" ]
}

@test "a build that broke off is finished" {
    tree
    cp tree/configure whole
    # in configure, before and behind its first result
    printf '#!/bin/sh\nexit 1\n' > tree/configure
    breaks
    printf '#!/bin/sh\ntouch Makefile config.status; exit 1\n' > tree/configure
    breaks
    cp whole tree/configure
    builds 'configure ' clean make --
    # configure for something else broke off: what is built is for nothing else
    printf '#!/bin/sh\ntouch Makefile config.status; exit 1\n' > tree/configure
    breaks --x
    cp whole tree/configure
    builds 'configure ' make --
}

@test "a build takes back what configure did in the source folder" {
    tree
    builds 'configure ' clean make --
    printf 'distclean:\n\techo distclean >> out/ran; rm config.status Makefile object\n' > tree/Makefile
    printf '#!/bin/sh\necho "--prefix=/opt $*"\n' > tree/config.status
    touch tree/object
    : > tree/out/ran
    run --separate-stderr -0 sh tree/scripts/build tree/out
    [ "${stderr_lines[0]}" = "build: this folder was configured in place: 'make distclean' makes way here (to have it back: ./configure --prefix=/opt --config)" ]
    diff tree/out/ran <(printf '%s\n' distclean make)
    [ ! -e tree/object ]
    # configure broke off before there was anything to make
    echo 'exit 1' > tree/config.status
    builds make --
    [ ! -e tree/config.status ]
    # what cannot be taken back is said
    touch tree/config.status
    printf 'distclean:\n\t@echo "no space"; exit 1\n' > tree/Makefile
    run -2 sh tree/scripts/build tree/out
    says "no space"
    rm tree/Makefile
    # a build in the source folder is one
    (cd tree && sh scripts/build . && : > ran && sh scripts/build .)
    diff tree/ran <(echo make)
}

@test "every shell script is clean for shellcheck" {
    command -v shellcheck > /dev/null || skip "shellcheck is not installed"
    mapfile -t scripts < <(grep -lE '^#!.*[/ ](ba)?sh$' "$srcdir"/scripts/* "$srcdir"/.ci/run "$srcdir"/tests/tools/* "$srcdir"/tests/fuzz/run)
    [ "${#scripts[@]}" -gt 10 ]
    run -0 shellcheck -S warning -x "${scripts[@]}"
}

@test "every manual page is set without a warning" {
    command -v groff > /dev/null || skip "groff is not installed"
    for page in "$srcdir"/man/*.[1-9]; do
        run -0 groff -t -man -Tutf8 -ww -z "$page"
        [ -z "$output" ] || { echo "$output" && return 1; }
    done
}
