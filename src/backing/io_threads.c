/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine of threads: each takes a slot that was started and writes it.
 *
 * For kernels or builds without io_uring, and for files that go through the
 * page cache: there a thread also waits until the bytes are on the disk and
 * drops them from the cache, which would keep everything twice.
 */
#include "backing/io.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/resident.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define THREADS 2u
#define STACK_BYTES (2 * RESIDENT_STACK_BYTES)

struct threads_io {
	struct io io;
	bool cached;
	struct lock lock;
	struct cond work;
	struct cond done;
	bool stop GUARDED_BY(lock);
	uint8_t started GUARDED_BY(lock);
	uint8_t finished GUARDED_BY(lock);
	struct io_write write[IO_SLOTS];
	int result[IO_SLOTS];
	unsigned threads_nr;
	pthread_t thread[THREADS];
};

static void drop_cached(const struct io_write *w, size_t n_bytes)
{
	off_t offset = (off_t)w->offset;

	sync_file_range(w->fd, offset, (off_t)n_bytes,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(w->fd, offset, (off_t)n_bytes, POSIX_FADV_DONTNEED);
}

static int write_one(const struct io_write *w, bool cached)
{
	ssize_t r;

	if (w->prepare)
		w->prepare(w->arg);
	do
		r = pwrite(w->fd, w->bytes, w->n_bytes, (off_t)w->offset);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (cached)
		drop_cached(w, (size_t)r);
	return (int)r;
}

static void *threads_main(void *arg)
{
	struct threads_io *t = arg;

	resident_stack();
	lock_take(&t->lock);
	for (;;) {
		unsigned slot;

		while (!t->started && !t->stop)
			cond_wait(&t->work, &t->lock);
		if (!t->started)
			break;
		slot = (unsigned)__builtin_ctz(t->started);
		t->started &= (uint8_t) ~(1u << slot);
		lock_drop(&t->lock);
		t->result[slot] = write_one(&t->write[slot], t->cached);
		lock_take(&t->lock);
		t->finished |= (uint8_t)(1u << slot);
		cond_signal(&t->done);
	}
	lock_drop(&t->lock);
	return NULL;
}

static void threads_start(struct io *io, unsigned slot,
			  const struct io_write *w)
{
	struct threads_io *t = container_of(io, struct threads_io, io);

	t->write[slot] = *w;
	lock_take(&t->lock);
	t->started |= (uint8_t)(1u << slot);
	cond_signal(&t->work);
	lock_drop(&t->lock);
}

static bool threads_reap(struct io *io, bool wait, unsigned *ret_slot,
			 int *ret_result)
{
	struct threads_io *t = container_of(io, struct threads_io, io);
	uint8_t finished;

	lock_take(&t->lock);
	while (wait && !t->finished)
		cond_wait(&t->done, &t->lock);
	finished = t->finished;
	if (finished) {
		*ret_slot = (unsigned)__builtin_ctz(finished);
		*ret_result = t->result[*ret_slot];
		t->finished &= (uint8_t) ~(1u << *ret_slot);
	}
	lock_drop(&t->lock);
	return finished;
}

static void threads_free(struct io *io)
{
	struct threads_io *t = container_of(io, struct threads_io, io);

	lock_take(&t->lock);
	t->stop = true;
	cond_broadcast(&t->work);
	lock_drop(&t->lock);
	for (unsigned i = 0; i < t->threads_nr; i++)
		pthread_join(t->thread[i], NULL);
	cond_fini(&t->work);
	cond_fini(&t->done);
	lock_fini(&t->lock);
	heap_free(t);
}

static const struct io_ops threads_ops = {
	.free = threads_free,
	.start = threads_start,
	.reap = threads_reap,
};

/* No signal is theirs. One thread is enough to go on with. */
static int start_threads(struct threads_io *t)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	invariant(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!r && t->threads_nr < THREADS) {
		r = pthread_create(&t->thread[t->threads_nr], &attr,
				   threads_main, t);
		if (!r)
			t->threads_nr++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return t->threads_nr ? 0 : -r;
}

int io_threads_engine_new(bool cached, struct io **ret)
{
	struct threads_io *t = heap_zalloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->io.ops = &threads_ops;
	t->cached = cached;
	lock_init(&t->lock, LOCK_LEAF);
	cond_init(&t->work);
	cond_init(&t->done);
	r = start_threads(t);
	if (r < 0) {
		threads_free(&t->io);
		return r;
	}
	*ret = &t->io;
	return 0;
}
