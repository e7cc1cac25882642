/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pools that break wrong assumptions: right for who keeps to pool.h, and
 * each gives its own misuse away. */
#include "arena/arena.h"
#include "base/compiler.h"
#include "death.h"
#include "pool/span_priv.h"
#include "pool_fakes.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#define OBJECTS 2000

static struct pool_object objects[OBJECTS];

static void fake_up(struct pool_rig *rig, enum pool_fake_kind kind)
{
	pool_rig_up(rig, 256 * MIB, 256 * MIB, 2);
	rig->pool = pool_fake_new(kind, rig->pool);
	assert_string_equal(rig->pool->ops->name, pool_fake_name(kind));
}

static void make_objects(struct pool_rig *rig)
{
	struct pool_random random = {3};

	for (unsigned i = 0; i < OBJECTS; i++) {
		uint32_t n = i < 40 ? i + 1 : pool_random_length(&random);

		assert_int_equal(
			pool_object_make(rig->pool, i, n, i, &objects[i]), 0);
	}
}

static void begin(struct pool_rig *rig, unsigned i, char *scratch,
		  struct pool_view *ret_view)
{
	assert_int_equal(pool_read_begin(rig->pool, objects[i].handle, scratch,
					 ret_view),
			 0);
}

static void end(struct pool_rig *rig, unsigned i, struct pool_view *view)
{
	pool_read_end(rig->pool, objects[i].handle, view);
}

static sigjmp_buf fault_jump;

static void on_fault(int signal)
{
	siglongjmp(fault_jump, signal);
}

/* True when reading the byte at @p faults. */
static bool faults(const char *p)
{
	struct sigaction action = {.sa_handler = on_fault}, old;
	bool fault;

	sigaction(SIGSEGV, &action, &old);
	fault = sigsetjmp(fault_jump, 1) != 0;
	if (!fault)
		(void)*(const volatile char *)p;
	sigaction(SIGSEGV, &old, NULL);
	return fault;
}

/* --- what all of them must do right --- */

static void test_round_trip(void **state UNUSED)
{
	for (unsigned kind = 0; kind < POOL_FAKE_NR; kind++) {
		struct pool_stats stats;
		struct pool_rig rig;

		fake_up(&rig, kind);
		make_objects(&rig);
		for (unsigned i = 0; i < OBJECTS; i++)
			assert_true(
				pool_object_is_intact(rig.pool, &objects[i]));
		for (unsigned i = 0; i < OBJECTS; i += 2)
			pool_free(rig.pool, &objects[i].handle, 1);
		for (unsigned i = 1; i < OBJECTS; i += 2)
			assert_true(
				pool_object_is_intact(rig.pool, &objects[i]));
		pool_stats(rig.pool, &stats);
		assert_int_equal(stats.objects, OBJECTS / 2);
		assert_int_equal(pool_check(rig.pool), 0);
		pool_rig_down(&rig);
	}
}

static void test_any_handle_value(void **state UNUSED)
{
	for (unsigned kind = 0; kind < POOL_FAKE_NR; kind++) {
		struct pool_random random = {kind};
		char scratch[POOL_OBJECT_MAX];
		struct pool_view view;
		struct pool_rig rig;

		fake_up(&rig, kind);
		for (unsigned i = 0; i < 10000; i++) {
			struct handle h = {pool_random(&random) >> (i % 64)};

			assert_int_equal(
				pool_read_begin(rig.pool, h, scratch, &view),
				-EIO);
		}
		pool_rig_down(&rig);
	}
}

/* Handles name the same objects in the next life. */
static void test_handles_outlive_a_rebuild(void **state UNUSED)
{
	for (unsigned kind = 0; kind < POOL_FAKE_NR; kind++) {
		struct handle none = {12345};
		struct pool_rig rig;

		fake_up(&rig, kind);
		make_objects(&rig);
		for (unsigned life = 0; life < 3; life++) {
			pool_rig_reattach(&rig);
			rig.pool = pool_fake_new(kind, rig.pool);
			pool_scan_begin(rig.pool);
			for (unsigned i = life * 500; i < OBJECTS; i++)
				assert_int_equal(
					pool_mark(rig.pool, objects[i].handle),
					0);
			assert_int_equal(
				pool_mark(rig.pool, objects[1999].handle),
				-EEXIST);
			assert_int_equal(pool_mark(rig.pool, none), -EIO);
			pool_scan_end(rig.pool);
			assert_int_equal(pool_check(rig.pool), 0);
			for (unsigned i = life * 500; i < OBJECTS; i++)
				assert_true(pool_object_is_intact(rig.pool,
								  &objects[i]));
		}
		pool_rig_down(&rig);
	}
}

static void test_storm(void **state UNUSED)
{
	for (unsigned kind = 0; kind < POOL_FAKE_NR; kind++) {
		struct pool_stats stats;
		struct pool_rig rig;

		fake_up(&rig, kind);
		assert_int_equal(pool_storm(rig.pool, 4, 1500), 0);
		assert_int_equal(pool_check(rig.pool), 0);
		pool_stats(rig.pool, &stats);
		assert_int_equal(stats.objects, 0);
		pool_rig_down(&rig);
	}
}

/* --- what each gives away --- */

