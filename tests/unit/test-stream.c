/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of picking and holding streams, by the window that could go wrong.
 */
#include "base/clock.h"
#include "stream-rig.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>

static void test_stream_none_up_gives_null(void **state)
{
	struct fixture *f = *state;

	assert_null(stream_get(f->streams, 0));
	assert_null(stream_try(f->streams, 63));
	up(f, 7);
	assert_works(f, 0);
	stream_down(f->streams, 7);
	/* Kept, and yet not to be had. */
	assert_true(stats(f, 7).held_bytes > 0);
	assert_null(stream_get(f->streams, 7));
	assert_null(stream_try(f->streams, 7));
}

static void test_stream_buffers_are_apart_and_aligned(void **state)
{
	struct fixture *f = *state;
	struct stream *s;

	up(f, 3);
	s = stream_get(f->streams, 3);
	assert_int_equal(s->slot, 3);
	assert_int_equal(s->row, 3);
	for (unsigned i = 0; i < STREAM_BATCH; i++) {
		assert_int_equal((uintptr_t)s->out[i] % CODEC_ALIGN, 0);
		memset(s->out[i], (int)i, STREAM_SLOT_BYTES);
	}
	memset(s->page, 100, PAGE_BYTES);
	memset(s->scratch, 101, STREAM_SLOT_BYTES);
	for (unsigned i = 0; i < STREAM_BATCH; i++)
		for (unsigned k = 0; k < STREAM_SLOT_BYTES; k++)
			assert_int_equal(s->out[i][k], i);
	stream_put(f->streams, s);
	assert_works(f, 3);
}

static void test_stream_get_prefers_its_hint(void **state)
{
	struct fixture *f = *state;

	up(f, 2);
	up(f, 5);
	for (unsigned hint = 0; hint < 2 * STREAMS_MAX; hint++) {
		struct stream *s = stream_get(f->streams, hint);
		unsigned h = hint % STREAMS_MAX;

		assert_int_equal(s->slot, h > 2 && h <= 5 ? 5 : 2);
		stream_put(f->streams, s);
	}
	/* Looking elsewhere for a slot that is down is no empty find. */
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		assert_int_equal(stats(f, i).found_empty, 0);
}

/* --- the window between pick and lock --- */

static struct {
	struct streams *streams;
	unsigned retire; /* this slot, the first time it is picked */
	unsigned bring;  /* and bring this one up, unless it is the same */
	unsigned picks;
} race;

static void retire_when_picked(unsigned slot)
{
	race.picks++;
	if (slot != race.retire)
		return;
	race.retire = STREAMS_MAX;
	stream_down(race.streams, slot);
	if (race.bring != slot)
		assert_int_equal(stream_up(race.streams, race.bring), 0);
}

static void set_race(struct fixture *f, unsigned retire, unsigned bring)
{
	race.streams = f->streams;
	race.retire = retire;
	race.bring = bring;
	race.picks = 0;
	atomic_store(&stream_pick_hook, retire_when_picked);
}

static void test_retired_between_pick_and_lock(void **state)
{
	static const enum stream_retire ways[] = {RETIRE_EAGER, RETIRE_POOL,
						  RETIRE_IDLE};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		uint64_t before = stats(f, 1).found_empty;

		streams_set_retire(f->streams, ways[i], 60);
		up(f, 1);
		up(f, 2);
		set_race(f, 1, 1);
		assert_works(f, 1);
		assert_int_equal(race.picks, 2);
		assert_int_equal(stats(f, 1).found_empty, before + 1);
		assert_int_equal(stats(f, 2).found_empty, 0);
		atomic_store(&stream_pick_hook, NULL);
	}
}

/* The only slot goes and another comes: the getter ends up there. */
static void test_all_others_are_new(void **state)
{
	struct fixture *f = *state;

	streams_set_retire(f->streams, RETIRE_EAGER, 0);
	up(f, 1);
	set_race(f, 1, 40);
	assert_works(f, 1);
	assert_int_equal(stats(f, 1).found_empty, 1);
	/* And when none comes, it gives up rather than look for ever. */
	set_race(f, 40, 40);
	assert_null(stream_get(f->streams, 40));
	assert_int_equal(stats(f, 40).found_empty, 1);
}

