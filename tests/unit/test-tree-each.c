/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking over bodies: each once, and none goes while the walk is at it.
 */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>

static int teardown(void **state)
{
	struct tree_rig *rig = *state;

	assert_int_equal(store_pages_held(rig->store), 0);
	return tree_rig_teardown(state);
}

struct walk {
	struct tree_rig *rig;
	uint64_t victim; /* what the visit at its body does away with */
	unsigned visits;
	unsigned stop_after;
	unsigned victims;
};

static void set_x(struct tree_rig *rig, uint64_t node, const char *value)
{
	assert_int_equal(tree_setxattr(rig->tree, &rig->who, node, "user.a",
				       value, strlen(value), 0),
			 0);
}

static bool count(void *arg, struct file file UNUSED)
{
	struct walk *walk = arg;

	walk->visits++;
	return walk->visits != walk->stop_after;
}

/* The body still reads as it did: nobody freed it under us. */
static void assert_reads(struct walk *walk, struct file file, const char *data)
{
	char buf[64] = "";
	size_t n = 0;

	assert_int_equal(store_read(walk->rig->store, walk->rig->who.stream,
				    file, 0, buf, sizeof(buf), &n),
			 0);
	assert_int_equal(n, strlen(data));
	assert_memory_equal(buf, data, n);
}

static bool is_victim(const struct walk *walk, struct file file)
{
	uint32_t ix = node_ix(walk->victim);

	return file.body == &inode_at(walk->rig->tree, ix)->body;
}

static bool kill_victim(void *arg, struct file file)
{
	struct walk *walk = arg;
	struct tree_rig *rig = walk->rig;

	if (!is_victim(walk, file) || walk->victims++)
		return true;
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	tree_forget(rig->tree, 0, walk->victim, 1);
	assert_reads(walk, file, "contents");
	return true;
}

/* At the victim's body another walk comes by and does away with it. */
static bool walk_at_victim(void *arg, struct file file)
{
	struct walk *walk = arg;
	struct walk inner = *walk;

	if (!is_victim(walk, file) || walk->victims++)
		return true;
	tree_each_body(walk->rig->tree, 0, kill_victim, &inner);
	assert_int_equal(inner.victims, 1);
	assert_reads(walk, file, "contents");
	return true;
}

static void test_each_once(void **state)
{
	struct tree_rig *rig = *state;
	struct walk walk = {.rig = rig};
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		rig_make(rig, TREE_ROOT, name, S_IFREG | 0644);
	}
	set_x(rig, rig_find(rig, TREE_ROOT, "f7"), "x");
	tree_each_body(rig->tree, 0, count, &walk);
	assert_int_equal(walk.visits, 52);
	walk = (struct walk){.rig = rig, .stop_after = 5};
	tree_each_body(rig->tree, 0, count, &walk);
	assert_int_equal(walk.visits, 5);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who,
					  rig_find(rig, TREE_ROOT, "f7"),
					  "user.a"),
			 0);
}

static void kill_while_walking(struct tree_rig *rig, bool nested)
{
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct walk walk = {.rig = rig, .victim = f};
	struct stat st;

	rig_write(rig, f, "contents", 8);
	tree_each_body(rig->tree, 0, nested ? walk_at_victim : kill_victim,
		       &walk);
	assert_int_equal(walk.victims, 1);
	assert_int_equal(tree_getattr(rig->tree, f, &st), -ESTALE);
	assert_int_equal(store_pages_held(rig->store), 0);
	assert_int_equal(table_used(rig->arena, TABLE_INODES), 1);
}

static void test_file_goes_under_the_walk(void **state)
{
	kill_while_walking(*state, false);
}

static void test_two_walks_at_one_body(void **state)
{
	kill_while_walking(*state, true);
}

static bool replace_xattr(void *arg, struct file file)
{
	struct walk *walk = arg;
	char buf[64];
	size_t n;

	if (!(file.ix & UINT32_C(1) << 31))
		return true;
	walk->visits++;
	set_x(walk->rig, walk->victim, "the second value");
	/* Ours is the body of the set before. */
	assert_int_equal(store_read(walk->rig->store, walk->rig->who.stream,
				    file, 0, buf, sizeof(buf), &n),
			 0);
	assert_memory_equal(buf + n - 5, "first", 5);
	return true;
}

static void test_xattrs_change_under_the_walk(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct walk walk = {.rig = rig, .victim = f};

	set_x(rig, f, "first");
	tree_each_body(rig->tree, 0, replace_xattr, &walk);
	assert_int_equal(walk.visits, 1);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 1);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, "user.a"),
			 0);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 0);
}

/* --- regular files alone, and one by its number --- */

struct find {
	struct tree_rig *rig;
	struct file wanted;
	uint64_t node;
	unsigned calls;
};

static void found(void *arg, struct file file)
{
	struct find *find = arg;

	assert_ptr_equal(file.body, find->wanted.body);
	assert_int_equal(file.ix, find->wanted.ix);
	find->calls++;
}

/* Does away with the file that it was called for. */
static void found_and_killed(void *arg, struct file file)
{
	struct find *find = arg;
	struct tree_rig *rig = find->rig;
	struct walk walk = {.rig = rig};

	found(arg, file);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	tree_forget(rig->tree, 0, find->node, 1);
	assert_reads(&walk, file, "contents");
	/* It has no name and no lookup: nobody finds it a second time. */
	assert_false(tree_with_file(rig->tree, 0, file.ix, found, find));
}

static void test_each_file_skips_what_is_the_trees_own(void **state)
{
	struct tree_rig *rig = *state;
	struct walk walk = {.rig = rig};
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct tree_entry entry;

	rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "l",
				   S_IFLNK | 0777, 0, "f", &entry),
			 0);
	set_x(rig, f, "x");
	tree_each_file(rig->tree, 0, count, &walk);
	assert_int_equal(walk.visits, 2);
	walk = (struct walk){.rig = rig, .stop_after = 1};
	tree_each_file(rig->tree, 0, count, &walk);
	assert_int_equal(walk.visits, 1);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, "user.a"),
			 0);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "l"), 0);
	tree_forget(rig->tree, 0, entry.node, 1);
}

static void test_one_file_by_its_number(void **state)
{
	struct tree_rig *rig = *state;
	struct find find = {.rig = rig};
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);

	find.node = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	rig_write(rig, find.node, "contents", 8);
	assert_int_equal(tree_file(rig->tree, find.node, &find.wanted), 0);
	assert_true(tree_with_file(rig->tree, 0, find.wanted.ix, found, &find));
	assert_int_equal(find.calls, 1);
	assert_false(tree_with_file(rig->tree, 0, node_ix(d), found, &find));
	assert_false(tree_with_file(rig->tree, 0, 0, found, &find));
	assert_false(tree_with_file(rig->tree, 0, 12345, found, &find));
	assert_false(tree_with_file(rig->tree, 0, UINT32_MAX, found, &find));
	assert_true(tree_with_file(rig->tree, 0, find.wanted.ix,
				   found_and_killed, &find));
	assert_int_equal(find.calls, 2);
	assert_false(
		tree_with_file(rig->tree, 0, find.wanted.ix, found, &find));
	assert_int_equal(store_pages_held(rig->store), 0);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_once),
		TEST(test_file_goes_under_the_walk),
		TEST(test_two_walks_at_one_body),
		TEST(test_xattrs_change_under_the_walk),
		TEST(test_each_file_skips_what_is_the_trees_own),
		TEST(test_one_file_by_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
