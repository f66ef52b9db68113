/* SPDX-License-Identifier: MIT */
/* Time, as it goes by. */
#ifndef TU_CLOCK_H
#define TU_CLOCK_H

/* Seconds of a clock that only goes forward. */
double tu_seconds(void);

#endif
