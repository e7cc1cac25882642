/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The map alone: growing from inline to the last page, walking, cutting. */
#include "lib/unit.h"
#include "store/map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LAST_PAGE (((uint64_t)FILE_MAX_BYTES >> PAGE_SHIFT) - 1)

struct world {
	struct budget budget;
	struct arena *arena;
	struct lock zero;
	struct body body;
	struct map_taken taken;
};

static int up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	budget_init(&w->budget, GIB);
	assert_int_equal(arena_new(MIB, &w->budget, &w->arena), 0);
	lock_init(&w->zero, LOCK_PAGES);
	*state = w;
	return 0;
}

static uint64_t nodes(struct world *w)
{
	return table_used(w->arena, TABLE_TWIGS) +
	       table_used(w->arena, TABLE_LEAVES);
}

static void visit_sum(void *arg, uint64_t word)
{
	uint64_t *sum = arg;

	*sum += entry_payload(word);
}

/* Cut [first, end); the sum of the payloads that were there. */
static uint64_t take(struct world *w, uint64_t first, uint64_t end)
{
	uint64_t sum = 0;

	map_take(w->arena, &w->body, first, end, &w->taken);
	map_free_taken(w->arena, &w->taken, visit_sum, &sum);
	return sum;
}

static int down(void **state)
{
	struct world *w = *state;

	take(w, 0, MAP_END);
	assert_true(atomic_load(&w->body.root) == 0);
	assert_int_equal(nodes(w), 0);
	lock_fini(&w->zero);
	arena_free(w->arena);
	free(w);
	return 0;
}

static void put(struct world *w, uint64_t page, uint64_t payload)
{
	unsigned n = 0;
	_Atomic uint64_t *slots;

	assert_int_equal(map_ensure(w->arena, &w->body, page, 1, &w->zero), 0);
	slots = map_slots(w->arena, &w->body, page, &n);
	assert_non_null(slots);
	assert_true(n >= 1);
	assert_false(map_is_lost(slots));
	atomic_store(slots, entry_make(ENTRY_RAM, payload));
}

/* The payload at @page; 0: no slot or a hole. */
static uint64_t get(struct world *w, uint64_t page)
{
	unsigned n;
	_Atomic uint64_t *slots = map_slots(w->arena, &w->body, page, &n);

	return slots ? entry_payload(atomic_load(slots)) : 0;
}

static void test_grows_step_by_step(void **state)
{
	static const uint64_t pages[] = {
		0,        1,    8,        63,       64,
		4095,     4096, 1u << 18, 1u << 30, UINT64_C(1) << 42,
		LAST_PAGE};
	struct world *w = *state;
	unsigned n = ARRAY_SIZE(pages);

	for (unsigned i = 0; i < n; i++) {
		put(w, pages[i], i + 1);
		for (unsigned k = 0; k <= i; k++)
			assert_int_equal(get(w, pages[k]), k + 1);
	}
	assert_int_equal(take(w, 0, MAP_END), n * (n + 1) / 2);
}

static void test_small_files_cost_little(void **state)
{
	struct world *w = *state;

	put(w, 0, 1);
	assert_int_equal(nodes(w), 0);
	put(w, 7, 2);
	assert_int_equal(table_used(w->arena, TABLE_TWIGS), 1);
	assert_int_equal(table_used(w->arena, TABLE_LEAVES), 0);
	put(w, 8, 3);
	assert_int_equal(table_used(w->arena, TABLE_TWIGS), 0);
	assert_int_equal(table_used(w->arena, TABLE_LEAVES), 1);
}

static void test_root_keeps_generations(void **state)
{
	struct world *w = *state;
	uint64_t hole = entry_after(entry_make(ENTRY_RAM, 9), 0);
	unsigned n;

	/* A hole that was a page: an edit may remember what it was. */
	atomic_store(&w->body.root, hole);
	put(w, 70, 1);
	assert_true(atomic_load(map_slots(w->arena, &w->body, 0, &n)) == hole);
}

