# One interface target that carries the warnings and sanitizers of every room.
add_library(penstock_warnings INTERFACE)
target_compile_options(penstock_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion
                       -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual)
# GCC 12 reports a false overlap in "literal" + std::string at -O2 and above (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(penstock_warnings INTERFACE -Wno-restrict -Wno-array-bounds)
endif()
# A fused multiply-add where the processor has one would make results depend on the processor.
add_compile_options(-ffp-contract=off)
if(PENSTOCK_WERROR)
  target_compile_options(penstock_warnings INTERFACE -Werror)
endif()
if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
endif()
