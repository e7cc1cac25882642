/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the control socket against hostile clients, and too many of them. */
#include "ctl-socket-rig.h"
#include <fcntl.h>
#include <sys/resource.h>

static void a_line_without_end_is_cut_off(void **state UNUSED)
{
	static char text[FOLDFS_REQUEST_MAX];
	int fd = dial();

	/* The longest one there may be is no more than nonsense. */
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	say_bytes(fd, text, sizeof(text));
	hears(fd, "\"EINVAL\"");
	text[sizeof(text) - 1] = 'x';
	say_bytes(fd, text, sizeof(text));
	hears(fd, "\"EMSGSIZE\"");
	is_cut_off(fd);
}

static void a_megabyte_without_end_is_cut_off(void **state UNUSED)
{
	static char text[1 << 16];
	int fd = dial();
	ssize_t n;

	memset(text, 'x', sizeof(text));
	do
		n = send(fd, text, sizeof(text), MSG_NOSIGNAL);
	while (n > 0);
	is_cut_off(fd);
}

static void garbage_does_no_harm(void **state UNUSED)
{
	static const char bytes[] =
		"\0\0\n\xff\xfe\x80\n\n \n{\"a\":1}\nget \0\n"
		"set\nset \nset size\n\xc3";
	int fd = dial();

	say_bytes(fd, bytes, sizeof(bytes) - 1);
	for (unsigned i = 0; i < 9; i++)
		hears(fd, "{\"ok\":false,");
	close(fd);
	wait_for_clients(0);
	fd = dial();
	asks(fd, "get pid\n", "4711");
	close(fd);
}

static void who_is_silent_within_a_line_is_cut_off(void **state UNUSED)
{
	int idle, fd;

	again_with(SHORT_NS);
	idle = dial();
	fd = dial();
	say(fd, "get p");
	is_cut_off(fd);
	/* Between two lines one may rest for ever. */
	asks(idle, "get pid\n", "4711");
	close(idle);
}

/* With no patience at all: what is ready to be served is served. */
static void who_waits_for_us_is_not_cut_off(void **state UNUSED)
{
	int fd[8];

	again_with(1);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		say(fd[i], "get pid\nstat\nget pid\nget version\n");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		hears(fd[i], "4711");
		hears(fd[i], "\"stats\"");
		hears(fd[i], "4711");
		hears(fd[i], "\"1.2\"");
		close(fd[i]);
	}
}

static void who_reads_nothing_is_cut_off(void **state UNUSED)
{
	int fd;

	again_with(SHORT_NS);
	fd = dial();
	for (unsigned i = 0; i < 2000; i++)
		if (send(fd, "stat\n", 5, MSG_NOSIGNAL) < 0)
			break;
	wait_for_clients(0);
	is_cut_off(fd);
}

static void there_is_always_room_for_one_more(void **state UNUSED)
{
	enum { N = 1000 };
	static int fd[N];
	int owner = dial(), last;

	asks(owner, "hello\n", "\"id\":7");
	rights = CTL_MAY_ASK;
	for (unsigned i = 0; i < N; i++)
		fd[i] = dial();
	last = dial();
	asks(last, "get pid\n", "4711");
	assert_int_equal(budget_used(&budget),
			 UINT64_C(2) * FOLDFS_REQUEST_MAX *
				 (1 + FOLDFS_SOCKET_STRANGER_MAX));
	/* Strangers go first, however old the owner's is; the oldest before
	 * the youngest. */
	asks(owner, "get pid\n", "4711");
	asks(fd[N - 1], "get pid\n", "4711");
	is_cut_off(fd[0]);
	for (unsigned i = 1; i < N; i++)
		close(fd[i]);
	wait_for_clients(2);
	close(owner);
	close(last);
}

/* As many as ever come: who may change keeps the place he has. */
static void strangers_push_out_strangers_only(void **state UNUSED)
{
	int owner[FOLDFS_SOCKET_CLIENTS_MAX];
	int fd[FOLDFS_SOCKET_STRANGER_MAX + 1];

	/* There is room, but not for more of one stranger. */
	strangers = ARRAY_SIZE(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		asks(fd[i], "hello\n", "\"id\":7");
	}
	is_cut_off(fd[0]);
	wait_for_clients(FOLDFS_SOCKET_STRANGER_MAX);
	/* There is none, and the strangers go. */
	for (unsigned i = 0; i < ARRAY_SIZE(owner); i++) {
		owner[i] = dial();
		asks(owner[i], "hello\n", "\"id\":7");
	}
	for (unsigned i = 1; i < ARRAY_SIZE(fd); i++)
		is_cut_off(fd[i]);
	strangers = 1;
	is_cut_off(dial());
	for (unsigned i = 0; i < ARRAY_SIZE(owner); i++) {
		asks(owner[i], "hello\n", "\"id\":7");
		close(owner[i]);
	}
}

