/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keeps a daemon that serves swap from waiting for itself: locked
 * memory, threads whose allocations never write to swap, and no death by the
 * OOM killer. Nothing of it in the directory profile.
 */
#ifndef SRC_FS_PRESSURE_H
#define SRC_FS_PRESSURE_H

#include "fs/fs.h"

/* Before anything else of a mount, while there is one thread. What cannot be
 * had and is not forgone is logged with its cure: -EPERM, -ENOMEM, -ENOTSUP. */
int pressure_begin(const struct fs_config *config) MUST_CHECK;

/* All threads are there: whether each has what pressure_begin() promised them.
 * Logs who has not: -EPROTO. */
int pressure_verify(const struct fs_config *config) MUST_CHECK;

/*
 * The parts of it, for tests. Threads of the process whose files are in
 * @proc (/proc/self) that lack the flags of an I/O flusher, and how many there
 * are; -errno. The number behind @name in @proc/status; 0: there is none.
 */
int pressure_count_unflagged(const char *proc, unsigned *ret_threads);
uint64_t pressure_status_kib(const char *proc, const char *name);

#endif
