/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations that are cut off: at every step of every kind a copy of the arena
 * is attached, and the operation must be done in it or not have been begun.
 * And replies that are asked for again.
 */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>
#include <sys/xattr.h>

/* --- crashes --- */

/* One kind of operation: @run does it; @done says what a tree looks like. */
struct kind {
	int (*run)(struct tree_rig *rig);
	/* 1: as after it, 0: as before, -1: neither. */
	int (*done)(struct tree_rig *rig);
};

#define STEPS_MOST 32

struct crash {
	struct tree_rig *rig;
	unsigned steps;
	struct tree_rig_fds fds[STEPS_MOST];
};

static uint64_t nlink_of(struct tree_rig *rig, uint64_t node)
{
	return rig_stat(rig, node).st_nlink;
}

static void at_step(void *arg)
{
	struct crash *crash = arg;

	assert_true(crash->steps < STEPS_MOST);
	crash->fds[crash->steps++] = tree_rig_snapshot(crash->rig);
}

/* With and without the files that only the kernel holds; a life after. */
static int look_at_copy(const struct kind *kind, struct tree_rig_fds fds)
{
	struct tree_rig copy;
	int done;

	assert_int_equal(tree_rig_attach(fds, &copy, true), 0);
	rig_check(&copy);
	assert_int_equal(copy.tree->dropped, 0);
	assert_int_equal(tree_rig_reattach(&copy, false), 0);
	rig_check(&copy);
	assert_int_equal(copy.tree->dropped, 0);
	assert_int_equal(atomic_load(&copy.tree->nameless), 0);
	done = kind->done(&copy);
	tree_rig_free(&copy);
	return done;
}

static void crash_everywhere(struct tree_rig *rig, const struct kind *kind)
{
	struct crash crash = {.rig = rig};
	unsigned before = 0;
	unsigned after = 0;

	rig->tree->step_arg = &crash;
	rig->tree->step = at_step;
	assert_int_equal(kind->run(rig), 0);
	rig->tree->step = NULL;
	assert_int_equal(kind->done(rig), 1);
	for (unsigned i = 0; i < crash.steps; i++) {
		int done = look_at_copy(kind, crash.fds[i]);

		if (done < 0)
			fail_msg("half done at step %u", i);
		/* What a crash left done stays done after a later one. */
		assert_false(done == 0 && after != 0);
		after += done == 1;
		before += done == 0;
		tree_rig_fds_close(crash.fds[i]);
	}
	assert_true(before >= 1);
	assert_true(after >= 2);
}

static int run_make(struct tree_rig *rig)
{
	rig_make(rig, TREE_ROOT, "new", S_IFDIR | 0755);
	return 0;
}

static int done_make(struct tree_rig *rig)
{
	uint64_t node = rig_find(rig, TREE_ROOT, "new");

	if (nlink_of(rig, TREE_ROOT) != (node ? 3u : 2u))
		return -1;
	return node != 0;
}

static void test_crash_in_make(void **state)
{
	static const struct kind kind = {run_make, done_make};

	crash_everywhere(*state, &kind);
}

static int run_unlink(struct tree_rig *rig)
{
	return tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f");
}

static int done_unlink(struct tree_rig *rig)
{
	return rig_find(rig, TREE_ROOT, "f") == 0;
}

static void test_crash_in_unlink(void **state)
{
	static const struct kind kind = {run_unlink, done_unlink};
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);

	rig_write(rig, f, "data", 4);
	tree_forget(rig->tree, 0, f, 1);
	crash_everywhere(rig, &kind);
	assert_int_equal(store_pages_held(rig->store), 0);
}

static int run_link(struct tree_rig *rig)
{
	struct tree_entry entry;

	return tree_link(rig->tree, &rig->who, rig_find(rig, TREE_ROOT, "f"),
			 TREE_ROOT, "g", &entry);
}

static int done_link(struct tree_rig *rig)
{
	uint64_t f = rig_find(rig, TREE_ROOT, "f");
	uint64_t g = rig_find(rig, TREE_ROOT, "g");

	if (f == 0 || nlink_of(rig, f) != (g ? 2u : 1u) || (g && g != f))
		return -1;
	return g != 0;
}

static void test_crash_in_link(void **state)
{
	static const struct kind kind = {run_link, done_link};
	struct tree_rig *rig = *state;

	rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	crash_everywhere(rig, &kind);
}

/* a/d moves to b/e: names, "..", link counts all at once. */
static int run_move(struct tree_rig *rig)
{
	return tree_rename(rig->tree, &rig->who, rig_find(rig, TREE_ROOT, "a"),
			   "d", rig_find(rig, TREE_ROOT, "b"), "e", 0);
}

