/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree from its start to its end: private state, the root, the limits. */
#include "tree/tree.h"
#include "tree/inside.h"

uint64_t tree_next_word(struct tree *t, enum tree_word word)
{
	return atomic_fetch_add(arena_word(t->arena, ARENA_WORD_TREE + word),
				1) +
	       1;
}

uint64_t tree_nr_inodes(const struct tree *t)
{
	return atomic_load_explicit(
		arena_word(t->arena, ARENA_WORD_TREE + TREE_WORD_NR_INODES),
		memory_order_relaxed);
}

int tree_set_nr_inodes(struct tree *t, uint64_t nr_inodes)
{
	uint64_t most = table_capacity(t->arena, TABLE_INODES) - 1;

	if (nr_inodes == 0 || nr_inodes > most)
		nr_inodes = most;
	/* Below what is in use is allowed: nothing new until enough went. */
	atomic_store_explicit(
		arena_word(t->arena, ARENA_WORD_TREE + TREE_WORD_NR_INODES),
		nr_inodes, memory_order_relaxed);
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	invariant(t->pins == NULL);
	dirs_fini(t);
	names_fini(&t->names);
	column_fini(&t->states);
	ops_fini(&t->ops);
	lock_fini(&t->pins_lock);
	lock_fini(&t->inodes_lock);
	rwlock_fini(&t->lock);
	heap_free(t);
}

int tree_start(struct arena *arena, struct store *store, struct tree **ret_tree)
{
	struct tree *t = heap_zalloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->arena = arena;
	t->store = store;
	rwlock_init(&t->lock, LOCK_TREE);
	lock_init(&t->inodes_lock, LOCK_LEAF);
	lock_init(&t->pins_lock, LOCK_LEAF);
	ops_init(&t->ops);
	r = names_init(&t->names, arena);
	if (r == 0)
		r = dirs_init(t);
	if (r == 0)
		r = column_init(&t->states, sizeof(struct inode_state),
				table_capacity(arena, TABLE_INODES),
				arena_budget(arena));
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret_tree = t;
	return 0;
}

static int make_root(struct tree *t, const struct tree_options *options)
{
	struct change change = {
		.mode_inode = ROOT_IX,
		.mode = S_IFDIR | (options->root_mode & 07777),
	};
	struct inode_record *root;
	uint32_t ix;
	int r = inode_alloc(t, &ix);

	if (r < 0)
		return r;
	/* The first record of an empty table: node 1 is in the protocol. */
	invariant(ix == ROOT_IX);
	root = inode_at(t, ix);
	atomic_store_explicit(&root->uid, options->root_uid,
			      memory_order_relaxed);
	atomic_store_explicit(&root->gid, options->root_gid,
			      memory_order_relaxed);
	atomic_store_explicit(&root->parent, ix, memory_order_relaxed);
	change_commit(t, &change);
	atomic_store(&inode_state(t, ix)->nlink, 2);
	return 0;
}

int tree_new(struct arena *arena, struct store *store,
	     const struct tree_options *options, struct tree **ret_tree)
{
	struct tree *t;
	int r = tree_start(arena, store, &t);

	if (r < 0)
		return r;
	r = tree_set_nr_inodes(t, options->nr_inodes);
	if (r == 0)
		r = ops_make(t);
	if (r == 0)
		r = make_root(t, options);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret_tree = t;
	return 0;
}

void tree_stats(struct tree *t, struct tree_stats *ret)
{
	*ret = (struct tree_stats){
		.inodes = atomic_load(&t->inodes),
		.inodes_max = tree_nr_inodes(t),
		.nameless = atomic_load(&t->nameless),
	};
	rwlock_read(&t->lock);
	ret->names = t->names.count;
	rwlock_read_end(&t->lock);
}
