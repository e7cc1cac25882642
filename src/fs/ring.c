/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that come by io_uring.
 *
 *	entry     | wire_header ...  fuse_in_header, op_in | payload, 1 MiB |
 *	                             ^ w->in               ^ page-aligned
 *
 * The kernel writes a request in three pieces; two are moved up to the payload,
 * so that it looks as if it had been read from /dev/fuse.
 *
 * Note: batches. A reply waits for a system call until there is no other
 * request at hand, or there are HELD_MAX: 16 small requests are carried out in
 * well under 100 us. Whoever is about to do anything longer flushes first.
 *
 * Note: the wake. A thread that waits in its ring is woken by the epoll set,
 * which the ring polls. The poll tells of changes only: so before each sleep
 * the set is asked for what is still so.
 */
#include "fs/ring.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/page.h"
#include "fs/state.h"
#include "fs/worker.h"
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* <linux/fuse.h> of Linux 6.14; Debian 12 has 6.1's. */
struct wire_entry {
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_bytes;
	uint32_t padding;
	uint64_t reserved;
};
struct wire_header {
	char in_out[128]; /* struct fuse_in_header, struct fuse_out_header */
	char op_in[128];  /* the request's own fixed part */
	struct wire_entry entry;
};
struct wire_command {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t queue;
	uint8_t padding[6];
};
enum { WIRE_REGISTER = 1, WIRE_COMMIT_AND_FETCH = 2 };

/* Entries of a worker, unless it serves more queues than that: more of them made
 * nothing faster. */
#define ENTRIES 8u
/* Replies that wait for a system call. */
#define HELD_MAX 16u
/* Up to here a READ or WRITE is over in some microseconds. */
#define BRIEF_BYTES (16u << 10)
#define ENTRY_BYTES (PAGE_BYTES + IO_MAX_BYTES)
/* No rings take the last room. */
#define DATA_LEAST_BYTES MIB

struct ring_entry {
	struct ring *ring;
	struct ring_entry *next; /* given back by another thread */
	struct wire_header *wire;
	char *payload;
	struct iovec iov[2]; /* the kernel reads it when it is registered */
	uint64_t unique;     /* of the request in it */
	uint16_t queue;
};

struct ring {
	struct io_uring io;
	struct fs *fs;
	unsigned slot;
	unsigned nr_entries;
	unsigned each; /* of them in one queue */
	struct ring_entry *entry;
	char *memory;
	int wake_fd;
	int device_fd; /* the worker's, once it has joined */
	unsigned held; /* replies in the submission queue */
	bool aside;    /* something happened in the epoll set */
	struct ring_entry *_Atomic returned;
};

struct rings {
	unsigned nr;
	uint64_t charged_bytes;
	_Atomic bool began;
	struct ring ring[];
};

/* --- who serves what --- */

/* Of the kernel's queues: as many as there may ever be CPUs. */
static unsigned nr_queues(void)
{
	int n = get_nprocs_conf();

	return n > 0 ? (unsigned)n : 1;
}

/*
 * The kernel takes the entry that was given back last, so where every worker
 * has entries in every queue the one that is awake gets the next request. With
 * many CPUs that would take too much: each queue is served by one worker then.
 */
static bool serves(unsigned slot, unsigned nr, unsigned queue, unsigned queues)
{
	return queues <= ENTRIES || queue % nr == slot ||
	       slot % queues == queue;
}

static unsigned queues_of(unsigned slot, unsigned nr)
{
	unsigned queues = nr_queues(), n = 0;

	for (unsigned q = 0; q < queues; q++)
		n += serves(slot, nr, q, queues);
	return n;
}

static unsigned entries_of(unsigned slot, unsigned nr)
{
	unsigned n = queues_of(slot, nr);

	return n < ENTRIES ? ENTRIES / n * n : n;
}

uint64_t rings_bytes(unsigned nr)
{
	uint64_t bytes = sizeof(struct rings) + nr * sizeof(struct ring);

	for (unsigned i = 0; i < nr; i++)
		bytes += entries_of(i, nr) *
			 (ENTRY_BYTES + sizeof(struct ring_entry));
	return bytes;
}

/* --- making --- */