static int done_move(struct tree_rig *rig)
{
	uint64_t a = rig_find(rig, TREE_ROOT, "a");
	uint64_t b = rig_find(rig, TREE_ROOT, "b");
	uint64_t d = rig_find(rig, a, "d");
	uint64_t e = rig_find(rig, b, "e");

	if (d && !e)
		return nlink_of(rig, a) == 3 && nlink_of(rig, b) == 2 &&
				       rig_find(rig, d, "..") == a
			       ? 0
			       : -1;
	if (!d && e)
		return nlink_of(rig, a) == 2 && nlink_of(rig, b) == 3 &&
				       rig_find(rig, e, "..") == b
			       ? 1
			       : -1;
	return -1;
}

static void test_crash_in_move(void **state)
{
	static const struct kind kind = {run_move, done_move};
	struct tree_rig *rig = *state;
	uint64_t a = rig_make(rig, TREE_ROOT, "a", S_IFDIR | 0755);

	rig_make(rig, TREE_ROOT, "b", S_IFDIR | 0755);
	rig_make(rig, a, "d", S_IFDIR | 0755);
	crash_everywhere(rig, &kind);
}

static int run_replace(struct tree_rig *rig)
{
	return tree_rename(rig->tree, &rig->who, TREE_ROOT, "new", TREE_ROOT,
			   "old", 0);
}

/* There is an "old" at every moment: either the old one or the new one. */
static int done_replace(struct tree_rig *rig)
{
	uint64_t new = rig_find(rig, TREE_ROOT, "new");
	uint64_t old = rig_find(rig, TREE_ROOT, "old");

	if (old == 0 || nlink_of(rig, old) != 1)
		return -1;
	if (new &&new != old)
		return rig_stat(rig, old).st_size == 3 ? 0 : -1;
	return !new &&rig_stat(rig, old).st_size == 5 ? 1 : -1;
}

static void test_crash_in_replace(void **state)
{
	static const struct kind kind = {run_replace, done_replace};
	struct tree_rig *rig = *state;

	rig_write(rig, rig_make(rig, TREE_ROOT, "old", S_IFREG | 0644), "old",
		  3);
	rig_write(rig, rig_make(rig, TREE_ROOT, "new", S_IFREG | 0644), "newer",
		  5);
	crash_everywhere(rig, &kind);
}

/* f moves into d, over what is there if there is something. */
static int run_whiteout(struct tree_rig *rig)
{
	return tree_rename(rig->tree, &rig->who, TREE_ROOT, "f",
			   rig_find(rig, TREE_ROOT, "d"), "g", RENAME_WHITEOUT);
}

static int done_whiteout(struct tree_rig *rig)
{
	uint64_t f = rig_find(rig, TREE_ROOT, "f");
	uint64_t g = rig_find(rig, rig_find(rig, TREE_ROOT, "d"), "g");
	bool done;

	if (!f || nlink_of(rig, f) != 1)
		return -1;
	done = S_ISCHR(rig_stat(rig, f).st_mode);
	if (!done)
		return g && rig_stat(rig, g).st_size == 5 ? -1 : 0;
	if (!g || nlink_of(rig, g) != 1)
		return -1;
	return rig_stat(rig, g).st_size == 5 ? 1 : -1;
}

static void crash_in_whiteout(struct tree_rig *rig, bool replaces)
{
	static const struct kind kind = {run_whiteout, done_whiteout};
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);

	rig_write(rig, rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644), "hello",
		  5);
	if (replaces)
		rig_make(rig, d, "g", S_IFREG | 0644);
	crash_everywhere(rig, &kind);
}

static void test_crash_in_whiteout(void **state)
{
	crash_in_whiteout(*state, false);
}

static void test_crash_in_whiteout_over(void **state)
{
	crash_in_whiteout(*state, true);
}

static int run_exchange(struct tree_rig *rig)
{
	return tree_rename(rig->tree, &rig->who, rig_find(rig, TREE_ROOT, "a"),
			   "d", TREE_ROOT, "f", RENAME_EXCHANGE);
}

static int done_exchange(struct tree_rig *rig)
{
	uint64_t a = rig_find(rig, TREE_ROOT, "a");
	uint64_t d = rig_find(rig, a, "d");
	uint64_t f = rig_find(rig, TREE_ROOT, "f");
	bool swapped;

	if (!d || !f)
		return -1;
	swapped = S_ISREG(rig_stat(rig, d).st_mode);
	if (swapped == S_ISREG(rig_stat(rig, f).st_mode))
		return -1;
	if (rig_find(rig, swapped ? f : d, "..") != (swapped ? TREE_ROOT : a))
		return -1;
	if (nlink_of(rig, a) != (swapped ? 2u : 3u))
		return -1;
	return swapped;
}

