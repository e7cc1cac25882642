/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds verbs, and prints what they are. */
#include "foldctl/verbs.h"
#include "base/near.h"
#include "foldctl/table.h"
#include <string.h>

const struct verb verb_table[] = {
#define VERB(id, name, operands, sentence)                                     \
	{name, operands, sentence, verb_##id},
#include "foldctl/verbs.def"
#undef VERB
	{NULL, NULL, NULL, NULL},
};

const struct verb *verb_find(const char *name, const char **ret_near)
{
	struct near near;

	near_init(&near, name);
	for (const struct verb *v = verb_table; v->name; v++) {
		if (strcmp(v->name, name) == 0)
			return v;
		near_try(&near, v->name);
	}
	*ret_near = near.best;
	return NULL;
}

int verb_unknown(const struct context *ctx, const char *name, const char *near)
{
	if (near)
		return context_usage(ctx, "no verb %s; did you mean %s?", name,
				     near);
	return context_usage(ctx, "no verb %s", name);
}

void verb_print_help(const struct context *ctx, const struct verb_help *help)
{
	const struct verb *v = ctx->verb;

	printf("Usage: foldctl %s [OPTIONS]%s%s\n\n", v->name,
	       *v->operands ? " " : "", v->operands);
	printf("%s: %s.\n\nOptions:\n", v->name, v->sentence);
	if (help->options)
		fputs(help->options, stdout);
	fputs("     --timeout SECONDS  how long a daemon may take to answer "
	      "(3)\n"
	      " -h, --help           this text\n",
	      stdout);
	if (help->columns) {
		fputs("\nColumns:\n", stdout);
		table_help(help->columns, stdout);
	}
	if (strstr(v->operands, "MOUNT"))
		fputs("\nMOUNT is a path, or the id or source of a mount "
		      "(foldctl list -o +ID,SOURCE).\n"
		      "With one mount alone it can be left out.\n",
		      stdout);
}

void verbs_help(FILE *out)
{
	fputs("Usage: foldctl [VERB] [OPTIONS] [OPERANDS]\n\n"
	      "Shows and steers foldfs mounts.\n\nVerbs:\n",
	      out);
	for (const struct verb *v = verb_table; v->name; v++)
		fprintf(out, " %-12s %s\n", v->name, v->sentence);
	fputs("\nOptions:\n"
	      "     --timeout SECONDS  how long a daemon may take to answer "
	      "(3)\n"
	      " -h, --help           this text; after a verb, its own\n"
	      " -V, --version        the version\n\n"
	      "foldctl(8) has the rest.\n",
	      out);
}
