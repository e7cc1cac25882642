/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking daemons that answer well, strangely, slowly or not at all. */
#include "foldctl/client.h"
#include "foldfs/control.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Patience that only a failure uses up, and one that is meant to run out. */
#define LONG_MS 60000
#define SHORT_MS 20

/* No mount has this id. An ordinary user's, who is asking or root is. */
static struct mount mount = {.id = 4000000000, .point = "/mnt"};

static char dir[] = "/tmp/foldctl-client-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* A daemon for one client: takes one line, gives these bytes, and hangs up
 * when it is told to, else when the client does. */
struct server {
	pthread_t thread;
	int fd;
	const char *answer;
	size_t n;
	size_t step; /* bytes at once; 0: all */
	bool hangs_up;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	char byte = 0;

	while (byte != '\n' && recv(fd, &byte, 1, 0) == 1)
		;
	for (size_t done = 0; done < s->n;) {
		size_t n = s->n - done;
		ssize_t k = send(fd, s->answer + done,
				 s->step && s->step < n ? s->step : n,
				 MSG_NOSIGNAL);

		if (k < 0)
			break;
		done += (size_t)k;
	}
	while (!s->hangs_up && recv(fd, &byte, 1, 0) == 1)
		;
	close(fd);
	return NULL;
}

static void server_listen(struct server *s)
{
	unlink(address.sun_path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(s->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
}

static void server_start(struct server *s)
{
	server_listen(s);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(address.sun_path);
}

/* What asking such a server gives. */
static int ask(struct server *s, unsigned timeout_ms, struct client *client,
	       json_t **ret_answer)
{
	server_start(s);
	assert_int_equal(client_open(client, &mount, timeout_ms), 0);
	return client_ask(client, "stat", ret_answer);
}

static void an_answer_comes_whole(void **state UNUSED)
{
	static const char text[] = "{\"ok\":true,\"value\":42}\n";
	struct server s = {.answer = text, .n = sizeof(text) - 1};

	for (s.step = 0; s.step < 3; s.step++) {
		struct client client;
		json_t *answer;

		assert_int_equal(ask(&s, LONG_MS, &client, &answer), 0);
		assert_int_equal(
			json_integer_value(json_object_get(answer, "value")),
			42);
		json_decref(answer);
		assert_int_equal(client_peer(&client), getpid());
		client_close(&client);
		server_stop(&s);
	}
}

static void answers_come_one_by_one(void **state UNUSED)
{
	static const char text[] =
		"{\"ok\":true,\"n\":1}\n{\"ok\":true,\"n\":2}\n";
	struct server s = {.answer = text, .n = sizeof(text) - 1};
	struct client client;
	json_t *answer;

	assert_int_equal(ask(&s, LONG_MS, &client, &answer), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "n")), 1);
	json_decref(answer);
	assert_int_equal(client_receive(&client, &answer), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "n")), 2);
	json_decref(answer);
	client_close(&client);
	server_stop(&s);
}

static char *long_answer(size_t n, bool ends)
{
	static const char head[] = "{\"ok\":true,\"x\":\"";
	char *text = malloc(n);

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text, head, sizeof(head) - 1);
	if (ends)
		memcpy(text + n - 3, "\"}\n", 3);
	return text;
}

static void a_long_answer_is_taken(void **state UNUSED)
{
	struct server s = {.n = 1 << 20, .answer = long_answer(1 << 20, true)};
	struct client client;
	json_t *answer;

	assert_int_equal(ask(&s, LONG_MS, &client, &answer), 0);
	json_decref(answer);
	client_close(&client);
	server_stop(&s);
	free((char *)(uintptr_t)s.answer);
}

static void an_endless_answer_is_not(void **state UNUSED)
{
	size_t n = 2 * (size_t)CLIENT_ANSWER_MAX;
	struct server s = {.n = n, .answer = long_answer(n, false)};
	struct client client;
	json_t *answer;

	assert_int_equal(ask(&s, LONG_MS, &client, &answer), -EPROTO);
	assert_true(client.cap <= 3 * (size_t)CLIENT_ANSWER_MAX);
	client_close(&client);
	server_stop(&s);
	free((char *)(uintptr_t)s.answer);
}

static void what_makes_no_sense_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"\n",   "rubbish\n",      "[]\n",
		"17\n", "{\"ok\":true\n", "{\"ok\":true} {}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct server s = {.answer = texts[i], .n = strlen(texts[i])};
		struct client client;
		json_t *answer = NULL;

		assert_int_equal(ask(&s, LONG_MS, &client, &answer), -EPROTO);
		assert_null(answer);
		client_close(&client);
		server_stop(&s);
	}
}

