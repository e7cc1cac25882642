/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the life of a stream and of a change of codec, by the
 * window that could go wrong.
 */
#include "base/clock.h"
#include "base/tally.h"
#include "stream-rig.h"
#include <errno.h>
#include <stdlib.h>

/* --- no memory for a second context hurts only who wanted it --- */

static void test_second_context_enomem(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	uint64_t held;
	int set;
	size_t n;

	up(f, 0);
	held = stats(f, 0).held_bytes;
	s = stream_get(f->streams, 0);
	heap_fail_nth(1);
	assert_int_equal(stream_prepare_second(s, &zstd_12), -ENOMEM);
	assert_true(heap_fault_hit());
	heap_fail_nth(0);
	assert_int_equal(stats(f, 0).held_bytes, held);
	assert_true(pack(f, s, sets_current(f->sets), s->out[0]) > 0);
	/* With memory both work side by side. */
	assert_int_equal(stream_prepare_second(s, &zstd_12), 0);
	set = sets_enter_with(f->sets, s->row, &zstd_12);
	assert_true(set > 0);
	n = pack(f, s, (unsigned)set, s->out[0]);
	assert_true(n > 0 && n < pack(f, s, sets_current(f->sets), s->out[1]));
	sets_leave(f->sets, s->row);
	stream_drop_second(s);
	assert_int_equal(stats(f, 0).held_bytes, held);
	stream_put(f->streams, s);
}

/* --- up after down --- */

static void test_up_and_down_keep_one_stream(void **state)
{
	struct fixture *f = *state;
	uint64_t held, arena;

	up(f, 6);
	held = stats(f, 6).held_bytes;
	arena = stats(f, 6).arena_bytes;
	assert_true(held >= stream_bytes(&lz4_1));
	assert_true(arena >= held);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t before = heap_calls();

		stream_down(f->streams, 6);
		up(f, 6);
		assert_true(heap_calls() == before);
	}
	up(f, 6); /* up twice is up */
	assert_int_equal(stats(f, 6).built, 1);
	assert_int_equal(stats(f, 6).held_bytes, held);
	assert_int_equal(stats(f, 6).arena_bytes, arena);
	assert_works(f, 6);
}

/* The other end: all goes and comes, and memory is as before. */
static void test_eager_gives_all_back(void **state)
{
	struct fixture *f = *state;
	size_t before = 0;

	streams_set_retire(f->streams, RETIRE_EAGER, 0);
	for (unsigned i = 0; i < 400; i++) {
		up(f, 6);
		stream_down(f->streams, 6);
		assert_int_equal(stats(f, 6).held_bytes, 0);
		assert_int_equal(stats(f, 6).arena_bytes, 0);
		if (i == 20)
			before = heap_resident_bytes();
	}
	assert_int_equal(stats(f, 6).built, 400);
	/* 380 streams more would be 100 MiB; slack for the allocator's own. */
	assert_true(heap_resident_bytes() <= before + 8 * MIB);
}

/* What only batches use is there after one, and not when the stream has rested;
 * and what is in it then works. */
static void test_rested_works_as_before(void **state)
{
	struct fixture *f = *state;
	uint64_t held;
	struct stream *s;

	up(f, 3);
	held = stats(f, 3).held_bytes;
	s = stream_get(f->streams, 3);
	for (unsigned i = 0; i < STREAM_BATCH; i++)
		memset(s->out[i], 1, STREAM_SLOT_BYTES);
	stream_put(f->streams, s);
	for (unsigned i = 0; i < 2; i++) {
#if !SANITIZED
		uint64_t absent = streams_absent_bytes(f->streams);
#endif
		s = stream_get(f->streams, 3);
		stream_rest(s);
		stream_put(f->streams, s);
#if !SANITIZED
		if (i == 0)
			assert_true(streams_absent_bytes(f->streams) >=
				    absent + 30 * STREAM_SLOT_BYTES);
#endif
		assert_works(f, 3);
	}
	assert_int_equal(stats(f, 3).held_bytes, held);
}

static void test_idle_goes_when_its_time_is_over(void **state)
{
	struct fixture *f = *state;
	uint64_t before_ns = clock_ns(), after_ns;
	unsigned seconds;

	streams_set_retire(f->streams, RETIRE_IDLE, 1000);
	assert_int_equal(streams_retire(f->streams, &seconds), RETIRE_IDLE);
	assert_int_equal(seconds, 1000);
	up(f, 1);
	up(f, 2);
	stream_down(f->streams, 1);
	after_ns = clock_ns();
	streams_reap(f->streams, before_ns + 999 * NS_PER_S);
	assert_true(stats(f, 1).held_bytes > 0);
	streams_reap(f->streams, after_ns + 1000 * NS_PER_S);
	assert_int_equal(stats(f, 1).held_bytes, 0);
	/* The one in service stays however long. */
	assert_works(f, 2);
	/* Kept ones go when the policy becomes eager, and under pool stay. */
	streams_set_retire(f->streams, RETIRE_POOL, 0);
	up(f, 1);
	stream_down(f->streams, 1);
	streams_reap(f->streams, UINT64_MAX / 2);
	assert_true(stats(f, 1).held_bytes > 0);
	streams_set_retire(f->streams, RETIRE_EAGER, 0);
	assert_int_equal(stats(f, 1).held_bytes, 0);
}

/* --- every allocation of up and of a change fails once --- */

