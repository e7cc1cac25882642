/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store against plain byte arrays: seeded random operations on eight files,
 * with everything private dropped and rebuilt at random moments, and pages
 * going to disk and back all the time.
 *
 *	test-model-store [--seed N] [--ops N] [--every N] [--pool KIND]
 *
 * A seed also chooses which limit is tight. Under the size limit every result
 * is predicted to the byte; under mem_limit a call may end early, and what it
 * then did must lie between what was there and what was asked for. Prints its
 * seed first, so that any failure can be repeated.
 */
#include "base/check.h"
#include "lib/content.h"
#include "lib/store_rig.h"
#include "model_store.h"
#include "store/state.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Inline, twig and leaf; three levels; five; the very end of what can be. */
static const uint64_t bases[RIG_FILES] = {
	0,
	0,
	0,
	0,
	0,
	GIB,
	UINT64_C(1) << 42,
	(uint64_t)FILE_MAX_BYTES - WINDOW_BYTES,
};

void model_fail(const struct model *m, const char *what, int line)
{
	fprintf(stderr,
		"test-model-store: seed %" PRIu64 " op %" PRIu64
		" line %d: not so: %s\n",
		m->seed, m->op, line, what);
	abort();
}

static uint64_t held_pages(const struct model *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < RIG_FILES; i++)
		for (unsigned p = 0; p < WINDOW_PAGES; p++)
			n += m->file[i].held[p];
	return n;
}

/* --- looking at the store --- */

struct held_view {
	const struct model_file *f;
	bool held[WINDOW_PAGES];
	bool outside;
};

static void see_entry(void *arg, uint64_t page, uint64_t word)
{
	struct held_view *view = arg;
	uint64_t first = page_of(view->f->base);

	if (!entry_is_held(word))
		return;
	if (page < first || page >= first + WINDOW_PAGES)
		view->outside = true;
	else
		view->held[page - first] = true;
}

static void see_held(struct model *m, unsigned i, struct held_view *view)
{
	struct walk walk = {.entry = see_entry, .arg = view};
	struct file file = store_rig_file(&m->rig, i);

	memset(view, 0, sizeof(*view));
	view->f = &m->file[i];
	rwlock_read(store_file_lock(m->rig.store, file));
	walk_pages(m->rig.store, file, 0, MAP_END, &walk);
	rwlock_read_end(store_file_lock(m->rig.store, file));
	EXPECT(m, !view->outside);
}

/* All the store has in the window, into m->buf. */
static void see_bytes(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	size_t n = 0;
	int err;

	memset(m->buf, 0, WINDOW_BYTES);
	err = store_read(m->rig.store, m->rig.stream,
			 store_rig_file(&m->rig, i), f->base, m->buf,
			 WINDOW_BYTES, &n);
	EXPECT(m, err == 0);
	EXPECT(m, n == (f->size > f->base ? f->size - f->base : 0));
}

static void compare(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	struct held_view view;
	struct file file = store_rig_file(&m->rig, i);

	EXPECT(m, atomic_load(&file.body->size) == f->size);
	see_bytes(m, i);
	EXPECT(m, memcmp(m->buf, f->bytes, WINDOW_BYTES) == 0);
	see_held(m, i, &view);
	EXPECT(m, memcmp(view.held, f->held, sizeof(f->held)) == 0);
}

static void compare_all(struct model *m)
{
	for (unsigned i = 0; i < RIG_FILES; i++)
		compare(m, i);
	EXPECT(m, store_pages_held(m->rig.store) == held_pages(m));
	store_rig_check(&m->rig);
}

/*
 * A call that changes [from, to) ran out of memory in the middle. Each byte
 * must be as before or as wanted (m->file has what was wanted if @wanted),
 * nothing outside may have changed; then the model follows the store.
 */
