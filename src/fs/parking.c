/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * READs that wait for the backing file without their worker.
 *
 * What is kept of a request is what the kernel asked for: when its pages have
 * come it is carried out from the start, and finds them in the parking's
 * buffer. So nothing is half done while it waits, whatever happens to the file.
 *
 * Note: who comes first. Places in the buffer are handed out in order of
 * coming, also when a later request would fit where the first one does not.
 *
 * Note: large requests. What would not even fit into an empty buffer gets one
 * of its own, but not in the swap profile, where no request allocates.
 */
#include "fs/parking.h"
#include "backing/reader.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/page.h"
#include "fs/latency.h"
#include "fs/ring.h"
#include "fs/worker.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* Of the buffer: a bit each in a word. */
#define PLACES 64u
#define BUFFER_BYTES (PLACES * PAGE_BYTES)
#define ALL_FREE UINT64_MAX
/* Parked at a time; READs under way. */
#define REQUESTS 256u
#define READS 512u
/* Pages of the largest request that begins anywhere in one. */
#define BLOCKS_MOST (IO_MAX_BYTES / PAGE_BYTES + 1)
/* So many are started, or so many requests served since, before the kernel is
 * told. */
#define BATCH 8u
/* What the kernel takes for a ring and its threads. */
#define RING_BYTES ((16u << 10) + BACKING_READER_THREADS * (24u << 10))
/* Between two tries where there was no room for a parking. */
#define TRY_AGAIN 4096u

struct parked {
	struct parked *next; /* in line, or free */
	struct io_request request;
	struct fuse_read_in in;
	unsigned reading; /* blocks that have not come yet */
	unsigned n_blocks;
	struct backing_blocks *blocks;
	uint64_t places; /* of the buffer */
	char *own;       /* a buffer of its own instead */
	size_t own_bytes;
};

struct parking {
	char buffer[PLACES][PAGE_BYTES];
	struct backing_reader *reader;
	uint64_t free_places;
	unsigned started; /* since the kernel was told */
	unsigned edges;   /* passed with some of them */
	unsigned reading;
	struct parked *free;
	struct parked *first; /* in line for a place */
	struct parked **end;
	/* As many as places, for those who have the places. */
	struct backing_blocks blocks[PLACES];
	struct backing_blocks plan[BLOCKS_MOST];
	struct parked parked[REQUESTS];
};

static void count_waiting(struct worker *w, int by)
{
	unsigned now = atomic_load_explicit(&w->parked, memory_order_relaxed);

	atomic_store_explicit(&w->parked, now + (unsigned)by,
			      memory_order_relaxed);
}

/* --- coming and going --- */

static struct parking *parking_new(struct backing *backing)
{
	struct parking *p = heap_aligned(PAGE_BYTES, sizeof(*p));

	if (!p)
		return NULL;
	/* All of it, so that it is there before a request needs it. */
	memset(p, 0, sizeof(*p));
	if (backing_reader_new(backing, READS, &p->reader)) {
		heap_free(p);
		return NULL;
	}
	p->free_places = ALL_FREE;
	p->end = &p->first;
	for (unsigned i = REQUESTS; i-- > 0;) {
		p->parked[i].next = p->free;
		p->free = &p->parked[i];
	}
	return p;
}

/* A ring leaves the worker's epoll set by being closed. */
static void parking_free(struct parking *p)
{
	backing_reader_free(p->reader);
	heap_free(p);
	heap_purge();
}

static bool watch(const struct worker *w, const struct parking *p)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	return w->epoll_fd < 0 ||
	       epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD,
			 backing_reader_fd(p->reader), &event) == 0;
}

static void come(struct worker *w)
{
	struct parking *p;

	if (worker_charge_parking(w, sizeof(*p) + RING_BYTES))
		return;
	p = parking_new(w->fs->engine.backing);
	if (p && !watch(w, p)) {
		parking_free(p);
		p = NULL;
	}
	if (!p)
		worker_uncharge_parking(w);
	w->parking = p;
}

static void go(struct worker *w)
{
	parking_free(w->parking);
	w->parking = NULL;
	w->parking_tries = 0;
	worker_uncharge_parking(w);
}

