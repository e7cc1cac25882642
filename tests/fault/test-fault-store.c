/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store when something is refused: each heap call of its start, and the
 * budget at every step of a write, a part of a page, a cut, a zeroed range, a
 * copy and a way back from disk. What was there stays readable, nothing leaks,
 * room that is made is room again.
 */
#include "base/heap.h"
#include "lib/content.h"
#include "lib/fault.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/spill_state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Only who has a file pays for it, once; what is refused changes nothing. */
static int prepare(struct store *store)
{
	struct spill_files nobody = {.with = NULL};
	struct budget *budget = arena_budget(store->arena);
	uint64_t before = budget_used(budget);
	int err = store_spill_prepare(store);

	if (err) {
		assert_int_equal(budget_used(budget), before);
		assert_int_equal(
			store_spill_begin(store, &store_rig_all, &nobody),
			-ENODEV);
		return err;
	}
	assert_int_equal(budget_used(budget), before + sizeof(struct spill));
	before += sizeof(struct spill);
	assert_int_equal(store_spill_prepare(store), 0);
	assert_int_equal(budget_used(budget), before);
	return 0;
}

static int make_store(void *arg)
{
	struct store_rig *rig = arg;
	struct store *store;
	int err = store_new(rig->arena, rig->pool, rig->sets, MIB, &store);

	if (err)
		return err;
	store_use_backing(store, rig->backing);
	err = prepare(store);
	store_free(store);
	return err;
}

static int fetch_nothing(void *arg)
{
	struct store_rig *rig = arg;
	uint64_t pages;

	return store_fetch_body(rig->store, store_rig_file(rig, 0), 0, 100,
				&pages);
}

static void test_start_without_heap(void **state UNUSED)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = true};
	struct store_rig rig;

	store_rig_up(&rig, &options);
	assert_true(fault_each_alloc(make_store, &rig) >= 2);
	assert_true(fault_each_alloc(fetch_nothing, &rig) >= 1);
	store_rig_down(&rig);
}

/* --- budget --- */

#define PAGES 96u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

struct world {
	struct store_rig rig;
	struct file file, other;
	char *before, *after, *buf;
};

typedef int step(struct world *w);

static int op_write(struct world *w)
{
	size_t done = BYTES;
	int err = store_write(w->rig.store, w->rig.stream, w->file, 0, w->after,
			      BYTES, &done);

	return err ? err : done == BYTES ? 0 : -ENOSPC;
}

static int op_part(struct world *w)
{
	size_t done;

	memcpy(w->after, w->before, BYTES);
	memset(w->after + 5000, 'x', 3000);
	return store_write(w->rig.store, w->rig.stream, w->file, 5000,
			   w->after + 5000, 3000, &done);
}

static int op_far(struct world *w)
{
	size_t done;

	memcpy(w->after, w->before, BYTES);
	return store_write(w->rig.store, w->rig.stream, w->other, 3 * TIB,
			   w->after, PAGE_BYTES, &done);
}

static int op_punch(struct world *w)
{
	memcpy(w->after, w->before, BYTES);
	memset(w->after + 100, 0, 40000);
	return store_punch(w->rig.store, w->rig.stream, w->file, 100, 40000);
}

static int op_zero(struct world *w)
{
	memcpy(w->after, w->before, BYTES);
	memset(w->after + 100, 0, 40000);
	return store_zero(w->rig.store, w->rig.stream, w->file, 100, 40000,
			  true);
}

static int op_copy(struct world *w)
{
	uint64_t n = 0;
	int err = store_copy(w->rig.store, w->rig.stream, w->file, 0, w->other,
			     0, BYTES, &n);

	memcpy(w->after, w->before, BYTES);
	return err ? err : n == BYTES ? 0 : -ENOSPC;
}

static int op_fetch(struct world *w)
{
	uint64_t pages;

	memcpy(w->after, w->before, BYTES);
	return store_fetch_body(w->rig.store, w->file, 0, PAGES, &pages);
}

static int op_sweep(struct world *w)
{
	struct spill_result result;

	memcpy(w->after, w->before, BYTES);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	assert_true(result.pages >= PAGES);
	return result.err;
}

enum where {
	IN_RAM,    /* and there is no backing file */
	NEAR_DISK, /* in RAM */
	ON_DISK,   /* and the room that it had is there again */
};

static void world_up(struct world *w, enum where where)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = where != IN_RAM};
	struct content random = {1};
	struct spill_result result;
	size_t done;

	store_rig_up(&w->rig, &options);
	w->file = store_rig_file(&w->rig, 0);
	w->other = store_rig_file(&w->rig, 1);
	for (unsigned i = 0; i < PAGES; i++)
		content_make(&random, CONTENT_MIXED, w->before + i * PAGE_BYTES,
			     PAGE_BYTES);
	content_make(&random, CONTENT_RANDOM, w->after, BYTES);
	assert_int_equal(store_write(w->rig.store, w->rig.stream, w->file, 0,
				     w->before, BYTES, &done),
			 0);
	if (where == ON_DISK)
		store_rig_spill(&w->rig, &store_rig_all, &result);
}