static void settle(struct model *m, unsigned i, uint64_t from, uint64_t to)
{
	struct model_file *f = &m->file[i], *old = &m->before;
	struct held_view view;
	struct file file = store_rig_file(&m->rig, i);

	EXPECT(m, m->mem_is_tight);
	f->size = atomic_load(&file.body->size);
	EXPECT(m, f->size >= old->size);
	see_bytes(m, i);
	for (uint64_t at = 0; at < WINDOW_BYTES; at++) {
		bool in = at >= from && at < to;

		EXPECT(m, m->buf[at] == old->bytes[at] ||
				  (in && m->buf[at] == f->bytes[at]));
	}
	memcpy(f->bytes, m->buf, WINDOW_BYTES);
	see_held(m, i, &view);
	for (uint64_t p = 0; p < WINDOW_PAGES; p++)
		EXPECT(m, view.held[p] == old->held[p] ||
				  (p >= page_of(from) && p < pages_for(to)));
	memcpy(f->held, view.held, sizeof(f->held));
}

/* --- operations --- */

static void pick_range(struct model *m, uint64_t *ret_from, uint64_t *ret_n)
{
	uint64_t from = model_below(m, WINDOW_BYTES), n;

	switch (model_below(m, 6)) {
	case 0:
		n = 1 + model_below(m, 300);
		break;
	case 1: /* the beginning, where roots are small */
		from = model_below(m, 9) * PAGE_BYTES + model_below(m, 2) * 100;
		n = 1 + model_below(m, 3 * PAGE_BYTES);
		break;
	case 2:
		from &= ~(uint64_t)(PAGE_BYTES - 1);
		n = (1 + model_below(m, 3)) * PAGE_BYTES;
		break;
	case 3:
		from &= ~(uint64_t)(PAGE_BYTES - 1);
		n = (1 + model_below(m, 90)) * PAGE_BYTES;
		break;
	case 4:
		n = 1 + model_below(m, 20 * PAGE_BYTES);
		break;
	default:
		n = 1 + model_below(m, PAGE_BYTES + 1);
	}
	if (n > WINDOW_BYTES - from)
		n = WINDOW_BYTES - from;
	*ret_from = from;
	*ret_n = n;
}

static uint64_t room_pages(struct model *m)
{
	uint64_t limit = store_limit(m->rig.store) >> PAGE_SHIFT;
	uint64_t held = held_pages(m);

	return held < limit ? limit - held : 0;
}

/* How many of @n bytes the size limit lets through. */
static uint64_t bytes_that_fit(struct model *m, const struct model_file *f,
			       uint64_t from, uint64_t n)
{
	uint64_t room = room_pages(m);

	for (uint64_t p = page_of(from); p < pages_for(from + n); p++)
		if (!f->held[p] && room-- == 0)
			return p == page_of(from) ? 0
						  : (p << PAGE_SHIFT) - from;
	return n;
}

static void op_write(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	uint64_t from, n, fits;
	size_t done = 0;
	int err;

	pick_range(m, &from, &n);
	content_make_any(&m->random, m->buf, n);
	fits = bytes_that_fit(m, f, from, n);
	err = store_write(m->rig.store, m->rig.stream,
			  store_rig_file(&m->rig, i), f->base + from, m->buf, n,
			  &done);
	EXPECT(m, err == 0 || (err == -ENOSPC && done == 0));
	if (!m->mem_is_tight)
		EXPECT(m, done == fits && (err == 0) == (fits > 0));
	EXPECT(m, done <= fits);
	model_write(f, from, m->buf, done);
}

static void op_read(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	uint64_t from, n, wanted = 0;
	size_t done = 77;
	int err;

	pick_range(m, &from, &n);
	if (f->base + from < f->size)
		wanted = f->size - f->base - from;
	if (wanted > n)
		wanted = n;
	memset(m->buf, 0xa5, n);
	err = store_read(m->rig.store, m->rig.stream,
			 store_rig_file(&m->rig, i), f->base + from, m->buf, n,
			 &done);
	EXPECT(m, err == 0 && done == wanted);
	EXPECT(m, memcmp(m->buf, f->bytes + from, done) == 0);
	for (uint64_t at = done; at < n; at++)
		EXPECT(m, m->buf[at] == 0xa5);
}

