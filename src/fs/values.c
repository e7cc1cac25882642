/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the number behind each key comes from. */
#include "base/clock.h"
#include "base/heap.h"
#include "base/page.h"
#include "ctl/rows.h"
#include "fs/knobs.h"
#include "fs/latency.h"
#include "fs/parking.h"
#include "fs/ring.h"
#include "fs/spill_knobs.h"
#include "fs/worker.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int put_text(struct ctl_values *v, enum ctl_key key, const char *text)
{
	v->text[key] = heap_strdup(text);
	return v->text[key] ? 0 : -ENOMEM;
}

static void budget_numbers(struct fs *fs, struct ctl_values *v)
{
	const struct engine *e = &fs->engine;
	struct pool_stats pool;

	pool_stats(e->pool, &pool);
	v->number[CTL_mem_used_total] = workers_used_bytes(fs);
	v->number[CTL_mem_limit] = budget_limit(&e->budget);
	v->number[CTL_mem_used_max] = budget_peak(&e->budget);
	v->number[CTL_pool_total_size] = pool.held_bytes;
	v->number[CTL_pool_slot_bytes] = pool.slot_bytes;
	if (v->number[CTL_mem_used_total] > pool.held_bytes)
		v->number[CTL_table_bytes] =
			v->number[CTL_mem_used_total] - pool.held_bytes;
	v->number[CTL_heap_bytes] = heap_resident_bytes();
}

static void store_numbers(const struct engine *e, struct ctl_values *v)
{
	struct store_stats s;

	store_stats(e->store, &s);
	v->number[CTL_orig_data_size] = s.pages_stored * PAGE_BYTES;
	v->number[CTL_compr_data_size] = s.compr_data_bytes;
	v->number[CTL_size] = s.limit_bytes;
	v->number[CTL_same_pages] = s.same_pages;
	v->number[CTL_huge_pages] = s.huge_pages;
	v->number[CTL_huge_pages_since] = s.huge_pages_since;
	v->number[CTL_pages_stored] = s.pages_stored;
	v->number[CTL_pages_compacted] = s.pages_compacted;
	v->number[CTL_pages_read] = s.pages_read;
	v->number[CTL_pages_written] = s.pages_written;
	v->number[CTL_notify_free] = s.pages_discarded;
	v->number[CTL_decompress_fail] = s.read_errors;
	v->number[CTL_pool_limit_hit] = s.mem_limit_hit;
	v->number[CTL_size_limit_hit] = s.size_limit_hit;
	v->number[CTL_requests_shared] = s.shared;
}

