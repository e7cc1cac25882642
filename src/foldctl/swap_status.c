/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl swap status: what zramctl and swapon --show would tell of it.
 */
#include "foldctl/asked.h"
#include "foldctl/loop.h"
#include "foldctl/swap.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum column {
	NAME,
	DISKSIZE,
	USED,
	DATA,
	COMPR,
	TOTAL,
	RATIO,
	PRIO,
	STATE,
	SPILLED,
	LIMIT,
	ALGORITHM,
	DISCARD,
	DIO,
	PID,
	LOCKED,
	MOUNTPOINT,
	ID
};

static const struct table_column columns[] = {
	[NAME] = {"NAME", TABLE_TEXT, false, "the device"},
	[DISKSIZE] = {"DISKSIZE", TABLE_BYTES, false,
		      "size of the swap, before compression"},
	[USED] = {"USED", TABLE_BYTES, false,
		  "swapped out now, as the kernel counts"},
	[DATA] = {"DATA", TABLE_BYTES, false, "pages held, before compression"},
	[COMPR] = {"COMPR", TABLE_BYTES, false, "the same, compressed"},
	[TOTAL] = {"TOTAL", TABLE_BYTES, false,
		   "RAM taken, everything counted"},
	[RATIO] = {"RATIO", TABLE_RATIO, false,
		   "DATA / (TOTAL + SPILLED): above 1 is a gain"},
	[PRIO] = {"PRIO", TABLE_NUMBER, false, "higher is used first"},
	[STATE] = {"STATE", TABLE_TEXT, false,
		   "on; ending (the daemon waits for swap off); off (no "
		   "swap on it); dead (daemon gone); silent (does not answer)"},
	[SPILLED] = {"SPILLED", TABLE_BYTES, true, "bytes in the backing file"},
	[LIMIT] = {"LIMIT", TABLE_BYTES, true, "most RAM it may take"},
	[ALGORITHM] = {"ALGORITHM", TABLE_TEXT, true, "codec of new pages"},
	[DISCARD] = {"DISCARD", TABLE_TEXT, true,
		     "yes: memory of freed pages comes back"},
	[DIO] = {"DIO", TABLE_TEXT, true,
		 "yes: direct I/O, no page is held twice"},
	[PID] = {"PID", TABLE_NUMBER, true, "process id of the daemon"},
	[LOCKED] = {"LOCKED", TABLE_BYTES, true,
		    "memory of the daemon that cannot be swapped out"},
	[MOUNTPOINT] = {"MOUNTPOINT", TABLE_TEXT, true,
			"where the swap file is"},
	[ID] = {"ID", TABLE_NUMBER, true,
		"minor number of the mount's device; names the socket"},
	{0},
};

static const char *state_of(const struct swap_state *state, int error)
{
	if (error == -ECONNREFUSED || error == -ENOENT || error == -EOWNERDEAD)
		return "dead";
	if (error < 0)
		return "silent";
	if (!state->on)
		return "off";
	return state->mounted ? "on" : "ending";
}

/* VmLck counts what is reserved, VmRSS what is there of it. */
static uint64_t locked_bytes(uint64_t pid)
{
	uint64_t locked_kib = 0, there_kib = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %" SCNu64, &locked_kib) != 1)
			sscanf(line, "VmRSS: %" SCNu64, &there_kib);
	fclose(f);
	return (locked_kib < there_kib ? locked_kib : there_kib) << 10;
}

static void add_stats(struct table *t, const json_t *stats)
{
	uint64_t data = answer_number(stats, "orig_data_size");
	uint64_t total = answer_number(stats, "mem_used_total");
	uint64_t spilled = answer_number(stats, "spilled_bytes");
	uint64_t pid = answer_number(stats, "pid");

	table_number(t, DATA, data);
	table_number(t, COMPR, answer_number(stats, "compr_data_size"));
	table_number(t, TOTAL, total);
	table_ratio(t, RATIO, data, total + spilled);
	table_number(t, SPILLED, spilled);
	table_number(t, LIMIT, answer_number(stats, "mem_limit"));
	table_text(t, ALGORITHM, answer_text(stats, "compress"));
	table_number(t, PID, pid);
	table_number(t, LOCKED, locked_bytes(pid));
}

static void add_device(struct table *t, const struct swap_state *state)
{
	char path[LOOP_PATH_MAX];

	table_text(t, NAME, loop_path(state->loop, path));
	table_text(t, DISCARD,
		   loop_can_discard("/sys", state->loop) ? "yes" : "no");
	table_text(t, DIO,
		   loop_has_direct_io("/sys", state->loop) ? "yes" : "no");
	if (!state->on)
		return;
	table_number(t, DISKSIZE, state->swap.size_bytes);
	table_number(t, USED, state->swap.used_bytes);
	/* Below 0 the kernel has chosen it. */
	if (state->swap.priority >= 0)
		table_number(t, PRIO, (uint64_t)state->swap.priority);
}

static void add_row(struct context *ctx, struct table *t,
		    const struct swap_state *state)
{
	struct asked asked;
	json_t *stats;

	asked_begin(ctx, &state->mount, &asked);
	stats = asked_end(&asked);
	table_row(t);
	if (state->looped)
		add_device(t, state);
	table_text(t, STATE, state_of(state, asked.error));
	table_color(t, STATE, asked.error == 0 && state->on ? "green" : "red");
	if (state->mounted)
		table_text(t, MOUNTPOINT, state->mount.point);
	table_number(t, ID, state->mount.id);
	if (stats)
		add_stats(t, stats);
	json_decref(stats);
}

static int status(struct context *ctx, struct table *t)
{
	struct swap_state state;
	int code = swap_look(ctx, &state);

	if (code != EXIT_DONE)
		return code;
	if (swap_is_any(&state))
		add_row(ctx, t, &state);
	if (table_print(t, stdout) < 0)
		return EXIT_FAILED;
	if (swap_is_any(&state))
		return EXIT_DONE;
	say("there is no swap on foldfs");
	return EXIT_NO_MOUNT;
}

int swap_status(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {TABLE_HELP, columns};
	struct table_options options = {0};
	struct table *t;
	int code = context_getopt(ctx, argc, argv, &help, &options, NULL);

	if (code == CONTEXT_GO_ON)
		code = context_take_nothing(ctx, argc, argv, "swap status");
	if (code != CONTEXT_GO_ON)
		return code;
	t = table_new("swap", columns, &options);
	if (!t)
		return EXIT_USAGE;
	code = status(ctx, t);
	table_free(t);
	return code;
}
