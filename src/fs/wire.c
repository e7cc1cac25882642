/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The corners of the kernel's protocol that libfuse 3.14 does not speak. */
#include "fs/wire.h"
#include "fs/ring.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

/* Newer than Debian 12's <linux/fuse.h>: a bit of flags2. */
#define WIRE_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)

/* As much as readahead, O_DIRECT and writeback may keep under way. */
#define BACKGROUND_MAX 256

static unsigned wanted(enum fs_cache cache)
{
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
			FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_POSIX_ACL |
			FUSE_CAP_DONT_MASK | FUSE_CAP_EXPORT_SUPPORT |
			FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_CACHE_SYMLINKS |
			FUSE_CAP_NO_OPENDIR_SUPPORT;

	if (cache != FS_CACHE_NONE)
		want |= FUSE_CAP_NO_OPEN_SUPPORT;
	if (cache == FS_CACHE_WRITEBACK)
		want |= FUSE_CAP_WRITEBACK_CACHE;
	return want;
}

/*
 * Everything libfuse would turn on by itself is off unless listed. Notably
 * ATOMIC_O_TRUNC: without OPEN requests nobody would cut the file (the kernel
 * sends a SETATTR instead); AUTO_INVAL_DATA: nobody but the kernel changes a
 * file; locks: the kernel keeps them by itself.
 */
void wire_init(void *arg, struct fuse_conn_info *conn)
{
	struct fs *fs = arg;

	conn->want = wanted(fs->config->cache) & conn->capable;
	conn->max_write = IO_MAX_BYTES;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
	conn->time_gran = 1;
}

static void adapt_init(struct worker *w, const struct fuse_in_header *head)
{
	const struct fuse_init_in *init = (const void *)(head + 1);

	w->fs->init_flags = init->flags;
	if (init->flags & FUSE_INIT_EXT)
		w->fs->init_flags |= (uint64_t)init->flags2 << 32;
}

/* libfuse wants the short form: move what is before the name up to it. */
static void *adapt_setxattr(struct worker *w, size_t *n)
{
	const size_t extra =
		sizeof(struct fuse_setxattr_in) - FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_in_header *head = (void *)w->in;
	const struct fuse_setxattr_in *in = (const void *)(head + 1);

	if (!(w->fs->init_flags & FUSE_SETXATTR_EXT))
		return w->in;
	if (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		w->flags |= REQUEST_KILL_SGID;
	head->len -= extra;
	memmove(w->in + extra, w->in,
		sizeof(*head) + FUSE_COMPAT_SETXATTR_IN_SIZE);
	*n -= extra;
	return w->in + extra;
}

/* The least length of a request whose body is looked at here. */
static size_t least_bytes(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_INIT:
		return sizeof(struct fuse_in_header) +
		       sizeof(struct fuse_init_in);
	case FUSE_SETATTR:
		return sizeof(struct fuse_in_header) +
		       sizeof(struct fuse_setattr_in);
	case FUSE_SETXATTR:
		return sizeof(struct fuse_in_header) +
		       sizeof(struct fuse_setxattr_in);
	case FUSE_OPEN:
		return sizeof(struct fuse_in_header) +
		       sizeof(struct fuse_open_in);
	default:
		return sizeof(struct fuse_in_header);
	}
}

void *wire_adapt(struct worker *w, size_t n, size_t *ret_n)
{
	struct fuse_in_header *head = (void *)w->in;
	const struct fuse_setattr_in *set = (const void *)(head + 1);
	const struct fuse_open_in *open = (const void *)(head + 1);
	void *at = w->in;

	w->flags = 0;
	*ret_n = n;
	if (n < least_bytes(head->opcode))
		return at;
	switch (head->opcode) {
	case FUSE_INIT:
		w->flags |= REQUEST_INIT;
		adapt_init(w, head);
		break;
	case FUSE_SETATTR:
		if (set->valid & FATTR_KILL_SUIDGID)
			w->flags |= REQUEST_KILL_PRIV;
		break;
	case FUSE_OPEN:
		if (open->open_flags & FUSE_OPEN_KILL_SUIDGID)
			w->flags |= REQUEST_KILL_PRIV;
		break;
	case FUSE_SETXATTR:
		at = adapt_setxattr(w, ret_n);
		break;
	case FUSE_TMPFILE:
		head->opcode = FUSE_CREATE;
		w->flags |= REQUEST_NAMELESS;
		break;
	default:
		break;
	}
	return at;
}

static bool is_init_reply(const struct iovec *iov, int count)
{
	const struct fuse_out_header *head = iov[0].iov_base;

	/* A notification has no number; INIT is the first that has one. */
	return count == 2 && head->unique != 0 && head->error == 0 &&
	       iov[1].iov_len == sizeof(struct fuse_init_out);
}

bool wire_patch_reply(struct fs *fs, struct iovec *iov, int count)
{
	struct fuse_init_out *init;
	uint64_t more = FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;

	if (!worker_now || !(worker_now->flags & REQUEST_INIT) ||
	    !is_init_reply(iov, count))
		return false;
	init = iov[1].iov_base;
	/* Shared mappings of files that are opened for direct I/O. */
	if (fs->config->cache == FS_CACHE_NONE)
		more |= WIRE_DIRECT_IO_ALLOW_MMAP;
	if (fs->rings)
		more |= RING_INIT_FLAG;
	fs->init_flags &= more;
	init->flags |= (uint32_t)fs->init_flags;
	if (fs->init_flags >> 32) {
		init->flags |= FUSE_INIT_EXT;
		init->flags2 |= (uint32_t)(fs->init_flags >> 32);
	}
	return true;
}

void wire_init_done(struct fs *fs)
{
	if (fs->init_flags & RING_INIT_FLAG)
		rings_begin(fs);
	atomic_store_explicit(&fs->answers, true, memory_order_release);
	eventfd_write(fs->ready_fd, 1);
}
