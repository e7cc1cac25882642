/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who carries out a change of a key. In the later thread, one at a time. */
#include "fs/knobs.h"
#include "base/page.h"
#include "base/size.h"
#include "fs/autoscale.h"
#include "fs/spill_knobs.h"
#include "fs/worker.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MOST_BYTES (UINT64_C(4) << 60)
#define INODES_MOST UINT64_C(4294967294)
#define IDLE_MOST_SECONDS (366u * 24 * 60 * 60)

/* Digits and nothing else; -ERANGE above @most. */
static int parse_number(const char *text, uint64_t most, uint64_t *ret)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > most)
			return -ERANGE;
	}
	if (*text)
		return -EINVAL;
	*ret = n;
	return 0;
}

int knob_workers(const char *text, struct knob_workers *ret)
{
	struct knob_workers w = {0};
	uint64_t n = 0;
	int r;

	if (strcmp(text, "auto") == 0) {
		w.automatic = true;
		*ret = w;
		return 0;
	}
	w.relative = *text == '+' || *text == '-';
	r = parse_number(text + (w.relative || *text == '='), CREW_MAX, &n);
	if (r)
		return r;
	w.number = *text == '-' ? -(int)n : (int)n;
	*ret = w;
	return 0;
}

int knob_retire(const char *text, enum stream_retire *ret_how,
		unsigned *ret_seconds)
{
	static const char idle[] = "idle:";
	uint64_t seconds = 0;
	int r;

	if (strcmp(text, "pool") == 0) {
		*ret_how = RETIRE_POOL;
	} else if (strcmp(text, "eager") == 0) {
		*ret_how = RETIRE_EAGER;
	} else {
		if (strncmp(text, idle, sizeof(idle) - 1) != 0)
			return -EINVAL;
		r = parse_number(text + sizeof(idle) - 1, IDLE_MOST_SECONDS,
				 &seconds);
		if (r)
			return r;
		*ret_how = RETIRE_IDLE;
	}
	*ret_seconds = (unsigned)seconds;
	return 0;
}

static int set_workers(struct fs *fs, const char *text)
{
	struct knob_workers w;
	int r = knob_workers(text, &w);

	if (r)
		return r;
	if (fs->rings)
		return -EBUSY;
	if (w.automatic && !autoscale_is_possible(fs))
		return -EINVAL;
	if (w.automatic) {
		autoscale_set(fs->autoscale, true);
		return 0;
	}
	r = w.relative ? crew_change(fs->crew, w.number)
		       : crew_set(fs->crew, (unsigned)w.number);
	/* The text is right; there would be too many. */
	if (r == -EINVAL)
		r = -ERANGE;
	/* A number that was asked for is not to be changed again by itself. */
	if (!r)
		autoscale_set(fs->autoscale, false);
	return r;
}

static int set_retire(struct fs *fs, const char *text)
{
	enum stream_retire how;
	unsigned seconds;
	int r = knob_retire(text, &how, &seconds);

	if (r)
		return r;
	streams_set_retire(fs->engine.streams, how, seconds);
	workers_charge(fs);
	return 0;
}

/* The contexts of all streams fit into mem_limit before they are made. */
static int take_contexts(struct fs *fs, const struct codec_params *params,
			 uint64_t *ret_bytes)
{
	uint64_t bytes = streams_prepare_bytes(fs->engine.streams, params);
	int r = 0;

	if (bytes)
		r = budget_take(&fs->engine.budget, bytes, BUDGET_NORMAL);
	if (!r)
		*ret_bytes = bytes;
	return r;
}

static int set_compress(struct fs *fs, const char *text)
{
	struct codec_params params;
	uint64_t bytes = 0;
	int r = codec_parse(text, &params);

	if (r)
		return r == -ENOENT ? -EINVAL : r;
	r = take_contexts(fs, &params, &bytes);
	if (r)
		return r;
	r = engine_compress(&fs->engine, &params);
	workers_charge_instead(fs, bytes);
	return r;
}

/* The same ranges as the options of these names. */
static int set_size(struct fs *fs, const char *text)
{
	uint64_t bytes;
	int r = size_parse(text, size_of_ram(), &bytes);

	if (!r && (bytes < PAGE_BYTES || bytes > SIZE_MOST_BYTES))
		r = -ERANGE;
	if (!r)
		store_set_limit(fs->engine.store, bytes);
	return r;
}

