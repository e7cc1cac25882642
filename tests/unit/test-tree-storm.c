/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four threads in one small tree: names, attributes, xattrs, contents and
 * walks at once. Errors of the race are fine, a broken tree is not; made for
 * ThreadSanitizer.
 */
#include "base/page.h"
#include "codec/stream.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define THREADS 4
#define STEPS 4000
#define DIRS 3

static uint64_t dirs[DIRS];

struct worker {
	struct tree_rig *rig;
	struct tree_caller who;
	unsigned slot;
	unsigned seed;
	unsigned done;
};

static unsigned pick(struct worker *w, unsigned n)
{
	return (unsigned)rand_r(&w->seed) % n;
}

static bool see(void *arg, const char *name UNUSED, uint64_t cookie UNUSED,
		const struct tree_entry *entry UNUSED)
{
	return ++*(unsigned *)arg < 50;
}

static bool visit(void *arg UNUSED, struct file file)
{
	return atomic_load(&file.body->size) < UINT64_MAX;
}

static void use_contents(struct worker *w, uint64_t node)
{
	struct tree *t = w->rig->tree;
	struct stat attr = {.st_mode = 0640, .st_size = 10};
	struct stat st;
	struct file file;
	char data[100] = "some data that is written";
	size_t n;

	if (tree_file(t, node, &file) < 0)
		return;
	if (store_write(w->rig->store, w->who.stream, file, 0, data,
			sizeof(data), &n) == 0)
		tree_wrote(t, &w->who, node);
	if (store_read(w->rig->store, w->who.stream, file, 0, data,
		       sizeof(data), &n) == 0)
		tree_did_read(t, node);
	w->done += tree_setattr(t, &w->who, node, TREE_SET_MODE | TREE_SET_SIZE,
				&attr, &st) == 0;
}

static void use_xattrs(struct worker *w, uint64_t node)
{
	struct tree *t = w->rig->tree;
	char buf[64];
	size_t n;

	w->done +=
		tree_setxattr(t, &w->who, node, "user.a", "value", 5, 0) == 0;
	w->done += tree_setxattr(t, &w->who, node, "security.capability", "c",
				 1, 0) == 0;
	w->done += tree_getxattr(t, w->who.stream, node, "user.a", buf,
				 sizeof(buf), &n) == 0;
	w->done += tree_removexattr(t, &w->who, node, "user.a") == 0;
}

static void use_entry(struct worker *w, const struct tree_entry *entry)
{
	if (pick(w, 2))
		use_contents(w, entry->node);
	else
		use_xattrs(w, entry->node);
	tree_forget(w->rig->tree, w->slot, entry->node, 1);
}

static void change_names(struct worker *w, uint64_t dir, const char *name)
{
	struct tree *t = w->rig->tree;
	uint64_t to = dirs[pick(w, DIRS)];
	struct tree_entry entry;
	char other[16];

	snprintf(other, sizeof(other), "n%u", pick(w, 6));
	switch (pick(w, 5)) {
	case 0:
		w->done += tree_unlink(t, &w->who, dir, name) == 0;
		break;
	case 1:
		w->done += tree_rmdir(t, &w->who, dir, name) == 0;
		break;
	case 2:
		w->done += tree_rename(t, &w->who, dir, name, to, other,
				       pick(w, 6)) == 0;
		break;
	case 3:
		if (tree_lookup(t, dir, name, &entry) < 0)
			break;
		if (tree_link(t, &w->who, entry.node, to, other, &entry) == 0)
			tree_forget(t, w->slot, entry.node, 1);
		tree_forget(t, w->slot, entry.node, 1);
		break;
	default:
		if (tree_make(t, &w->who, dir, name,
			      pick(w, 3) ? S_IFREG | 0644 : S_IFDIR | 0755, 0,
			      NULL, &entry) == 0)
			use_entry(w, &entry);
	}
}

static void look(struct worker *w, uint64_t dir, const char *name)
{
	struct tree *t = w->rig->tree;
	struct tree_entry entry;
	struct stat st;
	unsigned n = 0;

	switch (pick(w, 4)) {
	case 0:
		w->done +=
			tree_readdir(t, dir, pick(w, 20), false, see, &n) == 0;
		break;
	case 1:
		if (pick(w, 20) == 0)
			tree_each_body(t, w->slot, visit, NULL);
		break;
	case 2:
		w->done += tree_getattr(t, dir, &st) == 0;
		break;
	default:
		if (tree_lookup(t, dir, name, &entry) == 0)
			use_entry(w, &entry);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char name[16];

	/* Held over whole requests, as a worker of the file system does. */
	w->who.stream = stream_get(w->rig->streams, w->slot);
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t dir = dirs[pick(w, DIRS)];

		snprintf(name, sizeof(name), "n%u", pick(w, 6));
		w->who.op = pick(w, 2) ? (uint64_t)w->slot << 32 | (i + 1) : 0;
		if (pick(w, 2))
			change_names(w, dir, name);
		else
			look(w, dir, name);
		tree_op_done(w->rig->tree, w->who.op);
	}
	stream_put(w->rig->streams, w->who.stream);
	return NULL;
}

static void test_storm(void **state UNUSED)
{
	static struct worker workers[THREADS];
	pthread_t thread[THREADS];
	struct tree_rig rig;
	unsigned done = 0;

	assert_int_equal(tree_rig_new(&rig, 256 * MIB, 0), 0);
	dirs[0] = TREE_ROOT;
	dirs[1] = rig_make(&rig, TREE_ROOT, "dir1", S_IFDIR | 0755);
	dirs[2] = rig_make(&rig, dirs[1], "dir2", S_IFDIR | 0755);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.rig = &rig, .who = rig.who, .slot = i, .seed = i + 1};
		assert_int_equal(stream_up(rig.streams, i), 0);
		workers[i].who.privileged = i % 2;
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, work, &workers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		done += workers[i].done;
	}
	assert_true(done > STEPS / 2);
	rig_check(&rig);
	assert_int_equal(atomic_load(&rig.tree->nameless), 0);
	assert_int_equal(tree_rig_reattach(&rig, false), 0);
	assert_int_equal(rig.tree->dropped, 0);
	rig_check(&rig);
	tree_rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
