/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attach to arenas that are damaged: what makes no sense is dropped and
 * counted, the rest is there, and nothing crashes.
 */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

static struct name_record *name_of(struct tree_rig *rig, uint64_t dir,
				   const char *name)
{
	uint32_t ix = names_find(rig->tree, node_ix(dir), name, strlen(name));

	assert_int_not_equal(ix, RECORD_NONE);
	return name_at(rig->tree, ix);
}

static void reattach(struct tree_rig *rig, bool keep)
{
	assert_int_equal(tree_rig_reattach(rig, keep), 0);
	rig_check(rig);
}

static void test_nameless(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	char data[5] = "";
	struct file file;
	struct stat st;
	size_t n;

	rig_write(rig, f, "hello", 5);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	reattach(rig, true);
	/* The kernel may still have it open: its bytes are there. */
	assert_int_equal(tree_file(rig->tree, f, &file), 0);
	assert_int_equal(
		store_read(rig->store, rig->who.stream, file, 0, data, 5, &n),
		0);
	assert_memory_equal(data, "hello", 5);
	/* It holds more lookups than we know of. */
	tree_forget(rig->tree, 0, f, 9);
	assert_int_equal(tree_getattr(rig->tree, f, &st), -ESTALE);
	assert_int_equal(store_pages_held(rig->store), 0);
	f = rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	rig_write(rig, f, "hello", 5);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "g"), 0);
	reattach(rig, false);
	assert_int_equal(tree_getattr(rig->tree, f, &st), -ESTALE);
	assert_int_equal(store_pages_held(rig->store), 0);
}

/* Node ids of the life before mean the same; a reused index does not. */
static void test_nodes_survive(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0640);
	uint64_t g;
	struct stat st;

	reattach(rig, false);
	assert_int_equal(rig_stat(rig, f).st_mode, S_IFREG | 0640);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	tree_forget(rig->tree, 0, f, 1);
	reattach(rig, false);
	g = rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	assert_int_equal(node_ix(g), node_ix(f));
	assert_int_not_equal(g, f);
	assert_int_equal(tree_getattr(rig->tree, f, &st), -ESTALE);
}

static void test_names_without_sense(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t f;
	char name[16];

	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		f = rig_make(rig, d, name, S_IFREG | 0644);
	}
	atomic_store(&name_of(rig, d, "f0")->node, 0x7fffffff);
	atomic_store(&name_of(rig, d, "f1")->node, f + (UINT64_C(1) << 32));
	name_of(rig, d, "f2")->parent = node_ix(f);
	name_of(rig, d, "f3")->parent = UINT32_MAX;
	name_of(rig, d, "f4")->length = 0;
	name_of(rig, d, "f5")->length = 200;
	name_of(rig, d, "f6")->name[1] = '/';
	name_of(rig, d, "f7")->position = 0;
	reattach(rig, false);
	assert_int_equal(rig->tree->dropped, 8);
	assert_int_equal(rig_stat(rig, d).st_size, 60);
	assert_int_equal(rig_find(rig, d, "f8"), f);
	assert_int_equal(atomic_load(&rig->tree->inodes), 3);
}

static void test_twins(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "a", S_IFREG | 0644);
	uint64_t g = rig_make(rig, TREE_ROOT, "b", S_IFREG | 0644);
	uint64_t h = rig_make(rig, TREE_ROOT, "c", S_IFREG | 0644);

	/* The same name twice: one stays. The same position: both stay. */
	name_of(rig, TREE_ROOT, "b")->name[0] = 'a';
	reattach(rig, false);
	assert_int_equal(rig->tree->dropped, 1);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), f);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_size, 80);
	name_of(rig, TREE_ROOT, "c")->position =
		name_of(rig, TREE_ROOT, "a")->position;
	reattach(rig, false);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), f);
	assert_int_equal(rig_find(rig, TREE_ROOT, "c"), h);
	assert_int_not_equal(name_of(rig, TREE_ROOT, "c")->position,
			     name_of(rig, TREE_ROOT, "a")->position);
	(void)g;
}

/* Directories that hold each other are nowhere. */
static void test_circle(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = rig_make(rig, TREE_ROOT, "a", S_IFDIR | 0755);
	uint64_t b = rig_make(rig, a, "b", S_IFDIR | 0755);
	uint64_t c = rig_make(rig, b, "c", S_IFDIR | 0755);
	struct stat st;

	rig_make(rig, c, "f", S_IFREG | 0644);
	rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	name_of(rig, TREE_ROOT, "a")->parent = node_ix(c);
	reattach(rig, false);
	assert_int_equal(rig->tree->dropped, 4);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), 0);
	assert_int_not_equal(rig_find(rig, TREE_ROOT, "g"), 0);
	assert_int_equal(tree_getattr(rig->tree, c, &st), -ESTALE);
	assert_int_equal(atomic_load(&rig->tree->inodes), 2);
}