static void test_poison_and_window_show_use_after_end(void **state UNUSED)
{
	const enum pool_fake_kind kinds[] = {POOL_FAKE_POISON,
					     POOL_FAKE_WINDOW};

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		char scratch[POOL_OBJECT_MAX];
		struct pool_view view;
		struct pool_rig rig;
		const char *p;

		fake_up(&rig, kinds[k]);
		make_objects(&rig);
		begin(&rig, 7, scratch, &view);
		p = view.piece[0];
		assert_false(faults(p));
		/* One byte too far. */
		assert_true(faults(p + objects[7].n_bytes));
		end(&rig, 7, &view);
		assert_true(faults(p));
		for (unsigned i = 0; i < 100; i++)
			assert_true(
				pool_object_is_intact(rig.pool, &objects[i]));
		assert_true(faults(p));
		pool_rig_down(&rig);
	}
}

static void open_three(void *arg)
{
	char scratch[3][POOL_OBJECT_MAX];
	struct pool_view view;

	for (unsigned i = 0; i < 3; i++)
		begin(arg, i, scratch[i], &view);
}

static void test_window_has_two_views(void **state UNUSED)
{
	char scratch[2][POOL_OBJECT_MAX];
	struct pool_view view[2];
	struct pool_rig rig;

	fake_up(&rig, POOL_FAKE_WINDOW);
	make_objects(&rig);
	assert_true(dies_saying(open_three, &rig, "views_open"));
	for (unsigned n = 0; n < 5; n++) {
		begin(&rig, 0, scratch[0], &view[0]);
		begin(&rig, 1, scratch[1], &view[1]);
		end(&rig, 0, &view[0]);
		end(&rig, 1, &view[1]);
	}
	pool_rig_down(&rig);
}

static void test_split_comes_in_two_pieces(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	fake_up(&rig, POOL_FAKE_SPLIT);
	make_objects(&rig);
	for (unsigned i = 0; i < 300; i++) {
		size_t n = objects[i].n_bytes;
		const char *first, *second;

		begin(&rig, i, scratch, &view);
		first = view.piece[0];
		second = view.piece[1];
		assert_int_equal(view.bytes[0] + view.bytes[1], n);
		assert_int_equal(view.bytes[1] > 0, n > 1);
		/* Whoever takes the first piece for all of it falls off. */
		assert_true(faults(first + view.bytes[0]));
		end(&rig, i, &view);
		assert_true(faults(first));
		assert_true(n < 2 || faults(second));
	}
	pool_rig_down(&rig);
}

static void test_copy_is_in_scratch(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	fake_up(&rig, POOL_FAKE_COPY);
	make_objects(&rig);
	begin(&rig, 9, scratch, &view);
	assert_ptr_equal(view.piece[0], scratch);
	end(&rig, 9, &view);
	for (unsigned i = 0; i < objects[9].n_bytes; i++)
		assert_int_equal((unsigned char)scratch[i], 0xdb);
	pool_rig_down(&rig);
}

static void test_mover_moves_and_overwrites(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view, again;
	struct pool_rig rig;
	char copy[32];
	const char *p;

	fake_up(&rig, POOL_FAKE_MOVER);
	make_objects(&rig);
	begin(&rig, 31, scratch, &view);
	p = view.piece[0];
	memcpy(copy, p, sizeof(copy));
	/* It stays while somebody looks, whatever else happens. */
	for (unsigned i = 0; i < 200; i++)
		assert_true(pool_object_is_intact(rig.pool, &objects[i]));
	assert_memory_equal(p, copy, sizeof(copy));
	end(&rig, 31, &view);
	for (unsigned i = 0; i < sizeof(copy); i++)
		assert_int_equal((unsigned char)p[i], 0xdb);
	begin(&rig, 31, scratch, &again);
	assert_ptr_not_equal(again.piece[0], p);
	assert_memory_equal(again.piece[0], copy, sizeof(copy));
	end(&rig, 31, &again);
	pool_rig_down(&rig);
}

static void free_while_looking(void *arg)
{
	struct pool_rig *rig = arg;
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;

	begin(rig, 3, scratch, &view);
	pool_free(rig->pool, &objects[3].handle, 1);
}

static void leave_open(void *arg)
{
	struct pool_rig *rig = arg;
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;

	begin(rig, 3, scratch, &view);
	pool_free_all(rig->pool);
}

static void test_broken_pairs_are_seen(void **state UNUSED)
{
	struct pool_rig rig;

	fake_up(&rig, POOL_FAKE_MOVER);
	make_objects(&rig);
	assert_true(dies_saying(free_while_looking, &rig, "pins"));
	pool_rig_down(&rig);
	fake_up(&rig, POOL_FAKE_POISON);
	make_objects(&rig);
	assert_true(dies_saying(leave_open, &rig, "PANES"));
	pool_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_any_handle_value),
		cmocka_unit_test(test_handles_outlive_a_rebuild),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_poison_and_window_show_use_after_end),
		cmocka_unit_test(test_window_has_two_views),
		cmocka_unit_test(test_split_comes_in_two_pieces),
		cmocka_unit_test(test_copy_is_in_scratch),
		cmocka_unit_test(test_mover_moves_and_overwrites),
		cmocka_unit_test(test_broken_pairs_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
