/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The swap on foldfs that there is, or what is left of one.
 *
 * It is read off the kernel's lists each time, whatever was done by whom: the
 * mount point is a fixed one, and the swap file's name has the number of its
 * mount's device, so the loop device that has it open leads to the mount and
 * its daemon also when the mount is out of view. Nothing here touches the
 * mount.
 */
#ifndef SRC_FOLDCTL_SWAP_STATE_H
#define SRC_FOLDCTL_SWAP_STATE_H

#include "base/compiler.h"
#include "foldctl/context.h"
#include "foldctl/swaps.h"
#include "foldfs/control.h"
#include <limits.h>
#include <stdbool.h>

#define SWAP_POINT FOLDFS_SOCKET_DIR "/swap"
#define SWAP_LOCK FOLDFS_SOCKET_DIR "/swap.lock"
/* Behind it comes the number of the mount's device. */
#define SWAP_FILE "foldfs-swap."

struct swap_state {
	/* Its id leads to the daemon. Without .mounted nothing is there of it
	 * in view. */
	struct mount mount;
	bool mounted;
	bool looped;
	unsigned loop;
	char backing[PATH_MAX]; /* the device's file, as /sys names it */
	bool on;
	struct swaps_line swap;
};

/* Whether there is anything of it. An exit code. */
int swap_look(struct context *ctx, struct swap_state *ret_state) MUST_CHECK;
static inline bool swap_is_any(const struct swap_state *state)
{
	return state->mounted || state->looped;
}

/* Whether its daemon has gone. */
bool swap_is_dead(struct context *ctx,
		  const struct swap_state *state) MUST_CHECK;

/* The number at the end of the path of a swap file; false: it is none. */
bool swap_file_id(const char *backing, unsigned *ret_id) MUST_CHECK;

/*
 * What swap_look() does, with the mounts, /proc and /sys given, and whether
 * daemons answer told by @listens: 0 yes, -ECONNREFUSED one was there, or
 * anything else.
 */
int swap_look_in(const struct mounts *mounts, const char *proc, const char *sys,
		 int (*listens)(const struct mount *mount, void *arg),
		 void *arg, struct swap_state *ret_state) MUST_CHECK;

/* Only one may change it at a time: a descriptor to close, or -1 and said. */
int swap_lock(void) MUST_CHECK;

#endif
