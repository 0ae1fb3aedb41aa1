/* function-descriptor.c: the descriptor is a function. Built and refused by ../test-plugins-wrong.sh. */
int pc_stage_v1(void);
int pc_stage_v1(void)
{
	return 0;
}
