/* SPDX-License-Identifier: MIT */
/* YAML text to trees, over libyaml. */
#ifndef TU_YAML_H
#define TU_YAML_H

#include "tree/value.h"

/* Parses one document, whose outermost value is a mapping.  Plain scalars are what the core schema
 * of YAML 1.2 says, so that yes and no are strings; integers that fit 64 bits keep their value,
 * other numbers become doubles.  Aliases and tags are refused, and so are keys that come twice. */
int tu_yaml_parse(const char *text, size_t length, struct tu_arena *arena, struct tensor_value *out,
                  struct tu_error *error) TU_MUST_CHECK;

#endif
