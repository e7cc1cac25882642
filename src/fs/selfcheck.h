/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look at the machine before a mount: what would make it slow, and what
 * would make it hang.
 */
#ifndef SRC_FS_SELFCHECK_H
#define SRC_FS_SELFCHECK_H

#include "fs/fs.h"
#include <stddef.h>

enum finding {
	FINDING_WARNING, /* it would be better otherwise */
	FINDING_ERROR,   /* it would hang, or lose data */
};

/* Where to look, and whom to tell: one line for each finding. */
struct selfcheck {
	const struct fs_config *config;
	const char *proc, *sys; /* "/proc", "/sys" */
	void (*say)(void *arg, enum finding finding, const char *line);
	void *arg;
	unsigned errors;
};

/* What matters for the profile; how many errors are in @check after it. What
 * cannot be read is no finding. */
void selfcheck(struct selfcheck *check);

/* Of this machine, into the log. -EPERM: there were errors, and they are not
 * forgone. */
int selfcheck_machine(const struct fs_config *config) MUST_CHECK;

#endif
