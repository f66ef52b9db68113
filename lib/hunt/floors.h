/* SPDX-License-Identifier: MIT */
/* How large an error an operation may make by the arithmetic that it was computed in. */
#ifndef TU_HUNT_FLOORS_H
#define TU_HUNT_FLOORS_H

#include "tensor/dtype.h"

/* Relative, in the Euclidean norm, against float64 from the same inputs.  arithmetic is that of a
 * trace ("f64", "f32", "exact", "fused:Q8_K"); NULL, or another word, stands for a program that may
 * round activations as the weight's type asks, and weight_dtype (or NULL) says which that is.
 * tensor-origin(1) has what they were measured with. */
double tu_hunt_floor(const char *op, const char *arithmetic, const char *weight_dtype);

#endif