static void op_truncate(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	uint64_t size = f->base + model_below(m, WINDOW_BYTES + 1);
	int err;

	if (model_below(m, 4) == 0)
		size = f->base + model_below(m, PAGE_BYTES);
	else if (model_below(m, 4) == 0)
		size &= ~(uint64_t)(PAGE_BYTES - 1);
	else if (model_below(m, 6) == 0)
		size = 0;
	err = store_truncate(m->rig.store, m->rig.stream,
			     store_rig_file(&m->rig, i), size);
	if (err) {
		EXPECT(m, err == -ENOSPC && m->mem_is_tight);
		EXPECT(m, size > f->size);
		return;
	}
	model_truncate(f, size);
	if (size == 0)
		EXPECT(m, atomic_load(&store_rig_file(&m->rig, i).body->root) ==
				  0);
}

static void op_punch(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	uint64_t from, n;
	int err;

	pick_range(m, &from, &n);
	model_copy_file(&m->before, f);
	model_punch(f, from, from + n);
	err = store_punch(m->rig.store, m->rig.stream,
			  store_rig_file(&m->rig, i), f->base + from, n);
	EXPECT(m, err == 0 || err == -ENOSPC);
	if (err)
		settle(m, i, from, from + n);
}

static void op_zero(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	bool keep = model_below(m, 2);
	uint64_t from, n;
	bool fits;
	int err;

	pick_range(m, &from, &n);
	fits = model_holes(f, from, from + n) <= room_pages(m);
	model_copy_file(&m->before, f);
	if (fits) {
		memset(f->bytes + from, 0, n);
		model_hold(f, from, from + n);
		if (!keep)
			model_grow(f, from + n);
	}
	err = store_zero(m->rig.store, m->rig.stream,
			 store_rig_file(&m->rig, i), f->base + from, n, keep);
	EXPECT(m, err == 0 || err == -ENOSPC);
	if (!m->mem_is_tight)
		EXPECT(m, (err == 0) == fits);
	if (err && fits)
		settle(m, i, from, from + n);
}

static void op_allocate(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	bool keep = model_below(m, 2);
	uint64_t from, n;
	bool fits;
	int err;

	pick_range(m, &from, &n);
	fits = model_holes(f, from, from + n) <= room_pages(m);
	err = store_allocate(m->rig.store, m->rig.stream,
			     store_rig_file(&m->rig, i), f->base + from, n,
			     keep);
	EXPECT(m, err == 0 || err == -ENOSPC);
	if (!m->mem_is_tight)
		EXPECT(m, (err == 0) == fits);
	if (err)
		return;
	model_hold(f, from, from + n);
	if (!keep)
		model_grow(f, from + n);
}

static void op_seek(struct model *m, unsigned i)
{
	struct model_file *f = &m->file[i];
	uint64_t from = model_below(m, WINDOW_BYTES), got = 0, wanted;
	bool data = model_below(m, 2);
	int err =
		store_seek(m->rig.store, store_rig_file(&m->rig, i),
			   f->base + from, data ? SEEK_DATA : SEEK_HOLE, &got);

	if (f->base + from >= f->size) {
		EXPECT(m, err == -ENXIO);
		return;
	}
	wanted = f->base + model_seek(f, from, data);
	if (data && wanted >= f->size)
		EXPECT(m, err == -ENXIO);
	else
		EXPECT(m, err == 0 && got == wanted);
}

