/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys' two ends in this mount: where each number comes from (values.c)
 * and who carries out each change (knobs.c).
 */
#ifndef SRC_FS_KNOBS_H
#define SRC_FS_KNOBS_H

#include "fs/state.h"

extern const struct ctl_ops knobs_ops; /* arg: struct fs */

/* struct ctl_ops.collect */
int values_collect(void *fs, struct ctl_values *ret);

/* What "+2", "-1", "=8", "8" and "auto" ask for. */
struct knob_workers {
	bool automatic;
	bool relative;
	int number;
};
/* -EINVAL malformed, -ERANGE beyond CREW_MAX. */
int knob_workers(const char *text, struct knob_workers *ret) MUST_CHECK;

/* "pool", "eager", "idle:SECONDS". -EINVAL; -ERANGE more than a year. */
int knob_retire(const char *text, enum stream_retire *ret_how,
		unsigned *ret_seconds) MUST_CHECK;

#endif
