/* SPDX-License-Identifier: MIT */
/*
 * What every filter's command line has in common.
 *
 * How to add a filter NAME:
 *   1. filters/NAME.c: a struct tu_command and a main of one line; options in one table, which
 *      drives parsing, --help and --list-options;
 *   2. its line in filters/local.mk, man/NAME.1 with its line in man/local.mk, and
 *      tests/filters/NAME.bats with its line in tests/local.mk.
 * tests/filters/every-filter.bats then judges it: help, version and man page in step, unknown
 * options, a full standard output, a truncated stream.
 *
 * This file and filters/ are the only places that print messages or exit.
 */
#ifndef TU_MAIN_H
#define TU_MAIN_H

#include "base/error.h"
#include "model/session.h"
#include "model/select.h"
#include "tool/options.h"
#include "tool/output.h"

/* One run of a filter: what its command line said of it as a program, and the session of its work,
 * whose threads are 0 on the command line for all that the process may use. */
struct tu_tool {
    const char *name;
    char *command; /* as it was given, for those who read the results */
    enum tu_mode mode;
    bool quiet, progress;
    bool stored;      /* packed weights as they are stored */
    bool prints_text; /* as its command says */
    struct tu_session session;
    struct tu_choice tally;   /* of the session's selection */
    struct tu_output *output; /* once open, failures are reported to its reader, too; it has to
                                 outlive the run */
    struct tu_progress {
        double started, shown; /* seconds */
        bool visible;
    } shown_progress;
};

/* Parses, runs, reports, closes standard output: the exit status of main. */
int tu_main(const struct tu_command *command, struct tu_tool *tool, int argc, char **argv);

#endif
