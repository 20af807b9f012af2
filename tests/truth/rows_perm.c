#include "truth.h"
void rows_perm(void) {}