void parking_follow(struct worker *w)
{
	bool open = backing_is_open(w->fs->engine.backing);

	if (likely(open == (w->parking != NULL)))
		return;
	if (!open) {
		if (!w->parking->reading && !w->parking->first)
			go(w);
	} else if (w->parking_tries++ % TRY_AGAIN == 0) {
		come(w);
	}
}

/* --- places --- */

/* The first @n neighbours that are free; 0: there are none. */
static uint64_t find_places(uint64_t free_places, unsigned n)
{
	uint64_t run = n < PLACES ? (UINT64_C(1) << n) - 1 : ALL_FREE;

	for (unsigned i = 0; i + n <= PLACES; i++)
		if ((free_places >> i & run) == run)
			return run << i;
	return 0;
}

/* Each begins at a page's edge. */
static size_t room_for(const struct backing_blocks *blocks)
{
	return pages_for(blocks->n_bytes) * PAGE_BYTES;
}

static size_t bytes_of(const struct backing_blocks *blocks, unsigned n)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += room_for(&blocks[i]);
	return bytes;
}

/* Room for @bytes and the list of @n blocks. */
static int take_own(struct worker *w, struct parked *parked, size_t bytes,
		    unsigned n)
{
	size_t all = bytes + n * sizeof(struct backing_blocks);
	int r;

	if (w->fs->config->profile == FS_PROFILE_SWAP)
		return -ENOMEM;
	r = budget_take(&w->fs->engine.budget, all, BUDGET_NORMAL);
	if (r)
		return r;
	parked->own = heap_aligned(PAGE_BYTES, all);
	if (!parked->own) {
		budget_give(&w->fs->engine.budget, all);
		return -ENOMEM;
	}
	parked->own_bytes = all;
	parked->blocks = (void *)(parked->own + bytes);
	return 0;
}

/* Memory for what the plan says: -EAGAIN: when others have gone; -ENOSPC,
 * -ENOMEM: there is none. */
static int take_places(struct worker *w, struct parked *parked, unsigned n)
{
	struct parking *p = w->parking;
	size_t bytes = bytes_of(p->plan, n);
	unsigned first;
	char *at;

	if (p->reading + n > READS)
		return -EAGAIN;
	if (bytes > BUFFER_BYTES) {
		int r = take_own(w, parked, bytes, n);

		if (r)
			return r;
		at = parked->own;
	} else {
		parked->places = find_places(p->free_places,
					     (unsigned)(bytes / PAGE_BYTES));
		if (!parked->places)
			return -EAGAIN;
		p->free_places &= ~parked->places;
		first = (unsigned)__builtin_ctzll(parked->places);
		parked->blocks = &p->blocks[first];
		at = p->buffer[first];
	}
	for (unsigned i = 0; i < n; i++) {
		parked->blocks[i] = p->plan[i];
		parked->blocks[i].bytes = at;
		parked->blocks[i].owner = parked;
		at += room_for(&p->plan[i]);
	}
	parked->n_blocks = n;
	return 0;
}

static void give_places(struct worker *w, struct parked *parked)
{
	w->parking->free_places |= parked->places;
	parked->places = 0;
	parked->n_blocks = 0;
	if (!parked->own)
		return;
	heap_free(parked->own);
	heap_purge();
	budget_give(&w->fs->engine.budget, parked->own_bytes);
	parked->own = NULL;
}

/* --- requests --- */

static void submit(struct parking *p)
{
	backing_reader_submit(p->reader);
	p->started = 0;
	p->edges = 0;
}

static void start_reading(struct parking *p, struct parked *parked)
{
	for (unsigned i = 0; i < parked->n_blocks; i++) {
		struct backing_blocks *blocks = &parked->blocks[i];

		/* The file is just going: what was in it is in RAM. */
		if (backing_reader_start(p->reader, blocks)) {
			blocks->n_bytes = 0;
			continue;
		}
		parked->reading++;
		p->reading++;
		p->started++;
	}
	if (p->started >= BATCH)
		submit(p);
}

