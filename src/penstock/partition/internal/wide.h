// Marks a loop that is compiled once for each width of vector, chosen when the program starts. The
// whole project is built without fused multiply-add (-ffp-contract=off), which would make the
// results depend on the processor.
#pragma once

#include <cstddef>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PENSTOCK_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PENSTOCK_WIDE
#endif

namespace penstock::partition {

// target = min(target, source + weight): the inner loop of a product of min-plus matrices.
void lower_by(double weight, const double* source, double* target, std::size_t count);

}  // namespace penstock::partition
