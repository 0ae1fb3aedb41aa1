/* cli/say.c: the printing of say.h.
 *
 * Standard error gets each message in one write(2), so that lines of several threads, and those
 * of stages that write there themselves, do not run into each other. A write that fails is
 * remembered and makes the exit status non-zero: there is nobody left to tell. */
#include "cli/say.h"

#include "cli/cli.h"
#include "cli/event.h"

#include <pcrun/stage.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool colours, moves, objects;
static atomic_bool lost; /* something for standard error could not be written */

#define RED    "\033[1;31m"
#define YELLOW "\033[1;33m"
#define CYAN   "\033[1;36m"
#define GREEN  "\033[1;32m"
#define DIM    "\033[2m"
#define OFF    "\033[0m"

void say_init(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};

	/* Standard output then fails as a closed one does; the others are silent. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", modes[fd]) < 0)
			_exit(STATUS_FAILED);
	moves = isatty(2) && term && *term && strcmp(term, "dumb") != 0;
	colours = moves && !(no && *no);
}

void say_objects(void)
{
	objects = true;
	colours = false;
}

bool say_can_move(void)
{
	return moves;
}

static atomic_bool status_shown; /* below the cursor */

/* The status stands in the row below the cursor: so a stage that writes to the terminal by itself
 * begins its line where it should, and a terminal that wraps the status anew, because it became
 * narrower, has it where all of it is cleared. */
#define CLEAR "\033[J"               /* from the cursor on */
#define BELOW "\033D\033[A\0337\r\n" /* makes sure that there is a row, and goes there */
#define HOME  "\0338"                /* back to where the cursor was */

static void write_bytes(const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(2, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* Read at the end of main() only, when all threads have ended. */
			atomic_store_explicit(&lost, true, memory_order_relaxed);
			return;
		}
		bytes += n;
		size -= (size_t)n;
	}
}

void say_bytes(const char *bytes, size_t size)
{
	/* relaxed: two threads that both clear an empty line do no harm */
	if (atomic_exchange_explicit(&status_shown, false, memory_order_relaxed))
		write_bytes(CLEAR, sizeof(CLEAR) - 1);
	write_bytes(bytes, size);
}

void say_status(const char *line)
{
	char text[512];
	int n = line ? snprintf(text, sizeof(text), CLEAR BELOW "%.400s" HOME, line)
	             : snprintf(text, sizeof(text), CLEAR);

	/* relaxed, both: see say_bytes() */
	if (!line && !atomic_load_explicit(&status_shown, memory_order_relaxed))
		return;
	write_bytes(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	atomic_store_explicit(&status_shown, line != NULL, memory_order_relaxed); /* as above */
}

static const char nomem[] = "pcrun: out of memory\n";

bool say_text_open(struct say_text *text)
{
	*text = (struct say_text){0};
	text->stream = open_memstream(&text->bytes, &text->size);
	if (!text->stream)
		say_bytes(nomem, sizeof(nomem) - 1);
	return text->stream != NULL;
}

bool say_text_end(struct say_text *text)
{
	bool ok = fclose(text->stream) == 0;

	if (!ok)
		say_bytes(nomem, sizeof(nomem) - 1);
	return ok;
}

void say_text_close(struct say_text *text)
{
	if (fclose(text->stream) == 0)
		say_bytes(text->bytes, text->size);
	free(text->bytes);
}

/* A message as an object; `level` and `stage` may be NULL. */
static void say_object(const char *level, const char *stage, const char *message)
{
	int64_t now = event_now_ns();
	size_t n = strlen(message);
	struct say_text text;
	char *line;

	while (n > 0 && message[n - 1] == '\n')
		n--;
	line = strndup(message, n);
	if (!line || !say_text_open(&text)) {
		free(line);
		return;
	}
	fprintf(text.stream, "{\"event\":\"message\",\"time\":%" PRId64 ".%06d", now / PC_SEC,
	        (int)(now % PC_SEC / 1000));
	if (level) {
		fputs(",\"level\":", text.stream);
		say_json(text.stream, level);
	}
	if (stage) {
		fputs(",\"stage\":", text.stream);
		say_json(text.stream, stage);
	}
	fputs(",\"text\":", text.stream);
	say_json(text.stream, line);
	fputs("}\n", text.stream);
	say_text_close(&text);
	free(line);
}

void say(const char *format, ...)
{
	struct say_text text;
	va_list ap;

	if (!say_text_open(&text))
		return;
	if (!objects)
		fputs("pcrun: ", text.stream);
	va_start(ap, format);
	vfprintf(text.stream, format, ap);
	va_end(ap);
	fputc('\n', text.stream);
	if (!objects) {
		say_text_close(&text);
		return;
	}
	if (say_text_end(&text))
		say_object(NULL, NULL, text.bytes);
	free(text.bytes);
}

/* One line of rendered diagnostics with its severity, or its caret, in colour. */
static void colour_line(FILE *out, const char *line, size_t size)
{
	static const struct {
		const char *word, *colour;
	} words[] = {{": error: ", RED}, {": warning: ", YELLOW}, {": note: ", CYAN}};
	const char *bar = memchr(line, '|', size);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = memmem(line, size, words[i].word, strlen(words[i].word));

		if (at) {
			const char *end = at + strlen(words[i].word) - 1;

			at += 2;
			fprintf(out, "%.*s%s%.*s" OFF "%.*s", (int)(at - line), line,
			        words[i].colour, (int)(end - at), at, (int)(line + size - end),
			        end);
			return;
		}
	}
	if (bar && strspn(line, " ") == (size_t)(bar - line))
		fprintf(out, "%.*s" GREEN "%.*s" OFF, (int)(bar + 1 - line), line,
		        (int)(line + size - bar - 1), bar + 1);
	else
		fwrite(line, 1, size, out);
}

