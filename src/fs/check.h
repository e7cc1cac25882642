/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check of a running mount: all requests stand still while everything is
 * walked and what does not add up is put into sentences.
 */
#ifndef SRC_FS_CHECK_H
#define SRC_FS_CHECK_H

#include "base/faults.h"
#include "ctl/protocol.h"
#include "fs/state.h"

struct check_result {
	struct tree_stats tree;
	struct store_audit audit;
	uint64_t charged_bytes; /* by the kernel, for the arena */
	uint64_t took_ns;       /* what is asked until all may go on */
	struct faults faults;
};

/* From the later thread. @ret is zeroes at first and counts also when there are
 * faults. -ETIMEDOUT: a worker did not come to an edge; -ENOSPC, -ENOMEM: no
 * room for the check's own table. */
int check_run(struct fs *fs, struct check_result *ret) MUST_CHECK;

/* The same as the answer to a request. */
struct answer check_answer(struct fs *fs);

#endif
