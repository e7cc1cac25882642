/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl stat: everything about one mount, in groups that answer a question
 * each.
 *
 * A key that no group has, because the daemon is newer or nobody put it into
 * one, stands at the end: nothing is hidden.
 */
#include "foldctl/foreign.h"
#include "foldctl/keys.h"
#include "foldctl/rows.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GROUP_KEYS_MAX 32

struct line {
	const char *label;
	const char *key;
	const char *of; /* the key that is the most it can be */
};

static const struct group {
	const char *title;
	/* While this key is "none" the first line says it all; or NULL. */
	const char *unless_none;
	struct line lines[GROUP_KEYS_MAX];
} groups[] = {
	{"Memory",
	 NULL,
	 {
		 {"RAM taken", "mem_used_total", "mem_limit"},
		 {"most so far", "mem_used_max", NULL},
		 {"objects and their spans", "pool_total_size", NULL},
		 {"tables and the program", "table_bytes", NULL},
		 {"of these the heap", "heap_bytes", NULL},
	 }},
	{"Files",
	 NULL,
	 {
		 {"pages held", "orig_data_size", "size"},
		 {"compressed to", "compr_data_size", NULL},
		 {"with headers and rounding", "pool_slot_bytes", NULL},
		 {"files and directories", "inodes_used", "nr_inodes"},
		 {"names", "names_used", NULL},
	 }},
	{"Pages",
	 NULL,
	 {
		 {"held", "pages_stored", NULL},
		 {"of one repeated word", "same_pages", NULL},
		 {"that do not compress", "huge_pages", NULL},
		 {"such, since the mount", "huge_pages_since", NULL},
		 {"written to the store", "pages_written", NULL},
		 {"read from the store", "pages_read", NULL},
		 {"given up", "notify_free", NULL},
		 {"objects moved to save RAM", "pages_compacted", NULL},
	 }},
	{"Work",
	 NULL,
	 {
		 {"workers", "workers", NULL},
		 {"codec of new data", "compress", NULL},
		 {"streams of workers that left", "stream_retire", NULL},
		 {"page cache", "cache", NULL},
		 {"profile", "profile", NULL},
		 {"requests by io_uring", "io_uring", NULL},
		 {"requests", "num_requests", NULL},
		 {"reads", "num_reads", NULL},
		 {"writes", "num_writes", NULL},
		 {"bytes read", "bytes_read", NULL},
		 {"bytes written", "bytes_written", NULL},
		 {"shared by several workers", "requests_shared", NULL},
	 }},
	{"Backing file",
	 "spill_state",
	 {
		 {"file", "spill", NULL},
		 {"state", "spill_state", NULL},
		 {"encrypted", "spill_encrypted", NULL},
		 {"pages there", "spilled_pages", "pages_stored"},
		 {"bytes that they take", "spilled_bytes", "spill_size"},
		 {"taken on its disk", "backing_bytes", NULL},
		 {"pages out", "written_back_pages", NULL},
		 {"pages back", "brought_back_pages", NULL},
		 {"pages read", "spill_reads", NULL},
		 {"reads parked for it", "reads_parked", NULL},
		 {"parked now", "reads_waiting", NULL},
		 {"4 KiB units there", "bd_count", NULL},
		 {"such units read", "bd_reads", NULL},
		 {"such units written", "bd_writes", NULL},
		 {"sweeps for cold pages", "spill_sweeps", NULL},
		 {"writers slowed", "spill_waits", NULL},
		 {"out above, % of mem_limit", "spill_high", NULL},
		 {"down to, % of mem_limit", "spill_low", NULL},
		 {"back when read twice", "promote", NULL},
		 {"idle is", "idle", NULL},
		 {"last writeback", "writeback", NULL},
		 {"pages at once, by hand", "writeback_batch_size", NULL},
		 {"bytes that may go out", "writeback_limit", NULL},
		 {"that is limited", "writeback_limit_enable", NULL},
		 {"bytes a day", "writeback_limit_daily", NULL},
		 {"failures", "spill_errors", NULL},
		 {"segments with unreadable pages", "spill_damaged", NULL},
		 {"pages lost (given up)", "lost_pages", NULL},
		 {"last check of data", "spill_check", NULL},
		 {"what it could not read", "unreadable", NULL},
	 }},
	{"Failures",
	 NULL,
	 {
		 {"reads", "failed_reads", NULL},
		 {"writes", "failed_writes", NULL},
		 {"pages that did not decode", "decompress_fail", NULL},
		 {"refused: mem_limit reached", "pool_limit_hit", NULL},
		 {"refused: size reached", "size_limit_hit", NULL},
	 }},
};

/* Said in the first line, or by a verb of its own. */
static const char *const elsewhere[] = {"schema", "version", "pid",
					"uptime", "slots",   "latency_buckets"};

