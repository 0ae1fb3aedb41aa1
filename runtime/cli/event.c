/* cli/event.c: the words of event.h.
 *
 *   12:03:41.210  tick  v6 -> v7 live at item 48 213 907 | state: adopted as it lies | pause 0.7 us
 *   12:04:10.881  tick  REFUSED, v7 keeps running: field `seen` changed from u32 to u64
 *
 * One line each, but for reasons that have several: diagnostics of a compiler stand below, as
 * they are. */
#include "cli/event.h"

#include "cli/say.h"

#include <pcrun/stage.h>

#include <inttypes.h>
#include <string.h>
#include <time.h>

static const char *const names[EVENT_KINDS] = {
	[EVENT_LIVE] = "live",
	[EVENT_REFUSED] = "refused",
	[EVENT_BACK] = "rolled-back",
	[EVENT_LATE] = "late",
	[EVENT_UNCHANGED] = "unchanged",
	[EVENT_GONE] = "gone",
	[EVENT_INCOMPLETE] = "incomplete",
	[EVENT_OVERTAKEN] = "overtaken",
	[EVENT_RELOADED] = "reloaded",
};

int64_t event_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * PC_SEC + t.tv_nsec;
}

/* 48 213 907 */
static void put_number(FILE *out, uint64_t number)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			fputc(' ', out);
		fputc(digits[i], out);
	}
}

static void put_time(FILE *out, int64_t ns)
{
	if (ns < PC_MS)
		fprintf(out, "%.1f us", (double)ns / 1e3);
	else if (ns < PC_SEC)
		fprintf(out, "%.1f ms", (double)ns / 1e6);
	else
		fprintf(out, "%.1f s", (double)ns / 1e9);
}

static void put_live(const struct event *e, FILE *out, const char *good, const char *off)
{
	fprintf(out, "v%u -> v%u %slive%s %s item ", e->from, e->to, good, off,
	        e->source ? "after" : "at");
	put_number(out, e->item);
	if (e->text && *e->text)
		fprintf(out, " | %s", e->text);
	fputs(" | pause ", out);
	put_time(out, e->pause_median_ns);
	if (e->pause_worst_ns > e->pause_median_ns) {
		fputs(" median, ", out);
		put_time(out, e->pause_worst_ns);
		fputs(" worst", out);
	}
	fputc('\n', out);
}

/* " | v7 keeps running", as far as it is known. */
static void put_stays(const struct event *e, FILE *out)
{
	if (e->from)
		fprintf(out, ", v%u keeps running", e->from);
	else
		fputs(", nothing was changed", out);
}

/* The first line stands behind a colon; what follows it below, as it is. */
static void put_reason(const struct event *e, FILE *out, bool shown)
{
	const char *reason = e->reason ? e->reason : "";
	size_t n = strcspn(reason, "\n");

	fprintf(out, "%s%.*s\n", n > 0 ? ": " : "", (int)n, reason);
	reason += n + (reason[n] == '\n');
	if (shown)
		say_lines_to(out, reason);
	else if (*reason)
		fprintf(out, "%s%s", reason, reason[strlen(reason) - 1] == '\n' ? "" : "\n");
}

