/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking pages out of a map: unpublish under the file's write lock, free
 * afterwards without any.
 *
 * Under the lock only the two edges of the range are walked; whole subtrees
 * between them are unhooked by one store each. So a writer that comes after
 * the lock is dropped never meets the old pages, however long freeing takes.
 */
#include "base/check.h"
#include "store/map.h"

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static bool word_is_empty(uint64_t word, unsigned height)
{
	return height > 1 ? word == 0 : entry_kind(word) == ENTRY_EMPTY;
}

/* How many of a node's words hold something; @ret_first: the first one. */
static unsigned words_in_use(const _Atomic uint64_t *words, unsigned height,
			     unsigned *ret_first)
{
	unsigned n = 0;

	for (unsigned i = node_words(height); i-- > 0;) {
		if (word_is_empty(load(&words[i]), height))
			continue;
		*ret_first = i;
		n++;
	}
	return n;
}

static void take_word(struct map_taken *taken, _Atomic uint64_t *slot)
{
	uint64_t word = load(slot);

	store(slot, 0);
	if (entry_kind(word) == ENTRY_EMPTY)
		return;
	invariant(taken->n_words < TAKEN_WORDS);
	taken->word[taken->n_words++] = word;
}

static void take_node(struct map_taken *taken, uint32_t ix, unsigned height)
{
	if (ix == NODE_BAD)
		return;
	invariant(taken->n_nodes < TAKEN_NODES);
	taken->node[taken->n_nodes].ix = ix;
	taken->node[taken->n_nodes++].height = height;
}

struct cut {
	struct arena *arena;
	struct map_taken *taken; /* NULL: only nodes without entries go */
	uint64_t first, end;
};

/* Cut below one node that starts at page @base; true if nothing is left. */
static bool cut_node(struct cut *cut, uint32_t ix, unsigned height,
		     uint64_t base)
{
	_Atomic uint64_t *words = node_at(cut->arena, ix, height);
	uint64_t step = height > 1 ? node_pages(height - 1) : 1;
	unsigned first;

	for (unsigned i = 0; i < node_words(height); i++) {
		uint64_t from = base + i * step;
		uint32_t child = (uint32_t)load(&words[i]);

		if (from >= cut->end || from + step <= cut->first)
			continue;
		if (height <= 1) {
			if (cut->taken)
				take_word(cut->taken, &words[i]);
		} else if (cut->taken && from >= cut->first &&
			   from + step <= cut->end) {
			store(&words[i], 0);
			if (child)
				take_node(cut->taken, child, height - 1);
		} else if (child && child != NODE_BAD &&
			   cut_node(cut, child, height - 1, from)) {
			store(&words[i], 0);
			table_free(cut->arena, node_table(height - 1), child);
		}
	}
	return words_in_use(words, height, &first) == 0;
}

/* While only the first word of the root is in use, that word is the root. */
static void lower_root(struct arena *arena, struct body *body)
{
	uint64_t root = load(&body->root);

	while (root_is_node(root) && root_ix(root) != NODE_BAD) {
		unsigned height = root_height(root), first = 0;
		uint32_t ix = root_ix(root);
		_Atomic uint64_t *words = node_at(arena, ix, height);

		if (words_in_use(words, height, &first) != 1 || first != 0)
			return;
		root = load(&words[0]);
		if (height > 1)
			root = root_of_node((uint32_t)root, height - 1);
		store(&body->root, root);
		table_free(arena, node_table(height), ix);
	}
}

static void cut_root(struct cut *cut, struct body *body)
{
	uint64_t root = load(&body->root);

	if (!root_is_node(root)) {
		if (cut->taken && cut->first == 0 && cut->end > 0)
			take_word(cut->taken, &body->root);
		return;
	}
	if (cut->taken && cut->first == 0 &&
	    cut->end >= node_pages(root_height(root))) {
		store(&body->root, 0);
		take_node(cut->taken, root_ix(root), root_height(root));
		return;
	}
	if (root_ix(root) == NODE_BAD)
		return;
	if (cut_node(cut, root_ix(root), root_height(root), 0)) {
		store(&body->root, 0);
		table_free(cut->arena, node_table(root_height(root)),
			   root_ix(root));
		return;
	}
	lower_root(cut->arena, body);
}

void map_take(struct arena *arena, struct body *body, uint64_t first,
	      uint64_t end, struct map_taken *taken)
{
	struct cut cut = {arena, taken, first, end};

	taken->n_nodes = 0;
	taken->n_words = 0;
	if (first < end)
		cut_root(&cut, body);
}

void map_prune(struct arena *arena, struct body *body, uint64_t first,
	       uint64_t end)
{
	struct cut cut = {arena, NULL, first, end};

	if (first < end)
		cut_root(&cut, body);
}

static void free_subtree(struct arena *arena, uint32_t ix, unsigned height,
			 map_visit *visit, void *arg)
{
	const _Atomic uint64_t *words = node_at(arena, ix, height);

	for (unsigned i = 0; i < node_words(height); i++) {
		uint64_t word = load(&words[i]);

		if (word_is_empty(word, height))
			continue;
		if (height <= 1)
			visit(arg, word);
		else if (word != NODE_BAD)
			free_subtree(arena, (uint32_t)word, height - 1, visit,
				     arg);
	}
	table_free(arena, node_table(height), ix);
}

void map_free_taken(struct arena *arena, struct map_taken *taken,
		    map_visit *visit, void *arg)
{
	for (unsigned i = 0; i < taken->n_words; i++)
		visit(arg, taken->word[i]);
	for (unsigned i = 0; i < taken->n_nodes; i++)
		free_subtree(arena, taken->node[i].ix, taken->node[i].height,
			     visit, arg);
}
