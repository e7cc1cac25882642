/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Poison, window, split and copy: the object's bytes are copied out of the
 * pool below and shown in memory that gives every misuse away.
 *
 * A pane is a page, with a page without rights after it. Panes are used
 * in turn, so that one that was given back stays unreadable for long.
 */
#include "pool_fakes.h"
#include "base/check.h"
#include "pool_mover.h"
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PANES 256u
#define FAKE_POISON 0xdb
#define WINDOW_VIEWS_MAX 2u

struct fake {
	struct pool pool;
	struct pool *under;
	enum pool_fake_kind kind;
	size_t pane_bytes; /* the readable part */
	size_t map_bytes;
	char *panes;
	pthread_mutex_t lock;  /* below */
	uint16_t queue[PANES]; /* free panes, first in first out */
	unsigned first, queued;
	unsigned views; /* begun since the start: where the next split is */
};

/* Views this thread has open in windows. */
static _Thread_local unsigned views_open;

static struct fake *fake_of(struct pool *pool)
{
	return (struct fake *)pool;
}

static void *map(size_t bytes, int rights)
{
	void *p = mmap(NULL, bytes, rights,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	invariant(p != MAP_FAILED);
	return p;
}

/* --- panes --- */

static size_t stride(const struct fake *f)
{
	return f->pane_bytes + (size_t)sysconf(_SC_PAGESIZE);
}

static char *pane_at(const struct fake *f, unsigned pane)
{
	return f->panes + pane * stride(f);
}

static void pane_rights(const struct fake *f, unsigned pane, int rights)
{
	int r = mprotect(pane_at(f, pane), f->pane_bytes, rights);

	invariant(r == 0);
}

static unsigned pane_get(struct fake *f)
{
	unsigned pane;

	pthread_mutex_lock(&f->lock);
	/* A view that was begun and never ended, 256 times. */
	invariant(f->queued > 0);
	pane = f->queue[f->first];
	f->first = (f->first + 1) % PANES;
	f->queued--;
	pthread_mutex_unlock(&f->lock);
	return pane;
}

static void pane_put(struct fake *f, unsigned pane)
{
	pane_rights(f, pane, PROT_READ | PROT_WRITE);
	memset(pane_at(f, pane), FAKE_POISON, f->pane_bytes);
	pane_rights(f, pane, PROT_NONE);
	pthread_mutex_lock(&f->lock);
	f->queue[(f->first + f->queued++) % PANES] = (uint16_t)pane;
	pthread_mutex_unlock(&f->lock);
}

/* @n bytes of @src on a pane, at its end or its start; where they are. */
static const char *pane_show(struct fake *f, unsigned pane, const char *src,
			     size_t n, bool at_end)
{
	char *to = pane_at(f, pane) + (at_end ? f->pane_bytes - n : 0);

	pane_rights(f, pane, PROT_READ | PROT_WRITE);
	memcpy(to, src, n);
	pane_rights(f, pane, PROT_READ);
	return to;
}

/* --- views --- */

static void show_split(struct fake *f, const char *bytes, size_t n,
		       struct pool_view *view)
{
	unsigned first = pane_get(f);
	unsigned second = pane_get(f);
	size_t cut;

	pthread_mutex_lock(&f->lock);
	/* Near both ends most often: that is where readers go wrong. */
	cut = 1 + f->views++ * 7919u % (n - 1);
	if (f->views % 4 == 0)
		cut = 1;
	else if (f->views % 4 == 1)
		cut = n - 1;
	pthread_mutex_unlock(&f->lock);
	view->piece[0] = pane_show(f, first, bytes, cut, true);
	view->piece[1] = pane_show(f, second, bytes + cut, n - cut, false);
	view->bytes[0] = cut;
	view->bytes[1] = n - cut;
	view->priv = pane_at(f, second);
}

static void show_whole(struct fake *f, const char *bytes, size_t n,
		       struct pool_view *view)
{
	view->piece[0] = pane_show(f, pane_get(f), bytes, n, true);
	view->bytes[0] = n;
}

/* The object's bytes out of the pool below. */
static int fetch(struct fake *f, struct handle h, char *bytes, size_t *ret_n,
		 uint16_t *ret_tag)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	int r = pool_read_begin(f->under, h, scratch, &view);

	if (r < 0)
		return r;
	memcpy(bytes, view.piece[0], view.bytes[0]);
	if (view.bytes[1])
		memcpy(bytes + view.bytes[0], view.piece[1], view.bytes[1]);
	*ret_n = view.bytes[0] + view.bytes[1];
	*ret_tag = view.tag;
	pool_read_end(f->under, h, &view);
	return 0;
}

static int fake_read_begin(struct pool *pool, struct handle h, void *scratch,
			   struct pool_view *ret_view)
{
	struct fake *f = fake_of(pool);
	struct pool_view view = {0};
	char bytes[POOL_OBJECT_MAX];
	size_t n = 0;
	int r;

	/* Every caller must bring it, whatever backend there is. */
	invariant(scratch);
	invariant(f->kind != POOL_FAKE_WINDOW || views_open < WINDOW_VIEWS_MAX);
	r = fetch(f, h, bytes, &n, &view.tag);
	if (r < 0)
		return r;
	if (f->kind == POOL_FAKE_COPY) {
		memcpy(scratch, bytes, n);
		view.piece[0] = scratch;
		view.bytes[0] = n;
		view.priv = scratch;
	} else if (f->kind == POOL_FAKE_SPLIT && n >= 2) {
		show_split(f, bytes, n, &view);
	} else {
		memset(scratch, FAKE_POISON, POOL_OBJECT_MAX);
		show_whole(f, bytes, n, &view);
	}
	views_open += f->kind == POOL_FAKE_WINDOW;
	*ret_view = view;
	return 0;
}

