/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rename: every rule of POSIX and of the three flags. */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>

static int teardown(void **state)
{
	struct tree_rig *rig = *state;

	rig_check(rig);
	assert_int_equal(tree_rig_reattach(rig, true), 0);
	return tree_rig_teardown(state);
}

static int mv(struct tree_rig *rig, uint64_t from, const char *name,
	      uint64_t to, const char *new_name, unsigned flags)
{
	int r = tree_rename(rig->tree, &rig->who, from, name, to, new_name,
			    flags);

	rig_check(rig);
	return r;
}

static uint64_t file(struct tree_rig *rig, uint64_t dir, const char *name)
{
	return rig_make(rig, dir, name, S_IFREG | 0644);
}

static uint64_t directory(struct tree_rig *rig, uint64_t dir, const char *name)
{
	return rig_make(rig, dir, name, S_IFDIR | 0755);
}

static void test_plain(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t f = file(rig, TREE_ROOT, "f");

	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", 0), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "g"), f);
	assert_int_equal(mv(rig, TREE_ROOT, "g", a, "h", 0), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "g"), 0);
	assert_int_equal(rig_find(rig, a, "h"), f);
	assert_int_equal(mv(rig, TREE_ROOT, "none", a, "x", 0), -ENOENT);
	assert_int_equal(mv(rig, f, "x", a, "x", 0), -ENOTDIR);
	assert_int_equal(mv(rig, a, "h", a, "h", 0), 0);
	assert_int_equal(rig_find(rig, a, "h"), f);
}

static void test_replace_file(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = file(rig, TREE_ROOT, "f");
	uint64_t g = file(rig, TREE_ROOT, "g");
	struct stat st;

	assert_int_equal(
		mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", RENAME_NOREPLACE),
		-EEXIST);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", 0), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "g"), f);
	assert_int_equal(rig_stat(rig, g).st_nlink, 0);
	tree_forget(rig->tree, 0, g, 1);
	assert_int_equal(tree_getattr(rig->tree, g, &st), -ESTALE);
	assert_int_equal(
		mv(rig, TREE_ROOT, "g", TREE_ROOT, "h", RENAME_NOREPLACE), 0);
}

/* Two names of one file: nothing happens, both stay. */
static void test_same_file(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = file(rig, TREE_ROOT, "f");
	struct tree_entry entry;

	assert_int_equal(
		tree_link(rig->tree, &rig->who, f, TREE_ROOT, "g", &entry), 0);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", 0), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), f);
	assert_int_equal(rig_find(rig, TREE_ROOT, "g"), f);
	assert_int_equal(rig_stat(rig, f).st_nlink, 2);
}

static void test_kinds_must_match(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = directory(rig, TREE_ROOT, "d");
	uint64_t e = directory(rig, TREE_ROOT, "e");

	file(rig, TREE_ROOT, "f");
	file(rig, e, "x");
	assert_int_equal(mv(rig, TREE_ROOT, "d", TREE_ROOT, "f", 0), -ENOTDIR);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "d", 0), -EISDIR);
	assert_int_equal(mv(rig, TREE_ROOT, "d", TREE_ROOT, "e", 0),
			 -ENOTEMPTY);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, e, "x"), 0);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_nlink, 4);
	assert_int_equal(mv(rig, TREE_ROOT, "d", TREE_ROOT, "e", 0), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "e"), d);
	assert_int_equal(rig_stat(rig, e).st_nlink, 0);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_nlink, 3);
	/* Into a directory that is no more. */
	assert_int_equal(mv(rig, TREE_ROOT, "f", e, "f", 0), -ENOENT);
}

