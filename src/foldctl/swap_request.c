/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of swap on.
 *
 * The defaults are those of zram-generator, so that who comes from zram gets
 * what he had: half of the memory, at most 4 GiB, and as much RAM as that takes
 * if nothing compresses.
 */
#include "base/size.h"
#include "foldctl/swap_on.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MOST (UINT64_C(4) << 30)
/* Of pages that do not compress: headers, tables, rounding; and what a daemon
 * needs before the first of them. */
#define LIMIT_SHARE 16
#define LIMIT_BESIDES (UINT64_C(32) << 20)
#define PAGE UINT64_C(4096)

enum { SPILL = CONTEXT_TIMEOUT + 1, FORGO, MOUNTED };

static const struct verb_help help = {
	" -s, --size SIZE      size of the swap, before compression; default "
	"half of\n"
	"                      the memory, at most 4G\n"
	" -m, --mem-limit SIZE most RAM that it may take; default enough for "
	"all\n"
	"                      of it if nothing compresses\n"
	"     --spill PATH     file or device for the coldest pages when RAM "
	"is short\n"
	" -c, --compress CODEC lz4, lz4hc, zstd or none, with :LEVEL; default "
	"lz4\n"
	" -p, --priority N     0 to 32767, higher is used first; default 100\n"
	"     --forgo CURES    what the daemon may do without, joined by +: "
	"memlock,\n"
	"                      io_flusher, oom, checks\n"
	" -o, --options LIST   more options of foldfs\n"
	"     --mounted        foldfs has been started by others, with "
	"profile=swap:\n"
	"                      do the rest\n",
	NULL};

static int parse_size(struct context *ctx, const char *name, const char *text,
		      uint64_t least, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (size_parse(text, size_of_ram(), &bytes) < 0)
		return context_usage(ctx, "--%s %s: not as 512M, 1.5G or 25%%",
				     name, text);
	if (bytes < least)
		return context_usage(ctx, "--%s %s: less than 1 MiB", name,
				     text);
	*ret_bytes = bytes;
	return CONTEXT_GO_ON;
}

static int parse_priority(struct context *ctx, const char *text,
			  int *ret_priority)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 0 || n > SWAP_PRIORITY_MAX)
		return context_usage(ctx, "--priority %s: not 0 to %d", text,
				     SWAP_PRIORITY_MAX);
	*ret_priority = (int)n;
	return CONTEXT_GO_ON;
}

static int take(struct context *ctx, int c, struct swap_request *request)
{
	switch (c) {
	case 's':
		return parse_size(ctx, "size", optarg, SWAP_SIZE_MIN,
				  &request->size_bytes);
	case 'm':
		return parse_size(ctx, "mem-limit", optarg, SWAP_SIZE_MIN,
				  &request->limit_bytes);
	case 'p':
		return parse_priority(ctx, optarg, &request->priority);
	case 'c':
		request->compress = optarg;
		break;
	case 'o':
		request->options = optarg;
		break;
	case SPILL:
		request->spill = optarg;
		break;
	case FORGO:
		request->forgo = optarg;
		break;
	case MOUNTED:
		request->mounted = true;
		break;
	default:
		return context_option(ctx, c, optarg, &help);
	}
	return CONTEXT_GO_ON;
}

static bool is_for_foldfs(const struct swap_request *r)
{
	return r->size_bytes || r->limit_bytes || r->compress || r->spill ||
	       r->forgo || r->options;
}

int swap_request_parse(struct context *ctx, int argc, char **argv,
		       struct swap_request *ret_request)
{
	static const struct option longs[] = {
		{"size", required_argument, NULL, 's'},
		{"mem-limit", required_argument, NULL, 'm'},
		{"spill", required_argument, NULL, SPILL},
		{"compress", required_argument, NULL, 'c'},
		{"priority", required_argument, NULL, 'p'},
		{"forgo", required_argument, NULL, FORGO},
		{"options", required_argument, NULL, 'o'},
		{"mounted", no_argument, NULL, MOUNTED},
		CONTEXT_OPTIONS,
		{0},
	};
	struct swap_request request = {.priority = SWAP_PRIORITY};
	int c, code = CONTEXT_GO_ON;

	while (code == CONTEXT_GO_ON &&
	       (c = getopt_long(argc, argv, "s:m:c:p:o:" CONTEXT_SHORT, longs,
				NULL)) != -1)
		code = take(ctx, c, &request);
	if (code == CONTEXT_GO_ON)
		code = context_take_nothing(ctx, argc, argv, "swap on");
	if (code == CONTEXT_GO_ON && request.mounted && is_for_foldfs(&request))
		code = context_usage(ctx, "--mounted: what is mounted has its "
					  "options; only --priority goes with "
					  "it");
	if (code == CONTEXT_GO_ON)
		*ret_request = request;
	return code;
}

void swap_request_settle(struct swap_request *request, uint64_t ram_bytes)
{
	if (!request->size_bytes) {
		request->size_bytes = ram_bytes / 2;
		if (request->size_bytes > SIZE_MOST)
			request->size_bytes = SIZE_MOST;
	}
	request->size_bytes -= request->size_bytes % PAGE;
	if (!request->limit_bytes)
		request->limit_bytes = request->size_bytes +
				       request->size_bytes / LIMIT_SHARE +
				       LIMIT_BESIDES;
}

/* ",name=value" with what would end the value escaped. */
static int add(char *text, size_t cap, const char *name, const char *value)
{
	size_t n = strlen(text);

	if (!value)
		return 0;
	n += (size_t)snprintf(text + n, cap - n, ",%s=", name);
	for (; *value && n + 3 < cap; value++) {
		if (*value == ',' || *value == '\\')
			text[n++] = '\\';
		text[n++] = *value;
	}
	if (*value || n >= cap)
		return -ENAMETOOLONG;
	text[n] = '\0';
	return 0;
}

int swap_request_format(const struct swap_request *request, char *text,
			size_t cap)
{
	int r = 0;

	if (snprintf(text, cap,
		     "profile=swap,size=%" PRIu64 ",mem_limit=%" PRIu64
		     ",mode=0700",
		     request->size_bytes, request->limit_bytes) >= (int)cap)
		r = -ENAMETOOLONG;
	if (r == 0)
		r = add(text, cap, "compress", request->compress);
	if (r == 0)
		r = add(text, cap, "spill", request->spill);
	if (r == 0)
		r = add(text, cap, "forgo", request->forgo);
	return r;
}
