/* cli/control-server.c: the side of the control socket that a running graph has. The loop's thread.
 *
 * One request of a peer is handled at a time, and none while an answer has not left: so what a
 * peer can make pcrun keep is one line and one answer. Events are not kept for a peer that does
 * not read them: it is cut off. Of too many peers, the one that has been silent for the longest
 * gives way. Others than the user himself and root get a word and nothing else, whatever the
 * directory's and the socket's modes have become. */
#include "cli/control.h"
#include "cli/say.h"
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 * 1024, AGAIN_MS = 200 };

struct chunk {
	uv_write_t write;
	char bytes[];
};

static void go_on(struct peer *peer);

/* ------------------------------------------------------------------------------- peers --- */

static void on_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data, **at = &peer->server->peers;

	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	peer->server->n_peers--;
	free(peer);
}

static void drop(struct peer *peer)
{
	if (peer->closing)
		return;
	peer->closing = true;
	peer->server->n_open--;
	if (peer->job)
		peer->job->done = NULL;
	uv_close((uv_handle_t *)&peer->pipe, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
	struct peer *peer = write->handle->data;

	free(write);
	if (status < 0)
		drop(peer);
	else
		go_on(peer);
}

static void send_bytes(struct peer *peer, const char *bytes, size_t size)
{
	uv_stream_t *stream = (uv_stream_t *)&peer->pipe;
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)size);
	struct chunk *chunk;
	int n = 0;

	if (peer->closing || size == 0)
		return;
	if (uv_stream_get_write_queue_size(stream) == 0)
		n = uv_try_write(stream, &buf, 1);
	if (n < 0)
		n = n == UV_EAGAIN ? 0 : -1;
	if (n < 0) {
		drop(peer);
		return;
	}
	if ((size_t)n == size)
		return;
	size -= (size_t)n;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk) {
		drop(peer);
		return;
	}
	memcpy(chunk->bytes, bytes + n, size);
	buf = uv_buf_init(chunk->bytes, (unsigned)size);
	if (uv_write(&chunk->write, stream, &buf, 1, on_written) < 0) {
		free(chunk);
		drop(peer);
	}
}

/* "- " before each line of a text, "! " before an event's. */
static void put_lines(FILE *out, char sign, const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");

		fprintf(out, "%c %.*s\n", sign, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void send_text(struct peer *peer, struct say_text *text)
{
	if (say_text_end(text))
		send_bytes(peer, text->bytes, text->size);
	else
		drop(peer);
	free(text->bytes);
}

void server_answer(struct peer *peer, bool as_json, const char *request, int status,
                   const char *text, const char *json)
{
	struct say_text answer;

	peer->job = NULL;
	if (!say_text_open(&answer)) {
		drop(peer);
		return;
	}
	if (as_json) {
		fprintf(answer.stream, "{\"status\":%d,\"request\":", status);
		say_json(answer.stream, request);
		fprintf(answer.stream, "%s,\"text\":", json ? json : "");
		say_json(answer.stream, text ? text : "");
		fputs("}\n", answer.stream);
	} else {
		put_lines(answer.stream, '-', text);
		fprintf(answer.stream, "= %d\n", status);
	}
	send_text(peer, &answer);
	go_on(peer);
}

/* ---------------------------------------------------------------------------- requests --- */

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	struct peer *peer = handle->data;

	(void)wanted;
	*buf = uv_buf_init(peer->line + peer->size, (unsigned)(CONTROL_LINE - peer->size));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *peer = stream->data;

	(void)buf;
	if (n < 0)
		peer->ended = true;
	else
		peer->size += (size_t)n;
	peer->idle_since = uv_now(peer->pipe.loop);
	go_on(peer);
}

static bool is_busy(const struct peer *peer)
{
	return peer->job ||
	       uv_stream_get_write_queue_size((const uv_stream_t *)&peer->pipe) > 0;
}

static void read_more(struct peer *peer, bool on)
{
	uv_stream_t *stream = (uv_stream_t *)&peer->pipe;

	if (on == peer->reading)
		return;
	peer->reading = on;
	if (!on)
		uv_read_stop(stream);
	else if (uv_read_start(stream, on_room, on_read) < 0)
		drop(peer);
}

/* The next line, as long as there is one and the peer waits for nothing. Calls itself by way of
 * server_answer(): the outermost call does the work. */
static void go_on(struct peer *peer)
{
	if (peer->in_turn)
		return;
	peer->in_turn = true;
	while (!peer->closing && !is_busy(peer)) {
		char *end = memchr(peer->line, '\n', peer->size), line[CONTROL_LINE];
		size_t n;

		if (peer->last_one)
			break;
		if (!end && peer->size == CONTROL_LINE) {
			peer->last_one = true;
			server_answer(peer, false, "", CONTROL_USAGE,
			              "the line is too long for a request", NULL);
			continue;
		}
		if (!end && peer->ended && peer->size > 0) {
			peer->line[peer->size++] = '\n'; /* the last line, without its end */
			continue;
		}
		if (!end && peer->ended)
			peer->last_one = true;
		if (!end)
			break;
		n = (size_t)(end - peer->line);
		memcpy(line, peer->line, n);
		memmove(peer->line, end + 1, peer->size - n - 1);
		peer->size -= n + 1;
		control_request(peer, line, n);
	}
	peer->in_turn = false;
	if (!peer->closing && peer->last_one && !is_busy(peer) && !peer->events)
		drop(peer);
	else if (!peer->closing)
		read_more(peer, !peer->ended && !is_busy(peer) && peer->size < CONTROL_LINE);
}

/* ------------------------------------------------------------------------- connections --- */

static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void turn_away(int fd, const char *why)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "- %s\n= %d\n", why, CONTROL_USAGE);

	if (send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* it will see that the connection ends */
	close(fd);
}

