#include "greet.h"

const char *greeting(int hour)
{
	return hour < 12 ? "good morning" : "good day";
}
