/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the control socket's thread: answers, changes, rights, its start and
 * its end. */
#include "ctl-socket-rig.h"
#include "fault.h"
#include <pthread.h>

/* --- honest ones --- */

static void requests_are_answered_in_order(void **state UNUSED)
{
	int fd = dial();

	asks(fd, "get pid\n", "\"value\":4711");
	say(fd, "stat\nhello\nget version\nnonsense\nget pid\n");
	hears(fd, "\"stats\":{");
	hears(fd, "\"id\":7");
	hears(fd, "\"value\":\"1.2\"");
	hears(fd, "\"EINVAL\"");
	hears(fd, "\"value\":4711");
	say(fd, "get p");
	say(fd, "id\nget versi");
	hears(fd, "\"value\":4711");
	asks(fd, "on\n", "\"value\":\"1.2\"");
	close(fd);
	wait_for_clients(0);
}

static void who_has_said_all_is_still_answered(void **state UNUSED)
{
	char line[16384];
	int fd = dial();

	say(fd, "hello\nset size 4k\nget pid\nget pi");
	shutdown(fd, SHUT_WR);
	hears(fd, "\"id\":7");
	ctl_change_done(next_change(), 0);
	hears(fd, "{\"ok\":true}");
	hears(fd, "4711");
	assert_false(hear(fd, line, sizeof(line)));
	close(fd);
}

