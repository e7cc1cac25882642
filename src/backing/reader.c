/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads that nobody waits for: one thread starts them and learns by a
 * descriptor that some have ended.
 *
 * One ring for one thread, and the kernel does its part of the end when that
 * thread asks for it: so nothing is interrupted, and nothing locked.
 */
#include "backing/reader.h"
#include "backing/inside.h"
#include "base/check.h"
#include "base/heap.h"
#include <errno.h>
#include <sched.h>

#if HAVE_URING
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Started and not yet handed to the kernel. */
#define BATCH 32u

#if !defined(IORING_SETUP_DEFER_TASKRUN)
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#define AT_OUR_TIME                                                            \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |             \
	 IORING_SETUP_TASKRUN_FLAG)

struct backing_reader {
	struct backing *backing;
	unsigned in_flight;
	unsigned most;
	unsigned queued;
	int event_fd; /* written to when a read ends, never read */
	struct io_uring ring;
};

static int set_up_ring(struct backing_reader *r, unsigned flags)
{
	struct io_uring_params params = {
		.flags = flags | IORING_SETUP_CQSIZE,
		.cq_entries = r->most,
	};

	return io_uring_queue_init_params(BATCH, &r->ring, &params);
}

/* Whoever polls the ring itself does not hear of what the kernel has deferred. */
static int make_ring(struct backing_reader *r)
{
	unsigned threads[] = {BACKING_READER_THREADS, 1};
	int err;

	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0)
		return -errno;
	err = set_up_ring(r, AT_OUR_TIME);
	if (err == -EINVAL)
		err = set_up_ring(r, 0);
	if (!err) {
		/* What cannot be told (Linux 5.14) is as it was before. */
		io_uring_register_iowq_max_workers(&r->ring, threads);
		err = io_uring_register_eventfd(&r->ring, r->event_fd);
		if (err)
			io_uring_queue_exit(&r->ring);
	}
	if (err)
		close(r->event_fd);
	return err;
}

int backing_reader_new(struct backing *b, unsigned most,
		       struct backing_reader **ret)
{
	struct backing_reader *r = heap_zalloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->backing = b;
	r->most = most < BATCH ? BATCH : most;
	err = make_ring(r);
	if (err) {
		heap_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void backing_reader_free(struct backing_reader *r)
{
	if (!r)
		return;
	invariant(r->in_flight == 0);
	io_uring_queue_exit(&r->ring);
	close(r->event_fd);
	heap_free(r);
}

int backing_reader_fd(const struct backing_reader *r)
{
	return r->event_fd;
}

/* The kernel may be out of memory for a moment. */
void backing_reader_submit(struct backing_reader *r)
{
	while (r->queued) {
		int n = io_uring_submit(&r->ring);

		if (n > 0)
			r->queued -= (unsigned)n;
		else
			sched_yield();
	}
}

int backing_reader_start(struct backing_reader *r, struct backing_blocks *what)
{
	struct backing *b = r->backing;
	struct io_uring_sqe *sqe;
	int fd;

	if (r->in_flight == r->most)
		return -EAGAIN;
	/* backing_close() looks at the count after it took the file away. */
	atomic_fetch_add_explicit(&b->readers, 1, memory_order_seq_cst);
	fd = atomic_load_explicit(&b->fd, memory_order_seq_cst);
	if (fd < 0) {
		atomic_fetch_sub_explicit(&b->readers, 1, memory_order_release);
		return -ENODEV;
	}
	if (r->queued == BATCH)
		backing_reader_submit(r);
	sqe = io_uring_get_sqe(&r->ring);
	io_uring_prep_read(sqe, fd, what->bytes, (unsigned)what->n_bytes,
			   what->offset);
	io_uring_sqe_set_data(sqe, what);
	r->queued++;
	r->in_flight++;
	return 0;
}

/* Who needs what is bad or missing reads it again, by itself. */
static void ended(struct backing *b, struct backing_blocks *what, int result)
{
	int r = io_was_read(what->offset, what->bytes, what->n_bytes);

	if (result < 0 || (size_t)result != what->n_bytes || r < 0) {
		what->n_bytes = 0;
	} else {
		if (!b->direct)
			file_uncache(backing_descriptor(b), what->offset,
				     what->n_bytes);
		backing_count(b, COUNT_READS, 1);
		backing_count(b, COUNT_READ_BYTES, what->n_bytes);
	}
	atomic_fetch_sub_explicit(&b->readers, 1, memory_order_release);
}

struct backing_blocks *backing_reader_reap(struct backing_reader *r, bool wait)
{
	struct backing_blocks *what;
	struct io_uring_cqe *cqe;
	int err;

	if (!r->in_flight)
		return NULL;
	if (wait)
		backing_reader_submit(r);
	do
		err = wait ? io_uring_wait_cqe(&r->ring, &cqe)
			   : io_uring_peek_cqe(&r->ring, &cqe);
	while (err < 0 && wait);
	if (err < 0)
		return NULL;
	what = io_uring_cqe_get_data(cqe);
	ended(r->backing, what, cqe->res);
	io_uring_cqe_seen(&r->ring, cqe);
	r->in_flight--;
	return what;
}

bool backing_reader_has_some(const struct backing_reader *r)
{
	return io_uring_cq_ready(&r->ring) ||
	       (IO_URING_READ_ONCE(*r->ring.sq.kflags) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

#else

int backing_reader_new(struct backing *b UNUSED, unsigned most UNUSED,
		       struct backing_reader **ret UNUSED)
{
	return -ENOSYS;
}

void backing_reader_free(struct backing_reader *r UNUSED)
{
}

int backing_reader_fd(const struct backing_reader *r UNUSED)
{
	return -1;
}

int backing_reader_start(struct backing_reader *r UNUSED,
			 struct backing_blocks *what UNUSED)
{
	return -ENOSYS;
}

void backing_reader_submit(struct backing_reader *r UNUSED)
{
}

struct backing_blocks *backing_reader_reap(struct backing_reader *r UNUSED,
					   bool wait UNUSED)
{
	return NULL;
}

bool backing_reader_has_some(const struct backing_reader *r UNUSED)
{
	return false;
}

#endif
