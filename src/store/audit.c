/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check: a walk over bodies that counts anew, and whether the sums agree.
 *
 * What is reached twice (an object, a record) shows as more reached than there
 * are, what is reached by nobody as fewer.
 */
#include "store/state.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct walker {
	struct store *store;
	const char *name;
	struct store_audit *audit;
	struct faults *faults;
	uint64_t pages;
};

static void wrong_page(struct walker *w, uint64_t page, const char *what)
{
	faults_add(w->faults, "%s, page %" PRIu64 ": %s", w->name, page, what);
}

static void audit_object(struct walker *w, uint64_t page, uint64_t word)
{
	struct store_audit *audit = w->audit;
	struct sets *sets = w->store->sets;
	struct codec_params params;
	size_t n_bytes;
	uint16_t tag;
	bool raw, fits;

	audit->objects++;
	audit->handles += pool_mix(entry_handle(word));
	if (survey_object(w->store, word, &n_bytes, &tag) != 0) {
		wrong_page(w, page, "no object where its entry points");
		return;
	}
	raw = tag_set(tag) == SET_RAW;
	fits = raw ? n_bytes == tag_length(tag) : n_bytes < tag_length(tag);
	audit->object_bytes += n_bytes;
	audit->raw += raw;
	audit->set_objects[tag_set(tag)]++;
	if (!fits)
		wrong_page(w, page, "its object has an impossible length");
	else if (sets_objects(sets, tag_set(tag)) == 0 ||
		 (!raw && sets_params(sets, tag_set(tag), &params) != 0))
		wrong_page(w, page, "its object is of a set that is none");
}

static void audit_fill(struct walker *w, uint64_t page, uint64_t word)
{
	w->audit->fills++;
	if (entry_kind(word) != ENTRY_FILL_RECORD)
		return;
	w->audit->fill_records++;
	if (!table_is_used(w->store->arena, TABLE_FILLS,
			   (uint32_t)entry_payload(word)))
		wrong_page(w, page, "its fill word is a free record");
}

static void audit_extent(struct walker *w, uint64_t page, uint64_t word)
{
	size_t bytes = backing_extent_bytes(entry_extent(word));

	w->audit->spilled++;
	w->audit->spilled_bytes += bytes;
	if (!w->store->backing || !bytes)
		wrong_page(w, page, "it is on disk where there is none");
}

static void audit_entry(void *arg, uint64_t page, uint64_t word)
{
	struct walker *w = arg;

	w->pages += entry_is_held(word);
	switch (entry_kind(word)) {
	case ENTRY_EMPTY:
		break;
	case ENTRY_BAD:
		w->audit->lost += entry_counts_as_lost(word);
		break;
	case ENTRY_FILL:
	case ENTRY_FILL_RECORD:
		audit_fill(w, page, word);
		break;
	case ENTRY_RAM:
		audit_object(w, page, word);
		break;
	case ENTRY_SPILLED:
		audit_extent(w, page, word);
		break;
	default:
		wrong_page(w, page, "its entry is of no kind there is");
	}
}

static void audit_node(void *arg, uint32_t ix, unsigned height, uint64_t base)
{
	struct walker *w = arg;
	enum arena_table table;

	if (ix == NODE_BAD)
		return;
	if (height > MAP_HEIGHT_MAX) {
		wrong_page(w, base, "its map is higher than any can be");
		return;
	}
	table = node_table(height);
	if (table == TABLE_TWIGS)
		w->audit->twigs++;
	else
		w->audit->leaves++;
	if (!table_is_used(w->store->arena, table, ix))
		wrong_page(w, base, "a node of its map is a free record");
}

