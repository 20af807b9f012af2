const char *greeting(int hour);