static void more_than_fits_at_once_is_answered(void **state UNUSED)
{
	enum { N = 2000 };
	static char text[N * 5];
	int fd = dial();
	size_t sent = 0;

	for (unsigned i = 0; i < N; i++)
		memcpy(text + 5 * i, "stat\n", 5);
	/* Neither side can hold it all, so both ends go in turn. */
	for (unsigned heard = 0; heard < N;) {
		ssize_t n = send(fd, text + sent, sizeof(text) - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		hears(fd, "\"stats\":{");
		heard++;
	}
	assert_int_equal(sent, sizeof(text));
	close(fd);
}

static void an_answer_may_be_longer_than_what_fits(void **state UNUSED)
{
	static char line[2 * LONG_TEXT_BYTES];
	int fd = dial();

	long_texts = true;
	say(fd, "get version\nget pid\n");
	assert_true(hear(fd, line, sizeof(line)));
	assert_true(strlen(line) > LONG_TEXT_BYTES);
	assert_string_equal(line + strlen(line) - 4, "xx\"}");
	hears(fd, "4711");
	close(fd);
}

/* --- changes --- */

static void others_are_answered_while_a_change_waits(void **state UNUSED)
{
	int fd = dial(), other = dial();
	struct ctl_change *c;

	say(fd, "set workers 3\nget pid\n");
	c = next_change();
	assert_int_equal(c->key, CTL_workers);
	assert_string_equal(c->value, "3");
	asks(other, "get pid\n", "4711");
	assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	ctl_change_done(c, -EBUSY);
	hears(fd, "\"EBUSY\"");
	hears(fd, "4711");
	close(fd);
	close(other);
}

static void a_check_is_answered_when_it_is_done(void **state UNUSED)
{
	static const struct protocol_seen seen[] = {{"inodes", 3}};
	struct faults faults = {.found = 1, .text = {"one \"thing\""}};
	int fd = dial(), other = dial();
	struct ctl_change *c;

	say(fd, "check\nget pid\n");
	c = next_change();
	assert_true(c->is_check);
	asks(other, "get pid\n", "4711");
	ctl_check_done(c, protocol_check_answer(seen, 1, 12, &faults));
	hears(fd, "{\"ok\":true,\"checked\":{\"inodes\":3},\"took_ms\":12,"
		  "\"found\":1,\"faults\":[\"one \\\"thing\\\"\"]}");
	hears(fd, "4711");
	/* Who has gone is not answered, and nothing is lost with it. */
	say(fd, "check\n");
	c = next_change();
	close(fd);
	wait_for_clients(1);
	ctl_check_done(c, protocol_check_refusal(-ETIMEDOUT));
	asks(other, "get pid\n", "4711");
	close(other);
}

static void who_asked_for_a_change_may_go(void **state UNUSED)
{
	int fd = dial();

	say(fd, "set workers 3\n");
	next_change();
	close(fd);
	wait_for_clients(0);
	/* Its place is another's now. */
	fd = dial();
	asks(fd, "hello\n", "\"id\":7");
	ctl_change_done(change, 0);
	asks(fd, "get pid\n", "4711");
	asks(fd, "hello\n", "\"id\":7");
	/* And nothing that it did not ask for. */
	shutdown(fd, SHUT_WR);
	assert_int_equal(recv(fd, (char[1]){0}, 1, 0), 0);
	close(fd);
}

static void a_change_nobody_takes_is_answered(void **state UNUSED)
{
	int fd = dial();

	change_result = -ENOMEM;
	asks(fd, "set workers 3\n", "\"ENOMEM\"");
	asks(fd, "get pid\n", "4711");
	close(fd);
}

static void *done_later(void *arg)
{
	ctl_change_done(arg, 0);
	return NULL;
}

static void the_end_waits_for_changes(void **state UNUSED)
{
	int fd = dial();
	pthread_t thread;

	say(fd, "set workers 3\n");
	assert_int_equal(
		pthread_create(&thread, NULL, done_later, next_change()), 0);
	ctl_socket_stop(server);
	server = NULL;
	pthread_join(thread, NULL);
	is_cut_off(fd);
}

static void stop_is_answered_first(void **state UNUSED)
{
	int fd = dial();
	eventfd_t n;

	asks(fd, "stop\n", "{\"ok\":true}");
	assert_int_equal(eventfd_read(stops_fd, &n), 0);
	/* And by who does not stay for the answer. */
	say(fd, "stop\n");
	close(fd);
	assert_int_equal(eventfd_read(stops_fd, &n), 0);
}

/* --- rights --- */

static void strangers_may_not_change(void **state UNUSED)
{
	int fd;

	rights = CTL_MAY_ASK;
	fd = dial();
	asks(fd, "get pid\n", "4711");
	asks(fd, "set size 4k\n", "\"EPERM\"");
	asks(fd, "stop\n", "\"EPERM\"");
	close(fd);
	rights = CTL_MAY_NOTHING;
	fd = dial();
	asks(fd, "hello\n", "\"EPERM\"");
	close(fd);
	assert_null(change);
}

/* --- no memory --- */

static int start_and_stop(void *arg UNUSED)
{
	int r = start(LONG_NS);

	ctl_socket_stop(server);
	server = NULL;
	return r;
}

static void a_start_without_memory_leaves_nothing(void **state UNUSED)
{
	ctl_socket_stop(server);
	server = NULL;
	assert_true(fault_each_alloc(start_and_stop, NULL) >= 1);
}

static int talk_a_little(void *arg UNUSED)
{
	static const char *const requests[] = {"stat\n", "set size 4k\n"};
	char line[16384];
	int fd = dial();
	bool good = true;

	/* It may be sent away at once. */
	for (size_t i = 0; i < ARRAY_SIZE(requests) && good; i++)
		good = send(fd, requests[i], strlen(requests[i]),
			    MSG_NOSIGNAL) > 0 &&
		       hear(fd, line, sizeof(line)) && !strstr(line, "ENOMEM");
	close(fd);
	return good ? 0 : -ENOMEM;
}

static void without_memory_it_goes_on(void **state UNUSED)
{
	change_result = -EBUSY;
	again_with(SHORT_NS);
	assert_true(fault_each_alloc(talk_a_little, NULL) >= 5);
	assert_int_equal(talk_a_little(NULL), 0);
}

/* --- the file --- */

static void one_that_answers_is_left_alone(void **state UNUSED)
{
	struct place place = {.fd = -77};
	struct ctl_socket *first = server;
	int fd;

	assert_int_equal(place_open(dir, ID, 0, &place), -EADDRINUSE);
	assert_int_equal(place.fd, -77);
	assert_int_equal(start(1), -EADDRINUSE);
	assert_ptr_equal(server, first);
	fd = dial();
	asks(fd, "get pid\n", "4711");
	close(fd);
}

static void *stop_server(void *arg)
{
	ctl_socket_stop(arg);
	return NULL;
}

/* Its mount has gone and its number is another's already. */
static void one_that_is_leaving_is_waited_for(void **state UNUSED)
{
	struct ctl_socket *leaving = server;
	pthread_t thread;
	int fd;

	assert_int_equal(pthread_create(&thread, NULL, stop_server, leaving),
			 0);
	assert_int_equal(start(LONG_NS), 0);
	pthread_join(thread, NULL);
	fd = dial();
	asks(fd, "get pid\n", "4711");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(requests_are_answered_in_order),
		CASE(who_has_said_all_is_still_answered),
		CASE(more_than_fits_at_once_is_answered),
		CASE(an_answer_may_be_longer_than_what_fits),
		CASE(others_are_answered_while_a_change_waits),
		CASE(a_check_is_answered_when_it_is_done),
		CASE(who_asked_for_a_change_may_go),
		CASE(a_change_nobody_takes_is_answered),
		CASE(the_end_waits_for_changes),
		CASE(stop_is_answered_first),
		CASE(strangers_may_not_change),
		CASE(a_start_without_memory_leaves_nothing),
		CASE(without_memory_it_goes_on),
		CASE(one_that_answers_is_left_alone),
		CASE(one_that_is_leaving_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
