/* engine/swap-load.c: from a file to a build that can be offered to a stage.
 *
 * Any thread. The file that a developer builds is never loaded itself: it may be written to or
 * stripped in place while it is mapped, and dlopen() would take a second file of the same name for
 * the first one. So a private copy with a name of its own is loaded, which stays until the build
 * is released: debuggers and crash reports find their symbols by it. A .c file needs no copy: what
 * it is compiled to has its contents' hash in its name already.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

struct loaded {
	struct loader_plugin *plugin;
	char *copy; /* to be removed with it; NULL: none */
};

static void forget(void *user)
{
	struct loaded *l = user;

	loader_close(l->plugin);
	if (l->copy)
		unlink(l->copy);
	free(l->copy);
	free(l);
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

static int copy_bytes(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? errno : 0;
}

/* The directory is the user's own, so nobody else can put another file in the copy's place. */
static int copy_file(const char *file, char **ret_copy, struct pc_error **err)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int from = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to = -1, rc;
	struct stat st;

	*ret_copy = NULL;
	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = error_set(err, errno == ENOENT ? PC_ERROR : PC_WRONG,
		               "%s can't be read: %s", file,
		               from < 0 ? strerror(errno) : "it is no ordinary file");
		goto done;
	}
	if (asprintf(ret_copy, "%s/pcrun-%d-XXXXXX.so", dir && *dir ? dir : "/tmp",
	             (int)getpid()) < 0) {
		*ret_copy = NULL;
		rc = error_set(err, PC_NOMEM, "out of memory");
		goto done;
	}
	to = mkostemps(*ret_copy, 3, O_CLOEXEC);
	rc = to < 0 ? errno : copy_bytes(from, to);
	if (rc)
		rc = error_set(err, PC_ERROR, "%s can't be copied to %s: %s", file, *ret_copy,
		               strerror(rc));
	if (rc && to >= 0)
		unlink(*ret_copy);
done:
	if (rc) {
		free(*ret_copy);
		*ret_copy = NULL;
	}
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	return rc;
}

int swap_load(struct swap_offer *ret, const char *file, struct pc_error **err)
{
	struct loaded *l = calloc(1, sizeof(*l));
	int rc = PC_OK;

	if (!l)
		return error_set(err, PC_NOMEM, "out of memory");
	if (!ends_in(file, ".c") && !LEFT_OUT(FAULT_COPY))
		rc = copy_file(file, &l->copy, err);
	if (rc == PC_OK)
		rc = loader_open(&l->plugin, NULL, l->copy ? l->copy : file, NULL, err);
	if (rc) {
		forget(l);
		return rc;
	}
	*ret = (struct swap_offer){.desc = l->plugin->desc,
	                           .file = file,
	                           .handle = l->plugin->handle,
	                           .rcu = true,
	                           .release = forget,
	                           .user = l};
	return PC_OK;
}
