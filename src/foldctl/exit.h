/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What foldctl exits with; foldctl(8) promises these. */
#ifndef SRC_FOLDCTL_EXIT_H
#define SRC_FOLDCTL_EXIT_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,    /* understood, but it did not work */
	EXIT_USAGE = 2,     /* not understood: nothing was done */
	EXIT_NO_MOUNT = 3,  /* no such mount, or not clear which */
	EXIT_NO_ANSWER = 4, /* the daemon is gone or does not answer */
};

#endif
