/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking what a map has, group by group, while others read and write it.
 *
 * Inner nodes stay for as long as the file's rwlock is held; entries are shown
 * under their group's lock. A root that covers one group only may be replaced
 * by a larger one at any time and is looked up again under that group's lock.
 */
#include "store/state.h"

struct step {
	struct store *store;
	struct file file;
	uint64_t first, end;
	const struct walk *walk;
};

static void show_node(const struct step *step, uint32_t ix, unsigned height,
		      uint64_t base)
{
	if (step->walk->node)
		step->walk->node(step->walk->arg, ix, height, base);
}

static void show_group(const struct step *step, uint64_t page)
{
	struct lock *group = store_group_lock(step->store, step->file, page);
	_Atomic uint64_t *slots;
	unsigned have = 0;

	if (!step->walk->entry)
		return;
	lock_take(group);
	slots = map_slots(step->store->arena, step->file.body, page, &have);
	for (unsigned i = 0; slots && i < have; i++)
		if (page + i >= step->first && page + i < step->end)
			step->walk->entry(
				step->walk->arg, page + i,
				atomic_load_explicit(&slots[i],
						     memory_order_acquire));
	lock_drop(group);
}

static void show_subtree(const struct step *step, uint32_t ix, unsigned height,
			 uint64_t base)
{
	const _Atomic uint64_t *words;
	uint64_t pages = node_pages(height);

	if (base >= step->end || base + pages <= step->first)
		return;
	show_node(step, ix, height, base);
	/* A check meets numbers of no record, which are shown, not followed. */
	if (ix == NODE_BAD ||
	    ix >= table_end(step->store->arena, node_table(height)))
		return;
	if (height <= 1) {
		show_group(step, base);
		return;
	}
	words = node_at(step->store->arena, ix, height);
	for (unsigned i = 0; i < GROUP_PAGES; i++) {
		uint64_t word =
			atomic_load_explicit(&words[i], memory_order_acquire);

		if (word)
			show_subtree(step, (uint32_t)word, height - 1,
				     base + i * node_pages(height - 1));
	}
}

void walk_pages(struct store *store, struct file file, uint64_t first,
		uint64_t end, const struct walk *walk)
{
	struct step step = {store, file, first, end, walk};
	uint64_t root =
		atomic_load_explicit(&file.body->root, memory_order_acquire);

	if (!root_is_node(root))
		show_group(&step, 0);
	else
		show_subtree(&step, root_ix(root), root_height(root), 0);
}
