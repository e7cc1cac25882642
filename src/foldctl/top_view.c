/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the general to the particular: what there is too little room for is at
 * the end. What an older or a newer daemon does not tell is left out.
 */
#include "foldctl/top_view.h"
#include "base/size.h"
#include "foldctl/recent.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BOLD "1"
#define HEADING "7"
#define LABEL_WIDTH 9
#define BAR_MOST 60
/* Columns of what stands behind a bar. */
#define BEHIND_BAR 38
#define ROWS_MAX 256
/* Lines from which one is spent on what the keys do. */
#define KEYS_LEAST 5

static uint64_t number(const struct top_view *view, const char *key)
{
	return sample_number(view->to, key);
}

static void put_heading(struct page *page, const char *text)
{
	page_color(page, HEADING);
	page_put(page, "%-*s", page->color ? (int)page->width : 0, text);
	page_color(page, NULL);
	page_newline(page);
}

/* --- who --- */

static void put_uptime(struct page *page, uint64_t seconds)
{
	uint64_t minutes = seconds / 60;

	if (minutes >= 24 * 60)
		page_put(page, "%" PRIu64 "d ", minutes / (24 * 60));
	page_put(page, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
		 minutes / 60 % 24, minutes % 60, seconds % 60);
}

static void put_title(const struct top_view *view, struct page *page)
{
	const char *codec = answer_text(view->to->stats, "compress");
	uint64_t workers = number(view, "workers");

	page_color(page, BOLD);
	page_put(page, "foldfs %s", view->mount->point);
	page_color(page, NULL);
	page_put(page, "  %s  %" PRIu64 " worker%s  up ", codec ? codec : "?",
		 workers, workers == 1 ? "" : "s");
	put_uptime(page, number(view, "uptime"));
	if (!view->from->stats)
		page_put(page, "  (rates since then)");
	page_newline(page);
}

/* --- bars --- */

static void put_bar(struct page *page, const char *label,
		    const struct page_part *parts, unsigned n, uint64_t whole)
{
	unsigned width = LABEL_WIDTH + BEHIND_BAR + 10;

	width = page->width > width ? page->width - LABEL_WIDTH - BEHIND_BAR
				    : 10;
	page_color(page, BOLD);
	page_put(page, "%-*s", LABEL_WIDTH, label);
	page_color(page, NULL);
	page_bar(page, width < BAR_MOST ? width : BAR_MOST, parts, n, whole);
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)((double)part * 100 / (double)whole + 0.5) : 0;
}

/* "  1.2 GiB of 2.0 GiB  60%" */
static void put_share(struct page *page, uint64_t part, uint64_t whole)
{
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

	page_put(page, " %10s of %10s %3u%%", size_format(part, a),
		 size_format(whole, b), percent(part, whole));
}

static void put_ram(const struct top_view *view, struct page *page)
{
	uint64_t used = number(view, "mem_used_total");
	uint64_t tables = number(view, "table_bytes");
	uint64_t data = used > tables ? used - tables : 0;
	const struct page_part parts[] = {{data, '|', "32"},
					  {tables, '+', "36"}};
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

	put_bar(page, "RAM", parts, 2, number(view, "mem_limit"));
	put_share(page, used, number(view, "mem_limit"));
	page_newline(page);
	page_put(page, "%*s| data %s  + tables and buffers %s  most %s",
		 LABEL_WIDTH + 1, "", size_format(data, a),
		 size_format(tables, b),
		 size_format(number(view, "mem_used_max"), c));
	page_newline(page);
}

static void put_logical(const struct top_view *view, struct page *page)
{
	uint64_t held = number(view, "orig_data_size");
	const struct page_part part = {held, '|', "34"};

	put_bar(page, "LOGICAL", &part, 1, number(view, "size"));
	put_share(page, held, number(view, "size"));
	if (held)
		page_put(page, " %5.1fx", sample_ratio(view->to));
	page_newline(page);
}

static void put_pages(const struct top_view *view, struct page *page)
{
	uint64_t all = number(view, "pages_stored");
	uint64_t fill = number(view, "same_pages");
	uint64_t raw = number(view, "huge_pages");
	uint64_t spilled = number(view, "spilled_pages");
	uint64_t other = fill + raw + spilled;
	uint64_t packed = all > other ? all - other : 0;
	const struct page_part parts[] = {
		{packed, 'c', "32"},
		{fill, 'f', "36"},
		{raw, 'r', "33"},
		{spilled, 's', "34"},
	};

	put_bar(page, "PAGES", parts, 4, all);
	page_put(page, " c packed %u%%  f fill %u%%  r raw %u%%",
		 percent(packed, all), percent(fill, all), percent(raw, all));
	if (spilled)
		page_put(page, "  s %u%%", percent(spilled, all));
	page_newline(page);
}

/* The line is there once the daemon has a backing file. */
static void put_spilled(const struct top_view *view, struct page *page)
{
	struct page_part part = {number(view, "spilled_bytes"), '|', "35"};
	uint64_t limit = number(view, "spill_size");

	if (part.amount == 0 && limit == 0)
		return;
	put_bar(page, "SPILLED", &part, 1, limit);
	put_share(page, part.amount, limit);
	page_newline(page);
}

/* --- operations --- */