static void place_entry(struct ring *r, unsigned i, unsigned queue)
{
	struct ring_entry *e = &r->entry[i];
	char *at = r->memory + (size_t)i * ENTRY_BYTES;

	*e = (struct ring_entry){
		.ring = r,
		.wire = (void *)at,
		.payload = at + PAGE_BYTES,
		.queue = (uint16_t)queue,
	};
	e->iov[0] = (struct iovec){e->wire, sizeof(*e->wire)};
	e->iov[1] = (struct iovec){e->payload, IO_MAX_BYTES};
}

/* Written once, so that every page is there before a request needs it. */
static int make_entries(struct ring *r, unsigned nr)
{
	unsigned queues = nr_queues(), n = 0;
	size_t bytes;

	r->nr_entries = entries_of(r->slot, nr);
	r->each = r->nr_entries / queues_of(r->slot, nr);
	bytes = r->nr_entries * (size_t)ENTRY_BYTES;
	r->entry = heap_zalloc(r->nr_entries, sizeof(*r->entry));
	r->memory = heap_aligned(PAGE_BYTES, bytes);
	if (!r->entry || !r->memory)
		return -ENOMEM;
	memset(r->memory, 0, bytes);
	for (unsigned q = 0; q < queues; q++)
		for (unsigned i = 0;
		     i < r->each && serves(r->slot, nr, q, queues); i++)
			place_entry(r, n++, q);
	return 0;
}

/* Disabled: it becomes its worker's when that enables it. Every entry may wait
 * in it twice (given back, and flushed late), and the poll. */
static int make_io(struct ring *r)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
	};

	return io_uring_queue_init_params(2 * r->nr_entries + 2, &r->io,
					  &params);
}

static void end_ring(struct ring *r)
{
	if (r->io.ring_fd >= 0)
		io_uring_queue_exit(&r->io);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	heap_free(r->entry);
	heap_free(r->memory);
}

static int make_ring(struct ring *r, struct fs *fs, unsigned slot, unsigned nr)
{
	int err;

	r->fs = fs;
	r->slot = slot;
	r->io.ring_fd = -1;
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0)
		return -errno;
	err = make_entries(r, nr);
	return err ? err : make_io(r);
}

/* Whether the kernel would offer it; NULL: yes. */
static const char *why_not(void)
{
	FILE *f = fopen("/sys/module/fuse/parameters/enable_uring", "re");
	int c;

	if (!f)
		return "this kernel cannot: it needs Linux 6.14 with "
		       "CONFIG_FUSE_IO_URING";
	c = fgetc(f);
	fclose(f);
	return c == 'Y' ? NULL
			: "this kernel may not: as root, echo Y "
			  ">/sys/module/fuse/parameters/enable_uring";
}

int rings_new(struct fs *fs, unsigned nr, const char **ret_why)
{
	struct budget *budget = &fs->engine.budget;
	uint64_t bytes = rings_bytes(nr);
	struct rings *rings;
	int r = 0;

	*ret_why = why_not();
	if (*ret_why)
		return -EOPNOTSUPP;
	if (budget_room(budget) < bytes + DATA_LEAST_BYTES ||
	    budget_take(budget, bytes, BUDGET_NORMAL))
		return -ENOSPC;
	rings = heap_zalloc(1, sizeof(*rings) + nr * sizeof(rings->ring[0]));
	if (!rings) {
		budget_give(budget, bytes);
		return -ENOMEM;
	}
	rings->charged_bytes = bytes;
	fs->rings = rings;
	for (; rings->nr < nr && !r; rings->nr++)
		r = make_ring(&rings->ring[rings->nr], fs, rings->nr, nr);
	if (r)
		rings_free(fs);
	return r;
}

void rings_free(struct fs *fs)
{
	struct rings *rings = fs->rings;

	if (!rings)
		return;
	for (unsigned i = 0; i < rings->nr; i++)
		end_ring(&rings->ring[i]);
	fs->rings = NULL;
	budget_give(&fs->engine.budget, rings->charged_bytes);
	heap_free(rings);
}

static void wake(struct ring *r)
{
	eventfd_write(r->wake_fd, 1);
}

void rings_begin(struct fs *fs)
{
	struct rings *rings = fs->rings;

	atomic_store_explicit(&rings->began, true, memory_order_release);
	for (unsigned i = 0; i < rings->nr; i++)
		wake(&rings->ring[i]);
}

bool rings_began(const struct fs *fs)
{
	return fs->rings &&
	       atomic_load_explicit(&fs->rings->began, memory_order_acquire);
}

