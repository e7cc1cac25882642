/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl top: what a mount does, live, on a screen, in a log or as JSON. */
#include "base/clock.h"
#include "foldctl/screen.h"
#include "foldctl/term.h"
#include "foldctl/top_view.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_WIDTH 80
/* Most changes are done by then: said at once. */
#define SOON_MS 200

static const struct verb_help help = {
	.options =
		" -d, --delay SECONDS  between two samples: 1\n"
		" -n, --count N        end after N samples\n"
		" -b, --batch          one after the other, without a screen\n"
		" -J, --json           a JSON object for each sample\n"
		" -1                   without the rows of workers\n",
};

struct request {
	uint64_t delay_ns;
	uint64_t count; /* 0: without end */
	bool batch, json;
};

/* Of the workers, on a connection of its own: it may take as long as requests
 * do that are under way. */
struct change {
	struct client client;
	const char *request; /* NULL: none is under way */
};

struct top {
	struct request req;
	struct sampler sampler;
	struct change change;
	struct sample before, now;
	struct top_view view;
	char message[600];
	bool help, end;
};

static int take_option(struct context *ctx, struct top *top, int option)
{
	char *end;

	switch (option) {
	case 'd':
		if (interval_parse(optarg, &top->req.delay_ns))
			return CONTEXT_GO_ON;
		return context_usage(ctx, "-d: \"%s\" is no number of seconds",
				     optarg);
	case 'n':
		top->req.count = strtoull(optarg, &end, 10);
		if (top->req.count && !*end && *optarg != '-')
			return CONTEXT_GO_ON;
		return context_usage(ctx, "-n: \"%s\" is no number of samples",
				     optarg);
	case 'b':
		top->req.batch = true;
		return CONTEXT_GO_ON;
	case 'J':
		top->req.json = true;
		return CONTEXT_GO_ON;
	case '1':
		top->view.workers = false;
		return CONTEXT_GO_ON;
	}
	return context_option(ctx, option, optarg, &help);
}

