/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The number of a mount: the minor of its device, as the kernel tells it. */
#ifndef SRC_FS_MOUNT_ID_H
#define SRC_FS_MOUNT_ID_H

#include "base/compiler.h"
#include <stdbool.h>

/*
 * Of the connection whose descriptor @info (/proc/self/fdinfo/N) is about.
 * -ENODATA: the kernel does not say (before 6.17), or it is none; -errno: of
 * opening it.
 */
int mount_id_by_connection(const char *info, unsigned *ret_id) MUST_CHECK;

/*
 * Found by its mount point in @list (/proc/self/mountinfo), never by touching
 * the mount. Of several that lie over one another it is the last. -ENOENT: no
 * foldfs is mounted there; -errno: of opening the list.
 */
int mount_id(const char *list, const char *mountpoint,
	     unsigned *ret_id) MUST_CHECK;

/* Whether something else is mounted over it at the same place. False as well
 * when the list cannot be read, or the mount has gone. */
bool mount_is_covered(const char *list, const char *mountpoint, unsigned id);

#endif
