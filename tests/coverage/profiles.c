// Linked into what tests/coverage/run measures. Tests start the program with an empty environment, from which the runtime
// of the profiles would learn where they belong. `%m` is one file for each program, and `%c` keeps the counters in that
// file while the program runs, so that what was run before a SIGKILL counts, too.
#include <stdlib.h>

__attribute__((constructor(101))) static void name_profiles(void) {
  setenv("LLVM_PROFILE_FILE", PROFILES "/%m%c.profraw", 0);
}
