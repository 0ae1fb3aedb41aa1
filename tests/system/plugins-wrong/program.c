/* program.c: is a program. Built and refused by ../test-plugins-wrong.sh. */
/* instead of -shared: -fPIE -pie */
int main(void)
{
	return 0;
}
