/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying between files: data page by page through the codec, holes as holes.
 *
 * The two files are never locked at once. A page is compressed anew, so that
 * a copy always belongs to the current parameter set.
 */
#include "store/state.h"
#include <errno.h>
#include <unistd.h>

struct copy {
	struct store *store;
	struct stream *stream;
	struct file from, to;
	uint64_t at, to_at; /* what comes next */
	uint64_t end;       /* in from */
};

static void advance(struct copy *copy, uint64_t n)
{
	copy->at += n;
	copy->to_at += n;
}

static int copy_hole(struct copy *copy, uint64_t end)
{
	struct rwlock *lock = store_file_lock(copy->store, copy->to);
	uint64_t n = end - copy->at;
	int err = store_punch(copy->store, copy->stream, copy->to, copy->to_at,
			      n);

	if (err)
		return err;
	rwlock_read(lock);
	err = range_grow_held(copy->store, copy->stream, copy->to,
			      copy->to_at + n);
	rwlock_read_end(lock);
	if (!err)
		advance(copy, n);
	return err;
}

/* Up to the end of a page of the target. */
static int copy_piece(struct copy *copy, uint64_t end)
{
	/* Neither a read of two pages nor a write of one comes this far. */
	char *buf = copy->stream->out[STREAM_BATCH - 1];
	size_t n = PAGE_BYTES - copy->to_at % PAGE_BYTES, done;
	int err;

	if (n > end - copy->at)
		n = end - copy->at;
	err = store_read(copy->store, copy->stream, copy->from, copy->at, buf,
			 n, &n);
	if (err)
		return err;
	if (!n) {
		copy->end = copy->at;
		return 0;
	}
	err = store_write(copy->store, copy->stream, copy->to, copy->to_at, buf,
			  n, &done);
	if (!err)
		advance(copy, done);
	return err;
}

static uint64_t seek_or_end(struct copy *copy, int whence)
{
	uint64_t found;

	if (store_seek(copy->store, copy->from, copy->at, whence, &found) ||
	    found > copy->end)
		return copy->end;
	return found;
}

static int copy_extent(struct copy *copy)
{
	uint64_t data = seek_or_end(copy, SEEK_DATA), end;
	int err = 0;

	if (data > copy->at)
		return copy_hole(copy, data);
	end = seek_or_end(copy, SEEK_HOLE);
	while (copy->at < end && copy->at < copy->end && !err)
		err = copy_piece(copy, end);
	return err;
}

int store_copy(struct store *store, struct stream *stream, struct file from,
	       uint64_t from_offset, struct file to, uint64_t to_offset,
	       uint64_t n, uint64_t *ret_n)
{
	struct copy copy = {store, stream, from, to, from_offset, to_offset, 0};
	uint64_t size =
		atomic_load_explicit(&from.body->size, memory_order_acquire);
	int err = 0;

	if (n && to_offset >= (uint64_t)FILE_MAX_BYTES)
		return -EFBIG;
	if (from_offset >= size)
		n = 0;
	else if (n > size - from_offset)
		n = size - from_offset;
	if (n > (uint64_t)FILE_MAX_BYTES - to_offset)
		n = (uint64_t)FILE_MAX_BYTES - to_offset;
	copy.end = from_offset + n;
	while (copy.at < copy.end && !err)
		err = copy_extent(&copy);
	if (err && copy.at == from_offset)
		return err;
	*ret_n = copy.at - from_offset;
	return 0;
}