static void request_numbers(const struct fs *fs, struct ctl_values *v)
{
	static const struct {
		enum ctl_key key;
		enum count column;
	} map[] = {
		{CTL_num_requests, COUNT_REQUESTS},
		{CTL_num_reads, COUNT_READS},
		{CTL_num_writes, COUNT_WRITES},
		{CTL_failed_reads, COUNT_FAILED_READS},
		{CTL_failed_writes, COUNT_FAILED_WRITES},
		{CTL_bytes_read, COUNT_BYTES_READ},
		{CTL_bytes_written, COUNT_BYTES_WRITTEN},
		{CTL_reads_parked, COUNT_PARKED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		v->number[map[i].key] = tally_sum(fs->tally, map[i].column);
	v->number[CTL_reads_waiting] = parking_waiting(fs);
}

static void tree_numbers(const struct engine *e, struct ctl_values *v)
{
	struct tree_stats s;

	tree_stats(e->tree, &s);
	v->number[CTL_nr_inodes] = s.inodes_max;
	v->number[CTL_inodes_used] = s.inodes;
	v->number[CTL_names_used] = s.names;
}

static int compress_text(const struct engine *e, struct ctl_values *v)
{
	struct codec_params params;
	char text[CODEC_TEXT_MAX];
	int r = sets_params(e->sets, sets_current(e->sets), &params);

	if (r)
		return r;
	return put_text(v, CTL_compress, codec_format(&params, text));
}

static int sets_table(const struct engine *e, struct ctl_values *v)
{
	unsigned current = sets_current(e->sets);
	struct rows rows;

	rows_init(&rows);
	for (unsigned i = 0; i < SETS_MAX; i++) {
		struct codec_params params;
		char codec[CODEC_TEXT_MAX];

		if (sets_params(e->sets, i, &params) != 0)
			continue;
		rows_next(&rows);
		rows_number(&rows, "set", i);
		rows_word(&rows, "codec", codec_format(&params, codec));
		rows_number(&rows, "objects", sets_objects(e->sets, i));
		rows_number(&rows, "current", i == current);
	}
	return rows_take(&rows, &v->text[CTL_sets]);
}

/* Each slot that has ever been up. */
static int slots_table(const struct fs *fs, struct ctl_values *v)
{
	struct rows rows;

	rows_init(&rows);
	for (unsigned i = 0; i < CREW_MAX; i++) {
		struct crew_slot_info info = crew_slot_info(fs->crew, i);
		struct stream_stats stream;

		if (info.times_up == 0 && info.state == CREW_OFFLINE)
			continue;
		stream = stream_stats(fs->engine.streams, i);
		rows_next(&rows);
		rows_number(&rows, "slot", i);
		rows_word(&rows, "state", crew_state_name(info.state));
		rows_number(&rows, "thread", (uint64_t)info.tid);
		rows_number(&rows, "requests", count_of(fs, i, COUNT_REQUESTS));
		rows_number(&rows, "bytes_in",
			    count_of(fs, i, COUNT_BYTES_WRITTEN));
		rows_number(&rows, "bytes_out",
			    count_of(fs, i, COUNT_BYTES_READ));
		rows_number(&rows, "stream_bytes", stream.held_bytes);
		rows_number(&rows, "arena_bytes", stream.arena_bytes);
		rows_number(&rows, "found_empty", stream.found_empty);
	}
	return rows_take(&rows, &v->text[CTL_slots]);
}

static int contention_table(struct ctl_values *v)
{
	struct rows rows;

	rows_init(&rows);
	for (unsigned i = 0; i < LOCK_NR; i++) {
		rows_next(&rows);
		rows_word(&rows, "class", lock_class_name(i));
		rows_number(&rows, "waits", lock_counts(i).contended);
	}
	return rows_take(&rows, &v->text[CTL_lock_contention]);
}

static int retire_text(const struct engine *e, struct ctl_values *v)
{
	unsigned seconds = 0;
	char text[32];

	switch (streams_retire(e->streams, &seconds)) {
	case RETIRE_POOL:
		return put_text(v, CTL_stream_retire, "pool");
	case RETIRE_EAGER:
		return put_text(v, CTL_stream_retire, "eager");
	case RETIRE_IDLE:
		break;
	}
	snprintf(text, sizeof(text), "idle:%u", seconds);
	return put_text(v, CTL_stream_retire, text);
}

static int cache_text(const struct fs *fs, struct ctl_values *v)
{
	static const char *const names[] = {
		[FS_CACHE_THROUGH] = "through",
		[FS_CACHE_WRITEBACK] = "writeback",
		[FS_CACHE_NONE] = "none",
	};

	return put_text(v, CTL_cache, names[fs->config->cache]);
}

static int profile_text(const struct fs *fs, struct ctl_values *v)
{
	bool swap = fs->config->profile == FS_PROFILE_SWAP;

	return put_text(v, CTL_profile, swap ? "swap" : "directory");
}

int values_collect(void *arg, struct ctl_values *ret)
{
	struct fs *fs = arg;
	struct engine *e = &fs->engine;
	struct ctl_values v = {0};
	int r;

	budget_numbers(fs, &v);
	store_numbers(e, &v);
	request_numbers(fs, &v);
	tree_numbers(e, &v);
	v.number[CTL_workers] = crew_count(fs->crew);
	v.number[CTL_io_uring] = rings_began(fs);
	v.number[CTL_pid] = (uint64_t)getpid();
	v.number[CTL_uptime] = (clock_ns() - fs->started_ns) / NS_PER_S;
	r = compress_text(e, &v);
	if (!r)
		r = spill_values(fs, &v);
	if (!r)
		r = retire_text(e, &v);
	if (!r)
		r = cache_text(fs, &v);
	if (!r)
		r = profile_text(fs, &v);
	if (!r)
		r = put_text(&v, CTL_version, FOLDFS_VERSION);
	if (!r)
		r = sets_table(e, &v);
	if (!r)
		r = slots_table(fs, &v);
	if (!r)
		r = contention_table(&v);
	if (!r)
		r = latency_values(fs, &v);
	if (r)
		ctl_values_fini(&v);
	else
		*ret = v;
	return r;
}
