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

/* @n: bytes of the request in w->in, at least its header. */
void io_read(struct worker *w, const struct fuse_in_header *head, size_t n);
void io_write(struct worker *w, const struct fuse_in_header *head, size_t n);

#endif
