/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What foldctl swap can be told, and what on and off share. */
#ifndef SRC_FOLDCTL_SWAP_H
#define SRC_FOLDCTL_SWAP_H

#include "foldctl/context.h"
#include "foldctl/swap_state.h"

/* argv[0] is "foldctl"; an exit code. */
int swap_on(struct context *ctx, int argc, char **argv);
int swap_off(struct context *ctx, int argc, char **argv);
int swap_status(struct context *ctx, int argc, char **argv);

/*
 * Hold on to the daemon: 0 and a descriptor, to be closed, that becomes
 * readable when it ends (-1: nobody can tell); what client_open() and
 * client_ask() say. -ESRCH: another daemon answers in its place, whose mount
 * has gone and given its number to this one.
 */
int swap_daemon_get(struct context *ctx, const struct mount *mount,
		    int *ret_fd) MUST_CHECK;
/*
 * Unmount what is in view of @mount (@lazily: its daemon is gone), wait for the
 * end of the daemon, remove the directory. Its file is in use by nobody, or by
 * a loop device that is just going. An exit code.
 */
int swap_take_down(const struct mount *mount, bool mounted, bool lazily,
		   int daemon_fd) MUST_CHECK;

#endif
