/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rebuild: after a life that was killed in the middle of a call, and after
 * words of the map turned into what cannot be.
 */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 300u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

struct world {
	struct store_rig rig;
	struct content random;
	unsigned char *model, *wanted, *buf;
	uint64_t size;
};

static int up(void **state)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN};
	struct world *w = calloc(1, sizeof(*w));

	store_rig_up(&w->rig, &options);
	w->random.state = 5;
	w->model = calloc(1, BYTES);
	w->wanted = malloc(BYTES);
	w->buf = malloc(BYTES);
	*state = w;
	return 0;
}

static int down(void **state)
{
	struct world *w = *state;

	store_rig_down(&w->rig);
	free(w->model);
	free(w->wanted);
	free(w->buf);
	free(w);
	return 0;
}

static void put(struct world *w, unsigned file, uint64_t offset,
		const void *buf, size_t n)
{
	size_t done = 0;

	assert_int_equal(store_write(w->rig.store, w->rig.stream,
				     store_rig_file(&w->rig, file), offset, buf,
				     n, &done),
			 0);
	assert_int_equal(done, n);
}

static int get(struct world *w, unsigned file, uint64_t offset, void *buf,
	       size_t n)
{
	size_t done = 0;
	int err = store_read(w->rig.store, w->rig.stream,
			     store_rig_file(&w->rig, file), offset, buf, n,
			     &done);

	if (!err)
		assert_int_equal(done, n);
	return err;
}

static void make_model(struct world *w)
{
	for (unsigned i = 0; i < PAGES; i++)
		content_make(&w->random, CONTENT_MIXED,
			     w->model + i * PAGE_BYTES, PAGE_BYTES);
}

static struct body *body(struct world *w, unsigned file)
{
	return store_rig_file(&w->rig, file).body;
}

/* --- killed --- */

struct call {
	enum { CALL_WRITE, CALL_CUT, CALL_PUNCH, CALL_ZERO, CALL_NR } what;
	uint64_t from, n;
};

static void do_call(struct world *w, const struct call *call)
{
	struct file file = store_rig_file(&w->rig, 0);
	struct store *store = w->rig.store;
	size_t done;
	int err = 0;

	switch (call->what) {
	case CALL_WRITE:
		err = store_write(store, w->rig.stream, file, call->from,
				  w->wanted + call->from, call->n, &done);
		break;
	case CALL_CUT:
		err = store_truncate(store, w->rig.stream, file, call->from);
		break;
	case CALL_PUNCH:
		err = store_punch(store, w->rig.stream, file, call->from,
				  call->n);
		break;
	default:
		err = store_zero(store, w->rig.stream, file, call->from,
				 call->n, false);
	}
	_exit(err ? 1 : 0);
}

/* What the file reads as when the call has been done. */
static uint64_t make_wanted(struct world *w, const struct call *call)
{
	uint64_t end = call->from + call->n;

	memcpy(w->wanted, w->model, BYTES);
	if (call->what == CALL_WRITE)
		content_make_any(&w->random, w->wanted + call->from, call->n);
	else if (call->what == CALL_CUT)
		memset(w->wanted + call->from, 0, BYTES - call->from);
	else
		memset(w->wanted + call->from, 0, call->n);
	if (call->what == CALL_CUT)
		return call->from;
	return call->what != CALL_PUNCH && end > w->size ? end : w->size;
}

