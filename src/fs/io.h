/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * READ and WRITE, straight from the request's bytes.
 *
 * These two go past libfuse: it would allocate a structure and take a lock
 * that all workers share for each of them, and it does not tell what a WRITE
 * says of set-id bits and of the page cache.
 */
#ifndef SRC_FS_IO_H
#define SRC_FS_IO_H

#include "fs/state.h"

/* What is kept of a READ that is answered later. */
struct io_request {
	uint64_t unique, node;
	struct ring_entry *entry; /* as the worker's; its own while it waits */
	uint64_t start_ns;
};

/* @n: bytes of the request in w->in, at least its header. False: it has been
 * parked (fs/parking.h), and will be answered. */
bool io_read(struct worker *w, const struct fuse_in_header *head,
	     size_t n) MUST_CHECK;
/* Carry out and answer what was parked, with what has been read for it. */
void io_finish_read(struct worker *w, const struct io_request *request,
		    const struct fuse_read_in *in,
		    const struct store_ahead *ahead);
void io_write(struct worker *w, const struct fuse_in_header *head, size_t n);

#endif
