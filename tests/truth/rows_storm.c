#include "truth.h"
void rows_storm(void) {}