/* Run the call in a child of its own and kill it at some moment. */
static void do_call_and_die(struct world *w, const struct call *call)
{
	struct timespec moment = {0, (long)content_below(&w->random, 1500000)};
	pid_t child;
	int status;

	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		do_call(w, call);
	/* Too early and too late are moments, too: nothing waits for this. */
	nanosleep(&moment, NULL);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

/* Each page is as before or as wanted; then it is the model. */
static void settle(struct world *w, uint64_t wanted_size)
{
	uint64_t size = atomic_load(&body(w, 0)->size);
	uint64_t low = w->size < wanted_size ? w->size : wanted_size;
	uint64_t high = w->size < wanted_size ? wanted_size : w->size;

	assert_true(size >= low && size <= high);
	/* Growing shows what is behind the end: it must be zeroes. */
	assert_int_equal(store_truncate(w->rig.store, w->rig.stream,
					store_rig_file(&w->rig, 0), BYTES),
			 0);
	assert_int_equal(get(w, 0, 0, w->buf, BYTES), 0);
	for (uint64_t at = size; at < BYTES; at++)
		assert_int_equal(w->buf[at], 0);
	for (unsigned i = 0; i < PAGES && i * PAGE_BYTES < size; i++) {
		size_t at = i * PAGE_BYTES, n = size - at;

		if (n > PAGE_BYTES)
			n = PAGE_BYTES;
		if (memcmp(w->buf + at, w->model + at, n) != 0)
			assert_memory_equal(w->buf + at, w->wanted + at, n);
	}
	assert_int_equal(store_truncate(w->rig.store, w->rig.stream,
					store_rig_file(&w->rig, 0), size),
			 0);
	memcpy(w->model, w->buf, BYTES);
	w->size = size;
}

static void test_killed_in_the_middle(void **state)
{
	struct world *w = *state;

	for (unsigned round = 0; round < 80; round++) {
		struct call call;
		uint64_t wanted_size;

		call.what = round % 2 ? CALL_WRITE
				      : (int)content_below(&w->random, CALL_NR);
		call.from = content_below(&w->random, BYTES - 1);
		call.n = 1 + content_below(&w->random, BYTES - call.from);
		wanted_size = make_wanted(w, &call);
		do_call_and_die(w, &call);
		assert_int_equal(store_rig_attach(&w->rig), 0);
		store_rig_check(&w->rig);
		settle(w, wanted_size);
	}
}

/* --- what a crash leaves between an entry and the size --- */

static void test_entries_beyond_the_size_go(void **state)
{
	struct world *w = *state;

	make_model(w);
	put(w, 0, 0, w->model, BYTES);
	put(w, 1, 0, w->model, 300);
	assert_int_equal(store_allocate(w->rig.store, w->rig.stream,
					store_rig_file(&w->rig, 0), BYTES,
					5 * PAGE_BYTES, true),
			 0);
	/* As if the last stores of the size had not been made. */
	atomic_store(&body(w, 0)->size, 100 * PAGE_BYTES + 10);
	atomic_store(&body(w, 1)->size, 0);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	store_rig_check(&w->rig);
	assert_int_equal(atomic_load(&body(w, 0)->pages), 101 + 5);
	assert_int_equal(atomic_load(&body(w, 1)->pages), 0);
	/* The rest of the last page is out of sight, and stays so. */
	put(w, 0, 200 * PAGE_BYTES, w->model, 10);
	memset(w->wanted, 0, BYTES);
	assert_int_equal(get(w, 0, 100 * PAGE_BYTES + 10, w->buf, PAGE_BYTES),
			 0);
	assert_memory_equal(w->buf, w->wanted, PAGE_BYTES);
	assert_int_equal(get(w, 0, 0, w->buf, 100 * PAGE_BYTES + 10), 0);
	assert_memory_equal(w->buf, w->model, 100 * PAGE_BYTES + 10);
}

/* The last unit of eight may hold bytes beyond the size, too. */
static void test_bytes_beyond_the_size_inside_a_unit(void **state)
{
	struct world *w = *state;
	char got[16];

	put(w, 0, 0, "abcdefgh", 8);
	atomic_store(&body(w, 0)->size, 3);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	assert_int_equal(store_truncate(w->rig.store, w->rig.stream,
					store_rig_file(&w->rig, 0), 16),
			 0);
	assert_int_equal(get(w, 0, 0, got, 16), 0);
	assert_memory_equal(got, "abc\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

/* --- words that cannot be --- */

static _Atomic uint64_t *slot(struct world *w, unsigned file, uint64_t page)
{
	unsigned n;
	_Atomic uint64_t *slots =
		map_slots(w->rig.arena, body(w, file), page, &n);

	assert_non_null(slots);
	return slots;
}

/* The page reads as EIO, the others as they were. */
static void assert_lost(struct world *w, unsigned file, uint64_t first,
			uint64_t end)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		int err = get(w, file, page * PAGE_BYTES, w->buf, PAGE_BYTES);

		assert_int_equal(err, page >= first && page < end ? -EIO : 0);
		if (!err)
			assert_memory_equal(w->buf,
					    w->model + page * PAGE_BYTES,
					    PAGE_BYTES);
	}
}

static void test_bad_entries(void **state)
{
	static const uint64_t words[] = {
		6,                               /* no such kind */
		7,                               /* a node as an entry */
		3 | UINT64_C(77777) << 24,       /* no object there */
		2 | UINT64_C(999) << 24,         /* no such record */
		2 | UINT64_C(0xfffffffff) << 24, /* nor can there be one */
	};
	struct world *w = *state;

	make_model(w);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		put(w, 0, 0, w->model, BYTES);
		atomic_store(slot(w, 0, 77), words[i]);
		assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
		store_rig_check(&w->rig);
		assert_lost(w, 0, 77, 78);
		assert_int_equal(atomic_load(&body(w, 0)->pages), PAGES - 1);
		/* It stays lost over the next life, without a new alarm. */
		assert_int_equal(store_rig_attach(&w->rig), 0);
		assert_lost(w, 0, 77, 78);
	}
	/* Writing it whole makes it a page again. */
	put(w, 0, 77 * PAGE_BYTES, w->model + 77 * PAGE_BYTES, PAGE_BYTES);
	assert_lost(w, 0, 0, 0);
	store_rig_check(&w->rig);
}

