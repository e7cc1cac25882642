/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about contents, except READ and WRITE (io.c). */
#include "base/heap.h"
#include "base/page.h"
#include "fs/later.h"
#include "fs/ops.h"
#include "fs/reaper.h"
#include "fs/reply.h"
#include "fs/room.h"
#include <errno.h>
#include <linux/falloc.h>
#include <unistd.h>

/* One COPY_FILE_RANGE holds its stream and its worker no longer than this. */
#define COPY_MAX_BYTES (16 * MIB)

/*
 * There is nothing to open: the kernel is told so once and sends neither OPEN
 * nor RELEASE any more. Only direct I/O must be said for each file.
 */
void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fs *fs = op_fs(req);

	(void)node;
	if (fs->config->cache != FS_CACHE_NONE) {
		reply_result(req, -ENOSYS);
		return;
	}
	op_open_flags(fs, fi);
	fuse_reply_open(req, fi);
}

void op_open_flags(const struct fs *fs, struct fuse_file_info *fi)
{
	fi->fh = 0;
	fi->keep_cache = 1;
	fi->direct_io = fs->config->cache == FS_CACHE_NONE;
	fi->noflush = fi->direct_io;
}

static int allocate(struct fs *fs, struct file file, int mode, uint64_t offset,
		    uint64_t n)
{
	struct store *store = fs->engine.store;
	struct stream *stream = op_stream(fs);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int r;

	if (!stream)
		return -EIO;
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		r = store_allocate(store, stream, file, offset, n, keep);
		break;
	case FALLOC_FL_ZERO_RANGE:
		r = store_zero(store, stream, file, offset, n, keep);
		break;
	case FALLOC_FL_PUNCH_HOLE:
		r = keep ? store_punch(store, stream, file, offset, n)
			 : -EOPNOTSUPP;
		break;
	default:
		r = -EOPNOTSUPP;
	}
	stream_put(fs->engine.streams, stream);
	return r;
}

void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset,
		  off_t n, struct fuse_file_info *fi)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	struct room room = {0};
	struct file file;
	int r = -EPERM;

	(void)fi;
	if (node != CONTROL_NODE)
		r = tree_file(fs->engine.tree, node, &file);
	if (!r && (offset < 0 || n <= 0))
		r = -EINVAL;
	if (!r)
		r = allocate(fs, file, mode, (uint64_t)offset, (uint64_t)n);
	while (room_try_again(fs, r, &room))
		r = allocate(fs, file, mode, (uint64_t)offset, (uint64_t)n);
	if (!r)
		op_wrote(fs, &who, node);
	reply_result(req, r);
	reaper_wake(fs->reaper);
}

/* A copy between two files: both ends and how far. */
struct copy {
	struct file from, to;
	uint64_t from_offset, to_offset, n;
};

static int copy_once(struct fs *fs, const struct copy *c, uint64_t *ret_n)
{
	struct stream *stream = op_stream(fs);
	int r;

	if (!stream)
		return -EIO;
	r = store_copy(fs->engine.store, stream, c->from, c->from_offset, c->to,
		       c->to_offset, c->n, ret_n);
	stream_put(fs->engine.streams, stream);
	return r;
}

static int copy_range(struct fs *fs, const struct copy *c, uint64_t *ret_n)
{
	struct room room = {0};
	int r;

	do
		r = copy_once(fs, c, ret_n);
	while (room_try_again(fs, r, &room));
	return r;
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset,
			struct fuse_file_info *from_fi, fuse_ino_t to,
			off_t to_offset, struct fuse_file_info *to_fi, size_t n,
			int flags)
{
	struct fs *fs = op_fs(req);
	struct tree *tree = fs->engine.tree;
	struct tree_caller who = op_caller(req);
	struct copy c = {
		.from_offset = (uint64_t)from_offset,
		.to_offset = (uint64_t)to_offset,
		.n = n < COPY_MAX_BYTES ? n : COPY_MAX_BYTES,
	};
	uint64_t done = 0;
	int r = -EPERM;

	(void)from_fi;
	(void)to_fi;
	if (to != CONTROL_NODE && from != CONTROL_NODE)
		r = flags || from_offset < 0 || to_offset < 0 ? -EINVAL : 0;
	if (!r)
		r = tree_file(tree, from, &c.from);
	if (!r)
		r = tree_file(tree, to, &c.to);
	if (!r)
		r = copy_range(fs, &c, &done);
	if (r) {
		reply_result(req, r);
		return;
	}
	op_did_read(fs, from);
	if (done)
		op_wrote(fs, &who, to);
	fuse_reply_write(req, done);
}

