/* no-descriptor.c: a library that is no stage, and would end the process if it were loaded. Built and refused by ../test-plugins-wrong.sh. */
#include <stdlib.h>

__attribute__((constructor)) static void start(void)
{
	abort();
}