/* What took no time, because nothing was done, has none. */
static void put_op(const struct top_view *view, struct page *page,
		   const char *name, double per_s, double bytes)
{
	char a[RATE_TEXT_MAX], b[SIZE_TEXT_MAX] = "";
	struct recent recent;

	if (bytes >= 0)
		size_format((uint64_t)(bytes + 0.5), b);
	page_put(page, "%-10.10s %9s %12s", name, rate_text(per_s, a), b);
	if (recent_latency(view->from, view->to, name, &recent)) {
		page_put(page, " %10s", time_text(recent.p50_us, a));
		page_put(page, " %10s", time_text(recent.p99_us, a));
		page_put(page, " %10s", time_text(recent.max_us, a));
	}
	page_newline(page);
}

/* Reads and writes, and then what else the daemon has a latency of. */
static void put_ops(const struct top_view *view, struct page *page)
{
	const json_t *table = sample_table(view->to, "latency");

	put_heading(page, table ? "OPERATION         PER S      BYTES/S"
				  "        p50        p99        max"
				: "OPERATION         PER S      BYTES/S");
	put_op(view, page, "read",
	       sample_rate(view->from, view->to, "num_reads"),
	       sample_rate(view->from, view->to, "bytes_read"));
	put_op(view, page, "write",
	       sample_rate(view->from, view->to, "num_writes"),
	       sample_rate(view->from, view->to, "bytes_written"));
	for (size_t i = 0; i < json_array_size(table); i++) {
		const json_t *row = json_array_get(table, i);
		const char *name = answer_text(row, "op");

		if (!name || strcmp(name, "read") == 0 ||
		    strcmp(name, "write") == 0 ||
		    answer_number(row, "count") == 0)
			continue;
		put_op(view, page, name,
		       sample_row_rate(view->from, view->to, "latency", "op",
				       row, "count"),
		       -1);
	}
	put_op(view, page, "all",
	       sample_rate(view->from, view->to, "num_requests"), -1);
}

/* --- workers --- */

static double worker_rate(const struct top_view *view, const json_t *row,
			  const char *field)
{
	return sample_row_rate(view->from, view->to, "slots", "slot", row,
			       field);
}

static void put_worker(const struct top_view *view, struct page *page,
		       const json_t *row)
{
	const char *state = answer_text(row, "state");
	char a[RATE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX],
		d[SIZE_TEXT_MAX];

	size_format((uint64_t)worker_rate(view, row, "bytes_in"), b);
	size_format((uint64_t)worker_rate(view, row, "bytes_out"), c);
	size_format(answer_number(row, "stream_bytes"), d);
	page_put(page, "%-6" PRIu64 " %-8.8s %8" PRIu64 " %9s %12s %12s %10s",
		 answer_number(row, "slot"), state ? state : "?",
		 answer_number(row, "thread"),
		 rate_text(worker_rate(view, row, "requests"), a), b, c, d);
	page_newline(page);
}

static bool is_offline(const json_t *row)
{
	const char *state = answer_text(row, "state");

	return state && strcmp(state, "offline") == 0;
}

/* The first @cap slots whose workers are there; how many there are in all. */
static size_t rows_to_show(const json_t *slots, const json_t **rows, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(slots); i++) {
		const json_t *row = json_array_get(slots, i);

		if (is_offline(row))
			continue;
		if (n < cap)
			rows[n] = row;
		n++;
	}
	return n;
}

/* What there is no room for is counted. */
static void put_workers(const struct top_view *view, struct page *page)
{
	const json_t *rows[ROWS_MAX];
	size_t n =
		rows_to_show(sample_table(view->to, "slots"), rows, ROWS_MAX);

	if (n == 0 || page->row + 2 > page->height)
		return;
	put_heading(page, "WORKER STATE      THREAD     PER S   WRITTEN/S"
			  "       READ/S     STREAM");
	for (size_t i = 0; i < n; i++) {
		if (i == ROWS_MAX ||
		    (page->row + 1 >= page->height && i + 1 < n)) {
			page_put(page, "and %zu more", n - i);
			page_newline(page);
			return;
		}
		put_worker(view, page, rows[i]);
	}
}

/* --- all of it --- */

/* An empty line where there is room to waste. */
static void put_gap(struct page *page)
{
	if (page->height > 20)
		page_newline(page);
}

static void put_all(const struct top_view *view, struct page *page)
{
	put_title(view, page);
	put_gap(page);
	put_ram(view, page);
	put_logical(view, page);
	put_pages(view, page);
	put_spilled(view, page);
	put_gap(page);
	put_ops(view, page);
	if (view->workers) {
		put_gap(page);
		put_workers(view, page);
	}
}

void top_view_put(const struct top_view *view, struct page *page)
{
	unsigned height = page->height;

	if (page->kind != PAGE_SCREEN || height < KEYS_LEAST) {
		put_all(view, page);
		return;
	}
	page->height = height - 1;
	put_all(view, page);
	page->height = height;
	page_go_to(page, height - 1);
	page_put(page, "%s",
		 view->message ? view->message
			       : "q quit  1 workers  + - one worker more, "
				 "one fewer  h help");
}

void top_view_put_help(struct page *page)
{
	static const char *const lines[] = {
		"q        end",
		"1        rows of workers, or none",
		"+ -      start one worker more, stop one (root and the owner)",
		"space    a new sample now",
		"",
		"RAM      what data (|) and all else (+) take, of mem_limit",
		"LOGICAL  bytes of pages held, of size; times the RAM",
		"PAGES    compressed, one repeated word, not compressible",
		"PER S    since the last sample, as p50, p99 and max",
		"",
		"Any key goes back.",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		page_put(page, "%s", lines[i]);
		page_newline(page);
	}
}
