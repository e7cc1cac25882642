/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replies: which descriptor they leave by, and the few shapes they have.
 *
 * A reply must be written to the descriptor its request was read from; that is
 * the one of the worker that the calling thread is (worker_now).
 */
#ifndef SRC_FS_REPLY_H
#define SRC_FS_REPLY_H

#include "fs/state.h"
#include <sys/uio.h>

/* libfuse's way out (struct fuse_custom_io). */
ssize_t reply_writev(int fd, struct iovec *iov, int count, void *fs);
/* Never called: the loop reads by itself. */
ssize_t reply_no_read(int fd, void *buf, size_t n, void *fs);

/* --- past libfuse --- */

/* @error: -errno. */
void reply_error(struct worker *w, uint64_t unique, int error);
/* The first @n bytes of w->out. What stands before them is overwritten: the
 * end of w->in, where no request but a WRITE reaches. */
void reply_out(struct worker *w, uint64_t unique, size_t n);
/* A WRITE of which @n bytes were taken. */
void reply_written(struct worker *w, uint64_t unique, size_t n);

/* --- by libfuse --- */

/* @r: 0 or -errno. */
void reply_result(fuse_req_t req, int r);
/* @r, or on 0 the entry, which counts one lookup of the kernel's. */
void reply_entry(fuse_req_t req, int r, const struct tree_entry *entry);
/* How libfuse spells it, with the timeouts. */
struct fuse_entry_param reply_param(const struct tree_entry *entry);
void reply_attr(fuse_req_t req, int r, const struct stat *attr);

/*
 * For getxattr and listxattr: @r, or on 0 the @n bytes of @buf; with @size 0
 * (the caller asks how many there are) only @n.
 */
void reply_xattr(fuse_req_t req, int r, const void *buf, size_t n, size_t size);

#endif