static void op_copy(struct model *m, unsigned i)
{
	struct model_file *to = &m->file[i];
	unsigned j =
		(i + 1 + (unsigned)model_below(m, RIG_FILES - 1)) % RIG_FILES;
	struct model_file *from = &m->file[j];
	uint64_t at = model_below(m, WINDOW_BYTES), to_at, n, asked, got = 0;
	int err;

	pick_range(m, &to_at, &n);
	if (model_below(m, 2))
		at = (at & ~(uint64_t)(PAGE_BYTES - 1)) + to_at % PAGE_BYTES;
	asked = n;
	if (from->base + at >= from->size)
		n = 0;
	else if (n > from->size - from->base - at)
		n = from->size - from->base - at;
	model_copy_file(&m->before, to);
	err = store_copy(m->rig.store, m->rig.stream,
			 store_rig_file(&m->rig, j), from->base + at,
			 store_rig_file(&m->rig, i), to->base + to_at, asked,
			 &got);
	EXPECT(m, err == 0 || err == -ENOSPC);
	EXPECT(m, got <= n);
	if (!err && got == n) {
		model_copy(from, at, to, to_at, n);
	} else if (m->mem_is_tight) {
		memcpy(to->bytes + to_at, from->bytes + at, n);
		settle(m, i, to_at, to_at + n);
	} else {
		/* Out of room at a page: nothing of it and behind. */
		EXPECT(m, room_pages(m) < pages_for(n) + 1);
		model_copy(from, at, to, to_at, got);
	}
}

static void op_codec(struct model *m)
{
	static const char *const codecs[] = {"lz4",    "lz4:9",  "lz4hc:3",
					     "zstd:1", "zstd:3", "none"};

	store_rig_use(&m->rig, codecs[model_below(m, 6)]);
}

static void op_compact(struct model *m)
{
	store_wants_compaction(m->rig.store);
	if (!store_compact_begin(m->rig.store))
		return;
	for (unsigned i = 0; i < RIG_FILES; i++)
		store_compact_body(m->rig.store, m->rig.stream,
				   store_rig_file(&m->rig, i));
	store_compact_end(m->rig.store);
}

/* From nearly nothing more to a good deal more than now. */
static void op_limit(struct model *m)
{
	struct budget *budget = &m->rig.budget;

	if (m->mem_is_tight)
		budget_set_limit(budget, budget_used(budget) +
						 BUDGET_RESERVE_BYTES +
						 model_below(m, 64) * 4 * KIB);
	else
		store_set_limit(m->rig.store,
				(held_pages(m) + model_below(m, 400)) *
					PAGE_BYTES);
}

static void op_attach(struct model *m)
{
	struct store_stats before, after;
	uint64_t twigs = table_used(m->rig.arena, TABLE_TWIGS);
	uint64_t leaves = table_used(m->rig.arena, TABLE_LEAVES);
	uint64_t fills = table_used(m->rig.arena, TABLE_FILLS);
	uint64_t limit = budget_limit(&m->rig.budget);

	model_sweep_end(m);
	store_stats(m->rig.store, &before);
	m->attached++;
	m->total.written_back_pages += before.written_back_pages;
	m->total.brought_back_pages += before.brought_back_pages;
	m->total.spill_reads += before.spill_reads;
	m->total.pages_written += before.pages_written;
	m->total.pages_discarded += before.pages_discarded;
	m->total.size_limit_hit += before.size_limit_hit;
	m->total.mem_limit_hit += before.mem_limit_hit;
	m->total.pages_compacted += before.pages_compacted;
	budget_set_limit(&m->rig.budget, GIB);
	EXPECT(m, store_rig_attach(&m->rig) == 0);
	budget_set_limit(&m->rig.budget, limit);
	store_stats(m->rig.store, &after);
	EXPECT(m, after.pages_stored == before.pages_stored);
	EXPECT(m, after.same_pages == before.same_pages);
	EXPECT(m, after.huge_pages == before.huge_pages);
	EXPECT(m, after.compr_data_bytes == before.compr_data_bytes);
	EXPECT(m, after.spilled_pages == before.spilled_pages);
	EXPECT(m, after.spilled_bytes == before.spilled_bytes);
	EXPECT(m, table_used(m->rig.arena, TABLE_TWIGS) == twigs);
	EXPECT(m, table_used(m->rig.arena, TABLE_LEAVES) == leaves);
	EXPECT(m, table_used(m->rig.arena, TABLE_FILLS) == fills);
	compare_all(m);
}

