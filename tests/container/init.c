/* The first process of a container that others are executed in: it says that it is
 * there, waits, and ends when its input does. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	char c;
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
