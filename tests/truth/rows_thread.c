#include "truth.h"
void rows_thread(void) {}
