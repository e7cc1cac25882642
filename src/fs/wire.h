/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The corners of the kernel's protocol that libfuse 3.14 does not speak.
 *
 * Three features are asked for by adding to libfuse's INIT reply, and the
 * requests they change are brought into the shape libfuse expects before it
 * sees them, what they say besides going into worker->flags:
 *
 * - HANDLE_KILLPRIV_V2: who may not keep set-id bits is the kernel's to say
 *   (it knows capabilities, we only know a uid); and without it every write(2)
 *   asks for security.capability first.
 * - SETXATTR_EXT: an ACL set by somebody outside the group clears set-gid.
 * - O_TMPFILE: TMPFILE has the layout of CREATE.
 */
#ifndef SRC_FS_WIRE_H
#define SRC_FS_WIRE_H

#include "fs/state.h"
#include <sys/uio.h>

/* The INIT negotiation (op init). */
void wire_init(void *fs, struct fuse_conn_info *conn);

/*
 * Adapt the request in w->in, @n bytes. Sets w->flags. Gives where it begins
 * now and how long it is.
 */
void *wire_adapt(struct worker *w, size_t n, size_t *ret_n);

/* Adds to libfuse's replies; true when this is the reply to INIT. */
bool wire_patch_reply(struct fs *fs, struct iovec *iov, int count);
/* The reply to INIT has reached the kernel: the mount answers from now on. */
void wire_init_done(struct fs *fs);

#endif