/*
 * A crowd that talks, all before him: it has a turn or two, not one for each
 * of its requests. Counted in readings of the keys, not in time.
 */
static void a_crowd_that_talks_keeps_nobody_waiting(void **state UNUSED)
{
	enum { N = 200, REQUESTS = 100 };
	static char text[5 * REQUESTS];
	static int fd[N];
	int first = dial(), owner;

	asks(first, "hello\n", "\"id\":7");
	for (unsigned i = 0; i < REQUESTS; i++)
		memcpy(text + (size_t)5 * i, "stat\n", 5);
	pthread_mutex_lock(&gate);
	strangers = N;
	say(first, "stat\n");
	for (unsigned i = 0; i < N; i++) {
		fd[i] = dial();
		say_bytes(fd[i], text, sizeof(text));
	}
	owner = dial();
	say(owner, "set workers 3\n");
	pthread_mutex_unlock(&gate);
	ctl_change_done(next_change(), 0);
	hears(owner, "{\"ok\":true}");
	assert_true(readings_before <= 4 * FOLDFS_SOCKET_STRANGER_MAX);
	for (unsigned i = 0; i < N; i++)
		close(fd[i]);
	close(owner);
	close(first);
}

static void who_waits_for_a_change_stays(void **state UNUSED)
{
	int other[2 * FOLDFS_SOCKET_CLIENTS_MAX];
	int fd = dial();

	say(fd, "set workers 3\n");
	next_change();
	for (unsigned i = 0; i < ARRAY_SIZE(other); i++) {
		other[i] = dial();
		asks(other[i], "get pid\n", "4711");
	}
	ctl_change_done(change, 0);
	hears(fd, "{\"ok\":true}");
	close(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(other); i++)
		close(other[i]);
}

/* All places are taken by those who cannot be sent away. */
static void when_all_wait_for_changes_one_is_refused(void **state UNUSED)
{
	int fd[FOLDFS_SOCKET_CLIENTS_MAX];
	struct ctl_change *all[FOLDFS_SOCKET_CLIENTS_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		say(fd[i], "set workers 3\n");
		all[i] = next_change();
	}
	is_cut_off(dial());
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		ctl_change_done(all[i], 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		hears(fd[i], "{\"ok\":true}");
		close(fd[i]);
	}
}

/* What the log says next, instead of on stderr. */
static void wait_for_warning(const char *want, void (*provoke)(void *arg),
			     void *arg)
{
	int ends[2], err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	char said[512];
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	provoke(arg);
	n = read(ends[0], said, sizeof(said) - 1);
	dup2(err, STDERR_FILENO);
	close(err);
	close(ends[0]);
	close(ends[1]);
	assert_true(n > 0);
	said[n] = '\0';
	assert_non_null(strstr(said, want));
}

static void dial_without_descriptors(void *arg)
{
	int *fd = arg;
	struct rlimit none;

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &none), 0);
	none.rlim_cur = (rlim_t)*fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	close(*fd);
	*fd = dial();
	say(*fd, "get pid\n");
}

/* Who knocks then is taken in as soon as there is one again. */
static void without_descriptors_one_waits(void **state UNUSED)
{
	struct rlimit before;
	int fd;

	again_with(SHORT_NS);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	wait_for_warning("Too many open files", dial_without_descriptors, &fd);
	assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	hears(fd, "4711");
	close(fd);
}

/* Both ends of every connection are in this process. */
static void allow_many_descriptors(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2048)
		limit.rlim_cur = limit.rlim_max < 2048 ? limit.rlim_max : 2048;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_line_without_end_is_cut_off),
		CASE(a_megabyte_without_end_is_cut_off),
		CASE(garbage_does_no_harm),
		CASE(who_is_silent_within_a_line_is_cut_off),
		CASE(who_waits_for_us_is_not_cut_off),
		CASE(who_reads_nothing_is_cut_off),
		CASE(there_is_always_room_for_one_more),
		CASE(strangers_push_out_strangers_only),
		CASE(a_crowd_that_talks_keeps_nobody_waiting),
		CASE(who_waits_for_a_change_stays),
		CASE(when_all_wait_for_changes_one_is_refused),
		CASE(without_descriptors_one_waits),
	};

	allow_many_descriptors();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
