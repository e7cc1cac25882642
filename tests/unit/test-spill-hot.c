/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in use stays in RAM, whatever is read and written beside it: the real
 * store, clock and policy, with rounds and ticks where the spiller has them,
 * under loads that other caches are known to lose by.
 */
#include "fs/spill_inside.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages that RAM has room for up to the high mark, about. */
#define RAM_PAGES 2048u
#define COLD_PAGES (4 * RAM_PAGES)
#define HOT 0u
#define COLD 1u

enum order { ONCE, LOOP, ANYWHERE };

struct shape {
	unsigned hot_percent;   /* of RAM_PAGES */
	enum order order;       /* of the cold reads */
	unsigned read_pages;    /* in one request */
	unsigned write_percent; /* of the requests, cold pages written whole */
	unsigned part;          /* all hot pages after each 1/part of RAM */
};

struct world {
	struct store_rig rig;
	struct spill_clock clock;
	struct spill_marks marks;
	uint64_t random;
	unsigned hot_pages;
	uint64_t asked, missed;
	uint32_t perm[RAM_PAGES];
	unsigned char *page, *buf;
};

static uint32_t below(struct world *w, uint32_t n)
{
	w->random =
		w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((w->random >> 33) % n);
}

static struct store_stats stats_of(struct world *w)
{
	struct store_stats stats;

	store_stats(w->rig.store, &stats);
	return stats;
}

static void ages_of(struct world *w, bool tick, struct store_ages *ages)
{
	memset(ages, 0, sizeof(*ages));
	for (unsigned i = HOT; i <= COLD; i++)
		store_age_body(w->rig.store, store_rig_file(&w->rig, i), tick,
			       ages);
}

/* Pages that go leave holes in the pool's spans. */
static void compact(struct world *w)
{
	if (!store_wants_compaction(w->rig.store) ||
	    !store_compact_begin(w->rig.store))
		return;
	for (unsigned i = HOT; i <= COLD; i++)
		store_compact_body(w->rig.store, w->rig.stream,
				   store_rig_file(&w->rig, i));
	store_compact_end(w->rig.store);
}

/* As spiller.c has it. */
static void round_down(struct world *w)
{
	struct spill_pick pick = {.end_page = UINT64_MAX};
	struct spill_result result;
	struct store_ages ages;
	uint64_t used;

	for (;;) {
		compact(w);
		used = budget_used(&w->rig.budget);
		if (used <= w->marks.low_bytes)
			return;
		ages_of(w, false, &ages);
		assert_true(spill_choose(
			&ages, spill_need(used, w->marks.low_bytes), &pick));
		if (spill_is_enough(&w->marks, used, &pick))
			return;
		pick.budget_bytes = spill_need(used, w->marks.low_bytes);
		store_rig_spill(&w->rig, &pick, &result);
		assert_int_equal(result.err, 0);
		assert_true(result.pages > 0);
	}
}

static void live(struct world *w)
{
	struct store_stats stats = stats_of(w);
	uint64_t missed = spill_missed_pages(&stats);
	struct store_ages ages;

	if (spill_clock_due(&w->clock, 0, false, missed,
			    stats.pages_stored - stats.spilled_pages)) {
		ages_of(w, true, &ages);
		spill_clock_ticked(&w->clock, 0, 0, missed);
		store_set_promote(w->rig.store, spill_promote_ticks(&ages));
	}
	if (budget_used(&w->rig.budget) > w->marks.high_bytes)
		round_down(w);
}

/* No two pages are equal, and none compresses. */
static void write_page(struct world *w, unsigned file, uint64_t page)
{
	memcpy(w->buf, w->page, PAGE_BYTES);
	memcpy(w->buf, &page, sizeof(page));
	w->buf[sizeof(page)] = (unsigned char)file;
	store_rig_write(&w->rig, file, page * PAGE_BYTES, w->buf, PAGE_BYTES);
	live(w);
}

static void read_pages(struct world *w, unsigned file, uint64_t page,
		       unsigned n)
{
	assert_int_equal(store_rig_read(&w->rig, file, page * PAGE_BYTES,
					w->buf, (size_t)n * PAGE_BYTES),
			 0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t is;

		memcpy(&is, w->buf + i * (size_t)PAGE_BYTES, sizeof(is));
		assert_int_equal(is, page + i);
	}
	live(w);
}

