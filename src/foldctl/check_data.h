/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of `foldctl check` that reads what is in the backing file. */
#ifndef SRC_FOLDCTL_CHECK_DATA_H
#define SRC_FOLDCTL_CHECK_DATA_H

#include "foldctl/context.h"

struct check_data {
	bool wanted; /* --data */
	bool give_up;
	bool json;
};

/* An exit code; EXIT_FAILED when something cannot be read and is not given up.
 * A signal has the daemon stop, and ends the program after that. */
int check_data(struct context *ctx, const struct mount *mount,
	       const struct check_data *how) MUST_CHECK;

#endif