static void test_crash_in_exchange(void **state)
{
	static const struct kind kind = {run_exchange, done_exchange};
	struct tree_rig *rig = *state;
	uint64_t a = rig_make(rig, TREE_ROOT, "a", S_IFDIR | 0755);

	rig_make(rig, a, "d", S_IFDIR | 0755);
	rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	crash_everywhere(rig, &kind);
}

static int run_setxattr(struct tree_rig *rig)
{
	return tree_setxattr(rig->tree, &rig->who,
			     rig_find(rig, TREE_ROOT, "f"), "user.a", "second",
			     6, XATTR_REPLACE);
}

static int done_setxattr(struct tree_rig *rig)
{
	char buf[16];
	size_t n;

	if (tree_getxattr(rig->tree, rig->who.stream,
			  rig_find(rig, TREE_ROOT, "f"), "user.a", buf,
			  sizeof(buf), &n) < 0)
		return -1;
	if (n == 6)
		return memcmp(buf, "second", 6) == 0 ? 1 : -1;
	return n == 5 && memcmp(buf, "first", 5) == 0 ? 0 : -1;
}

static void test_crash_in_setxattr(void **state)
{
	static const struct kind kind = {run_setxattr, done_setxattr};
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);

	assert_int_equal(
		tree_setxattr(rig->tree, &rig->who, f, "user.a", "first", 5, 0),
		0);
	crash_everywhere(rig, &kind);
}

/* --- replies --- */

static void test_replay(void **state)
{
	struct tree_rig *rig = *state;
	struct tree_entry made, again;
	int error = 1;

	rig->who.op = 11;
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "a",
				   S_IFDIR | 0755, 0, NULL, &made),
			 0);
	rig->who.op = 12;
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "a",
				   S_IFDIR | 0755, 0, NULL, &again),
			 -EEXIST);
	rig->who.op = 13;
	assert_int_equal(tree_rename(rig->tree, &rig->who, TREE_ROOT, "a",
				     TREE_ROOT, "b", 0),
			 0);
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	assert_int_equal(tree_replay(rig->tree, 11, &error, &again), 0);
	assert_int_equal(error, 0);
	assert_int_equal(again.node, made.node);
	assert_int_equal(
		atomic_load(
			&inode_state(rig->tree, node_ix(made.node))->lookups),
		2);
	/* What failed changed nothing: it may run again. */
	assert_int_equal(tree_replay(rig->tree, 12, &error, &again), -ENOENT);
	error = 1;
	assert_int_equal(tree_replay(rig->tree, 13, &error, &again), 0);
	assert_int_equal(error, 0);
	tree_op_done(rig->tree, 11);
	assert_int_equal(tree_replay(rig->tree, 11, &error, &again), -ENOENT);
	assert_int_equal(tree_replay(rig->tree, 0, &error, &again), -ENOENT);
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	assert_int_equal(tree_replay(rig->tree, 11, &error, &again), -ENOENT);
	assert_int_equal(tree_replay(rig->tree, 13, &error, &again), 0);
	rig->who.op = 0;
}

/* Replies nobody asks for push out the oldest, never the latest. */
static void test_ring_is_bounded(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t records = table_used(rig->arena, TABLE_OPS);
	struct tree_entry entry;
	char name[16];
	int error;

	for (uint64_t op = 1; op <= 3 * OPS_KEPT; op++) {
		rig->who.op = op;
		snprintf(name, sizeof(name), "f%d", (int)op);
		rig_make(rig, TREE_ROOT, name, S_IFREG | 0644);
	}
	rig->who.op = 0;
	/* One that is not to be kept takes the place of none but the oldest. */
	rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	assert_int_equal(table_used(rig->arena, TABLE_OPS), records);
	assert_int_equal(tree_replay(rig->tree, 2 * OPS_KEPT, &error, &entry),
			 -ENOENT);
	for (uint64_t op = 2 * OPS_KEPT + 2; op <= 3 * OPS_KEPT; op++)
		assert_int_equal(tree_replay(rig->tree, op, &error, &entry), 0);
	/* A new life knows which are the oldest. */
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	for (uint64_t op = 1001; op <= 1004; op++) {
		rig->who.op = op;
		snprintf(name, sizeof(name), "f%d", (int)op);
		rig_make(rig, TREE_ROOT, name, S_IFREG | 0644);
	}
	rig->who.op = 0;
	for (uint64_t op = 1001; op <= 1004; op++)
		assert_int_equal(tree_replay(rig->tree, op, &error, &entry), 0);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crash_in_make),     TEST(test_crash_in_unlink),
		TEST(test_crash_in_link),     TEST(test_crash_in_move),
		TEST(test_crash_in_replace),  TEST(test_crash_in_exchange),
		TEST(test_crash_in_whiteout), TEST(test_crash_in_whiteout_over),
		TEST(test_crash_in_setxattr), TEST(test_replay),
		TEST(test_ring_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
