/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree against a plain model of one: seeded random operations, each with
 * the outcome that the model says; at random moments all derived state is
 * dropped, the arena attached anew and everything compared.
 *
 * Usage: test-model-tree [SEED [STEPS]]. Prints the seed when it fails.
 */
#include "base/heap.h"
#include "base/page.h"
#include "tree_model.h"
#include "tree_rig.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static struct tree_rig rig;
static struct model *model;
static unsigned seed = 1;
static unsigned steps = 6000;
static unsigned outcomes[2]; /* failed as they should, succeeded */

static unsigned pick(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* Few names, of both record kinds, so that they meet. */
static const char *pick_name(void)
{
	static char name[4][TREE_NAME_MAX + 1];
	static unsigned at;
	char *text = name[at++ % 4];
	unsigned i = pick(24);

	snprintf(text, sizeof(name[0]), "name-%u", i);
	if (i % 6 == 5) {
		memset(text, 'l', 60 + i * 8);
		text[60 + i * 8] = '\0';
	}
	return text;
}

static void agree(int got, int wanted, const char *what)
{
	if (got != wanted)
		fail_msg("%s: the tree says %s, the model %s", what,
			 got ? strerror(-got) : "0",
			 wanted ? strerror(-wanted) : "0");
	outcomes[got == 0]++;
}

/* --- operations --- */

static void do_make(void)
{
	static const mode_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755,
				       S_IFDIR | 0700, S_IFLNK | 0777,
				       S_IFIFO | 0600, S_IFREG | 0600};
	mode_t mode = modes[pick(ARRAY_SIZE(modes))];
	struct model_inode *dir = model_pick_dir(model, pick(1000));
	const char *name = pick_name();
	const char *target = S_ISLNK(mode) ? "somewhere/else" : NULL;
	struct tree_entry entry;
	int wanted = model_may_make(model, dir, name);
	int r;

	/* Enough is enough: comparing is quadratic. */
	if (wanted == 0 && model_inodes(model) > 400)
		return;
	r = tree_make(rig.tree, &rig.who, dir->node, name, mode, 0, target,
		      &entry);
	agree(r, wanted, "make");
	if (r == 0)
		model_make(model, dir, name, entry.node, mode);
}

static void do_link(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));
	struct model_inode *dir = model_pick_dir(model, pick(1000));
	const char *name = pick_name();
	struct tree_entry entry;
	int wanted = model_may_link(model, inode, dir, name);
	int r = tree_link(rig.tree, &rig.who, inode->node, dir->node, name,
			  &entry);

	agree(r, wanted, "link");
	if (r == 0)
		model_link(model, inode, dir, name);
}

static void do_remove(void)
{
	struct model_inode *dir = model_pick_dir(model, pick(1000));
	const char *name = pick_name();
	bool is_rmdir = pick(2);
	int wanted = model_may_remove(model, dir, name, is_rmdir);
	int r = is_rmdir ? tree_rmdir(rig.tree, &rig.who, dir->node, name)
			 : tree_unlink(rig.tree, &rig.who, dir->node, name);

	agree(r, wanted, is_rmdir ? "rmdir" : "unlink");
	if (r == 0)
		model_remove(model, dir, name);
}

/* What a rename has left in place of @name, if it has. */
static void find_whiteout(struct model_inode *dir, const char *name)
{
	struct tree_entry entry;

	if (model_find(model, dir, name))
		return;
	assert_int_equal(tree_lookup(rig.tree, dir->node, name, &entry), 0);
	model_make(model, dir, name, entry.node, S_IFCHR);
}

static void do_rename(void)
{
	struct model_inode *from = model_pick_dir(model, pick(1000));
	struct model_inode *to = model_pick_dir(model, pick(1000));
	const char *name = pick_name();
	const char *new_name = pick_name();
	unsigned flags = pick(model_inodes(model) > 400 ? 4 : 8);
	int wanted = model_may_rename(model, from, name, to, new_name, flags);
	int r = tree_rename(rig.tree, &rig.who, from->node, name, to->node,
			    new_name, flags);

	agree(r, wanted, "rename");
	if (r < 0)
		return;
	model_rename(model, from, name, to, new_name, flags);
	if (flags & RENAME_WHITEOUT)
		find_whiteout(from, name);
}

