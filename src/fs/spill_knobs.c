/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that are about spilling. */
#include "fs/spill_knobs.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/size.h"
#include "store/spill.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IDLE_MOST_SECONDS (UINT64_C(366) * 24 * 60 * 60)

static int parse_number(const char **text, uint64_t most, uint64_t *ret)
{
	const char *p = *text;
	uint64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > most)
			return -ERANGE;
	}
	*text = p;
	*ret = n;
	return 0;
}

/* All of @text is a number. */
static int parse_whole(const char *text, uint64_t most, uint64_t *ret)
{
	uint64_t n;
	int r = parse_number(&text, most, &n);

	if (!r && *text)
		r = -EINVAL;
	if (!r)
		*ret = n;
	return r;
}

bool spill_knob_is_slow(enum ctl_key key)
{
	return key == CTL_spill || key == CTL_writeback || key == CTL_idle;
}

static int set_spill(struct spiller *s, const char *value)
{
	return strcmp(value, "none") == 0 ? spiller_detach(s)
					  : spiller_attach(s, value);
}

static int set_percent(struct spiller *s, const char *value,
		       int (*set)(struct spiller *s, unsigned percent))
{
	uint64_t percent;
	int r = parse_whole(value, 100, &percent);

	if (!r && percent == 0)
		r = -ERANGE;
	return r ? r : set(s, (unsigned)percent);
}

static int set_bool(struct spiller *s, const char *value,
		    void (*set)(struct spiller *s, bool on))
{
	uint64_t on;
	int r = parse_whole(value, 1, &on);

	if (!r)
		set(s, on);
	return r;
}

static int set_bytes(struct spiller *s, const char *value,
		     void (*set)(struct spiller *s, uint64_t bytes))
{
	uint64_t bytes;
	int r = size_parse(value, 0, &bytes);

	if (!r)
		set(s, bytes);
	return r;
}

static int set_size(struct spiller *s, const char *value)
{
	uint64_t bytes;
	int r = size_parse(value, 0, &bytes);

	if (!r && bytes > BACKING_BYTES_MAX)
		r = -ERANGE;
	return r ? r : spiller_set_size(s, bytes);
}

static int set_batch(struct spiller *s, const char *value)
{
	uint64_t pages;
	int r = parse_whole(value, SPILL_BATCH_MOST, &pages);

	if (!r && pages == 0)
		r = -ERANGE;
	if (!r)
		spiller_set_batch(s, (unsigned)pages);
	return r;
}

static int set_idle(struct spiller *s, const char *value)
{
	uint64_t seconds = 0;
	int r = 0;

	if (strcmp(value, "all") != 0)
		r = parse_whole(value, IDLE_MOST_SECONDS, &seconds);
	return r ? r : spiller_mark_idle(s, seconds);
}

static int set_writeback(struct spiller *s, const char *value)
{
	enum spill_what what;
	int r = spiller_what(value, &what);

	return r ? r : spiller_write_back(s, what);
}

int spill_knob(struct fs *fs, enum ctl_key key, const char *value)
{
	struct spiller *s = fs->spiller;

	switch (key) {
	case CTL_spill:
		return set_spill(s, value);
	case CTL_spill_state:
		return strcmp(value, "active") == 0 ? spiller_resume(s)
						    : -EINVAL;
	case CTL_spill_check:
		return spiller_scrub(s, value);
	case CTL_spill_size:
		return set_size(s, value);
	case CTL_spill_high:
		return set_percent(s, value, spiller_set_high);
	case CTL_spill_low:
		return set_percent(s, value, spiller_set_low);
	case CTL_promote:
		return set_bool(s, value, spiller_set_promote);
	case CTL_idle:
		return set_idle(s, value);
	case CTL_writeback:
		return set_writeback(s, value);
	case CTL_writeback_batch_size:
		return set_batch(s, value);
	case CTL_writeback_limit:
		return set_bytes(s, value, spiller_set_limit);
	case CTL_writeback_limit_enable:
		return set_bool(s, value, spiller_set_limit_on);
	case CTL_writeback_limit_daily:
		return set_bytes(s, value, spiller_set_limit_daily);
	default:
		return -EPERM;
	}
}

/* --- values --- */

