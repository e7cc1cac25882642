/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine of io_uring: a ring with as many entries as there are slots. */
#include "backing/io.h"
#include "base/heap.h"
#include <errno.h>
#include <sched.h>

#if HAVE_URING
#include <liburing.h>

struct uring_io {
	struct io io;
	struct io_uring ring;
};

/* The kernel may be out of memory for a moment; what is in the ring must get
 * out of it before its buffer may be used again. */
static void submit(struct uring_io *u)
{
	while (io_uring_submit(&u->ring) < 1)
		sched_yield();
}

static void uring_start(struct io *io, unsigned slot, const struct io_write *w)
{
	struct uring_io *u = container_of(io, struct uring_io, io);
	/* Never NULL: no more than IO_SLOTS are in flight. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (w->prepare)
		w->prepare(w->arg);
	io_uring_prep_write(sqe, w->fd, w->bytes, (unsigned)w->n_bytes,
			    w->offset);
	io_uring_sqe_set_data64(sqe, slot);
	submit(u);
}

static bool uring_reap(struct io *io, bool wait, unsigned *ret_slot,
		       int *ret_result)
{
	struct uring_io *u = container_of(io, struct uring_io, io);
	struct io_uring_cqe *cqe;
	int r;

	do
		r = wait ? io_uring_wait_cqe(&u->ring, &cqe)
			 : io_uring_peek_cqe(&u->ring, &cqe);
	while (r < 0 && wait);
	if (r < 0)
		return false;
	*ret_slot = (unsigned)io_uring_cqe_get_data64(cqe);
	*ret_result = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return true;
}

static void uring_free(struct io *io)
{
	struct uring_io *u = container_of(io, struct uring_io, io);

	io_uring_queue_exit(&u->ring);
	heap_free(u);
}

static const struct io_ops uring_ops = {
	.free = uring_free,
	.start = uring_start,
	.reap = uring_reap,
};

int io_uring_engine_new(struct io **ret)
{
	struct uring_io *u = heap_zalloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->io.ops = &uring_ops;
	r = io_uring_queue_init(IO_SLOTS, &u->ring, 0);
	if (r < 0) {
		heap_free(u);
		return r;
	}
	*ret = &u->io;
	return 0;
}

#else

int io_uring_engine_new(struct io **ret UNUSED)
{
	return -ENOSYS;
}

#endif
