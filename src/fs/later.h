/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that are answered from a background thread.
 *
 * What changes the crew cannot run in a worker (it might have to wait for
 * itself), and what makes the kernel write back pages would wait for a WRITE
 * that only a worker can serve. The request stays open; its reply leaves by
 * the descriptor it was read from, which lives as long as the mount.
 *
 * A change that came by the control socket goes the same way, without a
 * request: so there is one change at a time.
 */
#ifndef SRC_FS_LATER_H
#define SRC_FS_LATER_H

#include "fs/state.h"

/* First member of a job's own struct, heap_alloc()ed; freed when it has run. */
struct later_job {
	struct later_job *next;
	fuse_req_t req; /* NULL: none, then there is a cancel */
	int fd;
	struct ring_entry *entry; /* as the worker's */
	/* Carries it out and replies, in the background thread. */
	void (*run)(struct fs *fs, struct later_job *job);
	/* Instead of it, when the end came first. */
	void (*cancel)(struct fs *fs, struct later_job *job);
};

enum later_kind {
	LATER_QUICK, /* also drives workers=auto */
	LATER_SLOW,  /* what may take minutes, for nobody to wait behind */
};
/* -ENOMEM, -EAGAIN (no thread). */
int later_start(struct fs *fs, enum later_kind kind,
		struct later **ret) MUST_CHECK;
/* Begin nothing any more, and wait for what has begun: it may need workers. */
void later_hold(struct later *later);
/* What has not run yet is answered with EINTR or cancelled. NULL is fine. */
void later_stop(struct later *later);

/* Hand over @job with its run filled in; from a worker. */
void later_add(struct later *later, fuse_req_t req, struct later_job *job);
/* The same with run and cancel, without a request; from any thread. */
void later_post(struct later *later, struct later_job *job);

#endif
