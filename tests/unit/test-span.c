/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The span backend: objects in and out, any handle value, faults, storms. */
#include "arena/arena.h"
#include "base/compiler.h"
#include "base/heap.h"
#include "death.h"
#include "fault.h"
#include "pool/span.h"
#include "pool/span_priv.h"
#include "pool_rig.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

#define OBJECTS_MAX 90000

static struct pool_object objects[OBJECTS_MAX];

static struct pool_stats stats_of(struct pool_rig *rig)
{
	return pool_rig_stats(rig);
}

static unsigned make_objects(struct pool_rig *rig, unsigned from, unsigned end,
			     unsigned shard, uint32_t n_bytes)
{
	return pool_rig_make(rig, objects, from, end, shard, n_bytes);
}

static void free_objects(struct pool_rig *rig, unsigned from, unsigned end)
{
	pool_rig_free(rig, objects, from, end);
}

static void assert_intact(struct pool_rig *rig, unsigned from, unsigned end)
{
	assert_int_equal(pool_rig_broken(rig, objects, from, end), 0);
}

static void test_every_length(void **state UNUSED)
{
	struct pool_rig rig;
	struct pool_stats stats;
	uint64_t sum = 0;

	pool_rig_up(&rig, GIB, GIB, 2);
	for (uint32_t n = 1; n <= POOL_OBJECT_MAX; n++) {
		assert_int_equal(pool_object_make(rig.pool, n, n, n * 31,
						  &objects[n - 1]),
				 0);
		assert_true(objects[n - 1].handle.value != 0);
		assert_true(objects[n - 1].handle.value >> HANDLE_BITS == 0);
		sum += n;
	}
	assert_intact(&rig, 0, POOL_OBJECT_MAX);
	stats = stats_of(&rig);
	assert_int_equal(stats.objects, POOL_OBJECT_MAX);
	assert_int_equal(stats.object_bytes, sum);
	assert_true(stats.slot_bytes <= sum + POOL_OBJECT_MAX * 23 + 24 * 16);
	assert_int_equal(pool_check(rig.pool), 0);
	free_objects(&rig, 0, POOL_OBJECT_MAX);
	stats = stats_of(&rig);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.object_bytes, 0);
	assert_int_equal(stats.slot_bytes, 0);
	pool_rig_down(&rig);
}

static void test_batch_is_all_or_none(void **state UNUSED)
{
	struct pool_rig rig;
	uint32_t n_bytes[POOL_BATCH_MAX];
	struct handle handles[POOL_BATCH_MAX];
	struct pool_stats before, after;
	int r;

	pool_rig_up(&rig, 64 * MIB, 4 * MIB, 2);
	for (unsigned i = 0; i < POOL_BATCH_MAX; i++)
		n_bytes[i] = 3000 + i;
	do {
		memset(handles, 0x55, sizeof(handles));
		before = stats_of(&rig);
		r = pool_alloc(rig.pool, 1, n_bytes, POOL_BATCH_MAX, handles);
	} while (r == 0);
	assert_int_equal(r, -ENOSPC);
	after = stats_of(&rig);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.object_bytes, before.object_bytes);
	assert_true(after.objects >= 64 * 12);
	for (unsigned i = 0; i < POOL_BATCH_MAX; i++)
		assert_int_equal(handles[i].value, 0x5555555555555555);
	assert_int_equal(pool_check(rig.pool), 0);
	pool_rig_down(&rig);
}

/* Look at @value: nothing, or one of the objects there are. */
static bool reads_as_ours(struct pool_rig *rig, uint64_t value, unsigned end)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct handle h = {value};

	if (pool_read_begin(rig->pool, h, scratch, &view) == -EIO)
		return true;
	pool_read_end(rig->pool, h, &view);
	for (unsigned i = 0; i < end; i++)
		if (objects[i].handle.value == value)
			return true;
	return false;
}

static void test_any_handle_value(void **state UNUSED)
{
	struct pool_random random = {5};
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 100, 0, 0), 100);
	/* Every place of the first spans, and everything else by chance. */
	for (uint64_t value = 0; value < 3 * SPAN_BYTES / 16; value++)
		assert_true(reads_as_ours(&rig, value, 100));
	for (unsigned i = 0; i < 100000; i++)
		assert_true(reads_as_ours(
			&rig, pool_random(&random) >> (random.state % 64),
			100));
	assert_true(reads_as_ours(&rig, UINT64_MAX, 100));
	assert_true(reads_as_ours(&rig, 64 * MIB / 16, 100));
	assert_true(reads_as_ours(&rig, 64 * MIB / 16 + 1, 100));
	assert_intact(&rig, 0, 100);
	pool_rig_down(&rig);
}