/* How many pieces of the file it needs now, in p->plan. */
static unsigned plan(struct worker *w, const struct parked *parked)
{
	struct engine *e = &w->fs->engine;
	struct file file;

	if (parked->request.node == CONTROL_NODE ||
	    tree_file(e->tree, parked->request.node, &file) != 0)
		return 0;
	return store_plan_read(e->store, file, parked->in.offset,
			       parked->in.size, w->parking->plan, BLOCKS_MOST);
}

/* Have the @n pieces of the plan read. -EAGAIN: it has to stand in line; else
 * there is nothing to wait for. */
static int begin(struct worker *w, struct parked *parked, unsigned n)
{
	int r = n ? take_places(w, parked, n) : -ENODATA;

	if (r)
		return r;
	start_reading(w->parking, parked);
	if (parked->reading)
		return 0;
	give_places(w, parked);
	return -ENODEV;
}

static void finish(struct worker *w, struct parked *parked)
{
	struct store_ahead ahead = {parked->blocks, parked->n_blocks};

	ring_open(w, parked->request.entry);
	/* Its buffers may have gone back while it waited. */
	if (parked->in.size > WORKER_SMALL_BYTES)
		w->large_ns = clock_ns();
	io_finish_read(w, &parked->request, &parked->in, &ahead);
	latency_add(w->fs->latency, w->slot, FUSE_READ,
		    clock_ns() - parked->request.start_ns);
	give_places(w, parked);
	parked->next = w->parking->free;
	w->parking->free = parked;
	count_waiting(w, -1);
}

/* Whoever stood in line and now has what it needs, or needs nothing. There is
 * always somebody reading while somebody stands: an empty buffer has room for
 * anyone who stands in line. */
static void call_next(struct worker *w)
{
	struct parking *p = w->parking;
	struct parked *parked;

	while ((parked = p->first)) {
		int r = begin(w, parked, plan(w, parked));

		if (r == -EAGAIN)
			return;
		p->first = parked->next;
		if (!p->first)
			p->end = &p->first;
		if (r)
			finish(w, parked);
	}
}

static void came(struct worker *w, struct backing_blocks *blocks)
{
	struct parked *parked = blocks->owner;

	w->parking->reading--;
	if (--parked->reading == 0)
		finish(w, parked);
}

bool parking_take(struct worker *w, const struct io_request *request,
		  const struct fuse_read_in *in)
{
	struct parking *p = w->parking;
	struct parked *parked = p ? p->free : NULL;
	unsigned n;
	int r;

	if (!parked)
		return false;
	parked->request = *request;
	parked->in = *in;
	parked->n_blocks = 0;
	n = plan(w, parked);
	if (!n)
		return false;
	p->free = parked->next;
	r = p->first ? -EAGAIN : begin(w, parked, n);
	if (r && r != -EAGAIN) {
		parked->next = p->free;
		p->free = parked;
		return false;
	}
	if (r) {
		parked->next = NULL;
		*p->end = parked;
		p->end = &parked->next;
	}
	count(w, COUNT_PARKED, 1);
	count_waiting(w, 1);
	return true;
}

bool parking_serve(struct worker *w)
{
	struct parking *p = w->parking;
	struct backing_blocks *blocks;
	bool any = false;

	if (likely(!p || !p->reading))
		return false;
	while ((blocks = backing_reader_reap(p->reader, false))) {
		came(w, blocks);
		any = true;
	}
	if (any)
		call_next(w);
	if (p->started && ++p->edges >= BATCH)
		submit(p);
	return any;
}

void parking_rest(struct worker *w)
{
	if (w->parking && w->parking->started)
		submit(w->parking);
}

bool parking_reads(const struct worker *w)
{
	return w->parking && w->parking->reading;
}

bool parking_has_some(const struct worker *w)
{
	return w->parking && w->parking->reading &&
	       backing_reader_has_some(w->parking->reader);
}

void parking_leave(struct worker *w)
{
	struct backing_blocks *blocks;

	if (!w->parking)
		return;
	while ((blocks = backing_reader_reap(w->parking->reader, true))) {
		came(w, blocks);
		call_next(w);
	}
	go(w);
}

uint64_t parking_waiting(const struct fs *fs)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CREW_MAX; i++)
		n += atomic_load_explicit(&fs->worker[i].parked,
					  memory_order_relaxed);
	return n;
}