static int parse(struct context *ctx, int argc, char **argv, struct top *top)
{
	static const struct option longopts[] = {
		{"delay", required_argument, NULL, 'd'},
		{"count", required_argument, NULL, 'n'},
		{"batch", no_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	int option, r = CONTEXT_GO_ON;

	while (r == CONTEXT_GO_ON &&
	       (option = getopt_long(argc, argv, "d:n:bJ1" CONTEXT_SHORT,
				     longopts, NULL)) != -1)
		r = take_option(ctx, top, option);
	if (r == CONTEXT_GO_ON && argc - optind > 1)
		r = context_usage(ctx, "\"%s\" is one operand too many",
				  argv[optind + 1]);
	return r;
}

/* What is shown next is about the time since what is shown now. */
static int next_sample(struct top *top)
{
	struct sample fresh;
	int r = sampler_next(&top->sampler, &fresh);

	if (r < 0)
		return r;
	sample_fini(&top->before);
	top->before = top->now;
	top->now = fresh;
	return 0;
}

/* --- one after the other --- */

static void pause_until(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

static int log_sample(struct top *top)
{
	struct page page;

	if (top->req.json)
		return sample_print_json(top->sampler.mount, &top->before,
					 &top->now);
	page_init(&page, PAGE_LOG, LOG_WIDTH, PAGE_ENDLESS, false);
	top_view_put(&top->view, &page);
	page_newline(&page);
	return page_print(&page);
}

static int run_log(struct top *top)
{
	int r = 0;

	for (uint64_t i = 0; r == 0; i++) {
		if (next_sample(top) < 0)
			return sampler_failed(&top->sampler);
		r = log_sample(top);
		if (i + 1 == top->req.count)
			break;
		if (r == 0)
			pause_until(top->now.ns + top->req.delay_ns);
	}
	return EXIT_DONE;
}

/* --- on a screen --- */

static int draw(struct top *top)
{
	struct screen_size size = screen_size();
	struct page page;

	page_init(&page, PAGE_SCREEN, size.width, size.height,
		  term_has_color());
	top->view.message = *top->message ? top->message : NULL;
	if (top->help)
		top_view_put_help(&page);
	else
		top_view_put(&top->view, &page);
	return page_print(&page);
}

static void end_change(struct top *top)
{
	if (top->change.request)
		client_close(&top->change.client);
	top->change.request = NULL;
}

static void tell_of_change(struct top *top, const char *text)
{
	snprintf(top->message, sizeof(top->message), "%s: %s",
		 top->change.request, text);
}

/* How the change went that is under way, if it is known within @ms. */
static void hear_of_change(struct top *top, unsigned ms)
{
	struct client *client = &top->change.client;
	json_t *answer;
	int r;

	if (!top->change.request)
		return;
	r = client_receive_within(client, ms, &answer);
	if (r == -ETIMEDOUT) {
		tell_of_change(top, "not done yet");
		return;
	}
	if (r == 0)
		json_decref(answer);
	tell_of_change(top, r == 0            ? "done"
			    : r == -EREMOTEIO ? client->error
					      : strerror(-r));
	end_change(top);
}

static int change_workers(struct top *top, const char *request)
{
	struct change *change = &top->change;
	int r;

	if (!change->request) {
		r = client_open(&change->client, top->sampler.mount,
				top->sampler.ctx->timeout_ms);
		if (r == 0) {
			change->request = request;
			r = client_send(&change->client, request);
		}
		if (r < 0) {
			top->sampler.error = r;
			return r;
		}
	}
	hear_of_change(top, SOON_MS);
	return 0;
}

/* What a key does at once; the next sample shows what came of it. */
static int obey(struct top *top, int key, bool *ret_sample)
{
	*top->message = '\0';
	if (top->help) {
		top->help = false;
		return 0;
	}
	switch (key) {
	case 'q':
		top->end = true;
		return 0;
	case '1':
		top->view.workers = !top->view.workers;
		return 0;
	case 'h':
	case '?':
		top->help = true;
		return 0;
	case '+':
	case '-':
		*ret_sample = true;
		return change_workers(top, key == '+' ? "set workers +1"
						      : "set workers -1");
	case ' ':
		*ret_sample = true;
		return 0;
	}
	return 0;
}

/* Until it is time for a sample: 0; or a negative errno, of the daemon. */
static int serve_keys(struct top *top, uint64_t until_ns)
{
	bool sample = false;
	int r = 0;

	while (r == 0 && !sample && !top->end) {
		int key;

		if (draw(top) < 0) {
			top->end = true;
			return 0;
		}
		key = screen_key(until_ns);
		if (key == SCREEN_TIME)
			return 0;
		if (key == SCREEN_GONE)
			top->end = true;
		else if (key != SCREEN_CHANGED)
			r = obey(top, key, &sample);
	}
	return r;
}

static int run_screen(struct top *top)
{
	int r = next_sample(top);

	if (r < 0)
		return sampler_failed(&top->sampler);
	r = screen_enter();
	if (r < 0) {
		say("the terminal: %s", strerror(-r));
		return EXIT_FAILED;
	}
	for (uint64_t i = 1; r == 0; i++) {
		r = serve_keys(top, top->now.ns + top->req.delay_ns);
		if (top->end || i == top->req.count)
			break;
		hear_of_change(top, 0);
		if (r == 0)
			r = next_sample(top);
	}
	screen_leave();
	end_change(top);
	return r < 0 ? sampler_failed(&top->sampler) : EXIT_DONE;
}

int verb_top(struct context *ctx, int argc, char **argv)
{
	struct top top = {
		.req = {.delay_ns = NS_PER_S},
		.view = {.workers = true},
	};
	int r = parse(ctx, argc, argv, &top);

	if (r != CONTEXT_GO_ON)
		return r;
	r = sampler_open(&top.sampler, ctx, argv[optind]);
	if (r != EXIT_DONE)
		return r;
	top.view.mount = top.sampler.mount;
	top.view.from = &top.before;
	top.view.to = &top.now;
	if (top.req.batch || top.req.json || !screen_is_there())
		r = run_log(&top);
	else
		r = run_screen(&top);
	sample_fini(&top.before);
	sample_fini(&top.now);
	sampler_close(&top.sampler);
	return r;
}
