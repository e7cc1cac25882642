/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a slot of the crew needs before it can serve.
 *
 * A slot's clone of /dev/fuse is opened when the slot first comes up and kept
 * until the session is over: closing one aborts the requests that were read
 * from it. Who may not open a clone (an ordinary user where /dev/fuse is
 * root's) shares the session's descriptor.
 */
#include "fs/worker.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/resident.h"
#include "fs/loop.h"
#include "fs/pause.h"
#include "fs/ring.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * One piece of memory is for a request, whose payload begins at a page's edge,
 * and for a reply, which begins a page later: those who write a reply there
 * have a request of names and numbers, and it ends in the page between.
 */
#define BUFFER_BYTES (2 * PAGE_BYTES + IO_MAX_BYTES)
/*
 * A worker's thread: its two stacks, the kernel's other things for it, its
 * cache of the heap. 34 KiB measured, and up to 32 of the stack are touched
 * later; 171 with a stack that is filled. It does not go back when the worker
 * leaves: most of it is kept for the next one.
 */
#define KEPT_BYTES (64u << 10)
#define KEPT_FILLED_BYTES (176u << 10)
/* What all but large requests use. */
#define SMALL_BYTES (2 * PAGE_BYTES + WORKER_SMALL_BYTES)
/* No worker takes the last room: a mount without any for data is none. */
#define DATA_LEAST_BYTES MIB

bool worker_keeps_buffers(const struct worker *w)
{
	return w->fs->config->profile == FS_PROFILE_SWAP;
}

static uint64_t kept_bytes(const struct worker *w)
{
	return worker_keeps_buffers(w) ? KEPT_FILLED_BYTES : KEPT_BYTES;
}

static void charge_slot_locked(struct worker *w)
{
	struct budget *budget = &w->fs->engine.budget;
	uint64_t bytes;

	bytes = stream_stats(w->fs->engine.streams, w->slot).held_bytes;
	if (w->buffers)
		bytes += BUFFER_BYTES;
	bytes += w->parking_bytes;
	if (w->was_up)
		bytes += kept_bytes(w);
	if (bytes < w->promised_bytes)
		bytes = w->promised_bytes;
	if (bytes > w->charged_bytes)
		budget_force(budget, bytes - w->charged_bytes);
	else
		budget_give(budget, w->charged_bytes - bytes);
	w->charged_bytes = bytes;
}

static void charge_slot(struct worker *w)
{
	lock_take(&w->fs->charge_lock);
	charge_slot_locked(w);
	lock_drop(&w->fs->charge_lock);
}

void workers_charge_instead(struct fs *fs, uint64_t bytes)
{
	lock_take(&fs->charge_lock);
	budget_give(&fs->engine.budget, bytes);
	for (unsigned i = 0; i < CREW_MAX; i++)
		charge_slot_locked(&fs->worker[i]);
	lock_drop(&fs->charge_lock);
}

void workers_charge(struct fs *fs)
{
	workers_charge_instead(fs, 0);
}

/* All under the lock, by which what is not in RAM comes after its charge and goes
 * before; and the charge is looked at last. */
uint64_t workers_used_bytes(struct fs *fs)
{
	uint64_t absent_bytes, bytes;

	lock_take(&fs->charge_lock);
	absent_bytes = streams_absent_bytes(fs->engine.streams);
	bytes = budget_used(&fs->engine.budget) - absent_bytes;
	for (unsigned i = 0; i < CREW_MAX; i++) {
		const struct worker *w = &fs->worker[i];

		if (w->buffers && !w->lends)
			bytes -= BUFFER_BYTES -
				 resident_bytes(w->buffers, BUFFER_BYTES);
	}
	lock_drop(&fs->charge_lock);
	return bytes;
}

void worker_shrink_buffers(struct worker *w)
{
	struct streams *streams = w->fs->engine.streams;
	/* What the kernel keeps is counted as before. */
	bool gone UNUSED = resident_drop(w->buffers + SMALL_BYTES,
					 BUFFER_BYTES - SMALL_BYTES);
	/* Its own, unless somebody has that just now. */
	struct stream *stream = stream_try(streams, w->slot);

	if (!stream)
		return;
	stream_rest(stream);
	stream_put(streams, stream);
}

uint64_t worker_bytes(struct fs *fs)
{
	return streams_next_bytes(fs->engine.streams) + BUFFER_BYTES +
	       kept_bytes(&fs->worker[0]);
}

uint64_t workers_need_bytes(struct fs *fs, unsigned nr)
{
	return nr * worker_bytes(fs) + DATA_LEAST_BYTES;
}

/*
 * The first step: mem_limit is asked before anything is made, and some room
 * stays for data. What is really held is settled when the buffers are there.
 */
static int up_charge(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	struct budget *budget = &fs->engine.budget;
	uint64_t wanted = worker_bytes(fs), more = 0;
	int r = 0;

	lock_take(&fs->charge_lock);
	if (wanted > w->charged_bytes)
		more = wanted - w->charged_bytes;
	if (more && budget_room(budget) < more + DATA_LEAST_BYTES)
		r = -ENOSPC;
	if (!r && more)
		r = budget_take(budget, more, BUDGET_NORMAL);
	if (!r) {
		w->charged_bytes += more;
		w->promised_bytes = wanted;
	}
	lock_drop(&fs->charge_lock);
	return r;
}

/* The last step down: of a slot that came up, or that failed to. */
static void down_charge(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];

	lock_take(&fs->charge_lock);
	w->promised_bytes = 0;
	lock_drop(&fs->charge_lock);
	charge_slot(w);
}

