/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of what a service manager is told: sockets by path and by abstract
 * name, exact datagrams, and silence where nobody asks.
 */
#include "base/notify.h"
#include "unit.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The manager's end, as the kernel knows it: @text with its length. */
static int listen_at(const char *text, size_t bytes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, text, bytes);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				 bytes)),
		0);
	return fd;
}

static void hears(int fd, const char *want)
{
	char got[1024];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void hears_nothing(int fd)
{
	char got[8];

	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static int set(struct notify *n, const char *name)
{
	int r;

	setenv("NOTIFY_SOCKET", name, 1);
	r = notify_init(n);
	assert_null(getenv("NOTIFY_SOCKET"));
	return r;
}

static void asks(struct notify *n, const char *name)
{
	assert_int_equal(set(n, name), 0);
}

static void test_path(void **state UNUSED)
{
	char dir[] = "/tmp/foldfs-notify-XXXXXX", path[64];
	struct notify n;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	fd = listen_at(path, strlen(path));
	asks(&n, path);
	assert_int_equal(notify_send(&n, "READY=1\nSTATUS=%d of %s", 3, "4"),
			 0);
	hears(fd, "READY=1\nSTATUS=3 of 4");
	assert_int_equal(notify_send(&n, "STOPPING=1"), 0);
	hears(fd, "STOPPING=1");
	unlink(path);
	/* A manager that has gone is no reason to end. */
	assert_int_equal(notify_send(&n, "STOPPING=1"), -ENOENT);
	hears_nothing(fd);
	close(fd);
	rmdir(dir);
}

static void test_abstract(void **state UNUSED)
{
	char name[64] = "";
	struct notify n;
	int fd;

	snprintf(name + 1, sizeof(name) - 1, "foldfs-test-%d", (int)getpid());
	fd = listen_at(name, 1 + strlen(name + 1));
	name[0] = '@';
	asks(&n, name);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	hears(fd, "READY=1");
	close(fd);
	assert_int_equal(notify_send(&n, "READY=1"), -ECONNREFUSED);
}

/* The longest path the address has room for, and one byte more. */
static void test_lengths(void **state UNUSED)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	size_t most = sizeof(name) - 2;
	struct notify n;
	int fd;

	memset(name, 'x', sizeof(name));
	snprintf(name, sizeof(name), "@foldfs-test-%d-", (int)getpid());
	name[strlen(name)] = 'x';
	name[most] = '\0';
	name[0] = '\0';
	fd = listen_at(name, most);
	name[0] = '@';
	asks(&n, name);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	hears(fd, "READY=1");
	close(fd);

	name[most] = 'x';
	name[most + 1] = '\0';
	assert_int_equal(set(&n, name), -ENAMETOOLONG);
	assert_int_equal(n.length, 0);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
}

static void test_too_long(void **state UNUSED)
{
	char name[64] = "", text[600];
	struct notify n;
	int fd;

	snprintf(name + 1, sizeof(name) - 1, "foldfs-test-%d", (int)getpid());
	fd = listen_at(name, 1 + strlen(name + 1));
	name[0] = '@';
	asks(&n, name);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(notify_send(&n, "STATUS=%s", text), -E2BIG);
	hears_nothing(fd);
	/* Once dropped, nothing goes out. */
	notify_drop(&n);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	hears_nothing(fd);
	close(fd);
}

static void test_nobody_asks(void **state UNUSED)
{
	static const char *const names[] = {"relative", "vsock:2:1", "@", "/"};
	struct notify n;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_init(&n), 0);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_init(&n), 0);
	assert_int_equal(notify_send(&n, "READY=1"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		assert_int_equal(notify_init(&n), -EAFNOSUPPORT);
		assert_int_equal(n.length, 0);
		assert_int_equal(notify_send(&n, "READY=1"), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