static void test_far_page_of_an_empty_file(void **state)
{
	struct world *w = *state;

	put(w, LAST_PAGE, 1);
	/* One node a level and nothing for page 0. */
	assert_int_equal(nodes(w), MAP_HEIGHT_MAX);
	assert_int_equal(map_next(w->arena, &w->body, 0),
			 LAST_PAGE & ~(uint64_t)63);
	assert_int_equal(map_next(w->arena, &w->body, LAST_PAGE), LAST_PAGE);
	assert_true(map_next(w->arena, &w->body, LAST_PAGE + 2) == MAP_END);
}

static void test_next_skips_what_is_not_there(void **state)
{
	struct world *w = *state;

	assert_true(map_next(w->arena, &w->body, 0) == MAP_END);
	put(w, 0, 1);
	assert_int_equal(map_next(w->arena, &w->body, 0), 0);
	assert_true(map_next(w->arena, &w->body, 1) == MAP_END);
	put(w, 5000, 1);
	put(w, 1u << 20, 1);
	assert_int_equal(map_next(w->arena, &w->body, 3), 3);
	assert_int_equal(map_next(w->arena, &w->body, 64), 5000 & ~63);
	assert_int_equal(map_next(w->arena, &w->body, 5056), 1u << 20);
	assert_true(map_next(w->arena, &w->body, (1u << 20) + 64) == MAP_END);
}

static void test_take_is_exact(void **state)
{
	struct world *w = *state;

	for (uint64_t page = 0; page < 1000; page++)
		put(w, page, page + 1);
	/* [100, 700): 101 + ... + 700 */
	assert_int_equal(take(w, 100, 700), 600 * 801 / 2);
	for (uint64_t page = 0; page < 1000; page++)
		assert_int_equal(get(w, page),
				 page >= 100 && page < 700 ? 0 : page + 1);
	assert_int_equal(take(w, 0, MAP_END), 1000 * 1001 / 2 - 600 * 801 / 2);
}

static void test_take_leaves_no_empty_node(void **state)
{
	struct world *w = *state;

	put(w, 0, 7);
	put(w, 100, 1);
	put(w, LAST_PAGE, 2);
	assert_int_equal(take(w, 1, MAP_END), 3);
	assert_int_equal(nodes(w), 0);
	assert_int_equal(get(w, 0), 7);
	put(w, 100, 1);
	/* Single pages: the edges of the cut. */
	assert_int_equal(take(w, 100, 101), 1);
	assert_int_equal(nodes(w), 0);
	assert_int_equal(take(w, 0, 1), 7);
	assert_true(atomic_load(&w->body.root) == 0);
}

static void test_take_at_both_edges_fits(void **state)
{
	struct world *w = *state;

	/* All children of every level on both sides of the cut. */
	for (unsigned level = 0; level <= 7; level++)
		for (uint64_t i = 0; i < 64; i++) {
			put(w, i << (6 * level), 1);
			put(w, LAST_PAGE - (i << (6 * level)), 1);
		}
	take(w, 1, LAST_PAGE);
	assert_int_equal(get(w, 0), 1);
	assert_int_equal(get(w, LAST_PAGE), 1);
	assert_int_equal(get(w, 64), 0);
}

static void test_prune_takes_only_empty_nodes(void **state)
{
	struct world *w = *state;

	put(w, 64, 1);
	assert_int_equal(map_ensure(w->arena, &w->body, 1u << 20, 64, &w->zero),
			 0);
	map_prune(w->arena, &w->body, 0, 1u << 21);
	assert_int_equal(get(w, 64), 1);
	assert_true(map_next(w->arena, &w->body, 128) == MAP_END);
	assert_int_equal(nodes(w), 2);
}

/* Take some records of the table and all that are free without more memory. */
static unsigned use_up(struct world *w, enum arena_table table, uint32_t *ix)
{
	unsigned n = 0;

	budget_set_limit(&w->budget, GIB);
	while (n < 20)
		assert_int_equal(
			table_alloc(w->arena, table, BUDGET_NORMAL, &ix[n++]),
			0);
	budget_set_limit(&w->budget, 0);
	while (table_alloc(w->arena, table, BUDGET_NORMAL, &ix[n]) == 0)
		n++;
	return n;
}

