// A C++17 training program that includes nothing of Penstock but its client.
#include <cstdio>

#include "penstock_steps.h"

int main() {
  try {
    penstock_steps::Steps steps(16);
    int done = 0;
    while (steps.more() && done < 3) {
      steps.begin();
      steps.ready();
      // Samples tell the test what the client has read from its environment.
      steps.end(100 + (steps.synthetic() ? 10 : 0) + (steps.all_reduce() ? 1 : 0), 0.5);
      ++done;
    }
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
  }
}
