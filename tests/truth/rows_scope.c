#include "truth.h"
void rows_scope(void) {}
