/* engine/swap-verdict.c: what became of a probe, in words that lead to the mistake.
 *
 * Called by the thread that asked for the swap, when the helper has ended. The report has been
 * copied from memory that the code under test could write to: numbers are limited and texts ended
 * here. Lines of the source come from lines.h.
 */
#include "engine/swap-probe.h"

#include "base/error.h"
#include "base/lines.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ------------------------------------------------------------------------ source lines --- */

_Static_assert(PROBE_FRAMES <= LINES_MAX, "all of them in one question");

/* "lookup (stage.c:77) <- process (stage.c:90)" */
static void add_frames(struct buf *out, const struct probe_report *report, const char *loaded)
{
	uint64_t offsets[PROBE_FRAMES];
	struct lines lines;

	for (uint32_t i = 0; i < report->n_frames; i++)
		offsets[i] = report->frames[i].offset;
	lines_find(&lines, loaded, offsets, report->n_frames);
	for (uint32_t i = 0; i < report->n_frames; i++) {
		const char *function = lines.of[i].function, *place = lines.of[i].place;
		const char *file = place ? strrchr(place, '/') : NULL;

		if (!function)
			function = report->frames[i].symbol;
		buf_addf(out, "%s%s", i ? " <- " : ", in ", *function ? function : "its code");
		if (place)
			buf_addf(out, " (%s)", file ? file + 1 : place);
		else
			buf_addf(out, " (+0x%" PRIx64 ")", offsets[i]);
	}
	if (report->n_frames == 0 && report->where)
		buf_addf(out, ", outside of its code, at 0x%" PRIx64, report->where);
}

/* --------------------------------------------------------------------------- the words --- */

static void add_step(struct buf *out, const struct probe_report *report)
{
	/* relaxed, both: a copy */
	uint32_t item = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->item,
	                                     memory_order_relaxed);

	switch (atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->step,
	                             memory_order_relaxed)) { /* relaxed: as above */
	case PROBE_LOADS:
		buf_adds(out, "while it was loaded");
		break;
	case PROBE_MIGRATES:
		buf_adds(out, "in migrate()");
		break;
	case PROBE_ITEM:
		buf_addf(out, "in process(), with item %u of those that came last", item);
		break;
	case PROBE_FINISHES:
		buf_adds(out, "in finish()");
		break;
	case PROBE_OPENS:
		buf_adds(out, "in open()");
		break;
	case PROBE_CLOSES:
		buf_adds(out, "in close()");
		break;
	case PROBE_UNLOADS:
		buf_adds(out, "while it was unloaded");
		break;
	default:
		buf_adds(out, "between its callbacks");
		break;
	}
}

static void add_signal(struct buf *out, int number)
{
	const char *name = sigabbrev_np(number);

	if (name)
		buf_addf(out, "SIG%s", name);
	else
		buf_addf(out, "signal %d", number);
}

/* The last line that says something, for it has most to do with the end; of a sanitizer's report
 * the one that names the error. */