/* Every page is as before or as after. */
static void assert_whole(struct world *w)
{
	size_t done = 0;

	assert_int_equal(store_read(w->rig.store, w->rig.stream, w->file, 0,
				    w->buf, BYTES, &done),
			 0);
	assert_int_equal(done, BYTES);
	for (size_t at = 0; at < BYTES; at += PAGE_BYTES)
		if (memcmp(w->buf + at, w->before + at, PAGE_BYTES) != 0)
			assert_memory_equal(w->buf + at, w->after + at,
					    PAGE_BYTES);
}

/* With 0, 1, 2, ... more pages of budget, until it is enough. */
static void exhaust(step *operation, enum where where)
{
	struct world w = {.before = malloc(BYTES),
			  .after = malloc(BYTES),
			  .buf = malloc(BYTES)};
	unsigned refused = 0;
	int err;

	do {
		struct budget *budget = &w.rig.budget;

		world_up(&w, where);
		/* No slack: spans that are held have free slots otherwise. */
		budget_set_limit(budget,
				 budget_used(budget) + refused * PAGE_BYTES);
		err = operation(&w);
		assert_true(err == 0 || err == -ENOSPC);
		assert_true(budget_used(budget) <= budget_limit(budget));
		assert_whole(&w);
		store_rig_check(&w.rig);
		budget_set_limit(budget, GIB);
		if (err) {
			/* A disk makes each round slow. */
			refused += where == ON_DISK ? 16 : 1;
			assert_int_equal(operation(&w), 0);
			store_rig_check(&w.rig);
		}
		store_rig_down(&w.rig);
	} while (err);
	/* That it met a limit at all is what makes this a test. */
	assert_true(refused > 0);
	free(w.before);
	free(w.after);
	free(w.buf);
}

static void test_write(void **state UNUSED)
{
	exhaust(op_write, IN_RAM);
}

static void test_far(void **state UNUSED)
{
	exhaust(op_far, IN_RAM);
}

static void test_copy(void **state UNUSED)
{
	exhaust(op_copy, IN_RAM);
}

static void test_write_over_disk(void **state UNUSED)
{
	exhaust(op_write, ON_DISK);
}

static void test_fetch(void **state UNUSED)
{
	exhaust(op_fetch, ON_DISK);
}

static void test_copy_from_disk(void **state UNUSED)
{
	exhaust(op_copy, ON_DISK);
}

/* These need so little that slots at hand serve: all of them are taken
 * first. */
static void fill_slots(struct world *w)
{
	struct content random = {9};
	struct file filler = store_rig_file(&w->rig, 2);
	char page[PAGE_BYTES];
	uint64_t at = 0;
	size_t done;

	content_make(&random, CONTENT_RANDOM, page, sizeof(page));
	budget_set_limit(&w->rig.budget, 0);
	for (unsigned n = PAGE_BYTES; n >= 8; n = n / 2 & ~7u)
		while (store_write(w->rig.store, w->rig.stream, filler, at,
				   page, n, &done) == 0)
			at += PAGE_BYTES;
}

static void with_full_pool(step *operation, enum where where)
{
	struct world w = {.before = malloc(BYTES),
			  .after = malloc(BYTES),
			  .buf = malloc(BYTES)};
	int err;

	world_up(&w, where);
	fill_slots(&w);
	err = operation(&w);
	assert_true(err == 0 || err == -ENOSPC);
	assert_whole(&w);
	store_rig_check(&w.rig);
	/* A cut and a removal need no room. */
	assert_int_equal(store_truncate(w.rig.store, w.rig.stream, w.file,
					10 * PAGE_BYTES + 100),
			 0);
	assert_int_equal(store_truncate(w.rig.store, w.rig.stream, w.file, 1),
			 0);
	assert_int_equal(store_truncate(w.rig.store, w.rig.stream, w.file, 0),
			 0);
	budget_set_limit(&w.rig.budget, GIB);
	store_rig_check(&w.rig);
	store_rig_down(&w.rig);
	free(w.before);
	free(w.after);
	free(w.buf);
}

static void test_part(void **state UNUSED)
{
	with_full_pool(op_part, IN_RAM);
	with_full_pool(op_part, ON_DISK);
}

static void test_punch(void **state UNUSED)
{
	with_full_pool(op_punch, IN_RAM);
	with_full_pool(op_punch, ON_DISK);
}

static void test_zero(void **state UNUSED)
{
	with_full_pool(op_zero, IN_RAM);
	with_full_pool(op_zero, ON_DISK);
}

/* When there is no room at all, because the limit was lowered, is when it must
 * be made. */
static void test_sweep(void **state UNUSED)
{
	with_full_pool(op_sweep, NEAR_DISK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_without_heap),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_write_over_disk),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_copy_from_disk),
		cmocka_unit_test(test_part),
		cmocka_unit_test(test_punch),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