static unsigned pane_of(const struct fake *f, const void *piece)
{
	return (unsigned)((size_t)((const char *)piece - f->panes) / stride(f));
}

static void fake_read_end(struct pool *pool, struct handle h UNUSED,
			  struct pool_view *view)
{
	struct fake *f = fake_of(pool);

	if (f->kind == POOL_FAKE_COPY) {
		memset(view->priv, FAKE_POISON, view->bytes[0]);
	} else {
		pane_put(f, pane_of(f, view->piece[0]));
		if (view->priv)
			pane_put(f, pane_of(f, view->priv));
	}
	if (f->kind == POOL_FAKE_WINDOW)
		invariant(views_open-- > 0);
	*view = (struct pool_view){0};
}

/* --- what goes through as it is --- */

static int fake_alloc(struct pool *pool, unsigned shard,
		      const uint32_t *n_bytes, unsigned n, struct handle *ret)
{
	return pool_alloc(fake_of(pool)->under, shard, n_bytes, n, ret);
}

static void fake_free(struct pool *pool, const struct handle *h, unsigned n)
{
	pool_free(fake_of(pool)->under, h, n);
}

static void fake_write(struct pool *pool, struct handle h, uint16_t tag,
		       const void *src, size_t n_bytes)
{
	pool_write(fake_of(pool)->under, h, tag, src, n_bytes);
}

static void fake_stats(struct pool *pool, struct pool_stats *ret_stats)
{
	pool_stats(fake_of(pool)->under, ret_stats);
}

static void fake_scan_begin(struct pool *pool)
{
	pool_scan_begin(fake_of(pool)->under);
}

static int fake_mark(struct pool *pool, struct handle h)
{
	return pool_mark(fake_of(pool)->under, h);
}

static void fake_scan_end(struct pool *pool)
{
	pool_scan_end(fake_of(pool)->under);
}

static bool fake_should_move(struct pool *pool, struct handle h)
{
	return pool_should_move(fake_of(pool)->under, h);
}

static unsigned fake_compact_begin(struct pool *pool, unsigned max_spans)
{
	return pool_compact_begin(fake_of(pool)->under, max_spans);
}

static void fake_compact_end(struct pool *pool)
{
	pool_compact_end(fake_of(pool)->under);
}

/* Besides what is below: every view that was begun has ended. */
static int fake_check(struct pool *pool)
{
	struct fake *f = fake_of(pool);

	invariant(f->queued == PANES);
	return pool_check(f->under);
}

static void fake_destroy(struct pool *pool)
{
	struct fake *f = fake_of(pool);

	invariant(f->queued == PANES);
	pool_free_all(f->under);
	pthread_mutex_destroy(&f->lock);
	munmap(f->panes, f->map_bytes);
	munmap(f, sizeof(*f));
}

#define FAKE_OPS(fake_name, fake_caps)                                         \
	{                                                                      \
		.name = fake_name, .caps = fake_caps, .alloc = fake_alloc,     \
		.free = fake_free, .write = fake_write,                        \
		.read_begin = fake_read_begin, .read_end = fake_read_end,      \
		.stats = fake_stats, .scan_begin = fake_scan_begin,            \
		.mark = fake_mark, .scan_end = fake_scan_end,                  \
		.should_move = fake_should_move,                               \
		.compact_begin = fake_compact_begin,                           \
		.compact_end = fake_compact_end, .check = fake_check,          \
		.destroy = fake_destroy,                                       \
	}

static const struct pool_ops fake_ops[POOL_FAKE_NR] = {
	[POOL_FAKE_POISON] = FAKE_OPS("poison", POOL_LINEAR),
	[POOL_FAKE_WINDOW] = FAKE_OPS("window", POOL_LINEAR),
	[POOL_FAKE_SPLIT] = FAKE_OPS("split", 0),
	[POOL_FAKE_COPY] = FAKE_OPS("copy", POOL_SLEEP_MAPPED),
};

const char *pool_fake_name(enum pool_fake_kind kind)
{
	return kind == POOL_FAKE_MOVER ? "mover" : fake_ops[kind].name;
}

struct pool *pool_fake_new(enum pool_fake_kind kind, struct pool *under)
{
	struct fake *f;

	if (kind == POOL_FAKE_MOVER)
		return pool_mover_new(under);
	f = map(sizeof(*f), PROT_READ | PROT_WRITE);
	f->pool.ops = &fake_ops[kind];
	f->under = under;
	f->kind = kind;
	f->pane_bytes = (size_t)sysconf(_SC_PAGESIZE);
	if (f->pane_bytes < POOL_OBJECT_MAX)
		f->pane_bytes = POOL_OBJECT_MAX;
	pthread_mutex_init(&f->lock, NULL);
	f->map_bytes = PANES * stride(f);
	f->panes = map(f->map_bytes, PROT_NONE);
	for (unsigned i = 0; i < PANES; i++)
		f->queue[i] = (uint16_t)i;
	f->queued = PANES;
	return &f->pool;
}
