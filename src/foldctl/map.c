/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl map: a picture of a file's pages, by tier and age, in the terminal. */
#include "base/size.h"
#include "foldctl/attr.h"
#include "foldctl/foreign.h"
#include "foldctl/page.h"
#include "foldctl/picture.h"
#include "foldctl/screen.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 4096
/* Columns of the offset in front of each line. */
#define OFFSET_WIDTH 11
/* Lines around the picture: heading, blank, blank, legend, and a prompt. */
#define OTHER_LINES 6
#define LINES_MAX 32
#define COLOR_MAX 16

static const struct verb_help help = {
	.options =
		" -a, --ages           ages of the pages, 0 just touched to f "
		"cold, not tiers\n"
		" -J, --json           all cells that the daemon gives\n",
};

struct request {
	bool ages, json;
};

static int parse(struct context *ctx, int argc, char **argv,
		 struct request *req)
{
	static const struct option longopts[] = {
		{"ages", no_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	int option, r = CONTEXT_GO_ON;

	while (r == CONTEXT_GO_ON &&
	       (option = getopt_long(argc, argv, "aJ" CONTEXT_SHORT, longopts,
				     NULL)) != -1) {
		if (option == 'a')
			req->ages = true;
		else if (option == 'J')
			req->json = true;
		else
			r = context_option(ctx, option, optarg, &help);
	}
	if (r == CONTEXT_GO_ON && optind == argc)
		r = context_usage(ctx, "which file?");
	if (r == CONTEXT_GO_ON && argc - optind > 1)
		r = context_usage(ctx, "%s: map takes one file",
				  argv[optind + 1]);
	return r;
}

static int print_json(const char *path, const struct picture *p)
{
	json_t *object = json_pack(
		"{s:o, s:I, s:I, s:s, s:s}", "path", foreign_json(path),
		"pages", (json_int_t)p->pages, "cell",
		(json_int_t)p->cell_pages, "tiers", p->tier, "ages", p->age);

	if (!object)
		die("%s", strerror(ENOMEM));
	json_dumpf(object, stdout, JSON_INDENT(3));
	putchar('\n');
	json_decref(object);
	return EXIT_DONE;
}

/* What is young is bright, what is cold is dim. */
static void cell_color(char tier, char age, char color[COLOR_MAX])
{
	const char *shade = age <= '3' ? "1;" : age >= '8' ? "2;" : "";

	snprintf(color, COLOR_MAX, "0;%s%s",
		 tier == FOLDFS_MAP_TIERS[0] ? "" : shade,
		 picture_tier_color(tier));
}

static void put_line(struct page *page, const struct request *req,
		     const struct picture *p, unsigned first, unsigned n)
{
	char color[COLOR_MAX], last[COLOR_MAX] = "", size[SIZE_TEXT_MAX];

	page_put(page, "%10s ",
		 size_format(first * p->cell_pages * PAGE_BYTES, size));
	for (unsigned i = first; i < first + n && i < p->n; i++) {
		bool is_hole = p->tier[i] == FOLDFS_MAP_TIERS[0];

		cell_color(p->tier[i], p->age[i], color);
		if (strcmp(color, last) != 0)
			page_color(page, color);
		strcpy(last, color);
		page_put(page, "%c",
			 req->ages && !is_hole ? p->age[i] : p->tier[i]);
	}
	page_color(page, NULL);
	page_newline(page);
}

/* A new line if so many columns have no room in this one. */
static void make_room(struct page *page, size_t columns)
{
	if (page->column > 0 && page->column + columns > page->width)
		page_newline(page);
}

/* Word by word, with a new line where one does not fit. */
static void put_words(struct page *page, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		make_room(page, n);
		page_put(page, "%.*s", (int)n, text);
		text += n;
		if (*text && page->column < page->width)
			page_put(page, " ");
		text += strspn(text, " ");
	}
}

static void put_legend(struct page *page, const struct request *req,
		       const struct picture *p)
{
	char size[SIZE_TEXT_MAX], text[160];

	for (const char *tier = FOLDFS_MAP_TIERS; *tier; tier++) {
		make_room(page, 2 + strlen(picture_tier_name(*tier)));
		page_color(page, picture_tier_color(*tier));
		page_put(page, "%c", *tier);
		page_color(page, NULL);
		page_put(page, " %s  ", picture_tier_name(*tier));
	}
	page_newline(page);
	snprintf(text, sizeof(text),
		 "One character is %" PRIu64 " page%s (%s)%s.", p->cell_pages,
		 p->cell_pages == 1 ? "" : "s",
		 size_format(p->cell_pages * PAGE_BYTES, size),
		 req->ages     ? ", 0 just touched to f cold"
		 : page->color ? ", bright if young, dim if cold"
			       : "");
	put_words(page, text);
	page_newline(page);
}

static int print_picture(const char *path, const struct request *req,
			 struct picture *p)
{
	struct screen_size size = screen_size();
	unsigned width = size.width < 24 ? 24 : size.width;
	unsigned across = width - OFFSET_WIDTH;
	unsigned lines =
		size.height > OTHER_LINES + 2 ? size.height - OTHER_LINES : 2;
	struct page page;
	char text[SIZE_TEXT_MAX];

	if (lines > LINES_MAX)
		lines = LINES_MAX;
	/* A power of two in a line makes offsets that can be read. */
	while (across & (across - 1))
		across &= across - 1;
	picture_shrink(p, across * lines);
	/* A path is never cut: the terminal may break the line. */
	page_init(&page, PAGE_LOG, PAGE_ENDLESS, PAGE_ENDLESS,
		  term_has_color());
	page_put(&page, "%s: %s, %" PRIu64 " page%s", path,
		 size_format(p->pages * PAGE_BYTES, text), p->pages,
		 p->pages == 1 ? "" : "s");
	page_newline(&page);
	page.width = width;
	for (unsigned i = 0; i < p->n; i += across)
		put_line(&page, req, p, i, across);
	put_legend(&page, req, p);
	page_print(&page);
	return EXIT_DONE;
}

int verb_map(struct context *ctx, int argc, char **argv)
{
	char text[2 * FOLDFS_MAP_CELLS_MAX + 128];
	struct request req = {0};
	struct picture picture;
	const char *path;
	struct stat st;
	int r = parse(ctx, argc, argv, &req);

	if (r != CONTEXT_GO_ON)
		return r;
	path = argv[optind];
	r = attr_stat(ctx, path, &st);
	if (r != EXIT_DONE)
		return r;
	r = attr_get(path, FOLDFS_FILE_MAP, text, sizeof(text));
	if (r == 0)
		r = picture_parse(text, &picture);
	if (r == -ENODATA && !S_ISREG(st.st_mode)) {
		say("%s: not a regular file", path);
		return EXIT_FAILED;
	}
	if (r < 0)
		return attr_failed(path, r);
	return req.json ? print_json(path, &picture)
			: print_picture(path, &req, &picture);
}