static void put_kind(const struct event *e, FILE *out, bool shown)
{
	const char *good = shown ? say_colour(SAY_GOOD) : "";
	const char *bad = shown ? say_colour(SAY_BAD) : "";
	const char *warn = shown ? say_colour(SAY_WARN) : "";
	const char *off = shown ? say_colour(SAY_PLAIN) : "";
	const char *file = e->file ? e->file : "";

	switch (e->kind) {
	case EVENT_LIVE:
		put_live(e, out, good, off);
		return;
	case EVENT_REFUSED:
		fprintf(out, "%sREFUSED%s", bad, off);
		put_stays(e, out);
		put_reason(e, out, shown);
		return;
	case EVENT_BACK:
		fprintf(out, "v%u %sROLLED BACK%s, v%u runs again %s item ", e->from, bad, off,
		        e->to, e->source ? "after" : "from");
		put_number(out, e->item);
		put_reason(e, out, shown);
		return;
	case EVENT_LATE:
		fprintf(out, "v%u %swaits%s for replica %s, which for ", e->to, warn, off,
		        e->reason ? e->reason : "?");
		put_time(out, e->took_ns);
		fprintf(out, " has not come back from v%u; the others have passed\n", e->from);
		return;
	case EVENT_UNCHANGED:
		fprintf(out, "%s has the code that runs already, %s\n", file, e->text);
		return;
	case EVENT_GONE:
		fprintf(out, "%s is gone", file);
		put_stays(e, out);
		fputc('\n', out);
		return;
	case EVENT_INCOMPLETE:
		fprintf(out, "%s%s is incomplete%s", warn, file, off);
		put_stays(e, out);
		put_reason(e, out, shown);
		return;
	case EVENT_OVERTAKEN:
		fprintf(out, "%s was not taken", *file ? file : "the request");
		put_reason(e, out, shown);
		return;
	case EVENT_RELOADED:
		fprintf(out, "%s", e->text && *e->text ? "reloaded" : "nothing differs");
		if (e->text && *e->text)
			put_reason(&(struct event){.reason = e->text}, out, shown);
		else
			fputc('\n', out);
		return;
	case EVENT_KINDS:
		break;
	}
	fputc('\n', out);
}

void event_text(const struct event *event, FILE *out, bool shown)
{
	bool dim = shown && (event->kind == EVENT_UNCHANGED || event->kind == EVENT_GONE);
	struct tm tm;
	time_t seconds = (time_t)(event->time_ns / PC_SEC);

	localtime_r(&seconds, &tm);
	fprintf(out, "%s%02d:%02d:%02d.%03d  %s  ", dim ? say_colour(SAY_DIM) : "", tm.tm_hour,
	        tm.tm_min, tm.tm_sec, (int)(event->time_ns % PC_SEC / PC_MS),
	        event->stage ? event->stage : "graph");
	put_kind(event, out, shown);
	if (dim)
		fputs(say_colour(SAY_PLAIN), out);
}

void event_words(const struct event *event, FILE *out)
{
	put_kind(event, out, false);
}

void event_json(const struct event *e, FILE *out)
{
	fprintf(out, "{\"event\":\"%s\",\"time\":%" PRId64 ".%06d", names[e->kind],
	        e->time_ns / PC_SEC, (int)(e->time_ns % PC_SEC / 1000));
	if (e->stage) {
		fputs(",\"stage\":", out);
		say_json(out, e->stage);
	}
	if (e->file) {
		fputs(",\"file\":", out);
		say_json(out, e->file);
	}
	if (e->from)
		fprintf(out, ",\"from\":%u", e->from);
	if (e->to)
		fprintf(out, ",\"to\":%u", e->to);
	if (e->kind == EVENT_LIVE || e->kind == EVENT_BACK)
		fprintf(out, ",\"item\":%" PRIu64, e->item);
	if (e->kind == EVENT_LIVE)
		fprintf(out,
		        ",\"pause_median_ns\":%" PRId64 ",\"pause_worst_ns\":%" PRId64
		        ",\"took_ns\":%" PRId64,
		        e->pause_median_ns, e->pause_worst_ns, e->took_ns);
	if (e->text) {
		fputs(",\"text\":", out);
		say_json(out, e->text);
	}
	if (e->reason) {
		fputs(",\"reason\":", out);
		say_json(out, e->reason);
	}
	if (e->saved) {
		fputs(",\"saved\":", out);
		say_json(out, e->saved);
	}
	fputs("}\n", out);
}

void event_say(const struct event *event, bool json)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	if (json)
		event_json(event, text.stream);
	else
		event_text(event, text.stream, true);
	say_text_close(&text);
}

const char *event_unchanged(const struct pc_swap_report *report)
{
	return report->refreshed ? "and debuggers are shown its new lines"
	                         : "nothing was changed";
}

const char *event_reason(const char *text)
{
	static const char because[] = "  because: ";
	size_t n = strcspn(text, "\n");

	/* The outermost sentence names the stage, or the set, and says that it is refused. */
	if ((strncmp(text, "stage '", 7) != 0 && strncmp(text, "the set ", 8) != 0) ||
	    text[n] == '\0' || text[n + 1] == '\0')
		return text;
	text += n + 1;
	return strncmp(text, because, sizeof(because) - 1) == 0 ? text + sizeof(because) - 1
	                                                        : text;
}
