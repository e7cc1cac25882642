/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool whose objects change places at every call.
 *
 * Handles are indexes of one table for the whole process, which says where an
 * object is now; it is kept when a mover goes, because the handles in an
 * arena outlive it. One mutex covers the table and is held over the calls
 * below; it is no struct lock, because it stands in for the inside of a pool.
 * An object between begin and end is pinned and stays.
 */
#include "pool_mover.h"
#include "base/check.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define MOVER_ENTRIES (1u << 22)
/* So that no handle looks like one of the pool below. */
#define MOVER_HANDLE (UINT64_C(1) << (HANDLE_BITS - 1))
/* Entries looked at, at each call, for another object to move. */
#define MOVER_LOOKS 8u
#define MOVER_POISON 0xdb

struct entry {
	struct handle under; /* none: the entry is free */
	uint32_t owner;      /* generation of the mover it belongs to */
	uint32_t next_free;
	unsigned pins;
	bool written;
};

struct mover {
	struct pool pool;
	struct pool *under;
	uint32_t generation; /* a new one at each scan */
	bool scanning;
	uint32_t cursor;
	unsigned shard;
};

static struct {
	pthread_mutex_t lock;
	struct entry *entries;
	uint32_t end; /* entries ever used; 0 is none */
	uint32_t first_free;
	uint32_t generations;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = 1};

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	invariant(p != MAP_FAILED);
	return p;
}

static struct mover *mover_of(struct pool *pool)
{
	return (struct mover *)pool;
}

/* The entry of @h, or NULL: any value may come in. */
static struct entry *entry_of(struct handle h)
{
	uint64_t ix = h.value ^ MOVER_HANDLE;

	if (ix == 0 || ix >= table.end ||
	    handle_is_none(table.entries[ix].under))
		return NULL;
	return &table.entries[ix];
}

static struct handle entry_new(struct mover *m, struct handle under)
{
	uint32_t ix = table.first_free;

	if (ix)
		table.first_free = table.entries[ix].next_free;
	else
		ix = table.end++;
	invariant(ix < MOVER_ENTRIES);
	table.entries[ix] = (struct entry){
		.under = under,
		.owner = m->generation,
	};
	return (struct handle){MOVER_HANDLE | ix};
}

static void entry_free(struct entry *e)
{
	*e = (struct entry){.next_free = table.first_free};
	table.first_free = (uint32_t)(e - table.entries);
}

/* --- moving --- */

/* The object's bytes into @bytes; its length. */
static uint32_t copy_out(struct pool *under, struct handle h, uint8_t *bytes,
			 uint16_t *ret_tag)
{
	uint8_t scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	uint32_t n;

	if (pool_read_begin(under, h, scratch, &view) < 0)
		return 0;
	n = (uint32_t)(view.bytes[0] + view.bytes[1]);
	memcpy(bytes, view.piece[0], view.bytes[0]);
	if (view.bytes[1])
		memcpy(bytes + view.bytes[0], view.piece[1], view.bytes[1]);
	*ret_tag = view.tag;
	pool_read_end(under, h, &view);
	return n;
}

/* A full pool is no error here: the object stays where it is. */
static void move(struct mover *m, struct entry *e)
{
	uint8_t bytes[POOL_OBJECT_MAX];
	struct handle to;
	uint16_t tag = 0;
	uint32_t n;

	if (e->owner != m->generation || e->pins || !e->written || m->scanning)
		return;
	n = copy_out(m->under, e->under, bytes, &tag);
	if (n == 0 || pool_alloc(m->under, m->shard++, &n, 1, &to) < 0)
		return;
	pool_write(m->under, to, tag, bytes, n);
	memset(bytes, MOVER_POISON, n);
	pool_write(m->under, e->under, 0, bytes, n);
	pool_free(m->under, &e->under, 1);
	e->under = to;
}

/* Move one more object than the one that the call is about. */
static void stir(struct mover *m)
{
	for (unsigned i = 0; i < MOVER_LOOKS; i++) {
		struct entry *e;

		if (++m->cursor >= table.end)
			m->cursor = 1;
		e = &table.entries[m->cursor];
		if (!handle_is_none(e->under) && e->owner == m->generation) {
			move(m, e);
			return;
		}
	}
}

/* --- operations --- */

static int mover_alloc(struct pool *pool, unsigned shard,
		       const uint32_t *n_bytes, unsigned n, struct handle *ret)
{
	struct mover *m = mover_of(pool);
	struct handle under[POOL_BATCH_MAX];
	int r;

	pthread_mutex_lock(&table.lock);
	stir(m);
	r = pool_alloc(m->under, shard, n_bytes, n, under);
	for (unsigned i = 0; i < n && r == 0; i++)
		ret[i] = entry_new(m, under[i]);
	pthread_mutex_unlock(&table.lock);
	return r;
}

static void mover_free(struct pool *pool, const struct handle *h, unsigned n)
{
	struct mover *m = mover_of(pool);
	struct handle under[POOL_BATCH_MAX];

	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < n; i++) {
		struct entry *e = entry_of(h[i]);

		invariant(e && e->owner == m->generation);
		invariant(e->pins == 0);
		under[i] = e->under;
		entry_free(e);
	}
	pool_free(m->under, under, n);
	stir(m);
	pthread_mutex_unlock(&table.lock);
}