int rings_fd(const struct fs *fs, unsigned slot)
{
	return fs->rings && slot < fs->rings->nr ? fs->rings->ring[slot].wake_fd
						 : -1;
}

/* --- what goes to the kernel --- */

static void submit(struct ring *r)
{
	/* Out of memory for a moment is all that can be wrong with it. */
	while (io_uring_sq_ready(&r->io) > 0 && io_uring_submit(&r->io) < 0)
		sched_yield();
	r->held = 0;
}

/* There is room for each entry, twice. */
static struct io_uring_sqe *next_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->io);

	if (sqe)
		return sqe;
	submit(r);
	return io_uring_get_sqe(&r->io);
}

static void command(struct ring_entry *e, unsigned op, uint64_t commit_id)
{
	struct wire_command command = {
		.commit_id = commit_id,
		.queue = e->queue,
	};
	struct io_uring_sqe *sqe = next_sqe(e->ring);

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, e->ring->device_fd, e->iov,
			 ARRAY_SIZE(e->iov), 0);
	sqe->cmd_op = op;
	memcpy(sqe->cmd, &command, sizeof(command));
	io_uring_sqe_set_data(sqe, e);
}

static void commit(struct ring_entry *e)
{
	command(e, WIRE_COMMIT_AND_FETCH, e->unique);
	e->ring->held++;
}

/* Its completions have no entry. */
static void poll_aside(struct ring *r)
{
	struct io_uring_sqe *sqe = next_sqe(r);

	io_uring_prep_poll_multishot(sqe, r->fs->worker[r->slot].epoll_fd,
				     POLLIN);
	io_uring_sqe_set_data(sqe, NULL);
}

/* Makes the ring its caller's. liburing 2.3 declares io_uring_enable_rings(), but
 * does not have it. */
static void enable(struct ring *r)
{
	long err = syscall(__NR_io_uring_register, r->io.ring_fd,
			   IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	invariant(err == 0);
}

void ring_join(struct worker *w)
{
	struct ring *r;

	if (likely(w->ring || !rings_began(w->fs)))
		return;
	r = &w->fs->rings->ring[w->slot];
	r->device_fd = w->fd;
	enable(r);
	w->ring = r;
	for (unsigned i = 0; i < r->nr_entries; i++)
		command(&r->entry[i], WIRE_REGISTER, 0);
	poll_aside(r);
	submit(r);
}

/* --- what comes from the kernel --- */

/* Given back by other threads: only its own may give an entry to the kernel. */
static void commit_returned(struct ring *r)
{
	struct ring_entry *e, *next;

	if (likely(!atomic_load_explicit(&r->returned, memory_order_relaxed)))
		return;
	e = atomic_exchange_explicit(&r->returned, NULL, memory_order_acquire);
	for (; e; e = next) {
		next = e->next;
		commit(e);
	}
}

/* The entry is the kernel's no more. That the session is over the worker sees
 * at /dev/fuse; a refused registration makes the kernel use that alone. */
static void lose(struct ring *r, int error)
{
	r->aside = true;
	if (error == -ENOTCONN || error == -ECONNABORTED || error == -ECANCELED)
		return;
	log_error("worker %u: io_uring: the kernel gave an entry back: %s",
		  r->slot, strerror(-error));
}

/* The next entry with a request; NULL: none at hand. */
static struct ring_entry *take(struct ring *r)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&r->io, &cqe) == 0) {
		struct ring_entry *e = io_uring_cqe_get_data(cqe);
		bool goes_on = cqe->flags & IORING_CQE_F_MORE;
		int result = cqe->res;

		io_uring_cqe_seen(&r->io, cqe);
		if (e && result >= 0)
			return e;
		if (e) {
			lose(r, result);
			continue;
		}
		r->aside = true;
		if (!goes_on)
			poll_aside(r);
	}
	return NULL;
}

/* The sizes of a READ and of a WRITE are at the same place. */
static bool is_brief(const struct ring_entry *e)
{
	const struct fuse_in_header *head = (const void *)e->wire->in_out;
	const struct fuse_write_in *in = (const void *)e->wire->op_in;

	return (head->opcode == FUSE_READ || head->opcode == FUSE_WRITE) &&
	       in->size <= BRIEF_BYTES;
}

/* READ has nothing in its payload, so its data is made there; the others' are
 * still being looked at while their replies are made. */
