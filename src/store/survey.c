/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Surveys of one file: what it takes, and the picture of where its pages are.
 *
 * A survey may have millions of pages to look at, and whoever cuts the file
 * waits for its lock: it is let go after each piece.
 */
#include "store/state.h"
#include <errno.h>
#include <string.h>

/* What a backend keeps in front of each object (see pool/). */
#define OBJECT_HEADER_BYTES 8

/* Pages of one piece: those of a node of height 2. */
#define PIECE_PAGES (UINT64_C(1) << (2 * GROUP_SHIFT))

int survey_object(struct store *store, uint64_t word, size_t *ret_bytes,
		  uint16_t *ret_tag)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;

	if (pool_read_begin(store->pool, entry_handle(word), scratch, &view))
		return -EIO;
	*ret_bytes = view.bytes[0] + view.bytes[1];
	*ret_tag = view.tag;
	pool_read_end(store->pool, entry_handle(word), &view);
	return 0;
}

/* Show pages [0, @end) piece by piece. @lost_end: set by the visitor to where
 * the lost node ends that it was shown, for such may be of any size. */
static void survey(struct store *store, struct file file, uint64_t end,
		   const struct walk *walk, const uint64_t *lost_end)
{
	struct rwlock *lock = store_file_lock(store, file);

	for (uint64_t page = 0, next; page < end; page = next) {
		rwlock_read(lock);
		page = map_next(store->arena, file.body, page);
		next = page < end ? (page | (PIECE_PAGES - 1)) + 1 : end;
		if (next > end)
			next = end;
		if (page < end)
			walk_pages(store, file, page, next, walk);
		rwlock_read_end(lock);
		if (*lost_end > next)
			next = *lost_end;
	}
}

/* --- what it takes --- */

struct account {
	struct store *store;
	struct store_file_info info;
	uint64_t lost_end;
	/* Each piece comes by the nodes above it again: the last of a height
	 * is the one to know. */
	uint32_t seen[MAP_HEIGHT_MAX + 1];
};

/* What is on disk was the oldest; its own age says something else. */
static unsigned age_of(uint64_t word)
{
	return entry_kind(word) == ENTRY_SPILLED ? (unsigned)ENTRY_AGE_MAX
						 : entry_age(word);
}

static void account_object(struct account *account, uint64_t word)
{
	struct store_file_info *info = &account->info;
	struct sets *sets = account->store->sets;
	struct codec_params params;
	size_t n_bytes;
	uint16_t tag;

	if (survey_object(account->store, word, &n_bytes, &tag) != 0)
		return;
	info->resident_bytes += n_bytes + OBJECT_HEADER_BYTES;
	if (tag_set(tag) == SET_RAW)
		info->pages[CODEC_RAW]++;
	else if (!sets_params(sets, tag_set(tag), &params))
		info->pages[params.id]++;
}

static void account_entry(void *arg, uint64_t page UNUSED, uint64_t word)
{
	struct account *account = arg;
	struct store_file_info *info = &account->info;

	if (!entry_is_held(word))
		return;
	info->logical_bytes += PAGE_BYTES;
	info->ages[age_of(word)]++;
	if (entry_kind(word) == ENTRY_RAM) {
		account_object(account, word);
		return;
	}
	if (entry_kind(word) == ENTRY_SPILLED) {
		info->spilled_pages++;
		info->spilled_bytes += backing_extent_bytes(entry_extent(word));
		return;
	}
	info->fill_pages++;
	if (entry_kind(word) == ENTRY_FILL_RECORD)
		info->resident_bytes += table_record_bytes(TABLE_FILLS);
}

static void account_node(void *arg, uint32_t ix, unsigned height, uint64_t base)
{
	struct account *account = arg;

	if (ix == NODE_BAD) {
		account->lost_end = base + node_pages(height);
	} else if (account->seen[height] != ix) {
		account->seen[height] = ix;
		account->info.resident_bytes +=
			table_record_bytes(node_table(height));
	}
}

void store_file_info(struct store *store, struct file file,
		     struct store_file_info *ret_info)
{
	struct account account = {.store = store};
	struct walk walk = {account_entry, account_node, &account};