/* However far it comes, a growth that fails leaves what was there: tried with
 * 0, 1, 2, ... free records until it is enough. */
static void growth_without_room(struct world *w, uint64_t first, uint64_t page)
{
	static uint32_t twigs[10000], leaves[10000];
	unsigned n_twigs, n_leaves, room = 0;
	int err;

	put(w, 0, 42);
	put(w, first, 43);
	n_twigs = use_up(w, TABLE_TWIGS, twigs);
	n_leaves = use_up(w, TABLE_LEAVES, leaves);
	do {
		uint64_t used = nodes(w);

		err = map_ensure(w->arena, &w->body, page, 1, &w->zero);
		assert_true(err == 0 || err == -ENOSPC);
		/* A path that was made stays, empty, until it is pruned. */
		if (err)
			map_prune(w->arena, &w->body, 0, MAP_END);
		if (err)
			assert_int_equal(nodes(w), used);
		assert_int_equal(get(w, 0), 42);
		assert_int_equal(get(w, first), 43);
		table_free(w->arena, TABLE_LEAVES, leaves[room++]);
	} while (err);
	assert_true(room > 1);
	while (room < n_leaves)
		table_free(w->arena, TABLE_LEAVES, leaves[room++]);
	while (n_twigs > 0)
		table_free(w->arena, TABLE_TWIGS, twigs[--n_twigs]);
	budget_set_limit(&w->budget, GIB);
	take(w, 0, MAP_END);
	assert_int_equal(nodes(w), 0);
}

static void test_growth_without_room(void **state)
{
	struct world *w = *state;

	growth_without_room(w, 7, 8);
	growth_without_room(w, 7, 5000);
	growth_without_room(w, 7, LAST_PAGE);
	growth_without_room(w, 63, LAST_PAGE);
	growth_without_room(w, 300, LAST_PAGE);
	growth_without_room(w, LAST_PAGE, UINT64_C(1) << 40);
}

static void test_lost_nodes(void **state)
{
	struct world *w = *state;
	_Atomic uint64_t *slots;
	unsigned n = 0;

	atomic_store(&w->body.root, root_of_node(NODE_BAD, 2));
	slots = map_slots(w->arena, &w->body, 70, &n);
	assert_true(map_is_lost(slots));
	assert_int_equal(n, 64 - 6);
	assert_int_equal(entry_kind(atomic_load(&slots[n - 1])), ENTRY_BAD);
	assert_int_equal(map_next(w->arena, &w->body, 70), 70);
	/* One page is written: its neighbours stay lost, as far as the node
	 * goes. */
	put(w, 70, 1);
	slots = map_slots(w->arena, &w->body, 71, &n);
	assert_false(map_is_lost(slots));
	assert_int_equal(entry_kind(atomic_load(slots)), ENTRY_BAD);
	assert_true(map_is_lost(map_slots(w->arena, &w->body, 130, &n)));
	assert_null(map_slots(w->arena, &w->body, 4096, &n));
	/* Growing over it keeps it. */
	put(w, 5000, 1);
	assert_true(map_is_lost(map_slots(w->arena, &w->body, 130, &n)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grows_step_by_step, up,
						down),
		cmocka_unit_test_setup_teardown(test_small_files_cost_little,
						up, down),
		cmocka_unit_test_setup_teardown(test_root_keeps_generations, up,
						down),
		cmocka_unit_test_setup_teardown(test_far_page_of_an_empty_file,
						up, down),
		cmocka_unit_test_setup_teardown(
			test_next_skips_what_is_not_there, up, down),
		cmocka_unit_test_setup_teardown(test_take_is_exact, up, down),
		cmocka_unit_test_setup_teardown(test_take_leaves_no_empty_node,
						up, down),
		cmocka_unit_test_setup_teardown(test_take_at_both_edges_fits,
						up, down),
		cmocka_unit_test_setup_teardown(
			test_prune_takes_only_empty_nodes, up, down),
		cmocka_unit_test_setup_teardown(test_growth_without_room, up,
						down),
		cmocka_unit_test_setup_teardown(test_lost_nodes, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
