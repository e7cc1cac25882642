/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's language: verbs, answers and complaints. */
#include "ctl/protocol.h"
#include "base/heap.h"
#include "base/near.h"
#include "foldfs/control.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A complaint repeats at most so much of what was sent. */
#define QUOTED_MAX 64
#define SENTENCE_MAX (CTL_WHY_MAX + 64)
#define NAME_MAX_BYTES 64

void answer_fini(struct answer *answer)
{
	heap_free(answer->owned);
	*answer = (struct answer){0};
}

static struct answer no_memory(void)
{
	static const char text[] =
		"{\"ok\":false,\"errno\":\"ENOMEM\","
		"\"error\":\"the daemon has no memory for an answer\"}\n";

	return (struct answer){.text = text, .n = sizeof(text) - 1};
}

static void begin(struct json *j, bool ok)
{
	json_init(j);
	json_object_begin(j, NULL);
	json_bool(j, "ok", ok);
}

static struct answer finish(struct json *j)
{
	struct answer answer = {0};

	json_object_end(j);
	text_put(&j->text, "\n", 1);
	if (json_take(j, &answer.owned, &answer.n) < 0)
		return no_memory();
	answer.text = answer.owned;
	return answer;
}

static struct answer done(void)
{
	struct json j;

	begin(&j, true);
	return finish(&j);
}

static PRINTF_LIKE(2, 3) struct answer complaint(int r, const char *fmt, ...)
{
	const char *name = strerrorname_np(-r);
	char sentence[SENTENCE_MAX];
	struct json j;
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	begin(&j, false);
	json_string(&j, "errno", name ? name : "EIO");
	json_string(&j, "error", sentence);
	return finish(&j);
}

struct answer protocol_too_long(void)
{
	return complaint(-EMSGSIZE, "a request has at most %d bytes",
			 FOLDFS_REQUEST_MAX);
}

/* --- requests that are questions --- */

static struct answer answer_stat(const struct protocol *p)
{
	struct ctl_values values;
	struct json j;
	int r = ctl_collect(p->ctl, &values);

	if (r)
		return complaint(r, "%s", strerror(-r));
	begin(&j, true);
	json_object_begin(&j, "stats");
	ctl_put_values(&j, &values);
	json_object_end(&j);
	ctl_values_fini(&values);
	return finish(&j);
}

static struct answer answer_hello(const struct protocol *p)
{
	struct json j;

	begin(&j, true);
	json_string(&j, "version", FOLDFS_VERSION);
	json_number(&j, "protocol", FOLDFS_PROTOCOL);
	json_number(&j, "pid", (uint64_t)getpid());
	json_string(&j, "mountpoint", p->mountpoint);
	json_string(&j, "source", p->source);
	json_number(&j, "id", p->id);
	return finish(&j);
}

static struct answer answer_keys(void)
{
	static const char *const kinds[] = {
		[CTL_KIND_COUNTER] = "counter",
		[CTL_KIND_GAUGE] = "gauge",
		[CTL_KIND_TEXT] = "text",
		[CTL_KIND_TABLE] = "table",
	};
	static const char *const units[] = {
		[CTL_UNIT_NONE] = "none",
		[CTL_UNIT_BYTES] = "bytes",
		[CTL_UNIT_PAGES] = "pages",
		[CTL_UNIT_SECONDS] = "seconds",
	};
	struct json j;

	begin(&j, true);
	json_list_begin(&j, "keys");
	for (unsigned i = 0; i < CTL_NR; i++) {
		const struct ctl_key_info *info = ctl_key_info(i);

		json_object_begin(&j, NULL);
		json_string(&j, "name", info->name);
		json_string(&j, "kind", kinds[info->kind]);
		json_string(&j, "unit", units[info->unit]);
		json_bool(&j, "set", info->access == CTL_SET);
		if (info->access == CTL_SET)
			json_string(&j, "values", ctl_key_values(i));
		json_string(&j, "help", info->sentence);
		json_object_end(&j);
	}
	json_list_end(&j);
	return finish(&j);
}

