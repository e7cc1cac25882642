/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker's life: read a request, carry it out, again.
 *
 * It reads first and sleeps only when there is nothing, so under load a
 * request costs one read and one write and no more system calls.
 *
 * Note: the short wait. Who got a reply often sends its next request within
 * microseconds, and being woken from sleep costs both sides more than that: so
 * a worker looks again for a moment before it sleeps. It yields between two
 * looks: whoever has work goes first.
 *
 * Note: the last look. Workers sleep exclusively, so a request wakes one of
 * them, and the one that was woken may be told to leave in the same moment.
 * It takes itself off the queue first and then reads once more: what it was
 * woken for is either still there for it, or was taken by another one. (The
 * queue is in order of coming, so it is woken only when those before it are
 * awake, and they read before they sleep; but that is the kernel's choice.)
 */
#include "fs/loop.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fs/io.h"
#include "fs/latency.h"
#include "fs/parking.h"
#include "fs/pause.h"
#include "fs/reply.h"
#include "fs/ring.h"
#include "fs/trace.h"
#include "fs/wire.h"
#include "fs/worker.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* False: it is answered later, and its time is noted then. */
static bool serve(struct worker *w, size_t n)
{
	struct fuse_in_header *head = (void *)w->in;
	struct fuse_buf buf = {0};

	if (w->fs->config->debug)
		trace_request(head);
	count(w, COUNT_REQUESTS, 1);
	switch (head->opcode) {
	case FUSE_READ:
		return io_read(w, head, n);
	case FUSE_WRITE:
		io_write(w, head, n);
		break;
	case FUSE_INTERRUPT:
		/* Requests are short: none is worth being interrupted. */
		reply_error(w, head->unique, -ENOSYS);
		break;
	default:
		buf.mem = wire_adapt(w, n, &buf.size);
		fuse_session_process_buf(w->fs->se, &buf);
	}
	return true;
}

/* About what a sleeping virtual CPU takes to wake. */
#define BRIEF_NS 20000u
/* Whose page has come touches the next one, and the loop device's worker brings
 * the request: two threads run before it is here, and the softirq that ends the
 * last one runs where the worker waits, and takes BRIEF_NS alone. */
#define FAULT_NS 60000u
/* One who helped stays for the stream's next large request: as long as that
 * takes to be copied in. So does one whose reads are under way: a good disk is
 * about as fast. */
#define LINGER_NS 100000u
/* So long after the last request that used it a worker that sleeps gives the
 * larger part of its buffers back. */
#define IDLE_NS NS_PER_S

static bool is_large(const struct fuse_in_header *head, size_t n)
{
	const struct fuse_read_in *in = (const void *)(head + 1);

	if (head->opcode == FUSE_READ && n >= sizeof(*head) + sizeof(*in))
		return in->size > WORKER_SMALL_BYTES;
	return n > LOOP_HEAD_BYTES + WORKER_SMALL_BYTES;
}

/* The time is the request's, whatever it serves meanwhile (fs/room.h). */
void loop_serve(struct worker *w, size_t n)
{
	const struct fuse_in_header *head = (const void *)w->in;
	/* Adapting a request may change it in place. */
	uint32_t opcode = head->opcode;
	uint64_t start_ns = clock_ns();

	w->start_ns = start_ns;
	if (unlikely(is_large(head, n)))
		w->large_ns = start_ns;
	if (serve(w, n))
		latency_add(w->fs->latency, w->slot, opcode,
			    clock_ns() - start_ns);
}

static ssize_t read_device(struct worker *w)
{
	ssize_t n;

	/* ENOENT: the request was taken back before we had it. */
	do
		n = read(w->fd, w->in, LOOP_HEAD_BYTES + IO_MAX_BYTES);
	while (n < 0 && (errno == EINTR || errno == ENOENT));
	/* The connection ended with a request half way to us: the next read
	 * would say ENODEV. */
	if (n < 0 && errno == ECONNABORTED)
		return -ENODEV;
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if ((size_t)n < sizeof(struct fuse_in_header))
		return -EIO;
	return n;
}

/* What came by /dev/fuse first: there is little of it. */
static ssize_t next_of_ring(struct worker *w)
{
	ssize_t n = 0;

	if (ring_looks_aside(w)) {
		ring_open(w, NULL);
		n = read_device(w);
		KERNEL_ORDER_AFTER(w->fs->rings);
		/* There may be more. */
		if (n > 0)
			ring_look_aside(w);
	}
	return n ? n : ring_next(w);
}

ssize_t loop_next_request(struct worker *w)
{
	if (unlikely(w->held->n))
		held_send_due(w, clock_ns());
	return w->ring ? next_of_ring(w) : read_device(w);
}

/* Never waits for a stream: the request's owner holds one. */
static void help(struct worker *w)
{
	struct engine *e = &w->fs->engine;
	struct stream *stream = stream_try(e->streams, w->slot);

	if (!stream)
		return;
	ring_flush(w);
	share_help(e->share, stream);
	w->helped = true;
	stream_put(e->streams, stream);
}

static uint64_t look_ns(const struct worker *w)
{
	if (w->helped || parking_reads(w))
		return LINGER_NS;
	return w->fs->config->profile == FS_PROFILE_SWAP ? FAULT_NS : BRIEF_NS;
}

/* As loop_next_request(), for a moment; also ends when help is wanted, or a
 * parked request can go on. */
static ssize_t wait_briefly(struct worker *w)
{
	struct share *share = w->fs->engine.share;
	uint64_t end_ns = clock_ns() + look_ns(w);
	ssize_t n;

	w->helped = false;
	do {
		sched_yield();
		n = loop_next_request(w);
	} while (n == 0 && !share_is_called(share, w->slot) &&
		 !parking_has_some(w) && clock_ns() < end_ns);
	return n;
}

/* How long it may sleep until what its last large request used is to go; it goes
 * here if that was long ago. As held_wait_ms(). */
static int shrink_wait_ms(struct worker *w, uint64_t now_ns)
{
	uint64_t due_ns = w->large_ns + IDLE_NS;

	if (w->large_ns == 0 || worker_keeps_buffers(w))
		return -1;
	if (now_ns < due_ns)
		return (int)((due_ns - now_ns) / NS_PER_MS) + 1;
	worker_shrink_buffers(w);
	w->large_ns = 0;
	return -1;
}

/* EINTR is as good a reason as any to look again. */
static void sleep_until(struct worker *w)
{
	uint64_t now_ns = clock_ns();
	int wait_ms = held_wait_ms(w, now_ns);
	struct epoll_event event;

	if (w->ring) {
		ring_sleep(w, wait_ms);
		return;
	}
	if (wait_ms < 0)
		wait_ms = shrink_wait_ms(w, now_ns);
	if (epoll_wait(w->epoll_fd, &event, 1, wait_ms) < 0 && errno != EINTR)
		invariant(!"epoll_wait() on descriptors of our own");
}

/* Until there is a request, or a part of one to help with. As
 * loop_next_request(). */
static ssize_t rest(struct worker *w)
{
	struct share *share = w->fs->engine.share;
	ssize_t n;

	if (!share_rest(share, w->slot)) {
		help(w);
		return 0;
	}
	parking_rest(w);
	n = wait_briefly(w);
	if (n == 0 && !share_is_called(share, w->slot) && !parking_has_some(w))
		sleep_until(w);
	/* With a request at hand the parts are left to others. */
	if (share_rest_end(share, w->slot) && n == 0)
		help(w);
	return n;
}

static int loop(struct worker *w)
{
	struct crew *crew = w->fs->crew;
	ssize_t n;

	while (!crew_leaving(crew, w->slot)) {
		if (pause_is_asked(w->fs->pause, PAUSE_SERVING))
			ring_flush(w);
		pause_point(w->fs->pause, PAUSE_SERVING);
		ring_join(w);
		parking_follow(w);
		parking_serve(w);
		n = loop_next_request(w);
		if (n == 0)
			n = rest(w);
		if (n < 0)
			return (int)n;
		if (n > 0)
			loop_serve(w, (size_t)n);
	}
	ring_flush(w);
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	n = loop_next_request(w);
	if (n > 0)
		loop_serve(w, (size_t)n);
	return 0;
}

void loop_run(void *arg, unsigned slot)
{
	struct fs *fs = arg;
	struct worker *w = &fs->worker[slot];
	clockid_t clock;
	int r;

	if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
		atomic_store_explicit(&w->cpu_clock, clock,
				      memory_order_relaxed);
	worker_now = w;
	pause_enter(fs->pause, PAUSE_SERVING);
	share_enter(fs->engine.share, slot);
	/* Whole, so that it is there when memory is short. */
	memset(w->held, 0, sizeof(*w->held));
	r = loop(w);
	parking_leave(w);
	held_send_all(w);
	share_leave(fs->engine.share, slot);
	pause_leave(fs->pause, PAUSE_SERVING);
	worker_now = NULL;
	atomic_store_explicit(&w->cpu_clock, 0, memory_order_relaxed);
	if (r && r != -ENODEV) {
		log_error("worker %u: reading a request: %s", slot,
			  strerror(-r));
		atomic_store_explicit(&fs->error, r, memory_order_relaxed);
	}
	/* Whoever still waits for INIT waits in vain. */
	eventfd_write(fs->ready_fd, 1);
}
