/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the number behind each key comes from. */
#include "base/clock.h"
#include "base/heap.h"
#include "base/page.h"
#include "fs/knobs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A text that grows by appending; cut at its end, never beyond. */
struct text {
	char *at;
	size_t n, cap;
};

static PRINTF_LIKE(2, 3) void append(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->at + t->n, t->cap - t->n, fmt, args);
	va_end(args);
	if (n > 0)
		t->n += (size_t)n < t->cap - t->n ? (size_t)n
						  : t->cap - t->n - 1;
}

static int put_text(struct ctl_values *v, enum ctl_key key, const char *text)
{
	v->text[key] = heap_strdup(text);
	return v->text[key] ? 0 : -ENOMEM;
}

static void budget_numbers(const struct engine *e, struct ctl_values *v)
{
	struct pool_stats pool;

	pool_stats(e->pool, &pool);
	v->number[CTL_mem_used_total] = budget_used(&e->budget);
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
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		v->number[map[i].key] = tally_sum(fs->tally, map[i].column);
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

/* "0:none=12 1:lz4:1=3456*": number, parameters, objects; * is current. */
static int sets_text(const struct engine *e, struct ctl_values *v)
{
	char buf[CTL_TEXT_MAX];
	struct text t = {.at = buf, .cap = sizeof(buf)};
	unsigned current = sets_current(e->sets);

	buf[0] = '\0';
	for (unsigned i = 0; i < SETS_MAX; i++) {
		struct codec_params params;
		char codec[CODEC_TEXT_MAX];

		if (sets_params(e->sets, i, &params) != 0)
			continue;
		append(&t, "%s%u:%s=%" PRIu64 "%s", t.n ? " " : "", i,
		       codec_format(&params, codec), sets_objects(e->sets, i),
		       i == current ? "*" : "");
	}
	return put_text(v, CTL_sets, buf);
}

static uint64_t row_bytes(const struct fs *fs, unsigned slot)
{
	const struct tally_row *row = &fs->tally->row[slot];

	return atomic_load_explicit(&row->column[COUNT_BYTES_READ],
				    memory_order_relaxed) +
	       atomic_load_explicit(&row->column[COUNT_BYTES_WRITTEN],
				    memory_order_relaxed);
}

/* "0:running,tid,requests,bytes,stream bytes,found empty" for each slot that
 * has ever been up. */
static int slots_text(const struct fs *fs, struct ctl_values *v)
{
	char buf[CTL_TEXT_MAX];
	struct text t = {.at = buf, .cap = sizeof(buf)};

	buf[0] = '\0';
	for (unsigned i = 0; i < CREW_MAX; i++) {
		struct crew_slot_info info = crew_slot_info(fs->crew, i);
		struct stream_stats stream;

		if (info.times_up == 0 && info.state == CREW_OFFLINE)
			continue;
		stream = stream_stats(fs->engine.streams, i);
		append(&t,
		       "%s%u:%s,%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64
		       ",%" PRIu64,
		       t.n ? " " : "", i, crew_state_name(info.state), info.tid,
		       atomic_load_explicit(
			       &fs->tally->row[i].column[COUNT_REQUESTS],
			       memory_order_relaxed),
		       row_bytes(fs, i), stream.held_bytes, stream.found_empty);
	}
	return put_text(v, CTL_slots, buf);
}

static int contention_text(struct ctl_values *v)
{
	char buf[CTL_TEXT_MAX];
	struct text t = {.at = buf, .cap = sizeof(buf)};

	for (unsigned i = 0; i < LOCK_NR; i++)
		append(&t, "%s%s=%" PRIu64, i ? " " : "", lock_class_name(i),
		       lock_counts(i).contended);
	return put_text(v, CTL_lock_contention, buf);
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

int values_collect(void *arg, struct ctl_values *ret)
{
	struct fs *fs = arg;
	struct engine *e = &fs->engine;
	struct ctl_values v = {0};
	int r;

	budget_numbers(e, &v);
	store_numbers(e, &v);
	request_numbers(fs, &v);
	tree_numbers(e, &v);
	v.number[CTL_workers] = crew_count(fs->crew);
	v.number[CTL_pid] = (uint64_t)getpid();
	v.number[CTL_uptime] = (clock_ns() - fs->started_ns) / NS_PER_S;
	r = compress_text(e, &v);
	if (!r)
		r = retire_text(e, &v);
	if (!r)
		r = cache_text(fs, &v);
	if (!r)
		r = put_text(&v, CTL_version, FOLDFS_VERSION);
	if (!r)
		r = sets_text(e, &v);
	if (!r)
		r = slots_text(fs, &v);
	if (!r)
		r = contention_text(&v);
	if (r)
		ctl_values_fini(&v);
	else
		*ret = v;
	return r;
}