static void test_try_looks_further(void **state)
{
	struct fixture *f = *state;
	struct stream *s;

	streams_set_retire(f->streams, RETIRE_EAGER, 0);
	up(f, 1);
	up(f, 9);
	set_race(f, 1, 1);
	s = stream_try(f->streams, 1);
	assert_int_equal(s->slot, 9);
	stream_put(f->streams, s);
	assert_int_equal(stats(f, 1).found_empty, 1);
}

/* --- removal waits for a stream in use --- */

struct remover {
	struct streams *streams;
	unsigned slot;
	_Atomic bool done;
};

static void *remover_main(void *arg)
{
	struct remover *r = arg;

	stream_down(r->streams, r->slot);
	atomic_store(&r->done, true);
	return NULL;
}

static void test_removal_waits_for_the_user(void **state)
{
	struct fixture *f = *state;
	struct remover remover = {f->streams, 4, false};
	struct stream *s;
	pthread_t thread;
	unsigned set;

	streams_set_retire(f->streams, RETIRE_EAGER, 0);
	up(f, 4);
	s = stream_get(f->streams, 4);
	set = sets_enter(f->sets, s->row);
	assert_int_equal(pthread_create(&thread, NULL, remover_main, &remover),
			 0);
	/* The remover has begun once the slot is not offered any more. */
	while (stats(f, 4).up)
		sched_yield();
	assert_null(stream_try(f->streams, 4));
	for (unsigned i = 0; i < 200; i++) {
		assert_true(pack(f, s, set, s->out[i % STREAM_BATCH]) > 0);
		assert_false(atomic_load(&remover.done));
		sched_yield();
	}
	assert_true(stats(f, 4).held_bytes > 0);
	sets_leave(f->sets, s->row);
	stream_put(f->streams, s);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&remover.done));
	assert_int_equal(stats(f, 4).held_bytes, 0);
}

/* --- no memory is asked for once a stream is up --- */

static void test_no_heap_call_after_warm_up(void **state)
{
	static const struct codec_params all[] = {
		{CODEC_LZ4, 1}, {CODEC_LZ4HC, 9}, {CODEC_ZSTD, 19}};
	struct fixture *f = *state;

	up(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		uint64_t before;

		change_codec(f, &all[i]);
		before = heap_calls();
		for (unsigned k = 0; k < 50; k++)
			assert_works(f, k);
		assert_true(heap_calls() == before);
	}
}

static void test_load_needs_no_memory(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	unsigned set;
	size_t n;

	change_codec(f, &zstd_1);
	up(f, 0);
	heap_fail_nth(1);
	s = stream_get(f->streams, 0);
	set = sets_current(f->sets);
	n = stream_compress(s, set, f->page, PAGE_BYTES, s->scratch);
	assert_true(n > 0);
	memset(s->page, 0x55, PAGE_BYTES);
	assert_int_equal(
		stream_decompress(s, set, s->scratch, n, s->page, PAGE_BYTES),
		0);
	assert_memory_equal(s->page, f->page, PAGE_BYTES);
	/* What is not there or cut is EIO, never a page of something. */
	assert_int_equal(stream_decompress(s, set, s->scratch, n - 1, s->page,
					   PAGE_BYTES),
			 -EIO);
	assert_int_equal(
		stream_decompress(s, 63, s->scratch, n, s->page, PAGE_BYTES),
		-EIO);
	stream_put(f->streams, s);
	assert_false(heap_fault_hit());
	heap_fail_nth(0);
}

/* --- users of their own slots never meet --- */

#define OWN_THREADS 4

struct user {
	struct fixture *f;
	unsigned slot;
	unsigned elsewhere;
};

static void *user_main(void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < 300; i++) {
		struct stream *s = stream_get(u->f->streams, u->slot);
		unsigned set = sets_enter(u->f->sets, s->row);

		u->elsewhere += s->slot != u->slot;
		stream_compress(s, set, u->f->page, PAGE_BYTES, s->out[0]);
		sets_leave(u->f->sets, s->row);
		stream_put(u->f->streams, s);
	}
	return NULL;
}