static void a_no_comes_with_its_words(void **state UNUSED)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"{\"ok\":false,\"errno\":\"EPERM\",\"error\":\"you may not\"}"
		 "\n",
		 "you may not"},
		{"{\"ok\":false}\n", "refused without a reason"},
		{"{}\n", "refused without a reason"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct server s = {.answer = cases[i].text,
				   .n = strlen(cases[i].text)};
		struct client client;
		json_t *answer;

		assert_int_equal(ask(&s, LONG_MS, &client, &answer),
				 -EREMOTEIO);
		client_close(&client);
		assert_string_equal(client.error, cases[i].words);
		server_stop(&s);
	}
}

static void who_hangs_up_is_told_from_who_hangs(void **state UNUSED)
{
	struct server s = {.answer = "{\"ok\":", .n = 6, .hangs_up = true};
	struct client client;
	json_t *answer;

	assert_int_equal(ask(&s, LONG_MS, &client, &answer), -ECONNRESET);
	client_close(&client);
	server_stop(&s);

	s.hangs_up = false;
	assert_int_equal(ask(&s, SHORT_MS, &client, &answer), -ETIMEDOUT);
	client_close(&client);
	server_stop(&s);
}

static void a_daemon_that_takes_nobody_times_out(void **state UNUSED)
{
	struct client clients[8];
	struct server s = {0};
	unsigned n = 0;
	int r = 0;

	server_listen(&s);
	while (n < ARRAY_SIZE(clients) && r == 0) {
		r = client_open(&clients[n], &mount, SHORT_MS);
		n += r == 0;
	}
	assert_int_equal(r, -ETIMEDOUT);
	while (n-- > 0)
		client_close(&clients[n]);
	close(s.fd);
	unlink(address.sun_path);
}

static void no_socket_is_told_from_a_dead_one(void **state UNUSED)
{
	struct server s = {0};
	struct client client;

	assert_int_equal(client_open(&client, &mount, LONG_MS), -ENOENT);
	server_listen(&s);
	close(s.fd);
	assert_int_equal(client_open(&client, &mount, LONG_MS), -ECONNREFUSED);
	unlink(address.sun_path);
}

/* What listens where users' daemons do is no daemon of root's. */
static void others_places_are_not_looked_at(void **state UNUSED)
{
	struct mount of_root = mount;
	struct server s = {0};
	struct client client;

	of_root.owner = 0;
	server_listen(&s);
	assert_int_equal(client_open(&client, &of_root, LONG_MS), -ENOENT);
	assert_int_equal(client_open(&client, &mount, LONG_MS), 0);
	client_close(&client);
	close(s.fd);
	unlink(address.sun_path);
}

static void a_request_is_one_line_that_fits(void **state UNUSED)
{
	char request[FOLDFS_REQUEST_MAX + 1];
	struct server s = {.answer = "{\"ok\":true}\n", .n = 12};
	struct client client;
	json_t *answer;

	server_start(&s);
	assert_int_equal(client_open(&client, &mount, LONG_MS), 0);
	memset(request, 'x', sizeof(request));
	request[FOLDFS_REQUEST_MAX] = '\0';
	assert_int_equal(client_send(&client, request), -EINVAL);
	assert_int_equal(client_send(&client, "get\nset"), -EINVAL);
	request[FOLDFS_REQUEST_MAX - 1] = '\0';
	assert_int_equal(client_ask(&client, request, &answer), 0);
	json_decref(answer);
	client_close(&client);
	server_stop(&s);
}

static int setup(void **state UNUSED)
{
	char path[sizeof(address.sun_path)];

	mount.owner = geteuid() ? geteuid() : 1000;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, FOLDFS_SOCKET_USER_DIR);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.64s/%u%s", path,
		 mount.id, FOLDFS_SOCKET_SUFFIX);
	return setenv("XDG_RUNTIME_DIR", dir, 1);
}

static int teardown(void **state UNUSED)
{
	char path[sizeof(address.sun_path)];

	snprintf(path, sizeof(path), "%s/%s", dir, FOLDFS_SOCKET_USER_DIR);
	assert_int_equal(rmdir(path), 0);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_whole),
		cmocka_unit_test(answers_come_one_by_one),
		cmocka_unit_test(a_long_answer_is_taken),
		cmocka_unit_test(an_endless_answer_is_not),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_no_comes_with_its_words),
		cmocka_unit_test(who_hangs_up_is_told_from_who_hangs),
		cmocka_unit_test(a_daemon_that_takes_nobody_times_out),
		cmocka_unit_test(no_socket_is_told_from_a_dead_one),
		cmocka_unit_test(others_places_are_not_looked_at),
		cmocka_unit_test(a_request_is_one_line_that_fits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