	survey(store, file, MAP_END, &walk, &account.lost_end);
	*ret_info = account.info;
}

/* --- where its pages are --- */

struct picture {
	struct store *store;
	struct store_cell *cells;
	unsigned cell_shift;
	uint64_t pages; /* of the file */
	uint64_t lost_end;
	/* Pages come in rising order: one cell is being summed up. */
	uint64_t cell;
	uint64_t n[TIER_NR], ages;
};

static enum store_tier tier_of(struct store *store, uint64_t word)
{
	size_t n_bytes;
	uint16_t tag;

	switch (entry_kind(word)) {
	case ENTRY_EMPTY:
		return TIER_HOLE;
	case ENTRY_FILL:
	case ENTRY_FILL_RECORD:
		return TIER_FILL;
	case ENTRY_RAM:
		if (survey_object(store, word, &n_bytes, &tag) != 0)
			return TIER_BAD;
		return tag_set(tag) == SET_RAW ? TIER_RAW : TIER_COMPRESSED;
	case ENTRY_SPILLED:
		return TIER_SPILLED;
	default:
		return TIER_BAD;
	}
}

/* The cell is summed up: paint it. */
static void picture_settle(struct picture *picture)
{
	enum store_tier most = TIER_HOLE;
	uint64_t held = 0;

	for (unsigned tier = TIER_FILL; tier < TIER_NR; tier++) {
		if (picture->n[tier] > picture->n[most])
			most = tier;
		if (tier != TIER_BAD)
			held += picture->n[tier];
	}
	picture->cells[picture->cell] = (struct store_cell){
		.tier = (uint8_t)most,
		.age = held ? (uint8_t)(picture->ages / held) : 0,
	};
	memset(picture->n, 0, sizeof(picture->n));
	picture->ages = 0;
}

static void picture_add(struct picture *picture, uint64_t page, uint64_t n,
			enum store_tier tier, uint64_t age)
{
	for (uint64_t here; n && page < picture->pages; n -= here) {
		uint64_t cell = page >> picture->cell_shift;

		if (cell != picture->cell)
			picture_settle(picture);
		picture->cell = cell;
		here = ((cell + 1) << picture->cell_shift) - page;
		if (here > n)
			here = n;
		picture->n[tier] += here;
		picture->ages += age * here;
		page += here;
	}
}

static void picture_entry(void *arg, uint64_t page, uint64_t word)
{
	struct picture *picture = arg;
	enum store_tier tier = tier_of(picture->store, word);

	if (tier != TIER_HOLE)
		picture_add(picture, page, 1, tier,
			    tier == TIER_BAD ? 0 : age_of(word));
}

static void picture_node(void *arg, uint32_t ix, unsigned height, uint64_t base)
{
	struct picture *picture = arg;

	if (ix != NODE_BAD)
		return;
	picture->lost_end = base + node_pages(height);
	picture_add(picture, base, node_pages(height), TIER_BAD, 0);
}

unsigned store_file_map(struct store *store, struct file file,
			struct store_cell *cells, unsigned most,
			uint64_t *ret_pages, uint64_t *ret_cell_pages)
{
	uint64_t size =
		atomic_load_explicit(&file.body->size, memory_order_relaxed);
	struct picture picture = {
		.store = store,
		.cells = cells,
		.pages = size / PAGE_BYTES + (size % PAGE_BYTES != 0),
	};
	struct walk walk = {picture_entry, picture_node, &picture};
	uint64_t last = picture.pages ? picture.pages - 1 : 0;
	uint64_t n;

	while (last >> picture.cell_shift >= most)
		picture.cell_shift++;
	n = picture.pages ? (last >> picture.cell_shift) + 1 : 0;
	memset(cells, 0, n * sizeof(*cells));
	survey(store, file, picture.pages, &walk, &picture.lost_end);
	if (n)
		picture_settle(&picture);
	*ret_pages = picture.pages;
	*ret_cell_pages = UINT64_C(1) << picture.cell_shift;
	return (unsigned)n;
}
