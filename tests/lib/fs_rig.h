/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole file system without a mount: the test is the kernel.
 *
 * Requests are written into a worker's buffer and carried out in the calling
 * thread; replies come out of a socket pair that stands for /dev/fuse.
 */
#ifndef TESTS_LIB_FS_RIG_H
#define TESTS_LIB_FS_RIG_H

#include "fs/loop.h"
#include "fs/state.h"

#define FS_RIG_REPLY_MAX (192u << 10)

struct fs_rig {
	struct fs_config config;
	struct fs *fs;
	struct worker *w; /* slot 0 */
	int kernel_fd;    /* the test's end */
	int daemon_fd;
	uint64_t unique;  /* of the last request */
	uint32_t uid;     /* who asks from now on; 0 at first */
	unsigned threads; /* workers of the crew instead of the caller */
	unsigned held;    /* replies that would have waited (fs/held.h) */
	union {
		struct fuse_out_header head;
		char bytes[FS_RIG_REPLY_MAX];
	} reply;
};

/* A config that fits tests; it and `threads` may be changed before
 * fs_rig_up(). */
void fs_rig_config(struct fs_rig *rig);
/* Slot 0 is up, nothing asked yet: no INIT. Ends the test on failure. */
void fs_rig_up(struct fs_rig *rig);
void fs_rig_down(struct fs_rig *rig);

/* INIT, offering @flags (and, above 32 bits, flags2). */
void fs_rig_init(struct fs_rig *rig, uint64_t flags);
/* Everything a kernel of today offers. */
#define FS_RIG_ALL (UINT64_MAX & ~(UINT64_C(1) << 32))

/*
 * One request: @body and then @tail (names, data). Gives the reply's error: 0
 * or -errno. Reply data is behind rig->reply.head; @ret_n of it.
 */
int fs_rig_ask(struct fs_rig *rig, uint32_t opcode, uint64_t node,
	       const void *body, size_t body_n, const void *tail,
	       size_t tail_n);
static inline void *fs_rig_data(struct fs_rig *rig)
{
	return rig->reply.bytes + sizeof(struct fuse_out_header);
}
static inline size_t fs_rig_data_n(const struct fs_rig *rig)
{
	return rig->reply.head.len - sizeof(struct fuse_out_header);
}
/* The same through the socket, for workers of the crew; no reply awaited. */
void fs_rig_send(struct fs_rig *rig, uint32_t opcode, uint64_t node,
		 const void *body, size_t body_n);
/* Wait for a reply that comes from a background thread. */
int fs_rig_wait_reply(struct fs_rig *rig);

/* A regular file in the root by MKNOD; gives its node. */
uint64_t fs_rig_create(struct fs_rig *rig, const char *name, uint32_t mode);
int fs_rig_write(struct fs_rig *rig, uint64_t node, uint64_t offset,
		 const void *data, uint32_t n, uint32_t write_flags);
/* -errno or the bytes read, which are fs_rig_data(). */
int fs_rig_read(struct fs_rig *rig, uint64_t node, uint64_t offset, uint32_t n);
uint32_t fs_rig_mode(struct fs_rig *rig, uint64_t node);

#endif