static int set_mem_limit(struct fs *fs, const char *text)
{
	uint64_t ram = size_of_ram(), bytes;
	int r = size_parse(text, ram, &bytes);

	if (!r && (bytes < MIB || bytes > 16 * TIB))
		r = -ERANGE;
	if (!r && strchr(text, '%') && bytes > ram)
		r = -ERANGE;
	if (!r)
		budget_set_limit(&fs->engine.budget, bytes);
	return r;
}

static int set_nr_inodes(struct fs *fs, const char *text)
{
	uint64_t n;
	int r = size_parse(text, 0, &n);

	if (!r && n > INODES_MOST)
		r = -ERANGE;
	return r ? r : tree_set_nr_inodes(fs->engine.tree, n);
}

static int set(void *arg, enum ctl_key key, const char *value)
{
	struct fs *fs = arg;
	int r;

	switch (key) {
	case CTL_mem_limit:
		r = set_mem_limit(fs, value);
		spiller_look(fs->spiller);
		return r;
	case CTL_size:
		return set_size(fs, value);
	case CTL_mem_used_max:
		if (strcmp(value, "0") != 0)
			return -EINVAL;
		budget_reset_peak(&fs->engine.budget);
		return 0;
	case CTL_nr_inodes:
		return set_nr_inodes(fs, value);
	case CTL_workers:
		return set_workers(fs, value);
	case CTL_compress:
		return set_compress(fs, value);
	case CTL_stream_retire:
		return set_retire(fs, value);
	default:
		return spill_knob(fs, key, value);
	}
}

/* Why there are no more, and how many came up. */
static const char *why_workers(struct fs *fs, int error, char room[CTL_WHY_MAX])
{
	const char *text;

	switch (-error) {
	case EBUSY:
		return fs->rings ? "their number is fixed with io_uring"
				 : "the last worker stays";
	case ENOSPC:
		text = "mem_limit has no room for another worker";
		break;
	case EAGAIN:
		text = "the system allows no other thread";
		break;
	case EMFILE:
	case ENFILE:
		text = "the system allows no other open file";
		break;
	default:
		return NULL;
	}
	snprintf(room, CTL_WHY_MAX, "%s: %u are up", text,
		 crew_count(fs->crew));
	return room;
}

_Static_assert(SPILL_WHY_MAX <= CTL_WHY_MAX, "a sentence fits");

static const char *why(void *arg, enum ctl_key key, int error,
		       char room[CTL_WHY_MAX])
{
	static const struct {
		enum ctl_key key;
		int error;
		const char *text;
	} causes[] = {
		{CTL_compress, -ENOSPC,
		 "mem_limit has no room for the buffers of this codec"},
		{CTL_compress, -EBUSY,
		 "all numbers of codecs have pages yet (the key sets)"},
		{CTL_spill, -EBUSY,
		 "there is a file already, its last pages are in use, or too "
		 "much waits to be done by hand"},
		{CTL_spill, -ENOSPC,
		 "mem_limit has no room for what is in the file"},
		{CTL_spill, -EIO,
		 "some pages cannot be read; 'foldctl check --data' says of "
		 "which files"},
		{CTL_spill, -EINTR, "called off"},
		{CTL_spill_state, -ENODEV, "there is no file to go on with"},
		{CTL_spill_check, -ENODEV, "there is no file to read"},
		{CTL_spill_check, -EBUSY, "it is being read"},
		{CTL_idle, -EBUSY, "too much waits to be done by hand"},
		{CTL_writeback, -EBUSY, "too much waits to be done by hand"},
		{CTL_writeback, -ENODEV, "there is no file to write to"},
		{CTL_writeback, -ENOSPC,
		 "the file is full, or writeback_limit is reached"},
	};
	struct fs *fs = arg;

	if (key == CTL_workers)
		return why_workers(fs, error, room);
	if (key == CTL_spill && spiller_why(fs->spiller, error, room))
		return room;
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (causes[i].key == key && causes[i].error == error)
			return causes[i].text;
	return NULL;
}

const struct ctl_ops knobs_ops = {
	.collect = values_collect,
	.set = set,
	.why = why,
};