void store_audit_body(struct store *store, struct file file, const char *name,
		      struct store_audit *audit, struct faults *faults)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct walker w = {
		.store = store,
		.name = name,
		.audit = audit,
		.faults = faults,
	};
	struct walk walk = {audit_entry, audit_node, &w};
	uint64_t pages;

	rwlock_read(lock);
	walk_pages(store, file, 0, MAP_END, &walk);
	pages = atomic_load_explicit(&file.body->pages, memory_order_relaxed);
	rwlock_read_end(lock);
	audit->bodies++;
	audit->pages += w.pages;
	if (w.pages != pages)
		faults_add(faults,
			   "%s: %" PRIu64 " pages are held, it says %" PRIu64,
			   name, w.pages, pages);
}

static void compare(struct faults *faults, const char *what, uint64_t reached,
		    uint64_t counted)
{
	if (reached != counted)
		faults_add(faults,
			   "%s: %" PRIu64 " are reached, %" PRIu64
			   " are counted",
			   what, reached, counted);
}

static void compare_pool(struct store *store, const struct store_audit *audit,
			 struct faults *faults)
{
	uint64_t fingerprint = pool_fingerprint(store->pool);
	struct pool_stats pool;

	pool_stats(store->pool, &pool);
	compare(faults, "objects in the pool", audit->objects, pool.objects);
	compare(faults, "bytes in the pool", audit->object_bytes,
		pool.object_bytes);
	if (fingerprint && fingerprint != audit->handles)
		faults_add(faults, "objects in the pool: not each of them "
				   "belongs to one page");
}

static void compare_backing(struct store *store,
			    const struct store_audit *audit,
			    struct faults *faults)
{
	struct backing_stats backing;

	if (!store->backing)
		return;
	backing_stats(store->backing, &backing);
	compare(faults, "extents in the backing file", audit->spilled,
		backing.extents);
	compare(faults, "bytes in the backing file", audit->spilled_bytes,
		backing.live_bytes);
	if (backing_check(store->backing))
		faults_add(faults, "the backing file: segments, records and "
				   "counts disagree");
}

/* A set is held by its objects and by each segment that has some of it. */
static void compare_sets(struct store *store, const struct store_audit *audit,
			 struct faults *faults)
{
	uint32_t holds[BACKING_KINDS] = {0};
	char what[32];

	if (store->backing)
		backing_kinds(store->backing, holds);
	for (unsigned set = 0; set < SETS_MAX; set++) {
		snprintf(what, sizeof(what), "objects of set %u", set);
		compare(faults, what, audit->set_objects[set] + holds[set],
			sets_objects(store->sets, set));
	}
}

void store_audit_end(struct store *store, const struct store_audit *audit,
		     struct faults *faults)
{
	struct arena *arena = store->arena;
	struct store_stats stats;

	store_stats(store, &stats);
	compare(faults, "pages held", audit->pages, stats.pages_stored);
	compare(faults, "fill pages", audit->fills, stats.same_pages);
	compare(faults, "raw pages", audit->raw, stats.huge_pages);
	compare(faults, "bytes of objects", audit->object_bytes,
		stats.compr_data_bytes);
	compare(faults, "spilled pages", audit->spilled, stats.spilled_pages);
	compare(faults, "bytes of spilled pages", audit->spilled_bytes,
		stats.spilled_bytes);
	compare(faults, "lost pages", audit->lost, stats.lost_pages);
	compare(faults, "twigs of maps", audit->twigs,
		table_used(arena, TABLE_TWIGS));
	compare(faults, "leaves of maps", audit->leaves,
		table_used(arena, TABLE_LEAVES));
	compare(faults, "records of fill words", audit->fill_records,
		table_used(arena, TABLE_FILLS));
	compare_pool(store, audit, faults);
	compare_sets(store, audit, faults);
	compare_backing(store, audit, faults);
}

int store_check_body(struct store *store, struct file file)
{
	struct store_audit audit = {0};
	struct faults faults = {0};

	store_audit_body(store, file, "a file", &audit, &faults);
	if (audit.pages > store_pages_held(store))
		return -EUCLEAN;
	return faults.found ? -EUCLEAN : 0;
}