/* A handle of a class's first object; the header is 8 bytes before it. */
static uint64_t *header_of(struct pool_rig *rig, struct handle h)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	size_t at;

	assert_int_equal(pool_read_begin(rig->pool, h, scratch, &view), 0);
	at = (size_t)((const char *)view.piece[0] - arena_pool(rig->arena));
	pool_read_end(rig->pool, h, &view);
	return (uint64_t *)(void *)(arena_pool(rig->arena) + at - 8);
}

static void test_wrecked_header_is_eio(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 66, 0, 1000), 66);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t *header = header_of(&rig, objects[bit].handle);

		*header ^= UINT64_C(1) << bit;
		assert_int_equal(pool_read_begin(rig.pool, objects[bit].handle,
						 scratch, &view),
				 -EIO);
	}
	assert_int_equal(pool_check(rig.pool), -EUCLEAN);
	/* It can be deleted all the same, and its neighbours are well. */
	free_objects(&rig, 0, 64);
	assert_intact(&rig, 64, 66);
	assert_int_equal(stats_of(&rig).objects, 2);
	pool_rig_down(&rig);
}

static void test_wrecked_span_word_is_eio(void **state UNUSED)
{
	const uint32_t words[] = {0, CLASS_NR + 1, UINT32_MAX};
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;
	uint32_t good;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 1, 0, 1000), 1);
	good = arena_span_words(rig.arena)[0];
	assert_int_equal(good, class_of(1000) + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		arena_span_words(rig.arena)[0] = words[i];
		assert_int_equal(pool_read_begin(rig.pool, objects[0].handle,
						 scratch, &view),
				 -EIO);
	}
	arena_span_words(rig.arena)[0] = good;
	assert_intact(&rig, 0, 1);
	pool_rig_down(&rig);
}

static void free_twice(void *arg)
{
	struct pool_rig *rig = arg;
	struct handle h[2] = {objects[0].handle, objects[0].handle};

	pool_free(rig->pool, h, 2);
}

static void test_freed_handle(void **state UNUSED)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	struct pool_rig rig;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 2, 0, 500), 2);
	assert_true(dies_saying(free_twice, &rig, "slots_is_used"));
	free_objects(&rig, 0, 1);
	assert_int_equal(
		pool_read_begin(rig.pool, objects[0].handle, scratch, &view),
		-EIO);
	assert_intact(&rig, 1, 2);
	pool_rig_down(&rig);
}

/* Bytes of an object that look like an object. */
static void test_forged_object_inside_another(void **state UNUSED)
{
	uint64_t forged[100] = {0};
	char scratch[POOL_OBJECT_MAX];
	uint32_t n_bytes = sizeof(forged);
	struct pool_view view;
	struct pool_rig rig;
	struct handle h;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(pool_alloc(rig.pool, 0, &n_bytes, 1, &h), 0);
	assert_int_equal(h.value, 1);
	/* At offset 16 of the pool; the bytes begin at 8. */
	forged[1] = header_make(16, 64, 7);
	pool_write(rig.pool, h, 0, forged, n_bytes);
	h.value = 2;
	assert_int_equal(pool_read_begin(rig.pool, h, scratch, &view), -EIO);
	pool_scan_begin(rig.pool);
	assert_int_equal(pool_mark(rig.pool, h), -EIO);
	pool_scan_end(rig.pool);
	pool_rig_down(&rig);
}

static void test_check_sees(void **state UNUSED)
{
	struct span_pool *sp;
	struct pool_rig rig;
	struct span *span;
	struct shard *sh;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_int_equal(make_objects(&rig, 0, 300, 0, 1000), 300);
	sp = (struct span_pool *)rig.pool;
	span = span_at(sp, 1);
	sh = &sp->shards[0];
#define ASSERT_SEEN(change, undo)                                              \
	do {                                                                   \
		change;                                                        \
		assert_int_equal(pool_check(rig.pool), -EUCLEAN);              \
		undo;                                                          \
		assert_int_equal(pool_check(rig.pool), 0);                     \
	} while (0)
	ASSERT_SEEN(span->used--, span->used++);
	ASSERT_SEEN(span->used_bits[0] ^= 1, span->used_bits[0] ^= 1);
	ASSERT_SEEN(span->ready ^= 1, span->ready ^= 1);
	ASSERT_SEEN(span->ready ^= UINT64_C(1) << 63, span->ready ^= UINT64_C(1)
								     << 63);
	ASSERT_SEEN(span->ready_free++, span->ready_free--);
	ASSERT_SEEN(span->lowest_free++, span->lowest_free--);
	ASSERT_SEEN(sh->stats.objects++, sh->stats.objects--);
	ASSERT_SEEN(sh->stats.object_bytes++, sh->stats.object_bytes--);
	ASSERT_SEEN(sh->stats.slot_bytes++, sh->stats.slot_bytes--);
	ASSERT_SEEN(sh->stats.spans++, sh->stats.spans--);
	ASSERT_SEEN(sh->held_pages++, sh->held_pages--);
	ASSERT_SEEN(sh->groups[5] |= 1, sh->groups[5] &= (uint16_t)~1);
	ASSERT_SEEN(sp->words[1]++, sp->words[1]--);
	ASSERT_SEEN(sp->words[0] = 0, sp->words[0] = sp->words[1]);
	ASSERT_SEEN(*(uint64_t *)(void *)sp->in_use.base ^= 1,
		    *(uint64_t *)(void *)sp->in_use.base ^= 1);
	ASSERT_SEEN(*header_of(&rig, objects[5].handle) ^= 1,
		    *(uint64_t *)(void *)(sp->memory +
					  (objects[5].handle.value - 1) * 16) ^=
		    1);
#undef ASSERT_SEEN
	pool_rig_down(&rig);
}