static void mover_write(struct pool *pool, struct handle h, uint16_t tag,
			const void *src, size_t n_bytes)
{
	struct mover *m = mover_of(pool);
	struct entry *e;

	pthread_mutex_lock(&table.lock);
	e = entry_of(h);
	invariant(e && !e->written);
	pool_write(m->under, e->under, tag, src, n_bytes);
	e->written = true;
	move(m, e);
	stir(m);
	pthread_mutex_unlock(&table.lock);
}

static int mover_read_begin(struct pool *pool, struct handle h, void *scratch,
			    struct pool_view *ret_view)
{
	struct mover *m = mover_of(pool);
	struct entry *e;
	int r = -EIO;

	pthread_mutex_lock(&table.lock);
	e = entry_of(h);
	if (e && e->owner == m->generation) {
		move(m, e);
		r = pool_read_begin(m->under, e->under, scratch, ret_view);
		e->pins += r == 0;
	}
	stir(m);
	pthread_mutex_unlock(&table.lock);
	return r;
}

static void mover_read_end(struct pool *pool, struct handle h,
			   struct pool_view *view)
{
	struct mover *m = mover_of(pool);
	struct entry *e;

	pthread_mutex_lock(&table.lock);
	e = entry_of(h);
	invariant(e && e->pins > 0);
	pool_read_end(m->under, e->under, view);
	e->pins--;
	move(m, e);
	stir(m);
	pthread_mutex_unlock(&table.lock);
}

static void mover_stats(struct pool *pool, struct pool_stats *ret_stats)
{
	pool_stats(mover_of(pool)->under, ret_stats);
}

/* What is not marked keeps the old generation and is never touched again. */
static void mover_scan_begin(struct pool *pool)
{
	struct mover *m = mover_of(pool);

	pthread_mutex_lock(&table.lock);
	m->scanning = true;
	m->generation = ++table.generations;
	pool_scan_begin(m->under);
	pthread_mutex_unlock(&table.lock);
}

static int mover_mark(struct pool *pool, struct handle h)
{
	struct mover *m = mover_of(pool);
	struct entry *e;
	int r = -EIO;

	pthread_mutex_lock(&table.lock);
	e = entry_of(h);
	if (e)
		r = pool_mark(m->under, e->under);
	if (r == 0) {
		e->owner = m->generation;
		e->pins = 0;
		e->written = true;
	}
	pthread_mutex_unlock(&table.lock);
	return r;
}

static void mover_scan_end(struct pool *pool)
{
	struct mover *m = mover_of(pool);

	pthread_mutex_lock(&table.lock);
	pool_scan_end(m->under);
	m->scanning = false;
	pthread_mutex_unlock(&table.lock);
}

static bool mover_should_move(struct pool *pool, struct handle h)
{
	struct mover *m = mover_of(pool);
	struct entry *e;
	bool yes;

	pthread_mutex_lock(&table.lock);
	e = entry_of(h);
	yes = e && pool_should_move(m->under, e->under);
	pthread_mutex_unlock(&table.lock);
	return yes;
}

static unsigned mover_compact_begin(struct pool *pool, unsigned max_spans)
{
	return pool_compact_begin(mover_of(pool)->under, max_spans);
}

static void mover_compact_end(struct pool *pool)
{
	pool_compact_end(mover_of(pool)->under);
}

/* Each object below has one entry here. */
static int mover_check(struct pool *pool)
{
	struct mover *m = mover_of(pool);
	struct pool_stats stats;
	uint64_t n = 0;
	int r;

	pthread_mutex_lock(&table.lock);
	for (uint32_t ix = 1; ix < table.end; ix++)
		n += !handle_is_none(table.entries[ix].under) &&
		     table.entries[ix].owner == m->generation;
	r = pool_check(m->under);
	pool_stats(m->under, &stats);
	pthread_mutex_unlock(&table.lock);
	return r ? r : n == stats.objects ? 0 : -EUCLEAN;
}

static void mover_destroy(struct pool *pool)
{
	struct mover *m = mover_of(pool);

	pool_free_all(m->under);
	munmap(m, sizeof(*m));
}

static const struct pool_ops mover_ops = {
	.name = "mover",
	.caps = POOL_LINEAR | POOL_MOVABLE,
	.alloc = mover_alloc,
	.free = mover_free,
	.write = mover_write,
	.read_begin = mover_read_begin,
	.read_end = mover_read_end,
	.stats = mover_stats,
	.scan_begin = mover_scan_begin,
	.mark = mover_mark,
	.scan_end = mover_scan_end,
	.should_move = mover_should_move,
	.compact_begin = mover_compact_begin,
	.compact_end = mover_compact_end,
	.check = mover_check,
	.destroy = mover_destroy,
};

struct pool *pool_mover_new(struct pool *under)
{
	struct mover *m = map(sizeof(*m));

	pthread_mutex_lock(&table.lock);
	if (!table.entries)
		table.entries = map(MOVER_ENTRIES * sizeof(struct entry));
	*m = (struct mover){
		.pool = {.ops = &mover_ops},
		.under = under,
		.generation = ++table.generations,
	};
	pthread_mutex_unlock(&table.lock);
	return &m->pool;
}