void say_lines_to(FILE *out, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");

		if (colours)
			colour_line(out, lines, n);
		else
			fwrite(lines, 1, n, out);
		fputc('\n', out);
		lines += n + (lines[n] == '\n');
	}
}

void say_lines(const char *lines)
{
	struct say_text text;

	if (objects) {
		say_object(NULL, NULL, lines);
		return;
	}
	if (!colours) {
		say_bytes(lines, strlen(lines));
		return;
	}
	if (!say_text_open(&text))
		return;
	say_lines_to(text.stream, lines);
	say_text_close(&text);
}

const char *say_colour(enum say_colour colour)
{
	static const char *const begin[] = {OFF, DIM, RED, GREEN, YELLOW};

	return colours ? begin[colour] : "";
}

bool say_is_diagnostic(const char *text)
{
	const char *severity = strstr(text, ": error: ");

	if (!severity)
		severity = strstr(text, ": warning: ");
	return severity && severity < text + strcspn(text, "\n");
}

void say_error(const struct pc_error *err)
{
	const char *text = pc_error_text(err);
	struct say_text whole;

	if (*text == '\0')
		text = "failed, and no reason is known\n";
	if (objects) {
		/* Of a graph that is right there are warnings alone. */
		say_object(pc_error_code(err) == PC_OK ? "warning" : "error", NULL, text);
		return;
	}
	if (say_is_diagnostic(text)) {
		say_lines(text);
		return;
	}
	if (!say_text_open(&whole))
		return;
	fprintf(whole.stream, "pcrun: %s%s", text, text[strlen(text) - 1] == '\n' ? "" : "\n");
	say_text_close(&whole);
}

void say_log(void *user, int level, const char *stage, const char *line)
{
	struct say_text text;

	(void)user;
	if (objects) {
		say_object(level >= PC_WARN   ? "warning"
		           : level >= PC_INFO ? "info"
		                              : "debug",
		           stage, line);
		return;
	}
	if (!say_text_open(&text))
		return;
	fputs("pcrun: ", text.stream);
	if (stage)
		fprintf(text.stream, "%s: ", stage);
	if (level >= PC_WARN)
		fprintf(text.stream, "%swarning:%s ", colours ? YELLOW : "",
		        colours ? OFF : "");
	fprintf(text.stream, "%s\n", line);
	say_text_close(&text);
}

/* The length of the character of UTF-8 at `c`; 0 when there is none. */
static size_t utf8_length(const unsigned char *c)
{
	size_t n = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : *c >= 0xc2 ? 2 : 0;

	if (*c > 0xf4 || (*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] > 0x9f) ||
	    (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void say_json(FILE *out, const char *text)
{
	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c;) {
		size_t n = 1;

		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			fprintf(out, "\\u%04x", *c);
		else if (*c < 0x80)
			fputc(*c, out);
		else if ((n = utf8_length(c)) > 0)
			fwrite(c, 1, n, out);
		else
			fputs("\\ufffd", out);
		c += n > 0 ? n : 1;
	}
	fputc('"', out);
}

int say_fini(int status)
{
	bool bad = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) != 0 || bad) {
		if (errno != 0)
			say("can't write to standard output: %s", strerror(errno));
		else
			say("can't write to standard output");
		status = STATUS_FAILED;
	}
	/* All threads have ended: see say_bytes(). */
	if (status == STATUS_OK && atomic_load_explicit(&lost, memory_order_relaxed))
		status = STATUS_FAILED;
	return status;
}