static void test_not_below_itself(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t b = directory(rig, a, "b");
	uint64_t c = directory(rig, b, "c");

	assert_int_equal(mv(rig, TREE_ROOT, "a", a, "x", 0), -EINVAL);
	assert_int_equal(mv(rig, TREE_ROOT, "a", c, "x", 0), -EINVAL);
	assert_int_equal(mv(rig, TREE_ROOT, "a", b, "c", RENAME_EXCHANGE),
			 -EINVAL);
	assert_int_equal(mv(rig, b, "c", TREE_ROOT, "a", RENAME_EXCHANGE),
			 -EINVAL);
	/* Over its own ancestor: that one is not empty. */
	assert_int_equal(mv(rig, b, "c", TREE_ROOT, "a", 0), -ENOTEMPTY);
	assert_int_equal(mv(rig, b, "c", TREE_ROOT, "c", 0), 0);
	assert_int_equal(rig_find(rig, c, ".."), TREE_ROOT);
	assert_int_equal(rig_stat(rig, b).st_nlink, 2);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_nlink, 4);
}

static void assert_whiteout(struct tree_rig *rig, uint64_t dir,
			    const char *name)
{
	uint64_t node = rig_find(rig, dir, name);
	struct stat st;

	assert_true(node != 0);
	st = rig_stat(rig, node);
	assert_int_equal(st.st_mode, S_IFCHR);
	assert_int_equal(st.st_rdev, 0);
	assert_int_equal(st.st_nlink, 1);
}

/* Nothing is left of whiteouts that were not needed. */
static void test_no_whiteout(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = file(rig, TREE_ROOT, "f");
	struct tree_stats before, after;
	struct tree_entry entry;

	file(rig, TREE_ROOT, "g");
	assert_int_equal(
		tree_link(rig->tree, &rig->who, f, TREE_ROOT, "h", &entry), 0);
	tree_stats(rig->tree, &before);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g",
			    RENAME_WHITEOUT | RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g",
			    RENAME_WHITEOUT | RENAME_EXCHANGE),
			 -EINVAL);
	assert_int_equal(
		mv(rig, TREE_ROOT, "f", TREE_ROOT, "h", RENAME_WHITEOUT), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), f);
	tree_stats(rig->tree, &after);
	assert_int_equal(after.inodes, before.inodes);
	/* All inodes are in use: no whiteout, no rename. */
	assert_int_equal(tree_set_nr_inodes(rig->tree, after.inodes), 0);
	assert_int_equal(
		mv(rig, TREE_ROOT, "f", TREE_ROOT, "x", RENAME_WHITEOUT),
		-ENOSPC);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), f);
}

static void test_whiteout(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t b = directory(rig, TREE_ROOT, "b");
	uint64_t d = directory(rig, a, "d");
	uint64_t f = file(rig, a, "f");
	uint64_t g = file(rig, b, "g");

	/* A new name, then over a file, then a directory. */
	assert_int_equal(mv(rig, a, "f", b, "f", RENAME_WHITEOUT), 0);
	assert_whiteout(rig, a, "f");
	assert_int_equal(rig_find(rig, b, "f"), f);
	assert_int_equal(mv(rig, b, "f", b, "g", RENAME_WHITEOUT), 0);
	assert_whiteout(rig, b, "f");
	assert_int_equal(rig_find(rig, b, "g"), f);
	assert_int_equal(rig_stat(rig, g).st_nlink, 0);
	assert_int_equal(
		mv(rig, a, "d", b, "d", RENAME_WHITEOUT | RENAME_NOREPLACE), 0);
	assert_whiteout(rig, a, "d");
	assert_int_equal(rig_find(rig, d, ".."), b);
	assert_int_equal(rig_stat(rig, a).st_nlink, 2);
	assert_int_equal(rig_stat(rig, b).st_nlink, 3);
	/* A whiteout is a file like any other. */
	assert_int_equal(mv(rig, a, "f", TREE_ROOT, "w", RENAME_WHITEOUT), 0);
	assert_whiteout(rig, a, "f");
	assert_whiteout(rig, TREE_ROOT, "w");
	assert_int_equal(tree_unlink(rig->tree, &rig->who, a, "f"), 0);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, a, "d"), 0);
	assert_int_equal(tree_rmdir(rig->tree, &rig->who, TREE_ROOT, "a"), 0);
}