static bool is_placed(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		if (strcmp(elsewhere[i], key) == 0)
			return true;
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		for (const struct line *l = groups[g].lines; l->key; l++)
			if (strcmp(l->key, key) == 0 ||
			    (l->of && strcmp(l->of, key) == 0))
				return true;
	return false;
}

static void print_line(const char *label, const char *name, const json_t *value,
		       const char *of_name, const json_t *of, bool exact)
{
	char text[KEY_VALUE_MAX], most[KEY_VALUE_MAX];
	json_int_t n = json_integer_value(value);
	json_int_t whole = json_integer_value(of);

	foreign_print(stdout, "  %-30s %s", label,
		      key_value(name, value, exact, text));
	if (whole > 0)
		printf(" of %s (%.0f%%)", key_value(of_name, of, exact, most),
		       100.0 * (double)n / (double)whole);
	putchar('\n');
}

static void print_group(const struct group *group, const json_t *stats,
			bool exact)
{
	const char *state = NULL;
	bool first_only;

	if (group->unless_none)
		state = answer_text(stats, group->unless_none);
	first_only = state && strcmp(state, "none") == 0;
	printf("\n%s\n", group->title);
	for (const struct line *l = group->lines;
	     l->key && !(first_only && l > group->lines); l++) {
		const json_t *value = json_object_get(stats, l->key);

		if (value)
			print_line(l->label, l->key, value, l->of,
				   l->of ? json_object_get(stats, l->of) : NULL,
				   exact);
	}
}

static void print_head(const struct mount *mount, const json_t *stats)
{
	char uptime[KEY_VALUE_MAX];
	const char *version = answer_text(stats, "version");
	uint64_t used = answer_number(stats, "mem_used_total");

	foreign_print(
		stdout,
		"%s: id %u, source %s, daemon %" PRIu64 " version %s, up %s",
		mount->point, mount->id, mount->source,
		answer_number(stats, "pid"), version ? version : "unknown",
		key_value("uptime", json_object_get(stats, "uptime"), false,
			  uptime));
	putchar('\n');
	if (used > 0)
		printf("%.2f bytes of pages held for each byte of RAM\n",
		       (double)answer_number(stats, "orig_data_size") /
			       (double)used);
}

/* Locks that nobody waited for tell nothing. */
static json_t *worth_showing(const char *name, json_t *rows)
{
	json_t *chosen = json_array();

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);

		if (strcmp(name, "lock_contention") != 0 ||
		    answer_number(row, "waits") > 0)
			json_array_append(chosen, row);
	}
	return chosen;
}

static int print_table(const char *name, json_t *rows,
		       const struct table_options *options)
{
	const struct key *key = key_find(name);
	json_t *chosen = worth_showing(name, rows);
	int code = EXIT_DONE;

	if (json_array_size(chosen) > 0) {
		printf("\n%s%s%s\n", name, key ? ": " : "",
		       key ? key->sentence : "");
		code = rows_print(name, chosen, options, stdout);
	}
	json_decref(chosen);
	return code;
}

static void print_others(const json_t *stats, bool exact)
{
	bool titled = false;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)stats, name, value)
	{
		if (is_placed(name) || json_is_array(value))
			continue;
		if (!titled)
			puts("\nOther");
		titled = true;
		print_line(name, name, value, NULL, NULL, exact);
	}
}

static int print_all(const struct mount *mount, json_t *stats,
		     const struct table_options *options)
{
	const char *name;
	json_t *value;
	int code = EXIT_DONE;

	print_head(mount, stats);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		print_group(&groups[i], stats, options->bytes);
	print_others(stats, options->bytes);
	json_object_foreach(stats, name, value) if (json_is_array(value) &&
						    !is_placed(name) &&
						    code == EXIT_DONE) code =
		print_table(name, value, options);
	return code;
}

int verb_stat(struct context *ctx, int argc, char **argv)
{
	static const struct option longs[] = {
		{"bytes", no_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -b, --bytes          exact numbers instead of readable ones\n"
		" -J, --json           all keys, as the daemon gives them\n",
		NULL};
	struct table_options options = {0};
	const struct mount *mount;
	json_t *stats;
	int c, code;

	while ((c = getopt_long(argc, argv, "bJ" CONTEXT_SHORT, longs, NULL)) !=
	       -1) {
		if (table_option(&options, c, optarg))
			continue;
		code = context_option(ctx, c, optarg, &help);
		if (code != CONTEXT_GO_ON)
			return code;
	}
	code = context_one_mount(ctx, argc, argv);
	if (code != CONTEXT_GO_ON)
		return code;
	code = context_mount(ctx, argv[optind], &mount);
	if (code == EXIT_DONE)
		code = context_stats(ctx, mount, &stats);
	if (code != EXIT_DONE)
		return code;
	if (options.json) {
		json_dumpf(stats, stdout, JSON_INDENT(3));
		putchar('\n');
	} else {
		code = print_all(mount, stats, &options);
	}
	json_decref(stats);
	return code;
}