static void put_numbers(const struct spiller_info *info,
			const struct store_stats *stats, struct ctl_values *v)
{
	const struct backing_stats *b = &info->backing;

	v->number[CTL_spill_size] = info->most_bytes;
	v->number[CTL_spill_high] = info->high;
	v->number[CTL_spill_low] = info->low;
	v->number[CTL_spill_encrypted] = b->encrypted;
	v->number[CTL_spilled_pages] = stats->spilled_pages;
	v->number[CTL_spilled_bytes] = stats->spilled_bytes;
	v->number[CTL_backing_bytes] = b->file_bytes;
	v->number[CTL_bd_count] = pages_for(stats->spilled_bytes);
	v->number[CTL_bd_reads] = pages_for(b->read_bytes);
	v->number[CTL_bd_writes] = pages_for(b->write_bytes);
	v->number[CTL_spill_reads] = stats->spill_reads;
	v->number[CTL_written_back_pages] = stats->written_back_pages;
	v->number[CTL_brought_back_pages] = stats->brought_back_pages;
	v->number[CTL_spill_errors] =
		b->read_errors + b->write_errors + b->checksum_errors;
	v->number[CTL_spill_damaged] = b->damaged;
	v->number[CTL_lost_pages] = stats->lost_pages;
	v->number[CTL_spill_sweeps] = info->sweeps;
	v->number[CTL_spill_waits] = info->waits;
	v->number[CTL_promote] = info->promote;
	v->number[CTL_writeback_batch_size] = info->batch;
	v->number[CTL_writeback_limit] = info->limit_bytes;
	v->number[CTL_writeback_limit_enable] = info->limit_on;
	v->number[CTL_writeback_limit_daily] = info->limit_daily_bytes;
}

static int put_texts(const struct spiller_info *info, struct ctl_values *v)
{
	char idle[32] = "none", written[64] = "none";
	char scrub[SPILL_SCRUB_MAX], found[SPILL_FOUND_MAX];

	if (info->was_idle && info->idle_seconds)
		snprintf(idle, sizeof(idle), "%" PRIu64, info->idle_seconds);
	else if (info->was_idle)
		snprintf(idle, sizeof(idle), "all");
	if (info->written)
		snprintf(written, sizeof(written), "%s %" PRIu64 " pages",
			 info->written, info->written_pages);
	v->text[CTL_spill] = heap_strdup(info->path ? info->path : "none");
	v->text[CTL_spill_state] = heap_strdup(info->state);
	v->text[CTL_idle] = heap_strdup(idle);
	v->text[CTL_writeback] = heap_strdup(written);
	spill_scrub_text(&info->scrub, scrub);
	spill_found_text(&info->scrub, found);
	v->text[CTL_spill_check] = heap_strdup(scrub);
	v->text[CTL_unreadable] = heap_strdup(found);
	return v->text[CTL_spill] && v->text[CTL_spill_state] &&
			       v->text[CTL_idle] && v->text[CTL_writeback] &&
			       v->text[CTL_spill_check] &&
			       v->text[CTL_unreadable]
		       ? 0
		       : -ENOMEM;
}

int spill_values(struct fs *fs, struct ctl_values *v)
{
	struct store_stats stats;
	struct spiller_info info;
	int r;

	store_stats(fs->engine.store, &stats);
	spiller_info(fs->spiller, &info);
	put_numbers(&info, &stats, v);
	r = put_texts(&info, v);
	heap_free(info.path);
	return r;
}

/* --- a file's pages --- */

int spill_order(const char *text, struct spill_order *ret)
{
	struct spill_order order = {.out = strncmp(text, "out", 3) == 0};
	int r;

	if (!order.out && strncmp(text, "in", 2) != 0)
		return -EINVAL;
	text += order.out ? 3 : 2;
	while (*text) {
		uint64_t first, last;

		if (*text++ != ' ')
			return -EINVAL;
		r = parse_number(&text, UINT64_MAX / 20, &first);
		last = first;
		if (!r && *text == '-') {
			text++;
			r = parse_number(&text, UINT64_MAX / 20, &last);
		}
		if (r)
			return r;
		if (last < first || order.n == SPILL_RANGES_MAX)
			return -ERANGE;
		order.range[order.n].first_page = first;
		order.range[order.n++].end_page = last + 1;
	}
	if (order.n == 0)
		order.range[order.n++].end_page = UINT64_MAX;
	*ret = order;
	return 0;
}