static void test_own_slots_no_contention(void **state)
{
	struct fixture *f = *state;
	struct user users[OWN_THREADS];
	pthread_t threads[OWN_THREADS];
	uint64_t streams_before = lock_counts(LOCK_STREAM).contended;
	uint64_t sets_before = lock_counts(LOCK_SETS).contended;

	for (unsigned i = 0; i < OWN_THREADS; i++)
		up(f, i);
	for (unsigned i = 0; i < OWN_THREADS; i++) {
		users[i] = (struct user){f, i, 0};
		assert_int_equal(
			pthread_create(&threads[i], NULL, user_main, &users[i]),
			0);
	}
	for (unsigned i = 0; i < OWN_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < OWN_THREADS; i++) {
		assert_int_equal(users[i].elsewhere, 0);
		assert_int_equal(stats(f, i).waited, 0);
		assert_int_equal(stats(f, i).found_empty, 0);
	}
	assert_int_equal(lock_counts(LOCK_STREAM).contended, streams_before);
	assert_int_equal(lock_counts(LOCK_SETS).contended, sets_before);
}

/* --- both outcomes of the try --- */

static void test_try_taken_and_refused(void **state)
{
	struct fixture *f = *state;
	struct stream *a, *b, *c;

	up(f, 1);
	up(f, 2);
	a = stream_try(f->streams, 1);
	assert_int_equal(a->slot, 1);
	/* Refused at its hint: another, at once, by both calls. */
	b = stream_try(f->streams, 1);
	assert_int_equal(b->slot, 2);
	assert_null(stream_try(f->streams, 1));
	stream_put(f->streams, b);
	c = stream_get(f->streams, 1);
	assert_int_equal(c->slot, 2);
	stream_put(f->streams, c);
	assert_int_equal(stats(f, 1).waited + stats(f, 2).waited, 0);
	/* What was taken by a try is as good as any. */
	assert_true(pack(f, a, sets_current(f->sets), a->out[0]) > 0);
	stream_put(f->streams, a);
	assert_works(f, 1);
}

static void *getter_main(void *arg)
{
	struct fixture *f = arg;

	stream_put(f->streams, stream_get(f->streams, 1));
	return NULL;
}

/* All taken: the getter blocks, is counted, and goes on after the put. */
static void test_get_waits_when_all_are_taken(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	pthread_t thread;

	up(f, 1);
	s = stream_get(f->streams, 1);
	assert_int_equal(pthread_create(&thread, NULL, getter_main, f), 0);
	while (stats(f, 1).waited == 0)
		sched_yield();
	stream_put(f->streams, s);
	pthread_join(thread, NULL);
	assert_int_equal(stats(f, 1).waited, 1);
}

static void *preparer_main(void *arg)
{
	struct fixture *f = arg;

	/* The main thread checks by using it. */
	(void)!streams_prepare(f->streams, &zstd_1);
	return NULL;
}

/*
 * A user that comes back at once must not keep a change of codec out: the
 * change waits ahead, a try goes elsewhere or away, and a get follows it.
 */
static void test_change_goes_ahead_of_getters(void **state)
{
	struct fixture *f = *state;
	struct stream *s;
	pthread_t thread;
	uint64_t held;

	up(f, 1);
	held = stats(f, 1).held_bytes;
	s = stream_get(f->streams, 1);
	assert_int_equal(pthread_create(&thread, NULL, preparer_main, f), 0);
	/* From when it waits on, no put and get can pass it any more. */
	do {
		stream_put(f->streams, s);
		s = stream_try(f->streams, 1);
	} while (s && stats(f, 1).held_bytes == held);
	if (!s)
		s = stream_get(f->streams, 1);
	assert_true(stats(f, 1).held_bytes > held);
	stream_put(f->streams, s);
	pthread_join(thread, NULL);
	change_codec(f, &zstd_1);
	assert_works(f, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stream_none_up_gives_null),
		TEST(test_stream_buffers_are_apart_and_aligned),
		TEST(test_stream_get_prefers_its_hint),
		TEST(test_retired_between_pick_and_lock),
		TEST(test_all_others_are_new),
		TEST(test_try_looks_further),
		TEST(test_removal_waits_for_the_user),
		TEST(test_no_heap_call_after_warm_up),
		TEST(test_load_needs_no_memory),
		TEST(test_own_slots_no_contention),
		TEST(test_try_taken_and_refused),
		TEST(test_get_waits_when_all_are_taken),
		TEST(test_change_goes_ahead_of_getters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
