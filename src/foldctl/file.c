/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl file: what files take, the heaviest first if wanted, and the sum. */
#include "foldctl/files.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column {
	COL_PATH,
	COL_SIZE,
	COL_LOGICAL,
	COL_RESIDENT,
	COL_SPILLED,
	COL_RATIO,
	COL_CODEC,
	COL_AGE,
	COL_AGES,
	COL_FILES,
};

/* clang-format off */
static const struct table_column columns[] = {
	[COL_PATH] = {"PATH", TABLE_TEXT, false, "the file"},
	[COL_SIZE] = {"SIZE", TABLE_BYTES, true, "its size, holes included"},
	[COL_LOGICAL] = {"LOGICAL", TABLE_BYTES, false, "bytes of it that are held, holes left out"},
	[COL_RESIDENT] = {"RESIDENT", TABLE_BYTES, false, "RAM that they take"},
	[COL_SPILLED] = {"SPILLED", TABLE_BYTES, false, "bytes in the backing file only"},
	[COL_RATIO] = {"RATIO", TABLE_RATIO, false, "LOGICAL / (RESIDENT + SPILLED)"},
	[COL_CODEC] = {"CODEC", TABLE_TEXT, false, "pages by what they are kept as"},
	[COL_AGE] = {"AGE", TABLE_NUMBER, false, "average age of its pages, 0 just touched to 15 cold"},
	[COL_AGES] = {"AGES", TABLE_TEXT, true, "pages by their age"},
	[COL_FILES] = {"FILES", TABLE_NUMBER, true, "files in the sum"},
	{.name = NULL},
};
/* clang-format on */

static const struct verb_help help = {
	.options =
		" -r, --recursive      all files below directories, and the sum\n"
		" -s, --sort           what takes the most RAM first\n"
		"     --top N          only the N that take the most RAM\n"
		" -t, --total          only the sum\n"
		" -o, --output LIST    these columns; +LIST: as well\n"
		" -O, --output-all     all columns\n"
		" -b, --bytes          exact numbers instead of readable ones\n"
		" -n, --noheadings     no line of headings\n"
		"     --raw            columns divided by one blank, none cut\n"
		" -J, --json           JSON, all numbers exact; the sum with -t\n",
	.columns = columns,
};

enum { OPTION_RAW = 256, OPTION_TOP };

struct request {
	struct table_options table;
	bool recursive, sort, total;
	size_t top;
};

static int parse_top(const struct context *ctx, const char *text, size_t *ret_n)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n == 0)
		return context_usage(ctx, "--top: \"%s\" is no number of files",
				     text);
	*ret_n = n;
	return CONTEXT_GO_ON;
}

/* CONTEXT_GO_ON or an exit code. */
static int take_option(struct context *ctx, struct request *req, int option)
{
	switch (option) {
	case 'r':
		req->recursive = true;
		return CONTEXT_GO_ON;
	case 's':
		req->sort = true;
		return CONTEXT_GO_ON;
	case 't':
		req->total = true;
		return CONTEXT_GO_ON;
	case OPTION_TOP:
		req->sort = true;
		return parse_top(ctx, optarg, &req->top);
	case OPTION_RAW:
		option = 'r';
		break;
	}
	if (table_option(&req->table, option, optarg))
		return CONTEXT_GO_ON;
	return context_option(ctx, option, optarg, &help);
}

static int parse(struct context *ctx, int argc, char **argv,
		 struct request *req)
{
	static const struct option longopts[] = {
		{"recursive", no_argument, NULL, 'r'},
		{"sort", no_argument, NULL, 's'},
		{"top", required_argument, NULL, OPTION_TOP},
		{"total", no_argument, NULL, 't'},
		{"raw", no_argument, NULL, OPTION_RAW},
		{"output", required_argument, NULL, 'o'},
		{"output-all", no_argument, NULL, 'O'},
		{"bytes", no_argument, NULL, 'b'},
		{"noheadings", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	int option, r = CONTEXT_GO_ON;

	while (r == CONTEXT_GO_ON &&
	       (option = getopt_long(argc, argv, "rsto:ObnJ" CONTEXT_SHORT,
				     longopts, NULL)) != -1)
		r = take_option(ctx, req, option);
	if (r == CONTEXT_GO_ON)
		r = context_check_table(ctx, &req->table);
	if (r == CONTEXT_GO_ON && optind == argc)
		r = context_usage(ctx, "which file?");
	return r;
}

static void show(struct table *table, const struct file_entry *e,
		 uint64_t files)
{
	table_row(table);
	if (e->path)
		table_text(table, COL_PATH, e->path);
	table_number(table, COL_FILES, files);
	table_number(table, COL_SIZE, e->size);
	table_number(table, COL_LOGICAL, e->logical);
	table_number(table, COL_RESIDENT, e->resident);
	table_number(table, COL_SPILLED, e->spilled);
	table_ratio(table, COL_RATIO, e->logical, e->resident + e->spilled);
	table_text(table, COL_CODEC, e->codec);
	table_number(table, COL_AGE, files_average_age(e->ages));
	table_text(table, COL_AGES, e->ages);
}

/* In JSON a sum among the files would be taken for one of them. */
static bool wants_sum(const struct request *req, const struct files *files)
{
	if (req->total)
		return true;
	return !req->table.json && (req->recursive || files->found > 1);
}

static int print(const struct request *req, struct files *files)
{
	struct table *table = table_new("files", columns, &req->table);
	char name[64];
	int r;

	if (!table)
		return EXIT_USAGE;
	for (size_t i = 0; i < files->n && !req->total; i++)
		show(table, &files->list[i], 1);
	if (wants_sum(req, files)) {
		snprintf(name, sizeof(name), "(%" PRIu64 " %s)", files->found,
			 files->found == 1 ? "file" : "files");
		files->sum.path = req->table.json ? NULL : name;
		show(table, &files->sum, files->found);
	}
	r = table_print(table, stdout);
	table_free(table);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_file(struct context *ctx, int argc, char **argv)
{
	struct request req = {0};
	struct files files;
	int r = parse(ctx, argc, argv, &req);
	int code = EXIT_DONE;

	if (r != CONTEXT_GO_ON)
		return r;
	files_init(&files, req.total ? 1 : req.top);
	for (int i = optind; i < argc; i++) {
		r = files_add_operand(ctx, &files, argv[i], req.recursive);
		if (r != EXIT_DONE && code == EXIT_DONE)
			code = r;
	}
	if (req.sort)
		files_sort(&files);
	if (files.found || code == EXIT_DONE)
		r = print(&req, &files);
	files_fini(&files);
	return code != EXIT_DONE ? code : r;
}
