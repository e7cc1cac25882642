/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control socket with nothing behind it, and clients to talk to it: for the
 * tests of its thread.
 */
#ifndef TESTS_UNIT_CTL_SOCKET_RIG_H
#define TESTS_UNIT_CTL_SOCKET_RIG_H

#include "base/clock.h"
#include "base/heap.h"
#include "ctl/place.h"
#include "ctl/socket.h"
#include "foldfs/control.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID 7
#define LONG_TEXT_BYTES (500u << 10)
#define LONG_NS (3600 * NS_PER_S)
#define SHORT_NS (NS_PER_S / 50)

/* The owner behind the socket: what it was asked, what it lets happen. */
static _Atomic unsigned rights;   /* enum ctl_right of the next who come */
static _Atomic int strangers;     /* so many who come may only ask, whatever */
static _Atomic unsigned readings; /* of the keys */
static _Atomic unsigned readings_before;                 /* the last change */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* before each */
static _Atomic int change_result;                        /* of handing over */
static _Atomic bool long_texts;  /* more than a socket holds */
static int changes_fd, stops_fd; /* eventfds: one more has come */
static struct ctl_change *_Atomic change;
static struct budget budget;
static char dir[64];
static struct ctl_socket *server;

static inline int collect(void *arg UNUSED, struct ctl_values *ret_values)
{
	static char longest[LONG_TEXT_BYTES + 1];

	pthread_mutex_lock(&gate);
	readings++;
	pthread_mutex_unlock(&gate);
	memset(longest, 'x', LONG_TEXT_BYTES);
	ret_values->number[CTL_pid] = 4711;
	ret_values->text[CTL_version] =
		heap_strdup(long_texts ? longest : "1.2");
	return ret_values->text[CTL_version] ? 0 : -ENOMEM;
}

static const struct ctl_ops ctl_ops = {.collect = collect};
static const struct ctl ctl = {.ops = &ctl_ops};

static inline enum ctl_right right(void *arg UNUSED, uid_t peer)
{
	if (peer != geteuid())
		return CTL_MAY_NOTHING;
	if (strangers > 0) {
		strangers--;
		return CTL_MAY_ASK;
	}
	return (enum ctl_right)rights;
}

static inline int keep_change(void *arg UNUSED, struct ctl_change *c)
{
	if (change_result)
		return change_result;
	change = c;
	readings_before = readings;
	eventfd_write(changes_fd, 1);
	return 0;
}

static inline void stop(void *arg UNUSED)
{
	eventfd_write(stops_fd, 1);
}

static const struct ctl_socket_ops ops = {
	.right = right,
	.change = keep_change,
	.stop = stop,
};

static inline int start(uint64_t patience_ns)
{
	struct ctl_socket_config config = {
		.protocol =
			{
				.ctl = &ctl,
				.mountpoint = "/nowhere",
				.source = "test",
				.id = ID,
			},
		.ops = &ops,
		.budget = &budget,
		.dir = dir,
		.patience_ns = patience_ns,
	};

	return ctl_socket_start(&config, &server);
}

static inline void path_of(char path[PLACE_MAX])
{
	snprintf(path, PLACE_MAX, "%s/%d.sock", dir, ID);
}

static inline unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned files_before;

static inline int set_up(void **state UNUSED)
{
	rights = CTL_MAY_CHANGE;
	strangers = 0;
	readings = 0;
	change = NULL;
	change_result = 0;
	long_texts = false;
	strcpy(dir, "/tmp/test-ctl-socket-XXXXXX");
	assert_non_null(mkdtemp(dir));
	budget_init(&budget, UINT64_C(1) << 30);
	files_before = open_files();
	changes_fd = eventfd(0, EFD_CLOEXEC);
	stops_fd = eventfd(0, EFD_CLOEXEC);
	return start(LONG_NS);
}

static inline void again_with(uint64_t patience_ns)
{
	ctl_socket_stop(server);
	server = NULL;
	assert_int_equal(start(patience_ns), 0);
}

/* Nothing is left of it: no file, no descriptor, no charge. */
static inline int tear_down(void **state UNUSED)
{
	ctl_socket_stop(server);
	server = NULL;
	close(changes_fd);
	close(stops_fd);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(budget_used(&budget), 0);
	assert_int_equal(open_files(), files_before);
	return 0;
}

/* --- a client --- */

static inline int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	path_of(address.sun_path);
	assert_int_equal(
		connect(fd, (const struct sockaddr *)&address, sizeof(address)),
		0);
	return fd;
}

static inline void say_bytes(int fd, const char *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static inline void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* A line, without its newline; false: the end came instead. */
static inline bool hear(int fd, char *line, size_t cap)
{
	size_t n = 0;

	while (recv(fd, line + n, 1, 0) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
		assert_true(++n < cap);
	}
	return false;
}

static inline void hears(int fd, const char *want)
{
	char line[16384];

	assert_true(hear(fd, line, sizeof(line)));
	assert_non_null(strstr(line, want));
}

static inline void is_cut_off(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
}

static inline void asks(int fd, const char *request, const char *want)
{
	say(fd, request);
	hears(fd, want);
}

/* As many clients as are connected are paid for. */
static inline void wait_for_clients(unsigned n)
{
	while (budget_used(&budget) != n * UINT64_C(2) * FOLDFS_REQUEST_MAX)
		poll(NULL, 0, 1);
}

static inline struct ctl_change *next_change(void)
{
	eventfd_t n;

	assert_int_equal(eventfd_read(changes_fd, &n), 0);
	return change;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
