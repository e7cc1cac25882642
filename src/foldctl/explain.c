/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl explain: what a key, an attribute or a column of foldctl list means.
 * Needs no mount; a key that this foldctl
 * does not know is asked for at the daemons, which may be newer.
 */
#include "foldctl/keys.h"
#include "foldctl/list.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include "foldfs/keys.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum column { KEY_NAME, KIND, UNIT, SETTABLE, VALUES, MEANING };

static const struct table_column columns[] = {
	[KEY_NAME] = {"KEY", TABLE_TEXT, false, "its name"},
	[KIND] = {"KIND", TABLE_TEXT, true,
		  "counter (only grows), gauge, text, table"},
	[UNIT] = {"UNIT", TABLE_TEXT, false, "bytes, pages (4096 bytes)..."},
	[SETTABLE] = {"SET", TABLE_TEXT, false, "whether it can be set"},
	[VALUES] = {"VALUES", TABLE_TEXT, true, "what it can be set to"},
	[MEANING] = {"MEANING", TABLE_TEXT, false, "what it is"},
	{0},
};

/* Columns of foldctl list that show a key under another name. */
static const struct {
	const char *key, *column;
} shown_as[] = {
	{"size", "SIZE"},
	{"orig_data_size", "LOGICAL"},
	{"mem_used_total", "RESIDENT"},
	{"spilled_bytes", "SPILLED"},
	{"workers", "WORKERS"},
	{"compress", "CODEC"},
	{"mem_limit", "LIMIT"},
	{"inodes_used", "FILES"},
	{"pid", "PID"},
};

/* Attributes that are no keys of a mount. */
static const struct {
	const char *name, *sentence;
	bool settable;
} attributes[] = {
	{FOLDFS_FILE_LOGICAL, "bytes of its pages that are held", false},
	{FOLDFS_FILE_RESIDENT, "bytes of RAM that they take", false},
	{FOLDFS_FILE_SPILLED, "bytes of them in the backing file only", false},
	{FOLDFS_FILE_CODEC, "pages by what they are kept as", false},
	{FOLDFS_FILE_AGES, "pages by their age, 0 just touched to 15 cold",
	 false},
	{FOLDFS_FILE_STATS, "all of them in one JSON object", false},
	{FOLDFS_FILE_SPILL,
	 "pages in the backing file; out sends them there, in brings them back",
	 true},
	{FOLDFS_FILE_MAP, "a picture of its pages: foldctl map", false},
	{FOLDFS_KEY_STATS, "all keys in one JSON object: foldctl stat -J",
	 false},
};

struct words {
	const char *kind, *what;
};
static const struct words kinds[] = {
	{"counter", "a counter: it only grows"},
	{"gauge", "a gauge: it goes up and down"},
	{"text", "a text"},
	{"table", "a table"},
};
static const struct words units[] = {
	{"bytes", ", in bytes"},
	{"pages", ", in pages of 4096 bytes"},
	{"seconds", ", in seconds"},
};

static const char *in_words(const struct words *words, size_t n,
			    const char *kind, const char *otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(words[i].kind, kind) == 0)
			return words[i].what;
	return otherwise;
}

static void describe(const char *name, const char *kind, const char *unit,
		     bool settable, const char *values, const char *sentence)
{
	printf("%s: %s\n", name, sentence);
	printf("  It is %s%s.\n",
	       in_words(kinds, ARRAY_SIZE(kinds), kind, kind),
	       in_words(units, ARRAY_SIZE(units), unit, ""));
	if (settable)
		printf("  It can be set: foldctl set [MOUNT] %s VALUE\n", name);
	if (settable && values)
		printf("  VALUE is %s.\n", values);
	if (!settable)
		printf("  It can only be read: foldctl get [MOUNT] %s\n", name);
	printf("  On the mount: attribute %s%s of MOUNT/%s\n",
	       FOLDFS_KEY_PREFIX, name, FOLDFS_CONTROL_NAME);
	for (size_t i = 0; i < ARRAY_SIZE(shown_as); i++)
		if (strcmp(shown_as[i].key, name) == 0)
			printf("  In foldctl list: column %s\n",
			       shown_as[i].column);
}

static bool describe_from(const json_t *answer, const char *name)
{
	json_t *keys = json_object_get(answer, "keys");
	json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
	{
		const char *text = answer_text(key, "name");
		const char *kind = answer_text(key, "kind");
		const char *unit = answer_text(key, "unit");
		const char *help = answer_text(key, "help");

		if (!text || strcmp(text, name) != 0)
			continue;
		describe(name, kind ? kind : "", unit ? unit : "",
			 json_is_true(json_object_get(key, "set")),
			 answer_text(key, "values"), help ? help : "");
		return true;
	}
	return false;
}

