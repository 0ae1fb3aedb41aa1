/* cli/main.c: the pcrun command begins and ends here; what it does stands in a file per word. */
#include "cli/cli.h"
#include "cli/crash.h"
#include "cli/interpose.h"
#include "cli/say.h"

#include <stdio.h>

static int dispatch(const struct args *args)
{
	if (args->version) {
		printf("pcrun %s\n", pc_version());
		return STATUS_OK;
	}
	if (args->help)
		return help_print(args->named ? args->command : NULL);
	return args->command->run(args);
}

int main(int argc, char **argv)
{
	struct args args;
	int status = STATUS_USAGE;

	interpose_init();
	say_init();
	crash_init();
	if (argc < 2)
		help_usage();
	else if (args_parse(&args, argc, argv))
		status = dispatch(&args);
	if (argc >= 2)
		args_fini(&args);
	return say_fini(status);
}