/* Whether a gives way rather than b. */
static bool is_idler(const struct peer *a, const struct peer *b)
{
	return a->events != b->events ? b->events : a->idle_since < b->idle_since;
}

/* The one that has said nothing for the longest, and waits for nothing but events. */
static bool make_room(struct server *server)
{
	struct peer *oldest = NULL;

	if (server->n_open < CONTROL_PEERS)
		return true;
	for (struct peer *p = server->peers; p; p = p->next)
		if (!p->closing && !p->job && (!oldest || is_idler(p, oldest)))
			oldest = p;
	if (oldest)
		drop(oldest);
	return oldest != NULL;
}

static void greet(struct peer *peer)
{
	const char *file = pc_graph_file(peer->server->session->graph, 0);
	struct say_text text;
	char name[64];

	if (!say_text_open(&text)) {
		drop(peer);
		return;
	}
	control_graph_name(file ? file : "?", name, sizeof(name));
	fprintf(text.stream, "pcrun %s control %d %d ", pc_version(), CONTROL_PROTOCOL,
	        (int)getpid());
	control_put_word(text.stream, name);
	fputc(' ', text.stream);
	control_put_word(text.stream, file ? file : "?");
	fputc('\n', text.stream);
	send_text(peer, &text);
	go_on(peer);
}

static void take_in(struct server *server, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer || uv_pipe_init(server->poll.loop, &peer->pipe, 0) < 0) {
		free(peer);
		close(fd);
		return;
	}
	peer->server = server;
	peer->pipe.data = peer;
	peer->idle_since = uv_now(server->poll.loop);
	peer->next = server->peers;
	server->peers = peer;
	server->n_peers++;
	server->n_open++;
	if (uv_pipe_open(&peer->pipe, fd) < 0) {
		close(fd);
		drop(peer);
		return;
	}
	greet(peer);
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_again(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (server->on)
		uv_poll_start(&server->poll, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < CONTROL_PEERS; i++) {
		int fd = accept4(server->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			/* It would be readable for ever. */
			uv_poll_stop(&server->poll);
			uv_timer_start(&server->again, on_again, AGAIN_MS, 0);
		}
		if (fd < 0)
			return;
		if (!is_allowed(fd))
			turn_away(fd, "only the user whose graph it is may ask");
		else if (!make_room(server))
			turn_away(fd, "too many others are connected");
		else
			take_in(server, fd);
	}
}

/* ------------------------------------------------------------------------------- whole --- */

void server_event(struct server *server, const struct event *event)
{
	struct peer *next;

	for (struct peer *peer = server->peers; peer; peer = next) {
		struct say_text text, lines;

		next = peer->next;
		if (peer->closing || !peer->events)
			continue;
		if (uv_stream_get_write_queue_size((uv_stream_t *)&peer->pipe) > EVENTS_MAX ||
		    !say_text_open(&text)) {
			drop(peer);
			continue;
		}
		if (peer->events_json) {
			event_json(event, text.stream);
		} else if (say_text_open(&lines)) {
			event_text(event, lines.stream, false);
			if (say_text_end(&lines))
				put_lines(text.stream, '!', lines.bytes);
			free(lines.bytes);
		}
		send_text(peer, &text);
	}
}

void server_start(struct server *server, struct session *session)
{
	const char *file = pc_graph_file(session->graph, 0), *reason;
	const struct args *args = session->args;

	*server = (struct server){.session = session};
	if (!control_bind(&server->socket, file ? file : "-e", &reason)) {
		if (args->watch || args->verbose)
			say("no control socket: %s: %s",
			    server->socket.dir[0] ? server->socket.dir
			                          : "the runtime directory",
			    reason);
		return;
	}
	server->poll.data = server->again.data = server;
	uv_timer_init(&session->loop, &server->again);
	if (uv_poll_init(&session->loop, &server->poll, server->socket.fd) < 0 ||
	    uv_poll_start(&server->poll, UV_READABLE, on_connection) < 0) {
		say("no control socket: the loop does not take it");
		control_unbind(&server->socket);
		uv_close((uv_handle_t *)&server->again, NULL);
		return;
	}
	server->on = true;
}

void server_stop(struct server *server)
{
	if (!server->on)
		return;
	server->on = false;
	uv_close((uv_handle_t *)&server->poll, NULL);
	uv_close((uv_handle_t *)&server->again, NULL);
	control_unbind(&server->socket);
}

void server_fini(struct server *server)
{
	server_stop(server);
	for (struct peer *peer = server->peers; peer; peer = peer->next)
		drop(peer);
}
