/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a punch took out of a map and somebody else frees.
 *
 * A discard of swap must be answered in microseconds, and freeing 1 MiB takes
 * hundreds of them. What is owed is in no map any more, so no reader or writer
 * meets it, and a rebuild finds it free: nothing here is truth. A ring, made
 * once: when it is full, whoever punches frees by himself.
 *
 * One at a time pays, whoever comes first; `left` is read without the lock to
 * ask whether there is anything.
 */
#include "base/heap.h"
#include "store/state.h"
#include <errno.h>
#include <string.h>

/* Of 8 KiB each. */
#define PIECES 64u

struct piece {
	struct body *body;
	struct map_taken taken;
};

struct owed {
	struct lock lock; /* leaf */
	struct cond paid;
	/* Pieces [first, first + left); with `paying` the first is being freed
	 * by who said so. */
	unsigned first GUARDED_BY(lock);
	bool paying GUARDED_BY(lock);
	_Atomic unsigned left; /* written under the lock */
	struct piece piece[PIECES];
};

static unsigned left(const struct owed *owed)
{
	return atomic_load_explicit(&owed->left, memory_order_relaxed);
}

int store_pay_later(struct store *store)
{
	struct owed *owed = heap_alloc(sizeof(*owed));

	if (!owed)
		return -ENOMEM;
	/* All of it is there before it is needed. */
	memset(owed, 0, sizeof(*owed));
	lock_init(&owed->lock, LOCK_LEAF);
	cond_init(&owed->paid);
	store->owed = owed;
	return 0;
}

void owed_free(struct owed *owed)
{
	if (!owed)
		return;
	cond_fini(&owed->paid);
	lock_fini(&owed->lock);
	heap_free(owed);
}

/* What is used of it: mostly a few words. */
static void copy_taken(struct map_taken *to, const struct map_taken *from)
{
	to->n_nodes = from->n_nodes;
	to->n_words = from->n_words;
	memcpy(to->node, from->node, from->n_nodes * sizeof(from->node[0]));
	memcpy(to->word, from->word, from->n_words * sizeof(from->word[0]));
}

bool owed_add(struct owed *owed, struct body *body,
	      const struct map_taken *taken)
{
	unsigned n;

	if (!owed)
		return false;
	lock_take(&owed->lock);
	n = left(owed);
	if (n < PIECES) {
		struct piece *piece = &owed->piece[(owed->first + n) % PIECES];

		piece->body = body;
		copy_taken(&piece->taken, taken);
		atomic_store_explicit(&owed->left, n + 1, memory_order_relaxed);
	}
	lock_drop(&owed->lock);
	return n < PIECES;
}

bool store_owes(const struct store *store)
{
	return store->owed && left(store->owed) > 0;
}

static struct piece *pay_begin(struct owed *owed)
{
	struct piece *piece = NULL;

	lock_take(&owed->lock);
	if (left(owed) > 0 && !owed->paying) {
		owed->paying = true;
		piece = &owed->piece[owed->first];
	}
	lock_drop(&owed->lock);
	return piece;
}

static void pay_end(struct owed *owed)
{
	lock_take(&owed->lock);
	owed->paying = false;
	owed->first = (owed->first + 1) % PIECES;
	atomic_store_explicit(&owed->left, left(owed) - 1,
			      memory_order_relaxed);
	cond_broadcast(&owed->paid);
	lock_drop(&owed->lock);
}

bool store_pay(struct store *store, unsigned row)
{
	struct piece *piece;

	if (!store_owes(store))
		return false;
	piece = pay_begin(store->owed);
	if (!piece)
		return false;
	books_free_taken(store, row, piece->body, &piece->taken);
	pay_end(store->owed);
	return true;
}

/* Another pays: until it is done with its piece. */
static void wait_for_payer(struct owed *owed)
{
	lock_take(&owed->lock);
	while (owed->paying)
		cond_wait(&owed->paid, &owed->lock);
	lock_drop(&owed->lock);
}

void store_settle(struct store *store, unsigned row)
{
	while (store_owes(store))
		if (!store_pay(store, row))
			wait_for_payer(store->owed);
}

static bool is_owed_of(struct owed *owed, const struct body *body)
{
	bool found = false;

	lock_take(&owed->lock);
	for (unsigned i = 0; i < left(owed) && !found; i++)
		found = owed->piece[(owed->first + i) % PIECES].body == body;
	lock_drop(&owed->lock);
	return found;
}

void owed_settle_body(struct store *store, unsigned row,
		      const struct body *body)
{
	while (store->owed && is_owed_of(store->owed, body))
		if (!store_pay(store, row))
			wait_for_payer(store->owed);
}