void ring_open(struct worker *w, struct ring_entry *e)
{
	const struct fuse_in_header *head;

	worker_own_buffers(w);
	w->entry = e;
	if (!e)
		return;
	head = (const void *)e->wire->in_out;
	w->in = e->payload - (head->len - e->wire->entry.payload_bytes);
	if (head->opcode == FUSE_READ)
		w->out = e->payload;
}

/* In one piece, as from /dev/fuse. */
static ssize_t join_pieces(struct worker *w, struct ring_entry *e)
{
	const struct fuse_in_header *head = (const void *)e->wire->in_out;
	size_t n = head->len;

	KERNEL_ORDER_AFTER(w->fs->rings);
	/* Else the kernel is not what we think. */
	if (n < sizeof(*head) + e->wire->entry.payload_bytes ||
	    n - sizeof(*head) - e->wire->entry.payload_bytes >
		    sizeof(e->wire->op_in))
		return -EPROTO;
	e->unique = head->unique;
	ring_open(w, e);
	memcpy(w->in, head, sizeof(*head));
	memcpy(w->in + sizeof(*head), e->wire->op_in,
	       n - sizeof(*head) - e->wire->entry.payload_bytes);
	return (ssize_t)n;
}

ssize_t ring_next(struct worker *w)
{
	struct ring *r = w->ring;
	struct ring_entry *e;

	commit_returned(r);
	e = take(r);
	if (!e) {
		/* Also has the kernel copy in what is waiting. */
		io_uring_submit_and_get_events(&r->io);
		r->held = 0;
		e = take(r);
	}
	if (!e)
		return 0;
	if (r->held >= HELD_MAX || (r->held && !is_brief(e)))
		submit(r);
	return join_pieces(w, e);
}

bool ring_looks_aside(struct worker *w)
{
	bool aside = w->ring->aside;

	w->ring->aside = false;
	return aside;
}

void ring_look_aside(struct worker *w)
{
	w->ring->aside = true;
}

void ring_flush(struct worker *w)
{
	if (w && w->ring && w->ring->held)
		submit(w->ring);
}

unsigned ring_holds(const struct worker *w)
{
	return w->ring->each / 2;
}

void ring_sleep(struct worker *w, int wait_ms)
{
	struct ring *r = w->ring;
	struct __kernel_timespec time = {
		.tv_sec = wait_ms / 1000,
		.tv_nsec = (long long)(wait_ms % 1000) * 1000000,
	};
	struct io_uring_cqe *cqe;
	struct epoll_event event;

	commit_returned(r);
	if (epoll_wait(w->epoll_fd, &event, 1, 0) > 0) {
		r->aside = true;
		return;
	}
	/* What comes is taken by the next look. */
	io_uring_submit_and_wait_timeout(&r->io, &cqe, 1,
					 wait_ms < 0 ? NULL : &time, NULL);
	r->held = 0;
}

/* --- replies --- */

/* Its own thread's next look commits it. */
static void give_back(struct ring_entry *e)
{
	struct ring *r = e->ring;

	e->next = atomic_load_explicit(&r->returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&r->returned, &e->next, e,
						      memory_order_release,
						      memory_order_relaxed))
		;
	wake(r);
}

/* What follows the header, which is in the first piece. */
static size_t put_payload(struct ring_entry *e, const struct iovec *iov,
			  int count)
{
	size_t skip = sizeof(struct fuse_out_header), at = 0;

	for (int i = 0; i < count; i++) {
		const char *from = (const char *)iov[i].iov_base + skip;
		size_t n = iov[i].iov_len - skip;

		invariant(n <= IO_MAX_BYTES - at);
		if (from != e->payload + at)
			memmove(e->payload + at, from, n);
		at += n;
		skip = 0;
	}
	return at;
}

void ring_reply(struct ring_entry *e, const struct iovec *iov, int count)
{
	struct fuse_out_header *head = (void *)e->wire->in_out;

	memcpy(head, iov[0].iov_base, sizeof(*head));
	e->wire->entry.payload_bytes = (uint32_t)put_payload(e, iov, count);
	/* Of descriptors TSan knows it: a reply, then what follows from it. */
	KERNEL_ORDER_BEFORE(e->ring->fs->rings);
	if (worker_now && worker_now->ring == e->ring)
		commit(e);
	else
		give_back(e);
}
