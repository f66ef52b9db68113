/* SPDX-License-Identifier: MIT */
/* A saved tensor stream (.tsr) as a format like any other, compiled in. */
#ifndef TU_TSR_H
#define TU_TSR_H

#include "tensorutils/format.h"

extern const struct tensor_format tensor_format_tsr;

#endif