static void test_no_heap_calls(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t before;

	pool_rig_up(&rig, GIB, 32 * MIB, 2);
	before = heap_calls();
	make_objects(&rig, 0, 40000, 0, 0);
	assert_intact(&rig, 0, 1000);
	free_objects(&rig, 0, 1000);
	assert_int_equal(heap_calls(), before);
	pool_rig_down(&rig);
}

/* What the kernel keeps for a span is paid for with its first page, and given
 * back with its last; the second span's private record is there already. */
static void test_kernel_share(void **state UNUSED)
{
	struct pool_rig rig;
	uint64_t one, two;

	pool_rig_up(&rig, GIB, 32 * MIB, 1);
	assert_int_equal(pool_object_make(rig.pool, 0, 100, 1, &objects[0]), 0);
	one = budget_used(&rig.budget);
	assert_int_equal(pool_object_make(rig.pool, 0, 1000, 2, &objects[1]),
			 0);
	two = budget_used(&rig.budget);
	assert_int_equal(two, one + PAGE_BYTES + SPAN_KERNEL_BYTES);
	/* Counted anew it is the same. */
	pool_scan_begin(rig.pool);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pool_mark(rig.pool, objects[i].handle), 0);
	pool_scan_end(rig.pool);
	assert_int_equal(budget_used(&rig.budget), two);
	/* One empty span is kept for the next object. */
	free_objects(&rig, 0, 2);
	assert_int_equal(stats_of(&rig).spans, 1);
	assert_int_equal(budget_used(&rig.budget), one);
	pool_rig_down(&rig);
}

static int attempt_new(void *arg)
{
	struct pool_rig *rig = arg;
	uint64_t used = budget_used(&rig->budget);
	struct pool *pool = NULL;
	int r = span_pool_new(rig->arena, &pool);

	if (r == 0) {
		assert_int_equal(pool_check(pool), 0);
		pool_free_all(pool);
	} else {
		assert_null(pool);
	}
	assert_int_equal(budget_used(&rig->budget), used);
	return r;
}

static void test_new_survives_faults(void **state UNUSED)
{
	struct pool_rig rig;
	struct pool *pool = NULL;
	uint64_t used;

	pool_rig_up(&rig, 64 * MIB, 64 * MIB, 1);
	assert_true(fault_each_alloc(attempt_new, &rig) >= 2);
	/* No budget for the shards. */
	used = budget_used(&rig.budget);
	budget_set_limit(&rig.budget, used + BUDGET_RESERVE_BYTES + 100);
	assert_int_equal(span_pool_new(rig.arena, &pool), -ENOSPC);
	assert_null(pool);
	assert_int_equal(budget_used(&rig.budget), used);
	pool_rig_down(&rig);
}

static void test_storm(void **state UNUSED)
{
	struct pool_rig rig;

	pool_rig_up(&rig, GIB, GIB, 3);
	assert_int_equal(pool_storm(rig.pool, 4, 15000), 0);
	assert_int_equal(pool_check(rig.pool), 0);
	assert_int_equal(stats_of(&rig).objects, 0);
	assert_true(stats_of(&rig).held_bytes <=
		    3 * KEPT_PAGES_MAX * PAGE_BYTES);
	pool_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_batch_is_all_or_none),
		cmocka_unit_test(test_any_handle_value),
		cmocka_unit_test(test_wrecked_header_is_eio),
		cmocka_unit_test(test_wrecked_span_word_is_eio),
		cmocka_unit_test(test_freed_handle),
		cmocka_unit_test(test_forged_object_inside_another),
		cmocka_unit_test(test_check_sees),
		cmocka_unit_test(test_no_heap_calls),
		cmocka_unit_test(test_kernel_share),
		cmocka_unit_test(test_new_survives_faults),
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