static void one_op(struct model *m)
{
	static void (*const on_file[])(struct model *, unsigned) = {
		op_write, op_write,    op_write,    op_write, op_read,
		op_read,  op_truncate, op_punch,    op_punch, op_zero,
		op_copy,  op_copy,     op_allocate, op_seek};
	unsigned i = (unsigned)model_below(m, RIG_FILES);
	uint64_t which = model_below(m, 1000);

	if (which < 15)
		op_codec(m);
	else if (which < 30)
		op_compact(m);
	else if (which < 60)
		op_limit(m);
	else if (which < 70)
		op_attach(m);
	else if (which < 130)
		model_sweep(m);
	else if (which < 160)
		model_sweep_whole(m);
	else if (which < 190)
		model_age(m);
	else if (which < 200)
		model_fetch(m, i);
	else
		on_file[model_below(m, ARRAY_SIZE(on_file))](m, i);
	if (m->op % m->every == 0) {
		model_sweep_end(m);
		compare_all(m);
	}
}

static void *must_alloc(size_t n)
{
	void *p = calloc(1, n);

	invariant(p);
	return p;
}

static void run(struct model *m, const struct store_rig_options *options,
		uint64_t ops)
{
	m->random.state = m->seed;
	m->mem_is_tight = content_random(&m->random) & 1;
	m->buf = must_alloc(WINDOW_BYTES);
	m->before.bytes = must_alloc(WINDOW_BYTES);
	store_rig_up(&m->rig, options);
	model_spill_up(m);
	for (unsigned i = 0; i < RIG_FILES; i++) {
		m->file[i].base = bases[i];
		m->file[i].bytes = must_alloc(WINDOW_BYTES);
	}
	for (m->op = 1; m->op <= ops; m->op++)
		one_op(m);
	budget_set_limit(&m->rig.budget, GIB);
	op_attach(m);
	printf("written %" PRIu64 ", discarded %" PRIu64
	       ", size_limit_hit %" PRIu64 ", mem_limit_hit %" PRIu64
	       ", compacted %" PRIu64 ", attached %" PRIu64 "\n",
	       m->total.pages_written, m->total.pages_discarded,
	       m->total.size_limit_hit, m->total.mem_limit_hit,
	       m->total.pages_compacted, m->attached);
	printf("written back %" PRIu64 ", brought back %" PRIu64
	       ", read from disk %" PRIu64 ", cleaned %" PRIu64
	       ", changed %" PRIu64 ", failed %" PRIu64 "\n",
	       m->total.written_back_pages, m->total.brought_back_pages,
	       m->total.spill_reads, m->cleaned, m->changed, m->failed);
	store_rig_down(&m->rig);
	for (unsigned i = 0; i < RIG_FILES; i++)
		free(m->file[i].bytes);
	free(m->before.bytes);
	free(m->buf);
}

int main(int argc, char **argv)
{
	struct model m = {.seed = (uint64_t)time(NULL) ^
				  ((uint64_t)getpid() << 32),
			  .every = 64};
	struct store_rig_options options = {
		.pool_kind = RIG_SPAN,
		.spill = true,
		.spill_bytes = 6 * BACKING_SEGMENT_BYTES,
	};
	uint64_t ops = 2000;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			m.seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--ops") == 0)
			ops = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--every") == 0)
			m.every = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--pool") == 0)
			options.pool_kind = store_rig_kind(argv[i + 1]);
		else
			return 2;
	}
	printf("test-model-store --seed %" PRIu64 " --ops %" PRIu64 "\n",
	       m.seed, ops);
	fflush(stdout);
	run(&m, &options, ops);
	return 0;
}
