/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sweeps over the files of a tree, which go and come while their pages are on
 * the way to disk: no page of a dead file stays anywhere, and none of another
 * one's gets into a new file of that number.
 */
#include "base/page.h"
#include "store/spill.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES 20u

static struct world {
	struct tree_rig rig;
	struct backing *backing;
	uint64_t node[FILES];
	enum spill_window window;
	unsigned victims; /* still to be taken away, from file 0 on */
	bool again;       /* and made anew */
} world;

static const struct spill_pick all = {
	.end_page = UINT64_MAX,
	.budget_bytes = UINT64_MAX,
};

static void name_of(unsigned i, char *name)
{
	snprintf(name, 16, "f%u", i);
}

/* Whose it is shows in nearly each byte. */
static char byte_of(char letter, unsigned at)
{
	return at % 7 ? letter : (char)('a' + at % 23);
}

static void make_file(struct world *w, unsigned i, char letter)
{
	char name[16], text[600];

	for (unsigned at = 0; at < sizeof(text); at++)
		text[at] = byte_of(letter, at);
	name_of(i, name);
	w->node[i] = rig_make(&w->rig, TREE_ROOT, name, S_IFREG | 0644);
	rig_write(&w->rig, w->node[i], text, sizeof(text));
}

static void unmake_file(struct world *w, unsigned i)
{
	char name[16];

	name_of(i, name);
	assert_int_equal(tree_unlink(w->rig.tree, &w->rig.who, TREE_ROOT, name),
			 0);
	tree_forget(w->rig.tree, 0, w->node[i], 1);
	w->node[i] = 0;
}

static void assert_is(struct world *w, unsigned i, char letter)
{
	char text[600];
	struct file file;
	size_t n;

	assert_int_equal(tree_file(w->rig.tree, w->node[i], &file), 0);
	assert_int_equal(store_read(w->rig.store, w->rig.who.stream, file, 0,
				    text, sizeof(text), &n),
			 0);
	assert_int_equal(n, sizeof(text));
	for (unsigned at = 0; at < sizeof(text); at++)
		assert_int_equal(text[at], byte_of(letter, at));
}

static int setup(void **state)
{
	struct world *w = &world;
	char path[] = "/tmp/tree-spill-XXXXXX", why[200];
	struct backing_config config = {.path = path};
	int fd = mkstemp(path);

	memset(w, 0, sizeof(*w));
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(tree_rig_new(&w->rig, 256 * MIB, 0), 0);
	assert_int_equal(backing_new(w->rig.arena, &store_backing_ops,
				     w->rig.store, &w->backing),
			 0);
	assert_int_equal(backing_open(w->backing, &config, why, sizeof(why)),
			 0);
	unlink(path);
	store_use_backing(w->rig.store, w->backing);
	assert_int_equal(store_spill_prepare(w->rig.store), 0);
	for (unsigned i = 0; i < FILES; i++)
		make_file(w, i, 'x');
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct backing_stats stats;

	atomic_store(&spill_hook, NULL);
	for (unsigned i = 0; i < FILES; i++)
		if (w->node[i])
			unmake_file(w, i);
	rig_check(&w->rig);
	assert_int_equal(store_pages_held(w->rig.store), 0);
	backing_stats(w->backing, &stats);
	assert_int_equal(stats.extents, 0);
	assert_int_equal(backing_close(w->backing), 0);
	tree_rig_free(&w->rig);
	backing_free_all(w->backing);
	return 0;
}

static bool with(void *arg, uint32_t ix,
		 void (*call)(void *call_arg, struct file file), void *call_arg)
{
	struct world *w = arg;

	return tree_with_file(w->rig.tree, TALLY_SHARED_ROW, ix, call,
			      call_arg);
}

static bool sweep_file(void *arg, struct file file)
{
	struct world *w = arg;

	return store_spill_body(w->rig.store, file);
}

static struct spill_result sweep(struct world *w)
{
	struct spill_files files = {with, w};
	struct spill_result result;

	assert_int_equal(store_spill_begin(w->rig.store, &all, &files), 0);
	tree_each_file(w->rig.tree, TALLY_SHARED_ROW, sweep_file, w);
	store_spill_end(w->rig.store, &result);
	return result;
}

static void take_away(enum spill_window window)
{
	struct world *w = &world;

	if (window != w->window || !w->victims)
		return;
	while (w->victims) {
		unsigned i = --w->victims;

		unmake_file(w, i);
		if (w->again)
			make_file(w, i, 'y');
	}
}

static void files_go(struct world *w, enum spill_window window, bool again)
{
	struct spill_result result;

	w->window = window;
	w->victims = FILES / 2;
	w->again = again;
	atomic_store(&spill_hook, take_away);
	result = sweep(w);
	atomic_store(&spill_hook, NULL);
	assert_int_equal(w->victims, 0);
	assert_int_equal(result.err + (int)result.failed, 0);
	for (unsigned i = 0; i < FILES; i++)
		if (w->node[i])
			assert_is(w, i, i < FILES / 2 ? 'y' : 'x');
}

static void test_small_files_share_a_chunk(void **state)
{
	struct world *w = *state;
	struct backing_stats stats;

	assert_int_equal(sweep(w).pages, FILES);
	backing_stats(w->backing, &stats);
	assert_int_equal(stats.extents, FILES);
	assert_int_equal(stats.writes, 1);
	for (unsigned i = 0; i < FILES; i++)
		assert_is(w, i, 'x');
}

static void test_gone_when_claimed(void **state)
{
	files_go(*state, SPILL_CLAIMED, false);
}

static void test_gone_when_put(void **state)
{
	files_go(*state, SPILL_PUT, false);
}

static void test_gone_when_written(void **state)
{
	files_go(*state, SPILL_DONE, false);
}

/* Under the pin: whoever lets go of it last frees what was committed. */
static void test_gone_when_found(void **state)
{
	files_go(*state, SPILL_COMMIT, false);
}

static void test_another_of_its_number(void **state)
{
	files_go(*state, SPILL_PUT, true);
}

static void test_another_when_written(void **state)
{
	files_go(*state, SPILL_DONE, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_small_files_share_a_chunk),
		TEST(test_gone_when_claimed),
		TEST(test_gone_when_put),
		TEST(test_gone_when_written),
		TEST(test_gone_when_found),
		TEST(test_another_of_its_number),
		TEST(test_another_when_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