static void test_one_object_in_two_entries(void **state)
{
	struct world *w = *state;

	make_model(w);
	put(w, 0, 0, w->model, BYTES);
	put(w, 1, 0, w->model, BYTES);
	atomic_store(slot(w, 1, 3), atomic_load(slot(w, 0, 9)));
	assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
	store_rig_check(&w->rig);
	assert_lost(w, 0, 0, 0);
	assert_lost(w, 1, 3, 4);
}

static void test_one_node_in_two_files(void **state)
{
	struct world *w = *state;

	make_model(w);
	put(w, 0, 0, w->model, BYTES);
	put(w, 1, 0, w->model, BYTES);
	/* Pages 64 to 127 of file 1 are file 0's. */
	atomic_store(&node_at(w->rig.arena,
			      root_ix(atomic_load(&body(w, 1)->root)), 2)[1],
		     atomic_load(&node_at(
			     w->rig.arena,
			     root_ix(atomic_load(&body(w, 0)->root)), 2)[1]));
	assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
	store_rig_check(&w->rig);
	assert_lost(w, 0, 0, 0);
	assert_lost(w, 1, 64, 128);
	/* Writing one page of it leaves the others lost. */
	put(w, 1, 70 * PAGE_BYTES, w->model + 70 * PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(get(w, 1, 70 * PAGE_BYTES, w->buf, PAGE_BYTES), 0);
	assert_int_equal(get(w, 1, 71 * PAGE_BYTES, w->buf, PAGE_BYTES), -EIO);
	store_rig_check(&w->rig);
	/* A cut of all of it gets rid of it. */
	assert_int_equal(store_punch(w->rig.store, w->rig.stream,
				     store_rig_file(&w->rig, 1),
				     64 * PAGE_BYTES, 64 * PAGE_BYTES),
			 0);
	assert_int_equal(get(w, 1, 0, w->buf, BYTES), 0);
}

static void test_bad_roots(void **state)
{
	static const uint64_t roots[] = {
		7,                                /* the node that is none */
		7 | UINT64_C(5) << 56,            /* of height 5 */
		7 | UINT64_C(0xff00000001) << 24, /* far too high */
		7 | UINT64_C(0x0200012345) << 24, /* no such record */
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		make_model(w);
		put(w, 0, 0, w->model, BYTES);
		atomic_store(&body(w, 0)->root, roots[i]);
		assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
		store_rig_check(&w->rig);
		assert_int_equal(get(w, 0, 0, w->buf, PAGE_BYTES), -EIO);
		put(w, 0, 0, w->model, PAGE_BYTES);
		assert_int_equal(get(w, 0, 0, w->buf, PAGE_BYTES), 0);
		store_rig_check(&w->rig);
		store_discard(w->rig.store, 0, store_rig_file(&w->rig, 0));
	}
}

static void test_size_that_cannot_be(void **state)
{
	struct world *w = *state;

	put(w, 0, 0, "abc", 3);
	atomic_store(&body(w, 0)->size, UINT64_MAX);
	assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
	assert_int_equal(atomic_load(&body(w, 0)->size), FILE_MAX_BYTES);
	assert_int_equal(get(w, 0, 0, w->buf, 3), 0);
	assert_memory_equal(w->buf, "abc", 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_killed_in_the_middle),
		TEST(test_entries_beyond_the_size_go),
		TEST(test_bytes_beyond_the_size_inside_a_unit),
		TEST(test_bad_entries),
		TEST(test_one_object_in_two_entries),
		TEST(test_one_node_in_two_files),
		TEST(test_bad_roots),
		TEST(test_size_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
