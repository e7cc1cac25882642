/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time: a monotonic clock in nanoseconds and the wall clock for files. */
#ifndef SRC_BASE_CLOCK_H
#define SRC_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/*
 * The time files are stamped with. The coarse clock (4 ms steps at most) is
 * what the kernel's own file systems use: it costs a tenth of the fine one.
 */
static inline struct timespec clock_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts;
}

#endif
