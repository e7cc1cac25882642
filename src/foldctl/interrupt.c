/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes signals; one that was ignored from the start, as by nohup, stays so. */
#include "foldctl/interrupt.h"
#include "base/compiler.h"
#include "foldctl/term.h"
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void note(int number)
{
	seen = number;
}

static void set(void (*from)(int), void (*to)(int))
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction now, wanted = {.sa_handler = to};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &now) == 0 &&
		    now.sa_handler == from)
			sigaction(numbers[i], &wanted, NULL);
}

void interrupt_catch(void)
{
	set(SIG_DFL, note);
}

bool interrupt_seen(void)
{
	return seen != 0;
}

void interrupt_release(void)
{
	set(note, SIG_DFL);
}

void interrupt_end(void)
{
	interrupt_release();
	if (!seen)
		return;
	progress_end();
	term_flush();
	raise(seen);
}