/* All of the hot pages, in some order. */
static void use(struct world *w)
{
	uint64_t before = store_spill_reads(w->rig.store);

	for (unsigned i = 0; i < w->hot_pages; i++) {
		unsigned other = i + below(w, w->hot_pages - i);
		uint32_t page = w->perm[other];

		w->perm[other] = w->perm[i];
		w->perm[i] = page;
		read_pages(w, HOT, page, 1);
	}
	w->asked += w->hot_pages;
	w->missed += store_spill_reads(w->rig.store) - before;
}

static void up(struct world *w, const struct shape *shape)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = true};
	uint64_t limit;

	/* A hundred thousand reads: no disk that others keep busy. */
	if (access("/dev/shm", W_OK) == 0)
		options.spill_dir = "/dev/shm";
	memset(w, 0, sizeof(*w));
	store_rig_up(&w->rig, &options);
	w->random = 1;
	w->page = malloc(PAGE_BYTES);
	w->buf = malloc(32 * (size_t)PAGE_BYTES);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		w->page[i] = (unsigned char)below(w, 256);
	w->hot_pages = RAM_PAGES * shape->hot_percent / 100;
	for (unsigned i = 0; i < w->hot_pages; i++)
		w->perm[i] = i;
	spill_clock_init(&w->clock, 0);
	limit = budget_used(&w->rig.budget) + BUDGET_RESERVE_BYTES +
		RAM_PAGES * (size_t)PAGE_BYTES * 11 / 10;
	budget_set_limit(&w->rig.budget, limit);
	w->marks = spill_marks(limit, SPILL_HIGH_PERCENT, SPILL_LOW_PERCENT);
}

static void down(struct world *w)
{
	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	free(w->page);
	free(w->buf);
}

static void ask_cold(struct world *w, const struct shape *shape, uint64_t at)
{
	uint64_t page = at;

	if (shape->order == ANYWHERE)
		page = below(w, COLD_PAGES / shape->read_pages) *
		       (uint64_t)shape->read_pages;
	if (below(w, 100) < shape->write_percent)
		for (unsigned i = 0; i < shape->read_pages; i++)
			write_page(w, COLD, page + i);
	else
		read_pages(w, COLD, page, shape->read_pages);
}

static void expect_hits(struct world *w, const char *what)
{
	print_message("%s: %u of %u missed", what, (unsigned)w->missed,
		      (unsigned)w->asked);
	print_message(" (%u came back, %u out)\n",
		      (unsigned)stats_of(w).brought_back_pages,
		      (unsigned)stats_of(w).written_back_pages);
	assert_true(w->missed * 20 <= w->asked);
	w->asked = 0;
	w->missed = 0;
}

static void run(const struct shape *shape)
{
	unsigned step = RAM_PAGES / shape->part;
	unsigned times = shape->order == ONCE ? 1 : 2;
	uint64_t came;
	struct world w;

	up(&w, shape);
	print_message("hot %u %%, order %u, %u pages, %u %% written, 1/%u\n",
		      shape->hot_percent, shape->order, shape->read_pages,
		      shape->write_percent, shape->part);
	for (unsigned i = 0; i < w.hot_pages; i++)
		write_page(&w, HOT, i);
	for (unsigned i = 0; i < COLD_PAGES; i++) {
		write_page(&w, COLD, i);
		if (i % step == 0)
			use(&w);
	}
	expect_hits(&w, "  while it is written");
	came = stats_of(&w).brought_back_pages;
	for (unsigned time = 0; time < times; time++) {
		for (unsigned i = 0; i < COLD_PAGES; i += shape->read_pages) {
			ask_cold(&w, shape, i);
			if (i % step == 0)
				use(&w);
		}
		expect_hits(&w, "  while it is read");
	}
	/* Repeated or not, a scan itself brings nothing back. */
	if (shape->order != ANYWHERE)
		assert_true(stats_of(&w).brought_back_pages - came <=
			    COLD_PAGES / 50);
	down(&w);
}

static void shapes(void **state UNUSED)
{
	static const struct shape all[] = {
		{10, LOOP, 1, 0, 8},      {70, LOOP, 32, 10, 8},
		{40, LOOP, 1, 10, 4},     {70, ANYWHERE, 1, 10, 8},
		{40, ANYWHERE, 32, 0, 4}, {70, ONCE, 1, 0, 8},
	};

	/* A sanitizer takes its time, and has nothing to learn from more. */
	for (unsigned i = 0; i < (SANITIZED ? 2 : ARRAY_SIZE(all)); i++)
		run(&all[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
