/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl iostat: a line of rates for each interval, the first since the
 * mount, as vmstat(8) and zpool-iostat(8) have it. */
#include "base/clock.h"
#include "base/size.h"
#include "foldctl/sample.h"
#include "foldctl/screen.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576.0

static const struct verb_help help = {
	.options =
		" -y, --omit-first     no line about all the time since the mount\n"
		" -n, --noheadings     no lines of headings\n"
		" -J, --json           a JSON object for each line, with all keys\n",
};

struct request {
	bool omit_first, no_headings, json;
	uint64_t interval_ns; /* 0: one line only */
	uint64_t count;       /* 0: without end */
	const char *mount;
};

static bool is_number(const char *word)
{
	return strpbrk(word, "0123456789") &&
	       word[strspn(word, "0123456789.")] == '\0';
}

/* Take operand @*at if it is a word that names a mount. */
static void parse_mount(int argc, char **argv, int *at, struct request *req)
{
	if (!req->mount && *at < argc && !is_number(argv[*at]))
		req->mount = argv[(*at)++];
}

/* [MOUNT] [INTERVAL [COUNT]], or the mount behind them. */
static int parse_operands(const struct context *ctx, int argc, char **argv,
			  struct request *req)
{
	int at = optind;

	parse_mount(argc, argv, &at, req);
	if (at == argc)
		req->count = 1;
	else if (!interval_parse(argv[at], &req->interval_ns))
		return context_usage(ctx, "\"%s\" is no number of seconds",
				     argv[at]);
	else
		at++;
	if (at < argc && is_number(argv[at])) {
		req->count = strtoull(argv[at], NULL, 10);
		if (req->count == 0 || strchr(argv[at], '.'))
			return context_usage(
				ctx, "\"%s\" is no number of lines", argv[at]);
		at++;
	}
	parse_mount(argc, argv, &at, req);
	if (at < argc)
		return context_usage(ctx, "\"%s\" is one operand too many",
				     argv[at]);
	return CONTEXT_GO_ON;
}

static int parse(struct context *ctx, int argc, char **argv,
		 struct request *req)
{
	static const struct option longopts[] = {
		{"omit-first", no_argument, NULL, 'y'},
		{"noheadings", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	int option, r = CONTEXT_GO_ON;

	while (r == CONTEXT_GO_ON &&
	       (option = getopt_long(argc, argv, "ynJ" CONTEXT_SHORT, longopts,
				     NULL)) != -1) {
		if (option == 'y')
			req->omit_first = true;
		else if (option == 'n')
			req->no_headings = true;
		else if (option == 'J')
			req->json = true;
		else
			r = context_option(ctx, option, optarg, &help);
	}
	if (r == CONTEXT_GO_ON)
		r = parse_operands(ctx, argc, argv, req);
	if (r == CONTEXT_GO_ON && req->omit_first && !req->interval_ns)
		r = context_usage(ctx, "-y leaves no line without an INTERVAL");
	return r;
}

static int print_line(const struct sample *from, const struct sample *to)
{
	char reads[RATE_TEXT_MAX], writes[RATE_TEXT_MAX], all[RATE_TEXT_MAX];
	char logical[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX];

	rate_text(sample_rate(from, to, "num_reads"), reads);
	rate_text(sample_rate(from, to, "num_writes"), writes);
	rate_text(sample_rate(from, to, "num_requests"), all);
	size_format(sample_number(to, "orig_data_size"), logical);
	size_format(sample_number(to, "mem_used_total"), ram);
	printf("%7s %7s %8.1f %8.1f %7s %11s %11s %5.1fx %4" PRIu64 "\n", reads,
	       writes, sample_rate(from, to, "bytes_read") / MIB,
	       sample_rate(from, to, "bytes_written") / MIB, all, logical, ram,
	       sample_ratio(to), sample_number(to, "workers"));
	return term_flush();
}

/* At the top, and on a terminal again whenever it has scrolled away. */
static void print_heading(const struct request *req, uint64_t line)
{
	uint64_t every = isatty(STDOUT_FILENO) ? screen_size().height : 0;

	if (every > 2)
		every -= 2;
	if (!req->no_headings && !req->json &&
	    (line == 0 || (every && line % every == 0)))
		printf("%7s %7s %8s %8s %7s %11s %11s %6s %4s\n", "r/s", "w/s",
		       "rMiB/s", "wMiB/s", "req/s", "LOGICAL", "RAM", "RATIO",
		       "WRK");
}

/* The next moment, counted from the first, so that no interval is lost to
 * what asking takes; one that has passed already is left out. */
static void wait_for_turn(uint64_t *turn_ns, uint64_t interval_ns)
{
	uint64_t now = clock_ns();
	struct timespec ts;

	do {
		*turn_ns += interval_ns;
	} while (*turn_ns <= now);
	ts.tv_sec = (time_t)(*turn_ns / NS_PER_S);
	ts.tv_nsec = (long)(*turn_ns % NS_PER_S);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

static int run(struct sampler *sampler, const struct request *req)
{
	struct sample before = {0}, now;
	uint64_t turn_ns = clock_ns(), line = 0;
	bool show = !req->omit_first;
	int r = 0;

	while (r == 0) {
		if (sampler_next(sampler, &now) < 0) {
			sample_fini(&before);
			return sampler_failed(sampler);
		}
		if (show) {
			print_heading(req, line++);
			r = req->json ? sample_print_json(sampler->mount,
							  &before, &now)
				      : print_line(&before, &now);
		}
		sample_fini(&before);
		before = now;
		show = true;
		if (req->count && line == req->count)
			break;
		if (r == 0)
			wait_for_turn(&turn_ns, req->interval_ns);
	}
	sample_fini(&before);
	return EXIT_DONE;
}

int verb_iostat(struct context *ctx, int argc, char **argv)
{
	struct request req = {0};
	struct sampler sampler;
	int r = parse(ctx, argc, argv, &req);

	if (r != CONTEXT_GO_ON)
		return r;
	r = sampler_open(&sampler, ctx, req.mount);
	if (r != EXIT_DONE)
		return r;
	r = run(&sampler, &req);
	sampler_close(&sampler);
	return r;
}