/* Whether a daemon knows it. Those that do not answer are passed over: this
 * is a second try. */
static bool ask_around(struct context *ctx, const char *name)
{
	bool found = false;

	if (context_mounts(ctx) != EXIT_DONE)
		return false;
	for (unsigned i = 0; i < ctx->mounts.n && !found; i++) {
		const struct mount *mount = &ctx->mounts.list[i];
		struct client client;
		json_t *answer;

		if (mount->again ||
		    client_open(&client, mount, ctx->timeout_ms) < 0)
			continue;
		if (client_ask(&client, "keys", &answer) == 0) {
			found = describe_from(answer, name);
			json_decref(answer);
		}
		client_close(&client);
	}
	return found;
}

static bool describe_attribute(const char *name)
{
	size_t prefix = strlen(FOLDFS_KEY_PREFIX);
	bool of_file;

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (strcmp(attributes[i].name + prefix, name) != 0)
			continue;
		of_file = strncmp(name, "file.", 5) == 0;
		printf("%s: %s\n", name, attributes[i].sentence);
		printf("  %s: attribute %s of %s\n",
		       attributes[i].settable ? "It can be set"
					      : "It can only be read",
		       attributes[i].name,
		       of_file ? "any regular file"
			       : "MOUNT/" FOLDFS_CONTROL_NAME);
		return true;
	}
	return false;
}

static bool describe_column(const char *name)
{
	for (const struct table_column *c = list_columns; c->name; c++) {
		if (strcasecmp(c->name, name) != 0)
			continue;
		printf("%s: %s\n", c->name, c->help);
		printf("  A column: foldctl list -o %s\n", c->name);
		for (size_t i = 0; i < ARRAY_SIZE(shown_as); i++)
			if (strcmp(shown_as[i].column, c->name) == 0)
				printf("  It is the key %s.\n",
				       shown_as[i].key);
		return true;
	}
	return false;
}

static int explain(struct context *ctx, const char *name)
{
	const struct key *key;
	const char *near;

	name += key_prefix(name);
	key = key_find(name);
	if (key) {
		describe(key->name, key->kind, key->unit, key->settable,
			 key_values(key->name), key->sentence);
		return EXIT_DONE;
	}
	if (describe_attribute(name) || describe_column(name) ||
	    ask_around(ctx, name))
		return EXIT_DONE;
	near = key_near(name);
	if (near)
		say("no key %s; did you mean %s?", name, near);
	else
		say("no key %s; 'foldctl explain' lists them", name);
	return EXIT_FAILED;
}

/* "BYTES" of the table of keys as a daemon spells it. */
static void put_lower(struct table *t, unsigned column, const char *word)
{
	char text[32];
	size_t i = 0;

	for (; word[i] && i < sizeof(text) - 1; i++)
		text[i] = (char)tolower((unsigned char)word[i]);
	text[i] = '\0';
	table_text(t, column, text);
}

static void add_row(struct table *t, const struct key *key)
{
	table_row(t);
	table_text(t, KEY_NAME, key->name);
	put_lower(t, KIND, key->kind);
	if (strcmp(key->unit, "NONE") != 0)
		put_lower(t, UNIT, key->unit);
	table_text(t, SETTABLE, key->settable ? "yes" : "no");
	table_text(t, VALUES, key_values(key->name));
	table_text(t, MEANING, key->sentence);
}

/* What a table has no row of. */
static int check_names(int n, char **names)
{
	for (int i = 0; i < n; i++) {
		names[i] += key_prefix(names[i]);
		if (!key_find(names[i])) {
			say("no key %s for a table; 'foldctl explain' lists "
			    "them",
			    names[i]);
			return EXIT_FAILED;
		}
	}
	return EXIT_DONE;
}

/* All keys, or those that are named. */
static int explain_table(const struct table_options *options, int n,
			 char **names)
{
	struct table *t = table_new("keys", columns, options);
	int r;

	if (!t)
		return EXIT_USAGE;
	for (const struct key *key = key_table; key->name && n == 0; key++)
		add_row(t, key);
	for (int i = 0; i < n; i++)
		add_row(t, key_find(names[i]));
	r = table_print(t, stdout);
	table_free(t);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_explain(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {TABLE_HELP, columns};
	struct table_options options = {0};
	int code = context_getopt(ctx, argc, argv, &help, &options, NULL);

	if (code != CONTEXT_GO_ON)
		return code;
	argc -= optind;
	argv += optind;
	code = EXIT_DONE;
	if (argc > 0 && table_is_wanted(&options))
		code = check_names(argc, argv);
	if (code == EXIT_DONE && (argc == 0 || table_is_wanted(&options)))
		return explain_table(&options, argc, argv);
	for (int i = 0; i < argc && code == EXIT_DONE; i++)
		code = explain(ctx, argv[i]);
	return code;
}
