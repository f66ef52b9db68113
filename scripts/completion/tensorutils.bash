# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for all tools, from what each says itself: filters print their tables (--list-options), scripts their help.

# _tensorutils_options TOOL: each option, a tab and the name of its argument, if it takes one.
_tensorutils_options() {
    "$1" --list-options 2> /dev/null < /dev/null && return
    "$1" --help 2> /dev/null < /dev/null |
        sed -nE 's/^ +(-[A-Za-z], *)?(--[a-z][a-z-]*)( ([^ ]+))?( .*)?$/\2\t\4/p'
}

# _tensorutils_tensors TOOL WORD...: names of the tensors in those words that are files or folders.
_tensorutils_tensors() {
    local tool=$1 word ls=tensor-ls
    shift
    case $tool in */*) ls=${tool%/*}/tensor-ls ;; esac
    for word; do
        [[ $word != -* && ( -f $word || -d $word ) ]] || continue
        "$ls" --tsv -- "$word" 2> /dev/null < /dev/null |
            awk -F '\t' 'NR > 1 { print $NF }'
    done
}

_tensorutils() {
    local tool=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} table argument words
    COMPREPLY=()
    table=$(_tensorutils_options "$tool")
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(cut -f 1 <<< "$table")" -- "$word")
        return
    fi
    argument=$(awk -F '\t' -v option="$before" '$1 == option { print $2; exit }' <<< "$table")
    case $before in
    --match | --exclude)
        mapfile -t COMPREPLY < <(_tensorutils_tensors "$tool" "${COMP_WORDS[@]:1:COMP_CWORD-2}" \
            "${COMP_WORDS[@]:COMP_CWORD+1}" | awk -v word="$word" 'index($0, word) == 1 && !seen[$0]++')
        return
        ;;
    esac
    # words in small letters are values; those in capitals stand for something
    words=$(tr '|' '\n' <<< "$argument" | grep -E '^[a-z][a-z0-9-]*$')
    if [[ $argument == *'|'* && -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    fi
    # no answer: file names, by -o default
}

# Installed as a link of each tool's name, which is how bash-completion finds it.
complete -o default -F _tensorutils "${BASH_SOURCE[0]##*/}"
