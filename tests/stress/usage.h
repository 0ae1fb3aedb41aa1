/* stress/usage.h: what this process has open and mapped, for the tests that nothing of it grows.
 *
 * Included by plain test programs; any thread. What a sanitizer keeps for itself is not looked at:
 * INSTRUMENTED is 1 under one. */
#ifndef STRESS_USAGE_H
#define STRESS_USAGE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

/* Of a folder, with "." and "..": /proc/self/fd, /proc/self/task. */
static inline unsigned usage_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Mappings; *ret_named: those whose lines hold `name`. */
static inline unsigned usage_maps(const char *name, unsigned *ret_named)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];
	unsigned n = 0;

	*ret_named = 0;
	while (f && fgets(line, sizeof(line), f)) {
		n += strchr(line, '\n') != NULL;
		*ret_named += strstr(line, name) != NULL;
	}
	if (f)
		fclose(f);
	return n;
}

#endif
