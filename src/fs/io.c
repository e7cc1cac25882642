/* SPDX-License-Identifier: GPL-2.0-or-later */
/* READ and WRITE, straight from the request's bytes. */
#include "fs/io.h"
#include "base/clock.h"
#include "fs/ops.h"
#include "fs/parking.h"
#include "fs/reply.h"
#include "fs/room.h"
#include "fs/spiller.h"
#include <errno.h>
#include <fcntl.h>

static int read_file(struct worker *w, uint64_t node,
		     const struct fuse_read_in *in,
		     const struct store_ahead *ahead, size_t *ret_n)
{
	struct engine *e = &w->fs->engine;
	struct stream *stream;
	struct file file;
	size_t n = in->size < IO_MAX_BYTES ? in->size : IO_MAX_BYTES;
	int r;

	if (node == CONTROL_NODE) {
		*ret_n = 0;
		return 0;
	}
	r = tree_file(e->tree, node, &file);
	if (r)
		return r;
	stream = stream_get(e->streams, w->slot);
	if (!stream)
		return -EIO;
	r = store_read_ahead(e->store, stream, file, in->offset, w->out, n,
			     ahead, ret_n);
	stream_put(e->streams, stream);
	if (!r)
		op_did_read(w->fs, node);
	return r;
}

static void answer_read(struct worker *w, uint64_t unique, int r, size_t done)
{
	count(w, COUNT_READS, 1);
	spiller_read(w->fs->spiller);
	if (r) {
		count(w, COUNT_FAILED_READS, 1);
		reply_error(w, unique, r);
		return;
	}
	count(w, COUNT_BYTES_READ, done);
	reply_out(w, unique, done);
}

void io_finish_read(struct worker *w, const struct io_request *request,
		    const struct fuse_read_in *in,
		    const struct store_ahead *ahead)
{
	size_t done = 0;
	int r = read_file(w, request->node, in, ahead, &done);

	answer_read(w, request->unique, r, done);
}

bool io_read(struct worker *w, const struct fuse_in_header *head, size_t n)
{
	const struct fuse_read_in *in = (const void *)(head + 1);
	struct io_request request = {
		.unique = head->unique,
		.node = head->nodeid,
		.entry = w->entry,
		.start_ns = w->start_ns,
	};

	if (n < sizeof(*head) + sizeof(*in)) {
		answer_read(w, head->unique, -EINVAL, 0);
		return true;
	}
	if (w->parking && parking_take(w, &request, in))
		return false;
	io_finish_read(w, &request, in, NULL);
	return true;
}

/* A file that is used as a device has its size before its pages. */
static bool is_swap(const struct fs *fs, struct file file,
		    const struct fuse_write_in *in)
{
	return fs->config->profile == FS_PROFILE_SWAP &&
	       in->offset + in->size <=
		       atomic_load_explicit(&file.body->size,
					    memory_order_relaxed);
}

/* What of the request is not @done yet; adds to it. */
static int write_rest(struct worker *w, struct file file,
		      const struct fuse_write_in *in, size_t *done)
{
	enum budget_depth before;
	struct engine *e = &w->fs->engine;
	struct stream *stream = stream_get(e->streams, w->slot);
	const char *data = (const void *)(in + 1);
	size_t n;
	int r;

	if (!stream)
		return -EIO;
	before = budget_dip(is_swap(w->fs, file, in) ? BUDGET_INTO_KEPT
						     : BUDGET_NOT_KEPT);
	r = store_write(e->store, stream, file, in->offset + *done,
			data + *done, in->size - *done, &n);
	budget_dip(before);
	stream_put(e->streams, stream);
	if (!r)
		*done += n;
	return r;
}

/* 0 when anything was written: a short write is none of the errors. */
static int write_all(struct worker *w, struct file file,
		     const struct fuse_write_in *in, size_t *done)
{
	struct room room = {0};
	int r = write_rest(w, file, in, done);

	/* Short for want of room, or at the end of what a file may be: for the
	 * latter nothing is gained by trying again, and nothing lost. */
	while (*done < in->size &&
	       room_try_again(w->fs, r ? r : -ENOSPC, &room))
		r = write_rest(w, file, in, done);
	spiller_wrote(w->fs->spiller, w, *done);
	return *done ? 0 : r;
}

static void wrote(struct worker *w, const struct fuse_in_header *head,
		  const struct fuse_write_in *in)
{
	struct tree_caller who = {
		.uid = head->uid,
		.gid = head->gid,
		.privileged = !(in->write_flags & FUSE_WRITE_KILL_SUIDGID),
	};

	/* The kernel keeps the times of what it writes back by itself. */
	if (w->fs->config->cache == FS_CACHE_WRITEBACK &&
	    in->write_flags & FUSE_WRITE_CACHE)
		return;
	op_wrote(w->fs, &who, head->nodeid);
}

/* Of what it writes back the kernel notices only an error; and what is short of
 * a direct write, which it may have sent without waiting, it calls EIO. */
static bool is_all_or_nothing(const struct fuse_write_in *in)
{
	return in->write_flags & FUSE_WRITE_CACHE || in->flags & O_DIRECT;
}

static int write_file(struct worker *w, const struct fuse_in_header *head,
		      const struct fuse_write_in *in, size_t *ret_n)
{
	struct file file;
	size_t done = 0;
	int r;

	if (head->nodeid == CONTROL_NODE)
		return -EPERM;
	r = tree_file(w->fs->engine.tree, head->nodeid, &file);
	if (r)
		return r;
	r = write_all(w, file, in, &done);
	if (r)
		return r;
	wrote(w, head, in);
	if (done < in->size && is_all_or_nothing(in))
		return -ENOSPC;
	*ret_n = done;
	return 0;
}

/* Swap is full, or nearly: see fs/held.h. */
static bool is_tight(struct worker *w, int r)
{
	return w->fs->config->profile == FS_PROFILE_SWAP &&
	       (r == -ENOSPC ||
		(!r && budget_room(&w->fs->engine.budget) == 0));
}

static void reply_to_write(struct worker *w, uint64_t unique, int r, size_t n)
{
	if (is_tight(w, r))
		held_add(w, unique, clock_ns(), r, (uint32_t)n);
	else if (r)
		reply_error(w, unique, r);
	else
		reply_written(w, unique, n);
}

void io_write(struct worker *w, const struct fuse_in_header *head, size_t n)
{
	const struct fuse_write_in *in = (const void *)(head + 1);
	size_t done = 0;
	int r = -EINVAL;

	if (n >= sizeof(*head) + sizeof(*in) &&
	    n - sizeof(*head) - sizeof(*in) >= in->size)
		r = write_file(w, head, in, &done);
	count(w, COUNT_WRITES, 1);
	if (r)
		count(w, COUNT_FAILED_WRITES, 1);
	count(w, COUNT_BYTES_WRITTEN, done);
	reply_to_write(w, head->unique, r, done);
}