static void do_setattr(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));
	struct stat attr = {.st_mode = pick(01000), .st_uid = pick(9)};
	struct stat st;

	agree(tree_setattr(rig.tree, &rig.who, inode->node,
			   TREE_SET_MODE | TREE_SET_UID, &attr, &st),
	      0, "setattr");
	inode->mode = (inode->mode & S_IFMT) | attr.st_mode;
	inode->uid = attr.st_uid;
}

static void do_setxattr(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));
	static const int all[] = {0, XATTR_CREATE, XATTR_REPLACE};
	unsigned which = pick(MODEL_XATTRS);
	int flags = all[pick(3)];
	char value[40];
	char name[16];
	int n = snprintf(value, sizeof(value), "value %u", pick(1000));
	int wanted = model_may_setxattr(inode, which, flags);

	snprintf(name, sizeof(name), "user.%u", which);
	agree(tree_setxattr(rig.tree, &rig.who, inode->node, name, value,
			    (size_t)n, flags),
	      wanted, "setxattr");
	if (wanted == 0)
		memcpy(inode->xattr[which], value, sizeof(value));
}

static void do_removexattr(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));
	unsigned which = pick(MODEL_XATTRS);
	int wanted = inode->xattr[which][0] ? 0 : -ENODATA;
	char name[16];

	snprintf(name, sizeof(name), "user.%u", which);
	agree(tree_removexattr(rig.tree, &rig.who, inode->node, name), wanted,
	      "removexattr");
	inode->xattr[which][0] = '\0';
}

static void do_write(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));
	char data[300];
	size_t n = pick(sizeof(data));

	if (!S_ISREG(inode->mode))
		return;
	memset(data, 'a' + (int)pick(26), sizeof(data));
	if (n <= inode->size)
		return;
	rig_write(&rig, inode->node, data, n);
	inode->size = n;
	inode->fill = data[0];
}

static void do_lookup(void)
{
	struct model_inode *dir = model_pick_dir(model, pick(1000));
	const char *name = pick_name();
	struct model_inode *child = model_find(model, dir, name);
	struct tree_entry entry;
	int wanted = model_is_named(model, dir) && child ? 0 : -ENOENT;
	int r = tree_lookup(rig.tree, dir->node, name, &entry);

	agree(r, wanted, "lookup");
	if (r == 0) {
		assert_int_equal(entry.node, child->node);
		child->lookups++;
	}
}

static void do_forget(void)
{
	struct model_inode *inode = model_pick(model, pick(1000));

	if (inode->lookups == 0 || inode->node == TREE_ROOT)
		return;
	tree_forget(rig.tree, 0, inode->node, inode->lookups);
	model_forget(model, inode);
}

/* --- one reader that goes on all the time, over changes --- */

static struct {
	struct model_inode *dir;
	uint64_t cookie;
	unsigned room;
} reader;

static bool read_one(void *arg UNUSED, const char *name, uint64_t cookie,
		     const struct tree_entry *entry)
{
	if (reader.room-- == 0)
		return false;
	assert_true(cookie > reader.cookie);
	reader.cookie = cookie;
	model_was_read(model, reader.dir, name, entry->node);
	return true;
}

static void do_readdir(void)
{
	uint64_t before;

	if (reader.dir && !model_is_named(model, reader.dir))
		reader.dir = NULL;
	if (!reader.dir) {
		reader.dir = model_pick_dir(model, pick(1000));
		reader.cookie = 0;
		model_start_reading(model, reader.dir);
	}
	before = reader.cookie;
	reader.room = 1 + pick(6);
	assert_int_equal(tree_readdir(rig.tree, reader.dir->node, reader.cookie,
				      false, read_one, NULL),
			 0);
	if (reader.cookie != before)
		return;
	/* The end: what was there all the time was given exactly once. */
	model_finish_reading(model, reader.dir);
	reader.dir = NULL;
}

/* --- comparing --- */

static void compare_content(const struct model_inode *inode)
{
	char data[300];
	struct file file;
	size_t n;

	assert_int_equal(tree_file(rig.tree, inode->node, &file), 0);
	assert_int_equal(store_read(rig.store, rig.who.stream, file, 0, data,
				    sizeof(data), &n),
			 0);
	assert_int_equal(n, inode->size);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(data[i], inode->fill);
}