int worker_charge_parking(struct worker *w, uint64_t bytes)
{
	struct budget *budget = &w->fs->engine.budget;
	int r = -ENOSPC;

	lock_take(&w->fs->charge_lock);
	if (budget_room(budget) >= bytes + DATA_LEAST_BYTES)
		r = budget_take(budget, bytes, BUDGET_NORMAL);
	if (!r) {
		w->parking_bytes = bytes;
		w->charged_bytes += bytes;
	}
	lock_drop(&w->fs->charge_lock);
	return r;
}

void worker_uncharge_parking(struct worker *w)
{
	lock_take(&w->fs->charge_lock);
	w->parking_bytes = 0;
	lock_drop(&w->fs->charge_lock);
	charge_slot(w);
}

static int up_stream(void *arg, unsigned slot)
{
	struct fs *fs = arg;

	return stream_up(fs->engine.streams, slot);
}

static void down_stream(void *arg, unsigned slot)
{
	struct fs *fs = arg;

	stream_down(fs->engine.streams, slot);
}

void worker_own_buffers(struct worker *w)
{
	w->in = w->buffers + PAGE_BYTES - LOOP_HEAD_BYTES;
	w->out = w->buffers + 2 * PAGE_BYTES;
}

static void place_buffers(struct worker *w, char *buffers)
{
	w->buffers = buffers;
	worker_own_buffers(w);
}

/* What is kept is written once, so that every page is there before a request
 * needs it; else what no request is large enough for stays untouched. */
static int up_buffers(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	char *buffers = heap_aligned(PAGE_BYTES, BUFFER_BYTES);

	if (!buffers)
		return -ENOMEM;
	if (worker_keeps_buffers(w))
		memset(buffers, 0, BUFFER_BYTES);
	lock_take(&fs->charge_lock);
	place_buffers(w, buffers);
	w->was_up = true;
	w->promised_bytes = 0;
	lock_drop(&fs->charge_lock);
	charge_slot(w);
	return 0;
}

/* At mem_limit one is lent for nothing: who waits for room has none to pay
 * with, and of what it serves meanwhile FORGETs touch two pages of it. */
static bool pay_for_loan(struct worker *w)
{
	struct fs *fs = w->fs;
	bool free_of_charge = false;

	w->loan_bytes = BUFFER_BYTES;
	if (budget_take(&fs->engine.budget, w->loan_bytes, BUDGET_NORMAL) == 0)
		return true;
	w->loan_bytes = 0;
	return atomic_compare_exchange_strong_explicit(
		&fs->free_loan, &free_of_charge, true, memory_order_relaxed,
		memory_order_relaxed);
}

static void end_loan(struct worker *w)
{
	if (w->loan_bytes)
		budget_give(&w->fs->engine.budget, w->loan_bytes);
	else
		atomic_store_explicit(&w->fs->free_loan, false,
				      memory_order_relaxed);
}