static void test_exchange(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t d = directory(rig, a, "d");
	uint64_t f = file(rig, TREE_ROOT, "f");
	uint64_t g = file(rig, TREE_ROOT, "g");

	assert_int_equal(
		mv(rig, TREE_ROOT, "f", TREE_ROOT, "none", RENAME_EXCHANGE),
		-ENOENT);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g",
			    RENAME_EXCHANGE | RENAME_NOREPLACE),
			 -EINVAL);
	assert_int_equal(mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", 8), -EINVAL);
	assert_int_equal(
		mv(rig, TREE_ROOT, "f", TREE_ROOT, "g", RENAME_EXCHANGE), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), g);
	assert_int_equal(rig_find(rig, TREE_ROOT, "g"), f);
	/* A file for a directory, across directories. */
	assert_int_equal(mv(rig, TREE_ROOT, "f", a, "d", RENAME_EXCHANGE), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "f"), d);
	assert_int_equal(rig_find(rig, a, "d"), g);
	assert_int_equal(rig_find(rig, d, ".."), TREE_ROOT);
	assert_int_equal(rig_stat(rig, a).st_nlink, 2);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_nlink, 4);
}

static bool is_old(struct tree_rig *rig, uint64_t node, bool mtime)
{
	struct inode_record *inode = inode_at(rig->tree, node_ix(node));

	return (mtime ? atomic_load(&inode->mtime)
		      : atomic_load(&inode->ctime)) == 1000;
}

/* Both directories are modified, both files changed, contents of none. */
static void test_times(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t b = directory(rig, TREE_ROOT, "b");
	uint64_t f = file(rig, a, "f");
	uint64_t g = file(rig, b, "g");

	rig_age(rig, a);
	rig_age(rig, b);
	rig_age(rig, f);
	rig_age(rig, g);
	rig_age(rig, TREE_ROOT);
	assert_int_equal(mv(rig, a, "f", b, "g", 0), 0);
	assert_false(is_old(rig, a, true) || is_old(rig, a, false));
	assert_false(is_old(rig, b, true) || is_old(rig, b, false));
	assert_false(is_old(rig, f, false) || is_old(rig, g, false));
	assert_true(is_old(rig, f, true) && is_old(rig, g, true));
	assert_true(is_old(rig, TREE_ROOT, true));
}

/* Moving things about works when there is no memory left. */
static void test_full_budget(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = directory(rig, TREE_ROOT, "a");
	uint64_t d = directory(rig, TREE_ROOT, "d");
	struct tree_entry entry;
	char name[300];
	int r = 0;
	int n = 0;

	file(rig, d, "x");
	budget_set_limit(&rig->budget,
			 budget_used(&rig->budget) + BUDGET_RESERVE_BYTES);
	for (; r == 0; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		r = tree_make(rig->tree, &rig->who, a, name, S_IFREG | 0644, 0,
			      NULL, &entry);
	}
	assert_int_equal(r, -ENOSPC);
	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(mv(rig, d, "x", TREE_ROOT, name, 0), 0);
	assert_int_equal(mv(rig, TREE_ROOT, "d", a, "d", 0), 0);
	/* What was made can be removed, and made again. */
	for (int i = 0; i < n - 1; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		tree_forget(rig->tree, 0, rig_find(rig, a, name), 1);
		assert_int_equal(tree_unlink(rig->tree, &rig->who, a, name), 0);
	}
	file(rig, a, "again");
	budget_set_limit(&rig->budget, 256 * MIB);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_replace_file),
		TEST(test_same_file),
		TEST(test_kinds_must_match),
		TEST(test_not_below_itself),
		TEST(test_no_whiteout),
		TEST(test_whiteout),
		TEST(test_exchange),
		TEST(test_times),
		TEST(test_full_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
