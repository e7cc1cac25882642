/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker's life: read a request, carry it out, again. */
#ifndef SRC_FS_LOOP_H
#define SRC_FS_LOOP_H

#include "fs/state.h"

/* What is before the payload of a WRITE. */
#define LOOP_HEAD_BYTES                                                        \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

/* Read one into w->in: its bytes, 0: none now, -ENODEV: the session is over,
 * -errno. Does not block. */
ssize_t loop_next_request(struct worker *w);

/* Carry out the request in w->in, @n bytes; @w is worker_now. */
void loop_serve(struct worker *w, size_t n);

/* struct crew_ops.run */
void loop_run(void *fs, unsigned slot);

#endif
