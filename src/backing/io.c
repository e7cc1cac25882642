/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both engines share: the choice between them, whole reads and writes, and
 * the faults that tests put in their way. */
#include "backing/io.h"
#include "base/check.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic(const struct io_faults *) io_faults;

void io_set_faults(const struct io_faults *faults)
{
	atomic_store_explicit(&io_faults, faults, memory_order_release);
}

static const struct io_faults *faults(void)
{
	return atomic_load_explicit(&io_faults, memory_order_acquire);
}

int io_new(enum io_kind kind, bool cached, struct io **ret)
{
	if (kind == IO_BEST && !cached && !io_uring_engine_new(ret))
		return 0;
	return io_threads_engine_new(cached, ret);
}

void io_free(struct io *io)
{
	if (!io)
		return;
	invariant(io->in_flight == 0);
	io->ops->free(io);
}

void io_start(struct io *io, unsigned slot, const struct io_write *w)
{
	const struct io_faults *f = faults();
	struct io_write part = *w;
	int result = INT_MIN;

	io->in_flight++;
	if (f && f->write) {
		part.n_bytes = f->write(f->arg, w->offset, w->n_bytes, &result);
		if (result != INT_MIN || !part.n_bytes) {
			io->result[slot] = result == INT_MIN ? 0 : result;
			io->changed |= (uint8_t)(1u << slot);
		}
	}
	if (part.n_bytes)
		io->ops->start(io, slot, &part);
	else
		io->ended |= (uint8_t)(1u << slot);
}

bool io_reap(struct io *io, bool wait, unsigned *ret_slot, int *ret_result)
{
	unsigned slot;
	int result;

	if (!io->in_flight)
		return false;
	if (io->ended) {
		slot = (unsigned)__builtin_ctz(io->ended);
		io->ended &= (uint8_t) ~(1u << slot);
	} else if (!io->ops->reap(io, wait, &slot, &result)) {
		return false;
	}
	if (io->changed >> slot & 1) {
		io->changed &= (uint8_t) ~(1u << slot);
		result = io->result[slot];
	}
	io->in_flight--;
	*ret_slot = slot;
	*ret_result = result;
	return true;
}

int io_was_read(uint64_t offset, void *buf, size_t n_bytes)
{
	const struct io_faults *f = faults();

	return f && f->read ? f->read(f->arg, offset, buf, n_bytes) : 0;
}

int io_read_all(int fd, void *buf, size_t n_bytes, uint64_t offset)
{
	size_t done = 0;

	while (done < n_bytes) {
		ssize_t r = pread(fd, (char *)buf + done, n_bytes - done,
				  (off_t)(offset + done));

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -EIO;
		if (r > 0)
			done += (size_t)r;
	}
	return io_was_read(offset, buf, n_bytes);
}

int io_write_all(const struct io_write *w)
{
	size_t done = 0;

	while (done < w->n_bytes) {
		ssize_t r = pwrite(w->fd, w->bytes + done, w->n_bytes - done,
				   (off_t)(w->offset + done));

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -EIO;
		if (r > 0)
			done += (size_t)r;
	}
	return 0;
}

int io_reserve(int fd, uint64_t offset, uint64_t n_bytes)
{
	const struct io_faults *f = faults();
	int r = f && f->reserve ? f->reserve(f->arg, offset) : 0;

	if (r < 0)
		return r;
	do
		r = fallocate(fd, 0, (off_t)offset, (off_t)n_bytes);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}
