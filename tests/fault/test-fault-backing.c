/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backing file when memory is refused: each heap call and each take from
 * the budget between its start and a page read back. Nothing leaks, and a file
 * that could not be taken is as it was.
 */
#include "base/heap.h"
#include "lib/backing_rig.h"
#include "lib/fault.h"
#include "lib/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct budget budget;
static struct arena *arena;
static char path[200];
static enum io_kind kind;
static bool encrypt;

static void no_kind(void *arg UNUSED, unsigned k UNUSED)
{
}

static void on_done(void *arg, struct extent extent UNUSED,
		    const struct extent_owner *owner UNUSED,
		    uint64_t cookie UNUSED, int err)
{
	*(int *)arg = err;
}

static void look_at(void *arg, struct extent extent UNUSED,
		    const struct extent_view *view)
{
	*(int *)arg += view->n_bytes;
}

static const struct backing_ops ops = {no_kind, no_kind, on_done};

static int put_and_read(struct backing *backing)
{
	static char buf[BACKING_READ_BYTES]
		__attribute__((aligned(PAGE_BYTES)));
	struct extent_owner owner = {1, 2, 3};
	struct extent_view view;
	struct extent_ref ref;
	struct extent extent;
	int seen = 0;
	int r;

	r = backing_put(backing, &owner, 4, 5, "letters", 7, 6, &extent);
	if (r < 0)
		return r;
	backing_flush(backing);
	while (backing_reap(backing, true))
		;
	ref = backing_ref(backing, extent);
	r = backing_read(backing, &ref, buf, &view);
	if (!r) {
		assert_memory_equal(view.data, "letters", 7);
		r = backing_segment_visit(backing, 0, look_at, &seen);
	}
	if (!r)
		assert_int_equal(seen, 7);
	backing_free(backing, extent);
	return r;
}

static int live(struct backing *backing)
{
	struct backing_config config = {.path = path, .encrypt = encrypt};
	char why[300];
	int r = backing_open_kind(backing, &config, kind, why, sizeof(why));

	if (r < 0)
		return r;
	r = put_and_read(backing);
	assert_int_equal(backing_close(backing), 0);
	return r;
}

static int attempt(void *arg UNUSED)
{
	uint64_t before = budget_used(&budget);
	struct backing *backing;
	struct stat st;
	int err = 0;
	int r = backing_new(arena, &ops, &err, &backing);

	if (r < 0)
		return r;
	r = live(backing);
	assert_int_equal(backing_check(backing), 0);
	backing_free_all(backing);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(err, 0);
	/* A table keeps a chunk once it has one. */
	assert_true(budget_used(&budget) <= before + 64 * KIB);
	return r;
}

static void up(void)
{
	rig_temp(rig_dir(), path, sizeof(path));
	budget_init(&budget, GIB);
	assert_int_equal(arena_new(MIB, &budget, &arena), 0);
}

static void down(void)
{
	arena_free(arena);
	assert_int_equal(budget_used(&budget), 0);
	unlink(path);
}

static void test_heap(void **state UNUSED)
{
	enum crypt_cipher cipher;

	up();
	kind = IO_THREADS;
	encrypt = false;
	assert_true(fault_each_alloc(attempt, NULL) >= 2);
	/* Without memory for a ring there are threads. */
	kind = IO_BEST;
	assert_true(fault_each_alloc_may_survive(attempt, NULL) >= 2);
	kind = IO_THREADS;
	/* Without memory for libgcrypt's handles libsodium does it. */
	encrypt = !crypt_choose(&cipher);
	assert_true(fault_each_alloc_may_survive(attempt, NULL) >=
		    2u + encrypt);
	down();
}

/* Every limit from nothing to enough, in steps of a page. */
static void test_budget(void **state UNUSED)
{
	uint64_t limit, refused = 0;
	int r;

	up();
	kind = IO_THREADS;
	encrypt = false;
	limit = budget_used(&budget);
	do {
		budget_set_limit(&budget, limit);
		r = attempt(NULL);
		assert_true(r == 0 || r == -ENOMEM);
		refused += r != 0;
		limit += 4096;
	} while (r);
	assert_true(refused > CHUNK_MAP_BYTES / 4096);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