static struct answer no_key(const char *name)
{
	struct near near;

	near_init(&near, name);
	for (unsigned i = 0; i < CTL_NR; i++)
		near_try(&near, ctl_key_info(i)->name);
	if (near.best)
		return complaint(-ENODATA, "no key '%.*s' (did you mean '%s'?)",
				 QUOTED_MAX, name, near.best);
	return complaint(-ENODATA, "no key '%.*s'", QUOTED_MAX, name);
}

static struct answer answer_get(const struct protocol *p, const char *name)
{
	struct ctl_values values;
	enum ctl_key key;
	struct json j;
	int r;

	if (ctl_find(name, &key) < 0)
		return no_key(name);
	r = ctl_collect(p->ctl, &values);
	if (r)
		return complaint(r, "%s", strerror(-r));
	begin(&j, true);
	json_string(&j, "key", name);
	ctl_put_value(&j, "value", key, &values);
	ctl_values_fini(&values);
	return finish(&j);
}

/* --- requests that change --- */

int protocol_set(const struct ctl *ctl, enum ctl_key key, const char *value,
		 size_t n)
{
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof(name), "%s%s", FOLDFS_KEY_PREFIX,
		 ctl_key_info(key)->name);
	return ctl_set(ctl, name, value, n);
}

/* What the owner knows of it; NULL: nothing. */
static const char *why(const struct ctl *ctl, enum ctl_key key, int r,
		       char room[CTL_WHY_MAX])
{
	return ctl->ops->why ? ctl->ops->why(ctl->arg, key, r, room) : NULL;
}

struct answer protocol_set_answer(const struct ctl *ctl, enum ctl_key key,
				  int r)
{
	const char *name = ctl_key_info(key)->name;
	const char *right = ctl_key_values(key);
	const char *text;
	char room[CTL_WHY_MAX];

	if (!r)
		return done();
	text = why(ctl, key, r, room);
	if (text)
		return complaint(r, "%s: %s", name, text);
	switch (-r) {
	case EINVAL:
		return complaint(r, "%s: malformed; right is %s", name, right);
	case ERANGE:
		return complaint(r, "%s: out of range; right is %s", name,
				 right);
	default:
		return complaint(r, "%s: %s", name, strerror(-r));
	}
}

struct answer protocol_check_answer(const struct protocol_seen *seen,
				    unsigned n, uint64_t took_ms,
				    const struct faults *faults)
{
	struct json j;

	begin(&j, true);
	json_object_begin(&j, "checked");
	for (unsigned i = 0; i < n; i++)
		json_number(&j, seen[i].name, seen[i].n);
	json_object_end(&j);
	json_number(&j, "took_ms", took_ms);
	json_number(&j, "found", faults->found);
	json_list_begin(&j, "faults");
	for (unsigned i = 0; i < faults_kept(faults); i++)
		json_string(&j, NULL, faults->text[i]);
	json_list_end(&j);
	return finish(&j);
}

struct answer protocol_check_refusal(int r)
{
	switch (-r) {
	case ETIMEDOUT:
		return complaint(r, "not checked: requests that go on would "
				    "not let all workers stand still");
	case ENOSPC:
		return complaint(r, "not checked: mem_limit has no room for "
				    "the table that a check needs");
	default:
		return complaint(r, "not checked: %s", strerror(-r));
	}
}

/* All that is wrong with a set without trying; no text: nothing is. */
static struct answer check_set(char *rest, struct protocol_set *ret_set)
{
	char *value = strchr(rest, ' ');
	enum ctl_key key;

	if (value)
		*value++ = '\0';
	if (ctl_find(rest, &key) < 0)
		return no_key(rest);
	if (ctl_key_info(key)->access != CTL_SET)
		return complaint(-EPERM, "%s can only be read", rest);
	if (!value)
		return complaint(-EINVAL, "set %s to what? Right is %s", rest,
				 ctl_key_values(key));
	*ret_set = (struct protocol_set){
		.key = key,
		.value = value,
		.n = strlen(value),
	};
	return (struct answer){0};
}