/* LSEEK for holes and data. */
struct seek {
	struct later_job job;
	fuse_ino_t node;
	off_t offset;
	int whence;
	off_t doubt;   /* where there may be more data than we know of */
	off_t n_doubt; /* 0: to the end, whichever that is */
};

static int seek_once(struct fs *fs, const struct seek *s, off_t *ret_found)
{
	struct file file;
	uint64_t found;
	int r = tree_file(fs->engine.tree, s->node, &file);

	if (!r)
		r = store_seek(fs->engine.store, file, (uint64_t)s->offset,
			       s->whence, &found);
	if (!r)
		*ret_found = (off_t)found;
	return r;
}

static void seek_reply(fuse_req_t req, int r, off_t found)
{
	if (r)
		reply_result(req, r);
	else
		fuse_reply_lseek(req, found);
}

/* True if the kernel sends every write that makes a file longer. */
static bool is_end(struct fs *fs, fuse_ino_t node, off_t offset)
{
	struct stat attr;

	return fs->config->cache != FS_CACHE_WRITEBACK &&
	       tree_getattr(fs->engine.tree, node, &attr) == 0 &&
	       attr.st_size == offset;
}

/*
 * What has been found, if the kernel cannot know better. Pages that it holds
 * dirty are data too, and only it knows them: they can fill a hole, or lie
 * behind what we take for the end.
 */
static bool seek_is_certain(struct fs *fs, struct seek *s, off_t *ret_found)
{
	off_t found;
	int r = seek_once(fs, s, &found);

	s->doubt = s->offset;
	s->n_doubt = 0;
	if (r)
		return false;
	*ret_found = found;
	if (s->whence == SEEK_DATA) {
		s->n_doubt = found - s->offset;
		return s->n_doubt == 0;
	}
	s->doubt = found;
	return is_end(fs, s->node, found);
}

/*
 * Make the kernel write back what is in doubt, and look again. Nobody can end
 * the wait for that but a worker that answers: so workers stay until it is over
 * (signals.c), and only as little as need be is waited for, for a kill -9
 * meanwhile leaves a thread that cannot be killed until the connection is
 * aborted.
 */
static void seek(struct fs *fs, struct later_job *job)
{
	struct seek *s = container_of(job, struct seek, job);
	off_t found = 0;
	int r;

	fuse_lowlevel_notify_inval_inode(fs->se, s->node, s->doubt, s->n_doubt);
	r = seek_once(fs, s, &found);
	seek_reply(job->req, r, found);
}

void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence,
	      struct fuse_file_info *fi)
{
	struct fs *fs = op_fs(req);
	struct seek now = {.node = node, .offset = offset, .whence = whence};
	struct seek *s;
	off_t found;

	(void)fi;
	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		reply_result(req, -EINVAL);
		return;
	}
	if (offset < 0 || node == CONTROL_NODE) {
		reply_result(req, -ENXIO);
		return;
	}
	if (seek_is_certain(fs, &now, &found)) {
		fuse_reply_lseek(req, found);
		return;
	}
	s = heap_alloc(sizeof(*s));
	if (!s) {
		reply_result(req, -ENOMEM);
		return;
	}
	*s = now;
	s->job.run = seek;
	later_add(fs->later, req, &s->job);
}
