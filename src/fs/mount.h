/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount in the kernel: made, taken away, and its connection closed. */
#ifndef SRC_FS_MOUNT_H
#define SRC_FS_MOUNT_H

#include "fs/state.h"

/* Make the libfuse session and mount it; logs what went wrong. -errno. */
int mount_open(struct fs *fs) MUST_CHECK;
/* Close what mount_open() made; unmounts if it still is mounted. The workers
 * have gone. Also after a failed mount_open(). */
void mount_close(struct fs *fs);

/*
 * Take the mount away; workers go on serving. If it is busy it is only
 * detached, and the session ends when the last user of it does: then true is
 * in @ret_busy. -errno.
 */
int mount_detach(struct fs *fs, bool *ret_busy) MUST_CHECK;

/* The options for libfuse, heap_alloc()ed; NULL: no memory. */
char *mount_options(const struct fs_config *config) MUST_CHECK;

#endif
