# Builds and runs consumer/ against Penstock. MODE is "installed" (cmake --install from BINARY_DIR,
# then moved, because a package must not know where it was made) or "embedded" (add_subdirectory).
cmake_minimum_required(VERSION 3.25)

function(run out)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK_DIR}
                  OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nexit status ${status}\n${output}\n${errors}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
endfunction()

function(expect text pattern)
  if(NOT text MATCHES "${pattern}")
    message(FATAL_ERROR "\"${pattern}\" is not in:\n${text}")
  endif()
endfunction()

# What the tests' own environment says must not help the package along.
unset(ENV{PENSTOCK_CATALOG})
file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
# Without optimisation: that it builds and links is the claim, and the embedded rooms build anew.
set(options -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER=${COMPILER}
            -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})

if(MODE STREQUAL "installed")
  run(ignored ${CMAKE_COMMAND} --install ${BINARY_DIR} --prefix ${WORK_DIR}/first)
  file(RENAME ${WORK_DIR}/first ${WORK_DIR}/prefix)
  run(version ${WORK_DIR}/prefix/bin/penstock --version)
  expect("${version}" "^penstock ${VERSION}\n")
  run(catalog ${WORK_DIR}/prefix/bin/penstock catalog --json)
  expect("${catalog}" "\"${WORK_DIR}/prefix/share/penstock/catalog/")
  file(GLOB_RECURSE internals ${WORK_DIR}/prefix/include/*/internal/*)
  if(internals)
    message(FATAL_ERROR "internal headers are installed: ${internals}")
  endif()
  list(APPEND options -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
else()
  list(APPEND options -DPENSTOCK_EMBED=${SOURCE_DIR})
endif()

run(ignored ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK_DIR}/build ${options})
run(ignored ${CMAKE_COMMAND} --build ${WORK_DIR}/build --target consumer)
run(output ${WORK_DIR}/build/consumer)
expect("${output}" "^penstock ${VERSION}: 2 s, [1-9][0-9]+ macs, V100 known\n")
file(REMOVE_RECURSE ${WORK_DIR})
