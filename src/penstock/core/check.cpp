#include "penstock/core/check.h"

#include <cstdio>
#include <cstdlib>

namespace penstock::core {

void check_failed(const char* file, int line, const char* expression, const std::string& values) {
  fmt::print(stderr, "penstock: bug: {}:{}: {} does not hold: {}\n", file, line, expression,
             values);
  std::abort();
}

}  // namespace penstock::core