static void compare_xattrs(const struct model_inode *inode)
{
	char value[40];
	char name[16];
	size_t n = 0;

	for (unsigned i = 0; i < MODEL_XATTRS; i++) {
		size_t wanted = strlen(inode->xattr[i]);
		int r;

		snprintf(name, sizeof(name), "user.%u", i);
		r = tree_getxattr(rig.tree, rig.who.stream, inode->node, name,
				  value, sizeof(value), &n);
		assert_int_equal(r, wanted ? 0 : -ENODATA);
		if (wanted) {
			assert_int_equal(n, wanted);
			assert_memory_equal(value, inode->xattr[i], n);
		}
	}
}

static void compare_inode(void *arg UNUSED, struct model_inode *inode)
{
	struct stat st = rig_stat(&rig, inode->node);
	char target[64];

	assert_int_equal(st.st_mode, inode->mode);
	assert_int_equal(st.st_uid, inode->uid);
	assert_int_equal(st.st_nlink, model_nlink(model, inode));
	compare_xattrs(inode);
	if (S_ISREG(inode->mode))
		compare_content(inode);
	if (S_ISDIR(inode->mode))
		assert_int_equal(st.st_size,
				 20 * (2 + model_entries(model, inode)));
	if (S_ISLNK(inode->mode)) {
		assert_int_equal(tree_readlink(rig.tree, rig.who.stream,
					       inode->node, target,
					       sizeof(target)),
				 0);
		assert_string_equal(target, "somewhere/else");
	}
}

static void compare_link(void *arg UNUSED, struct model_inode *dir,
			 const char *name, struct model_inode *inode)
{
	assert_int_equal(rig_find(&rig, dir->node, name), inode->node);
	if (S_ISDIR(inode->mode))
		assert_int_equal(rig_find(&rig, inode->node, ".."), dir->node);
}

static void compare(void)
{
	struct tree_stats stats;

	rig_check(&rig);
	tree_stats(rig.tree, &stats);
	assert_int_equal(stats.inodes, model_inodes(model));
	assert_int_equal(stats.names, model_links(model));
	model_each_inode(model, compare_inode, NULL);
	model_each_link(model, compare_link, NULL);
}

static void do_attach(void)
{
	bool keep = pick(2);

	assert_int_equal(tree_rig_reattach(&rig, keep), 0);
	/* Every inode counts one lookup now, by force; the nameless ones went
	 * unless they were to be kept. */
	model_attached(model, keep);
	if (reader.dir && !model_is_named(model, reader.dir))
		reader.dir = NULL;
	compare();
}

static void step(void)
{
	unsigned i = pick(100);

	rig.who.op = pick(3) ? 0 : (uint64_t)rand_r(&seed) + 1;
	if (i < 24)
		do_make();
	else if (i < 32)
		do_link();
	else if (i < 46)
		do_remove();
	else if (i < 62)
		do_rename();
	else if (i < 66)
		do_setattr();
	else if (i < 71)
		do_setxattr();
	else if (i < 73)
		do_removexattr();
	else if (i < 77)
		do_write();
	else if (i < 83)
		do_lookup();
	else if (i < 90)
		do_forget();
	else
		do_readdir();
	if (pick(2))
		tree_op_done(rig.tree, rig.who.op);
}

static void test_model(void **state UNUSED)
{
	unsigned start = seed;

	print_message("seed %u, %u steps\n", start, steps);
	assert_int_equal(tree_rig_new(&rig, 512 * MIB, 0), 0);
	model = model_new(TREE_ROOT);
	assert_non_null(model);
	rig.who.umask = 0;
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (pick(200) == 0)
			do_attach();
		else if (pick(200) == 0)
			compare();
	}
	do_attach();
	assert_true(outcomes[0] > steps / 20);
	assert_true(outcomes[1] > steps / 10);
	model_free(model);
	tree_rig_free(&rig);
	assert_int_equal(budget_used(&rig.budget), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	if (argc > 1)
		seed = (unsigned)strtoul(argv[1], NULL, 0);
	if (argc > 2)
		steps = (unsigned)strtoul(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