/* A directory with two names keeps one, and ".." follows it. */
static void test_directory_with_two_names(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = rig_make(rig, TREE_ROOT, "a", S_IFDIR | 0755);
	uint64_t b = rig_make(rig, TREE_ROOT, "b", S_IFDIR | 0755);

	rig_make(rig, b, "x", S_IFREG | 0644);
	atomic_store(&name_of(rig, b, "x")->node, a);
	reattach(rig, false);
	assert_int_equal(rig->tree->dropped, 1);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), a);
	assert_int_equal(rig_find(rig, a, ".."), TREE_ROOT);
	assert_int_equal(rig_find(rig, b, "x"), 0);
}

static void test_xattrs_of_others(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t e = rig_make(rig, TREE_ROOT, "e", S_IFREG | 0644);
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	uint64_t g = rig_make(rig, TREE_ROOT, "g", S_IFREG | 0644);
	uint64_t h = rig_make(rig, TREE_ROOT, "h", S_IFREG | 0644);
	size_t n;

	assert_int_equal(
		tree_setxattr(rig->tree, &rig->who, f, "user.a", "1", 1, 0), 0);
	atomic_store(&inode_at(rig->tree, node_ix(e))->xattr,
		     inode_xattr(inode_at(rig->tree, node_ix(f))));
	atomic_store(&inode_at(rig->tree, node_ix(g))->xattr,
		     inode_xattr(inode_at(rig->tree, node_ix(f))));
	atomic_store(&inode_at(rig->tree, node_ix(h))->xattr, 0x70000000);
	reattach(rig, false);
	assert_int_equal(rig->tree->dropped, 3);
	assert_int_equal(tree_getxattr(rig->tree, rig->who.stream, f, "user.a",
				       NULL, 0, &n),
			 0);
	assert_int_equal(tree_getxattr(rig->tree, rig->who.stream, g, "user.a",
				       NULL, 0, &n),
			 -ENODATA);
}

static void test_no_root(void **state)
{
	struct tree_rig *rig = *state;
	struct tree_rig copy;

	atomic_store(&inode_at(rig->tree, ROOT_IX)->mode, 0);
	assert_int_equal(tree_rig_copy(rig, &copy, false), -EUCLEAN);
	atomic_store(&inode_at(rig->tree, ROOT_IX)->mode, S_IFREG | 0644);
	assert_int_equal(tree_rig_copy(rig, &copy, false), -EUCLEAN);
	atomic_store(&inode_at(rig->tree, ROOT_IX)->mode, S_IFDIR | 0755);
}

static void scribble(struct tree_rig *rig, enum arena_table table,
		     unsigned *seed)
{
	size_t bytes = table_record_bytes(table);
	uint32_t end = table_end(rig->arena, table);
	uint32_t ix;
	unsigned char *at;

	if (end < 3)
		return;
	/* Not the root: without it there is nothing to attach to. */
	ix = 2 + (uint32_t)rand_r(seed) % (end - 2);
	at = table_at(rig->arena, table, ix);
	at[(size_t)rand_r(seed) % bytes] ^= (unsigned char)rand_r(seed);
}

/* Random bytes of records changed: attach drops some, and all is sound. */
static void test_scribbles(void **state)
{
	static const enum arena_table tables[] = {TABLE_INODES, TABLE_NAMES,
						  TABLE_LONGNAMES, TABLE_XATTRS,
						  TABLE_OPS};
	struct tree_rig *rig = *state;
	uint64_t dir[8] = {TREE_ROOT};
	unsigned seed = 99;
	char name[100];

	for (int i = 1; i < 8; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		dir[i] = rig_make(rig, dir[i / 2], name, S_IFDIR | 0755);
	}
	for (int i = 0; i < 200; i++) {
		uint64_t node;

		snprintf(name, sizeof(name), "%0*d", i % 4 ? 8 : 80, i);
		node = rig_make(rig, dir[i % 8], name, S_IFREG | 0644);
		rig_write(rig, node, name, sizeof(name));
		if (i % 9 == 0)
			assert_int_equal(tree_setxattr(rig->tree, &rig->who,
						       node, "user.a", name, 10,
						       0),
					 0);
	}
	for (int round = 0; round < 60; round++) {
		struct tree_rig copy;

		scribble(rig, tables[round % ARRAY_SIZE(tables)], &seed);
		assert_int_equal(tree_rig_copy(rig, &copy, round % 2), 0);
		rig_check(&copy);
		tree_rig_free(&copy);
	}
	reattach(rig, false);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nameless),
		TEST(test_nodes_survive),
		TEST(test_names_without_sense),
		TEST(test_twins),
		TEST(test_circle),
		TEST(test_directory_with_two_names),
		TEST(test_xattrs_of_others),
		TEST(test_no_root),
		TEST(test_scribbles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
