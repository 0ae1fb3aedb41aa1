/* fixtures.h: where Meson puts the plugins that the unit tests load: in `plan` beside the program. */
#ifndef UNIT_FIXTURES_H
#define UNIT_FIXTURES_H

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static inline const char *fixtures(void)
{
	static char dir[4096];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 16);

	cr_assert(n > 0);
	dir[n] = '\0';
	strcpy(strrchr(dir, '/'), "/plan");
	return dir;
}

#endif
