/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The background task that frees what discards only unhook: in the swap
 * profile, where the kernel waits for each of them.
 */
#ifndef SRC_FS_REAPER_H
#define SRC_FS_REAPER_H

#include "fs/state.h"

/* Before the first request. -ENOMEM, -EAGAIN (no thread). */
int reaper_start(struct fs *fs, struct reaper **ret) MUST_CHECK;
/* The workers have gone. NULL is fine, here and below. */
void reaper_stop(struct reaper *reaper);
/* Something may be owed. Holds no stream and no lock. */
void reaper_wake(struct reaper *reaper);

#endif