/* --- verbs --- */

enum verb {
	VERB_STAT,
	VERB_GET,
	VERB_SET,
	VERB_KEYS,
	VERB_HELLO,
	VERB_CHECK,
	VERB_STOP,
	VERB_NR
};

static const struct {
	const char *name;
	const char *takes; /* NULL: nothing */
	enum ctl_right right;
} verbs[VERB_NR] = {
	[VERB_STAT] = {"stat", NULL, CTL_MAY_ASK},
	[VERB_GET] = {"get", "KEY", CTL_MAY_ASK},
	[VERB_SET] = {"set", "KEY VALUE", CTL_MAY_CHANGE},
	[VERB_KEYS] = {"keys", NULL, CTL_MAY_ASK},
	[VERB_HELLO] = {"hello", NULL, CTL_MAY_ASK},
	[VERB_CHECK] = {"check", NULL, CTL_MAY_CHANGE},
	[VERB_STOP] = {"stop", NULL, CTL_MAY_CHANGE},
};

static struct answer no_verb(const char *word)
{
	struct near near;

	if (!*word)
		return complaint(-EINVAL, "a request begins with a verb");
	near_init(&near, word);
	for (unsigned i = 0; i < VERB_NR; i++)
		near_try(&near, verbs[i].name);
	if (near.best)
		return complaint(-EINVAL,
				 "no request '%.*s' (did you mean '%s'?)",
				 QUOTED_MAX, word, near.best);
	return complaint(-EINVAL, "no request '%.*s'", QUOTED_MAX, word);
}

static enum verb find_verb(const char *word)
{
	unsigned v = 0;

	while (v < VERB_NR && strcmp(word, verbs[v].name) != 0)
		v++;
	return (enum verb)v;
}

/* Why this peer cannot ask @word with @rest; no text: it can. */
static struct answer refusal(enum ctl_right right, enum verb v,
			     const char *word, const char *rest)
{
	if (v == VERB_NR)
		return no_verb(word);
	if (right < verbs[v].right)
		return complaint(-EPERM,
				 "only root and the mount's owner may %s",
				 right == CTL_MAY_NOTHING ? "ask" : word);
	if (!rest != !verbs[v].takes)
		return complaint(-EINVAL, "%s takes %s", word,
				 verbs[v].takes ? verbs[v].takes : "nothing");
	return (struct answer){0};
}

static struct answer carry_out(const struct protocol *p, enum verb v,
			       char *rest, struct protocol_set *ret_set)
{
	switch (v) {
	case VERB_STAT:
		return answer_stat(p);
	case VERB_GET:
		return answer_get(p, rest);
	case VERB_SET:
		return check_set(rest, ret_set);
	case VERB_KEYS:
		return answer_keys();
	case VERB_HELLO:
		return answer_hello(p);
	case VERB_CHECK:
		return (struct answer){0};
	case VERB_STOP:
	case VERB_NR:
		break;
	}
	return done();
}

enum protocol_next protocol_line(const struct protocol *p, enum ctl_right right,
				 char *line, size_t n,
				 struct answer *ret_answer,
				 struct protocol_set *ret_set)
{
	char *rest = strchr(line, ' ');
	enum verb v;

	if (strlen(line) != n) {
		*ret_answer = complaint(-EINVAL, "a request is text");
		return PROTOCOL_ANSWERED;
	}
	if (rest)
		*rest++ = '\0';
	v = find_verb(line);
	*ret_answer = refusal(right, v, line, rest);
	if (ret_answer->text)
		return PROTOCOL_ANSWERED;
	*ret_answer = carry_out(p, v, rest, ret_set);
	if (v == VERB_STOP)
		return PROTOCOL_STOP;
	if (v == VERB_CHECK)
		return PROTOCOL_CHECK;
	return ret_answer->text ? PROTOCOL_ANSWERED : PROTOCOL_SET;
}
