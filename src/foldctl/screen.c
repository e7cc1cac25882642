/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals restore the terminal in their handlers, by calls that are allowed
 * there, so that it does not matter what the program waits for at the moment.
 *
 * SIGWINCH is blocked but while keys are waited for: none is missed.
 */
#include "foldctl/screen.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE 033

/* Alternate screen, no cursor, no wrapping at the right edge; and back. */
static const char enter_text[] = "\033[?1049h\033[?25l\033[?7l\033[H\033[2J";
static const char leave_text[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

/* What ends a program that does nothing about it is all signals but these. */
static const int not_ending[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
				 SIGCONT, SIGCHLD, SIGURG,  SIGWINCH};

static volatile sig_atomic_t entered, changed;
static struct termios before, during;
static sigset_t while_waiting;

struct screen_size screen_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col ||
	    !size.ws_row)
		return (struct screen_size){.width = 80, .height = 24};
	return (struct screen_size){.width = size.ws_col,
				    .height = size.ws_row};
}

bool screen_is_there(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term &&
	       strcmp(term, "dumb") != 0;
}

/* To the terminal, past stdio. What cannot be written has no reader. */
static void emit(const char *text, size_t n)
{
	ssize_t done UNUSED = write(STDOUT_FILENO, text, n);
}

static void take(void)
{
	entered = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &during);
	emit(enter_text, sizeof(enter_text) - 1);
}

/* Without waiting for output to drain: the terminal may be stopped. */
static void give_back(void)
{
	if (!entered)
		return;
	emit(leave_text, sizeof(leave_text) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	entered = 0;
}

static void handle(int signal, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler,
				   .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(signal, &action, NULL);
}

/* The signal comes again when this returns, and ends the program. */
static void on_end(int signal)
{
	give_back();
	handle(signal, SIG_DFL);
	raise(signal);
}

static void on_change(int signal UNUSED)
{
	changed = 1;
}

static void come_back(void)
{
	take();
	raise(SIGWINCH);
}

static void on_stop(int signal)
{
	int saved = errno;
	sigset_t set;

	give_back();
	handle(signal, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	/* It stops here, unless nobody is there to let it go on again. */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	handle(signal, on_stop);
	come_back();
	errno = saved;
}

/* After SIGSTOP: others had the terminal meanwhile. */
static void on_continue(int signal UNUSED)
{
	int saved = errno;

	if (entered)
		come_back();
	errno = saved;
}

/* What is ignored stays so, and what a sanitizer reports by stays its. */
static void handle_default(int signal, void (*handler)(int))
{
	struct sigaction now;

	if (sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		handle(signal, handler);
}

static bool is_ending(int signal)
{
	for (unsigned i = 0; i < ARRAY_SIZE(not_ending); i++)
		if (signal == not_ending[i])
			return false;
	return true;
}

int screen_enter(void)
{
	static bool prepared;
	sigset_t set;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return -errno;
	during = before;
	during.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	during.c_cc[VMIN] = 1;
	during.c_cc[VTIME] = 0;
	if (!prepared)
		atexit(screen_leave);
	prepared = true;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, &while_waiting);
	sigdelset(&while_waiting, SIGWINCH);
	handle(SIGWINCH, on_change);
	handle(SIGCONT, on_continue);
	handle_default(SIGTSTP, on_stop);
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (is_ending(signal))
			handle_default(signal, on_end);
	fflush(stdout);
	take();
	return 0;
}

void screen_leave(void)
{
	give_back();
}

/* What was typed and not asked for yet. */
static struct {
	char text[64];
	size_t at, n;
} typed;

/* Behind an ESC: a key that sends more than one character is none of ours. */
static void skip_sequence(void)
{
	if (typed.at == typed.n ||
	    (typed.text[typed.at] != '[' && typed.text[typed.at] != 'O'))
		return;
	typed.at++;
	while (typed.at < typed.n && typed.text[typed.at++] < '@')
		;
}

/* The next character that is a key; SCREEN_CHANGED: there is none. */
static int next_key(void)
{
	while (typed.at < typed.n) {
		char c = typed.text[typed.at++];

		if (c == ESCAPE)
			skip_sequence();
		else if (c > 0)
			return c;
	}
	return SCREEN_CHANGED;
}

static int read_keys(void)
{
	ssize_t n = read(STDIN_FILENO, typed.text, sizeof(typed.text));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return SCREEN_CHANGED;
	if (n <= 0)
		return SCREEN_GONE;
	typed.at = 0;
	typed.n = (size_t)n;
	return next_key();
}

int screen_key(uint64_t until_ns)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t now = clock_ns();
	uint64_t left = now < until_ns ? until_ns - now : 0;
	struct timespec limit = {
		.tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S),
	};
	int r = next_key();

	if (r != SCREEN_CHANGED)
		return r;
	r = ppoll(&input, 1, &limit, &while_waiting);
	if (changed) {
		changed = 0;
		return SCREEN_CHANGED;
	}
	if (r < 0)
		return errno == EINTR ? SCREEN_CHANGED : SCREEN_GONE;
	return r == 0 ? SCREEN_TIME : read_keys();
}
