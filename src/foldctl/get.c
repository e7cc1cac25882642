/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl get: values of keys. One key alone is printed as scripts want it:
 * the bare, exact value.
 */
#include "foldctl/keys.h"
#include "foldctl/rows.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include "foldfs/control.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum column { KEY_NAME, VALUE, MEANING };

static const struct table_column columns[] = {
	[KEY_NAME] = {"KEY", TABLE_TEXT, false, "its name"},
	[VALUE] = {"VALUE", TABLE_TEXT, false, "its value"},
	[MEANING] = {"MEANING", TABLE_TEXT, true, "what it is"},
	{0},
};

static int ask_for(const struct mount *mount, struct client *client,
		   const char *key, json_t *values)
{
	char request[FOLDFS_REQUEST_MAX];
	json_t *answer, *value;
	int code;

	snprintf(request, sizeof(request), "get %s", key);
	code = context_ask(mount, client, request, &answer);
	if (code != EXIT_DONE)
		return code;
	value = json_object_get(answer, "value");
	if (!value)
		code = context_no_answer(mount, -EPROTO, NULL);
	else if (json_object_set(values, key, value) < 0)
		die("%s", strerror(ENOMEM));
	json_decref(answer);
	return code;
}

static int ask_for_all(struct context *ctx, const struct mount *mount, int n,
		       char **keys, json_t *values)
{
	struct client client;
	int code = context_open(ctx, mount, &client);

	if (code != EXIT_DONE)
		return code;
	for (int i = 0; i < n && code == EXIT_DONE; i++)
		code = ask_for(mount, &client, keys[i], values);
	client_close(&client);
	return code;
}

static int print_one(const char *key, const json_t *value,
		     const struct table_options *options)
{
	char text[KEY_VALUE_MAX];

	if (json_is_array(value))
		return rows_print(key, value, options, stdout);
	puts(key_value(key, value, true, text));
	return EXIT_DONE;
}

static int print_many(json_t *values, const struct table_options *options)
{
	struct table *t = table_new("keys", columns, options);
	const char *name;
	json_t *value;
	int r;

	if (!t)
		return EXIT_USAGE;
	json_object_foreach(values, name, value)
	{
		const struct key *key = key_find(name);
		char text[KEY_VALUE_MAX];

		table_row(t);
		table_text(t, KEY_NAME, name);
		table_text(t, VALUE,
			   key_value(name, value, options->bytes, text));
		table_text(t, MEANING, key ? key->sentence : NULL);
	}
	r = table_print(t, stdout);
	table_free(t);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int print(json_t *values, const struct table_options *options)
{
	json_t *only = json_object_iter_value(json_object_iter(values));

	if (options->json) {
		json_dumpf(values, stdout, JSON_INDENT(3));
		putchar('\n');
		return EXIT_DONE;
	}
	if (json_object_size(values) == 1 && !options->output && !options->all)
		return print_one(json_object_iter_key(json_object_iter(values)),
				 only, options);
	return print_many(values, options);
}

int verb_get(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {TABLE_HELP, columns};
	struct table_options options = {0};
	const struct mount *mount;
	json_t *values;
	int code = context_getopt(ctx, argc, argv, &help, &options, NULL);

	if (code != CONTEXT_GO_ON)
		return code;
	if (optind == argc)
		return context_usage(ctx, "get which key?");
	code = context_take_mount(ctx, argc, argv, &mount);
	if (code != EXIT_DONE)
		return code;
	if (optind == argc)
		return context_usage(ctx, "get which key of %s?", mount->point);
	for (int i = optind; i < argc; i++)
		argv[i] += key_prefix(argv[i]);
	values = json_object();
	code = ask_for_all(ctx, mount, argc - optind, argv + optind, values);
	if (code == EXIT_DONE)
		code = print(values, &options);
	json_decref(values);
	return code;
}