static void add_said(struct buf *out, const char *said)
{
	const char *error = strstr(said, "ERROR: ");
	const char *end = said + strlen(said), *line;

	while (end > said && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	line = end;
	while (line > said && line[-1] != '\n')
		line--;
	if (error) {
		line = error;
		end = line + strcspn(line, "\n");
	}
	if (end == line)
		return;
	buf_adds(out, "; it said: ");
	for (; line < end && out->size < 2048; line++)
		buf_addc(out, (unsigned char)*line < 0x20 ? ' ' : *line);
}

static void add_crash(struct buf *out, const struct probe_report *report, const char *loaded)
{
	add_signal(out, report->signal);
	if (report->signal == SIGSEGV || report->signal == SIGBUS)
		buf_addf(out, " %s 0x%" PRIx64, report->was_write ? "writing" : "at",
		         report->address);
	add_frames(out, report, loaded);
}

static void add_end(struct buf *why, struct buf *what, const struct probe_report *report,
                    const struct probe_end *end, const char *loaded)
{
	int number = end->reaped && WIFSIGNALED(end->status) ? WTERMSIG(end->status) : 0;

	if (end->hung) {
		buf_addf(what, "it did not come back for %.3g s, ",
		         (double)PROBE_LIMIT_NS / 1e9);
		buf_adds(why, "a probe waits no longer; if it must take so long there, say "
		              "PC_NO_PROBE in its flags, or ask for no probe");
	} else if (report->signal) {
		buf_adds(what, "it crashed ");
		add_crash(why, report, loaded);
		add_said(why, end->said);
	} else if (number == SIGXCPU) {
		buf_adds(what, "it used up the processor time that a probe has, ");
		buf_adds(why, "does it loop for ever?");
	} else if (number) {
		buf_adds(what, "it was killed ");
		buf_adds(why, "by ");
		add_signal(why, number);
		add_said(why, end->said);
	} else if (end->reaped) {
		buf_adds(what, "it ended the process ");
		buf_addf(why, "with exit status %d%s", WEXITSTATUS(end->status),
		         WEXITSTATUS(end->status) == 127 ? ", as the dynamic linker does" : "");
		add_said(why, end->said);
	} else {
		buf_adds(what, "the process ended ");
		buf_adds(why, "how, nobody knows: the program that runs pcrun has taken its "
		              "status");
	}
	add_step(what, report);
}

int swap_verdict(struct probe_report *report, const struct probe_end *end, const char *loaded,
                 struct pc_error **err)
{
	uint32_t verdict =
		atomic_load_explicit(&report->verdict, memory_order_acquire); /* SP2 */
	struct buf why = {0}, what = {0};
	size_t n;

	report->text[sizeof(report->text) - 1] = '\0';
	report->difference[sizeof(report->difference) - 1] = '\0';
	report->path[sizeof(report->path) - 1] = '\0';
	if (report->n_frames > PROBE_FRAMES)
		report->n_frames = PROBE_FRAMES;
	for (uint32_t i = 0; i < PROBE_FRAMES; i++)
		report->frames[i].symbol[sizeof(report->frames[i].symbol) - 1] = '\0';
	if (!end->hung && !report->signal &&
	    (verdict == PROBE_PASSED || verdict == PROBE_EFFECT) &&
	    (!end->reaped || (WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0)))
		return PC_OK;
	if (verdict == PROBE_FAILED) {
		for (n = strlen(report->text); n > 0 && report->text[n - 1] == '\n'; n--)
			report->text[n - 1] = '\0';
		error_set(err, PC_WRONG, "%s", report->text);
		error_add(err, "it did not pass its probe");
		return PC_WRONG;
	}
	add_end(&why, &what, report, end, loaded);
	error_set(err, PC_WRONG, "%s", why.text ? why.text : "");
	error_add(err, "it did not pass its probe: %s", what.text ? what.text : "");
	buf_fini(&why);
	buf_fini(&what);
	return PC_WRONG;
}

/* ------------------------------------------------------------------------- a good end --- */

static const char *effect_of(const struct probe_report *report)
{
	switch (report->call) {
	case SYS_openat:
#ifdef SYS_open
	case SYS_open:
	case SYS_creat:
#endif
		return "open a file for writing";
	case SYS_connect:
		return "connect to somebody";
	case SYS_bind:
		return "take an address";
	case SYS_execve:
	case SYS_clone:
#ifdef SYS_vfork
	case SYS_fork:
	case SYS_vfork:
#endif
		return "start a program";
	case SYS_kill:
	case SYS_tkill:
	case SYS_tgkill:
		return "send a signal";
	default:
		return "change something outside";
	}
}

void swap_verdict_words(const struct probe_report *report, const char *left_out,
                        struct buf *words)
{
	/* relaxed: a copy */
	uint32_t verdict = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->verdict,
	                                        memory_order_relaxed);

	buf_adds(words, "loaded");
	if (report->no_probe) {
		buf_adds(words, ", and no more (PC_NO_PROBE)");
		return;
	}
	if (report->migrated)
		buf_adds(words, ", migrated");
	if (report->opened)
		buf_adds(words, report->closed ? ", opened and closed" : ", opened");
	if (report->n_replayed > 0) {
		buf_addf(words, ", %u item%s done again%s", report->n_replayed,
		         report->n_replayed == 1 ? "" : "s",
		         report->fresh ? " on a fresh state" : "");
		if (report->n_differ > 0)
			buf_addf(words, ", %u with another outcome (the first: %s)",
			         report->n_differ, report->difference);
		else
			buf_adds(words, ", all with the same outcome");
	}
	if (verdict == PROBE_EFFECT) {
		buf_addf(words, "; it would %s", effect_of(report));
		if (report->path[0])
			buf_addf(words, " (%s)", report->path);
		buf_adds(words, " ");
		add_step(words, report);
		buf_adds(words, ", so the rest was not tried");
	}
	if (left_out)
		buf_addf(words, " (%s)", left_out);
	if (report->no_filter)
		buf_adds(words, " (no system call filter here: open() was not tried)");
}
