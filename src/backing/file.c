/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The open file or device: room taken and given back, sizes, an end without
 * traces. */
#include "backing/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a disk has, whatever the kernel makes of it. */
#define SECTOR_LEAST 512u

struct range {
	uint64_t offset;
	uint64_t n_bytes;
};

static struct range range_of(uint32_t segment)
{
	uint64_t first = segment_first(segment) * BACKING_UNIT;

	return (struct range){
		(uint64_t)segment * BACKING_SEGMENT_BYTES + first,
		BACKING_SEGMENT_BYTES - first,
	};
}

void file_punch(const struct backing *b, uint32_t segment)
{
	struct range at = range_of(segment);
	int fd = backing_descriptor(b);

	/* Where neither can be done the bytes stay until they are written over;
	 * nobody reads them. */
	if (b->is_device)
		ioctl(fd, BLKDISCARD, &at);
	else
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)at.offset, (off_t)at.n_bytes);
}

void file_cut(const struct backing *b, uint32_t end)
{
	uint64_t bytes = (uint64_t)end * BACKING_SEGMENT_BYTES;
	int fd = backing_descriptor(b);

	if (fd < 0 || b->is_device)
		return;
	/* It shrinks later if it cannot now. */
	if (ftruncate(fd, (off_t)(bytes ? bytes : BLOCK_BYTES)) < 0)
		return;
}

static int grow(int fd, off_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size >= bytes)
		return 0;
	return ftruncate(fd, bytes) < 0 ? -errno : 0;
}

int file_reserve(const struct backing *b, uint32_t segment)
{
	struct range at = range_of(segment);
	int fd = backing_descriptor(b);
	int r;

	if (b->is_device)
		return 0;
	r = io_reserve(fd, at.offset, at.n_bytes);
	/* Without it the write will tell; but a walk reads it to its end. */
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		r = grow(fd, (off_t)(at.offset + at.n_bytes));
	return r == -EDQUOT || r == -EFBIG ? -ENOSPC : r;
}

void file_uncache(int fd, uint64_t offset, size_t n_bytes)
{
	posix_fadvise(fd, (off_t)offset, (off_t)n_bytes, POSIX_FADV_DONTNEED);
}

/*
 * Without O_DIRECT: a page, for of the page cache only whole ones are dropped.
 * Only what statx() says is believed: btrfs takes any O_DIRECT read, but through
 * the page cache. All buffers are page-aligned.
 */
uint32_t file_sector(const struct backing *b, int fd)
{
#ifdef STATX_DIOALIGN
	struct statx st;
	uint32_t n;

	if (!b->direct ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    !(st.stx_mask & STATX_DIOALIGN))
		return BLOCK_BYTES;
	n = st.stx_dio_offset_align;
	if (n < SECTOR_LEAST && n)
		n = SECTOR_LEAST;
	return n && n < BLOCK_BYTES && BLOCK_BYTES % n == 0 ? n : BLOCK_BYTES;
#else
	(void)b;
	(void)fd;
	return BLOCK_BYTES;
#endif
}

uint64_t file_system_room(const struct backing *b)
{
	struct statvfs st;

	if (b->is_device || fstatvfs(backing_descriptor(b), &st) < 0)
		return 0;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

uint32_t file_segments_most(const struct backing *b)
{
	uint64_t most =
		atomic_load_explicit(&b->most_bytes, memory_order_relaxed);
	uint64_t bytes = BACKING_BYTES_MAX;

	if (most && most < bytes)
		bytes = most;
	if (b->device_bytes < bytes)
		bytes = b->device_bytes;
	return (uint32_t)(bytes / BACKING_SEGMENT_BYTES);
}

uint64_t file_disk_bytes(struct backing *b)
{
	uint64_t segments;
	struct stat st;

	if (!backing_is_open(b))
		return 0;
	if (!b->is_device)
		return fstat(backing_descriptor(b), &st) < 0
			       ? 0
			       : (uint64_t)st.st_blocks * 512;
	lock_take(&b->lock);
	segments = b->used;
	lock_drop(&b->lock);
	return segments * BACKING_SEGMENT_BYTES;
}

void file_wipe(int fd, bool is_device)
{
	static const struct file_header nothing
		__attribute__((aligned(BLOCK_BYTES)));
	struct io_write w = {
		.fd = fd,
		.bytes = (const char *)&nothing,
		.n_bytes = sizeof(nothing),
	};

	/* Best effort: what stays is emptied when it is opened again. */
	if (is_device ? io_write_all(&w) < 0 : ftruncate(fd, 0) < 0)
		return;
}
