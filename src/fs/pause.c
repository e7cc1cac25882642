/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pause: everyone who changes files stands still at an edge of their work.
 *
 * `below` is read without the lock by those who come by, and only as a hint:
 * who stands looks again under it. What they did before is seen by whoever
 * finds, under the lock, that nobody is left inside.
 */
#include "fs/pause.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pause {
	struct pause_asked asked;       /* written under the lock */
	struct lock lock CACHE_ALIGNED; /* leaf */
	struct cond changed;
	unsigned inside[PAUSE_NR] GUARDED_BY(lock); /* and not standing */
	int fd;
};

int pause_new(struct pause **ret)
{
	struct pause *p = heap_aligned(64, sizeof(*p));

	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		int r = -errno;

		heap_free(p);
		return r;
	}
	lock_init(&p->lock, LOCK_LEAF);
	cond_init(&p->changed);
	*ret = p;
	return 0;
}

void pause_free(struct pause *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < PAUSE_NR; i++)
		invariant(p->inside[i] == 0);
	close(p->fd);
	cond_fini(&p->changed);
	lock_fini(&p->lock);
	heap_free(p);
}

int pause_fd(const struct pause *p)
{
	return p->fd;
}

static void ask_locked(struct pause *p, unsigned below) REQUIRES(p->lock)
{
	atomic_store_explicit(&p->asked.below, below, memory_order_relaxed);
	cond_broadcast(&p->changed);
}

static void come_in_locked(struct pause *p, enum pause_class class)
	REQUIRES(p->lock)
{
	while (pause_is_asked(p, class))
		cond_wait(&p->changed, &p->lock);
	p->inside[class]++;
}

static void go_out_locked(struct pause *p, enum pause_class class)
	REQUIRES(p->lock)
{
	invariant(p->inside[class] > 0);
	p->inside[class]--;
	cond_broadcast(&p->changed);
}

void pause_enter(struct pause *p, enum pause_class class)
{
	lock_take(&p->lock);
	come_in_locked(p, class);
	lock_drop(&p->lock);
}

void pause_leave(struct pause *p, enum pause_class class)
{
	lock_take(&p->lock);
	go_out_locked(p, class);
	lock_drop(&p->lock);
}

uint64_t pause_stand(struct pause *p, enum pause_class class)
{
	uint64_t begun_ns = clock_ns();

	lock_take(&p->lock);
	go_out_locked(p, class);
	come_in_locked(p, class);
	lock_drop(&p->lock);
	return clock_ns() - begun_ns;
}

/* Whoever wakes by the descriptor finds `below` set, and after a pause the
 * descriptor silent. */
static void release_locked(struct pause *p) REQUIRES(p->lock)
{
	eventfd_t n;

	(void)!eventfd_read(p->fd, &n);
	ask_locked(p, 0);
}

int pause_begin(struct pause *p, uint64_t patience_ns)
{
	uint64_t end_ns = clock_ns() + patience_ns;
	bool late = false;

	lock_take(&p->lock);
	invariant(!pause_is_asked(p, PAUSE_SERVING));
	for (unsigned class = 0; class < PAUSE_NR && !late; class ++) {
		ask_locked(p, class + 1);
		if (class == PAUSE_SERVING)
			eventfd_write(p->fd, 1);
		while (p->inside[class] && !late)
			late = !cond_wait_until(&p->changed, &p->lock, end_ns);
		late = p->inside[class] != 0;
	}
	if (late)
		release_locked(p);
	lock_drop(&p->lock);
	return late ? -ETIMEDOUT : 0;
}

void pause_end(struct pause *p)
{
	lock_take(&p->lock);
	release_locked(p);
	lock_drop(&p->lock);
}