bool worker_lend_buffers(struct worker *w, struct worker_outer *ret_outer)
{
	struct worker_outer outer = {.buffers = w->buffers,
				     .in = w->in,
				     .out = w->out,
				     .entry = w->entry,
				     .flags = w->flags,
				     .lends = w->lends,
				     .loan_bytes = w->loan_bytes};
	char *buffers = NULL;

	if (pay_for_loan(w)) {
		buffers = heap_aligned(PAGE_BYTES, BUFFER_BYTES);
		if (!buffers)
			end_loan(w);
	}
	if (!buffers) {
		w->loan_bytes = outer.loan_bytes;
		return false;
	}
	lock_take(&w->fs->charge_lock);
	place_buffers(w, buffers);
	w->lends = true;
	lock_drop(&w->fs->charge_lock);
	*ret_outer = outer;
	return true;
}

void worker_return_buffers(struct worker *w, const struct worker_outer *outer)
{
	char *lent = w->buffers;

	lock_take(&w->fs->charge_lock);
	place_buffers(w, outer->buffers);
	w->lends = outer->lends;
	lock_drop(&w->fs->charge_lock);
	heap_free(lent);
	heap_purge();
	end_loan(w);
	w->loan_bytes = outer->loan_bytes;
	w->flags = outer->flags;
	w->in = outer->in;
	w->out = outer->out;
	w->entry = outer->entry;
}

static void down_buffers(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	char *buffers = w->buffers;

	lock_take(&fs->charge_lock);
	w->buffers = NULL;
	lock_drop(&fs->charge_lock);
	heap_free(buffers);
	heap_purge();
}

/* -errno where there are no clones for us. */
static int open_clone(int session_fd)
{
	uint32_t source = (uint32_t)session_fd;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &source) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int up_descriptor(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	int fd;

	if (w->cloned)
		return 0;
	fd = open_clone(fs->fuse_fd);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
	w->cloned = fd >= 0;
	w->fd = w->cloned ? fd : fs->fuse_fd;
	return 0;
}

/*
 * Exclusive: of all workers that sleep on the one queue of the connection a
 * request wakes one. The descriptors to leave by and to be called to help by
 * are the slot's own; a pause calls all at once.
 */
static int up_epoll(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	struct epoll_event request = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	struct epoll_event leave = {.events = EPOLLIN};
	struct epoll_event help = {.events = EPOLLIN | EPOLLET};
	struct epoll_event pause = {.events = EPOLLIN};
	struct epoll_event ring = {.events = EPOLLIN | EPOLLET};
	struct share *share = fs->engine.share;
	int ring_fd = rings_fd(fs, slot);
	int r = share_up(share, slot);

	if (r)
		return r;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->fd, &request) == 0 &&
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, crew_leave_fd(fs->crew, slot),
		      &leave) == 0 &&
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, share_fd(share, slot),
		      &help) == 0 &&
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, pause_fd(fs->pause),
		      &pause) == 0 &&
	    (ring_fd < 0 ||
	     epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, ring_fd, &ring) == 0))
		return 0;
	r = -errno;
	close(w->epoll_fd);
	w->epoll_fd = -1;
	return r;
}

static void down_epoll(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];

	close(w->epoll_fd);
	w->epoll_fd = -1;
}

static const struct crew_step steps[] = {
	{"fs:charge", up_charge, down_charge},
	{"codec:stream", up_stream, down_stream},
	{"fs:buffers", up_buffers, down_buffers},
	{"fs:descriptor", up_descriptor, NULL},
	{"fs:epoll", up_epoll, down_epoll},
};

const struct crew_ops worker_crew = {
	.steps = steps,
	.nr_steps = ARRAY_SIZE(steps),
	.run = loop_run,
};

void workers_init(struct fs *fs)
{
	lock_init(&fs->charge_lock, LOCK_LEAF);
	for (unsigned i = 0; i < CREW_MAX; i++) {
		fs->worker[i] = (struct worker){.fs = fs,
						.slot = i,
						.fd = -1,
						.epoll_fd = -1,
						.held = &fs->held[i]};
	}
}

void workers_fini(struct fs *fs)
{
	lock_fini(&fs->charge_lock);
	for (unsigned i = 0; i < CREW_MAX; i++) {
		if (fs->worker[i].cloned)
			close(fs->worker[i].fd);
		fs->worker[i].cloned = false;
	}
}