static void test_up_fails_at_every_step(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	change_codec(f, &zstd_1); /* so that both shared contexts are made */
	for (n = 1;; n++) {
		int r;

		heap_fail_nth(n);
		r = stream_up(f->streams, 5);
		if (!heap_fault_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(stats(f, 5).held_bytes, 0);
		assert_int_equal(stats(f, 5).arena_bytes, 0);
		assert_false(stats(f, 5).up);
		assert_null(stream_try(f->streams, 5));
	}
	heap_fail_nth(0);
	/* Arena, block, decoder, two contexts. */
	assert_int_equal(n, 6);
	assert_true(stats(f, 5).up);
	assert_works(f, 5);
}

static void test_change_fails_at_every_step(void **state)
{
	struct fixture *f = *state;
	uint64_t held;
	unsigned n;

	for (unsigned i = 0; i < 3; i++)
		up(f, i);
	stream_down(f->streams, 1); /* kept: needs the context as well */
	held = stats(f, 0).held_bytes;
	for (n = 1;; n++) {
		int r;

		heap_fail_nth(n);
		r = streams_prepare(f->streams, &zstd_12);
		if (!heap_fault_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(stats(f, i).held_bytes, held);
		assert_works(f, 2);
	}
	heap_fail_nth(0);
	assert_int_equal(n, 4);
	change_codec(f, &zstd_12);
	up(f, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_works(f, i);
	assert_int_equal(stats(f, 1).unprepared, 0);
}

/* --- change of codec --- */

static void test_old_objects_decode_with_theirs(void **state)
{
	const struct codec_params *all[] = {&lz4_1, &zstd_1, &lz4hc_9, &none,
					    &zstd_12};
	struct fixture *f = *state;
	char kept[ARRAY_SIZE(all)][STREAM_SLOT_BYTES];
	unsigned sets[ARRAY_SIZE(all)];
	size_t bytes[ARRAY_SIZE(all)];
	struct stream *s;

	up(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		change_codec(f, all[i]);
		up(f, i + 1); /* comes up after the change */
		s = stream_get(f->streams, i + 1);
		sets[i] = sets_enter(f->sets, s->row);
		bytes[i] = pack(f, s, sets[i], kept[i]);
		assert_int_equal(bytes[i] == 0, all[i] == &none);
		sets_count(f->sets, s->row, sets[i], 1);
		sets_leave(f->sets, s->row);
		stream_put(f->streams, s);
	}
	assert_int_equal(sets_sweep(f->sets), 0);
	s = stream_get(f->streams, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		if (bytes[i] == 0)
			continue;
		assert_int_equal(stream_decompress(s, sets[i], kept[i],
						   bytes[i], s->page,
						   PAGE_BYTES),
				 0);
		assert_memory_equal(s->page, f->page, PAGE_BYTES);
	}
	stream_put(f->streams, s);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		sets_count(f->sets, TALLY_SHARED_ROW, sets[i], -1);
	assert_int_equal(sets_sweep(f->sets), 3); /* not none, not current */
	for (unsigned i = 0; i <= ARRAY_SIZE(all); i++)
		assert_int_equal(stats(f, i).unprepared, 0);
}

/* A store that entered before the change still finds its codec. */
static void test_context_of_last_set_stays(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	unsigned set;

	up(f, 0);
	s = stream_get(f->streams, 0);
	set = sets_enter(f->sets, s->row);
	stream_put(f->streams, s);
	change_codec(f, &zstd_1);
	s = stream_get(f->streams, 0);
	assert_true(pack(f, s, set, s->out[0]) > 0);
	stream_put(f->streams, s);
	/* Two changes later it is gone: stored raw, counted, not lost. */
	change_codec(f, &lz4hc_9);
	s = stream_get(f->streams, 0);
	assert_int_equal(pack(f, s, set, s->out[0]), 0);
	assert_int_equal(stats(f, 0).unprepared, 1);
	sets_leave(f->sets, s->row);
	stream_put(f->streams, s);
}

/* Coming and going between many levels leaves two contexts, not many. */
static void test_contexts_do_not_pile_up(void **state)
{
	struct fixture *f = *state;
	size_t limit =
		stream_bytes(&zstd_12) + codec_ops(CODEC_ZSTD)->ctx_bytes(12);

	up(f, 0);
	for (int l = -7; l <= 12; l++) {
		change_codec(f, &(struct codec_params){CODEC_ZSTD, l});
		assert_true(stats(f, 0).held_bytes <= limit);
		assert_works(f, 0);
	}
	assert_int_equal(
		streams_prepare(f->streams,
				&(struct codec_params){CODEC_ZSTD, 99}),
		-EINVAL);
}

static void test_stream_compress_saves_a_16th_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	unsigned set = sets_current(f->sets);
	char noise[PAGE_BYTES];

	srandom(1);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		noise[i] = (char)random();
	up(f, 0);
	s = stream_get(f->streams, 0);
	/* From all noise to all pattern, somewhere it begins to be worth it. */
	for (unsigned k = 0; k <= PAGE_BYTES; k += 16) {
		size_t n;

		memset(noise, 1, k);
		n = stream_compress(s, set, noise, PAGE_BYTES, s->out[0]);
		assert_true(n <= PAGE_BYTES - PAGE_BYTES / 16);
		if (k < PAGE_BYTES / 16 || k > PAGE_BYTES / 2)
			assert_int_equal(n == 0, k < PAGE_BYTES / 16);
	}
	for (size_t n = 1; n < 64; n++) {
		size_t packed = stream_compress(s, set, noise, n, s->out[0]);

		assert_true(packed < n);
	}
	stream_put(f->streams, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_second_context_enomem),
		TEST(test_up_and_down_keep_one_stream),
		TEST(test_eager_gives_all_back),
		TEST(test_rested_works_as_before),
		TEST(test_idle_goes_when_its_time_is_over),
		TEST(test_up_fails_at_every_step),
		TEST(test_change_fails_at_every_step),
		TEST(test_old_objects_decode_with_theirs),
		TEST(test_context_of_last_set_stays),
		TEST(test_contexts_do_not_pile_up),
		TEST(test_stream_compress_saves_a_16th_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
