/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backing file after an attach, and beside a plain list through thousands
 * of random steps. */
#include "backing_rig.h"
#include "base/compiler.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct backing_rig rig;

static void test_next_life(void **state UNUSED)
{
	struct backing_stats before, after;

	backing_rig_up(&rig, IO_BEST, false, 16 * MIB);
	for (uint32_t i = 0; i < 3000; i++)
		rig_put_wait(&rig, i, rig_length(&rig), i % 7);
	rig_settle(&rig);
	for (uint32_t i = 0; i < 2000; i++)
		rig_free(&rig, i);
	before = rig_stats(&rig);
	backing_rig_reattach(&rig);
	after = rig_stats(&rig);
	assert_int_equal(after.live_bytes, before.live_bytes);
	assert_int_equal(after.extents, before.extents);
	assert_int_equal(after.segments, before.segments);
	assert_int_equal(after.most_bytes, 16 * MIB);
	rig_check(&rig);
	for (uint32_t i = 0; i < 1500; i++)
		rig_put_wait(&rig, i, rig_length(&rig), i % 7);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
}

static void test_marks(void **state UNUSED)
{
	struct place at;
	struct extent extent;

	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < 10; i++)
		rig_put_wait(&rig, i, 100, 0);
	rig_settle(&rig);
	backing_scan_begin(rig.backing);
	rig.held[0] = 0;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(backing_mark(rig.backing, rig.item[i].extent),
				 0);
	extent = rig.item[4].extent;
	at = extent_place(extent);
	assert_int_equal(backing_mark(rig.backing, extent), -EEXIST);
	/* One that only overlaps. */
	assert_int_equal(
		backing_mark(rig.backing, extent_name(at.unit + 1, at.units)),
		-EEXIST);
	assert_int_equal(
		backing_mark(rig.backing, extent_name(at.unit - 1, at.units)),
		-EEXIST);
	/* None can be there. */
	assert_int_equal(backing_mark(rig.backing, (struct extent){0}),
			 -ERANGE);
	assert_int_equal(backing_mark(rig.backing, extent_name(at.unit, 1)),
			 -ERANGE);
	assert_int_equal(
		backing_mark(rig.backing,
			     extent_name(at.unit, EXTENT_UNITS_MAX + 1)),
		-ERANGE);
	assert_int_equal(backing_mark(rig.backing, extent_name(127, 4)),
			 -ERANGE);
	assert_int_equal(
		backing_mark(rig.backing, extent_name(SEGMENT_UNITS - 1, 2)),
		-ERANGE);
	assert_int_equal(
		backing_mark(rig.backing, extent_name(5 * SEGMENT_UNITS, 2)),
		-ERANGE);
	assert_int_equal(backing_mark(rig.backing, (struct extent){UINT64_MAX}),
			 -ERANGE);
	backing_scan_end(rig.backing);
	assert_int_equal(rig.held[0], 1);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* What nobody marks goes: record, bytes, kinds. */
static void test_unmarked(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, false, 0);
	for (uint32_t i = 0; i < 2000; i++)
		rig_put_wait(&rig, i, 1400, i / 700);
	rig_settle(&rig);
	assert_true(rig_stats(&rig).segments >= 3);
	for (uint32_t i = 0; i < 1990; i++)
		rig.item[i].state = RIG_NONE;
	backing_rig_reattach(&rig);
	assert_int_equal(rig_stats(&rig).segments, 1);
	assert_true(rig_stats(&rig).file_bytes <= 2 * MIB);
	assert_int_equal(table_used(rig.arena, TABLE_SEGMENTS), 1);
	assert_int_equal(rig.held[0], 0);
	assert_int_equal(rig.held[2], 1);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* --- the model --- */

#define MODEL_STEPS 12000u
#define MODEL_ITEMS 1500u

static void on_visit(void *arg UNUSED, struct extent extent,
		     const struct extent_view *view)
{
	uint32_t i = view->owner.file;
	struct rig_item *item = &rig.item[i];
	struct extent moved;
	int r;

	assert_true(i < RIG_ITEMS);
	if (item->state != RIG_LIVE || item->extent.value != extent.value)
		return;
	while ((r = backing_put(rig.backing, &view->owner, view->tag,
				item->kind, view->data, view->n_bytes, i,
				&moved)) == -EAGAIN)
		backing_reap(rig.backing, true);
	if (r == -ENOSPC)
		return;
	assert_int_equal(r, 0);
	backing_free(rig.backing, extent);
	item->extent = moved;
	item->state = RIG_PUT;
}

static void clean(void)
{
	uint32_t segment;

	if (!backing_thin(rig.backing, 60, &segment))
		return;
	assert_int_equal(
		backing_segment_visit(rig.backing, segment, on_visit, NULL), 0);
}

/* All that is in flight is told; what was not flushed is lost with the life. */
static void new_life(void)
{
	while (backing_reap(rig.backing, true))
		;
	backing_rig_reattach(&rig);
}

static void step_item(uint32_t i)
{
	int r;

	if (rig.item[i].state == RIG_LIVE) {
		assert_int_equal(rig_read(&rig, i), 0);
		rig_free(&rig, i);
	} else if (rig.item[i].state == RIG_NONE) {
		r = rig_put(&rig, i, rig_length(&rig),
			    (uint8_t)rig_below(&rig, BACKING_KINDS));
		if (r == -EAGAIN)
			backing_reap(rig.backing, true);
		else
			assert_true(r == 0 || r == -ENOSPC);
	}
}

static void model(uint64_t seed, bool encrypt)
{
	print_message("seed %llu\n", (unsigned long long)seed);
	backing_rig_up(&rig, seed % 2 ? IO_BEST : IO_THREADS, encrypt,
		       (2 + seed % 3) * MIB);
	rig.random = seed;
	for (unsigned k = 0; k < MODEL_STEPS; k++) {
		uint32_t what = rig_below(&rig, 1000);

		if (what < 900)
			step_item(rig_below(&rig, MODEL_ITEMS));
		else if (what < 950)
			backing_reap(rig.backing, false);
		else if (what < 980)
			backing_flush(rig.backing);
		else if (what < 997)
			clean();
		else
			new_life();
		if (k % 1000 == 0)
			rig_check(&rig);
		else if (k % 50 == 0)
			assert_int_equal(backing_check(rig.backing), 0);
	}
	rig_check(&rig);
	backing_rig_down(&rig);
}

static void test_model(void **state UNUSED)
{
	const char *wanted = getenv("BACKING_SEED");

	if (wanted) {
		model(strtoull(wanted, NULL, 0), false);
		return;
	}
	for (uint64_t seed = 1; seed <= 4; seed++)
		model(seed, false);
}

static void test_model_encrypted(void **state UNUSED)
{
	enum crypt_cipher cipher;

	if (crypt_choose(&cipher) < 0)
		skip();
	model(5, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_life),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_unmarked),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_model_encrypted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
