# penstock_room(NAME model DEPS core SOURCES graph.cpp LIBRARIES onnx TESTS tests/graph_test.cpp ...)
#
# Declares one room: the library penstock_<name> (alias penstock::<name>), its tests and benchmarks.
#   DEPS       rooms whose headers it may include; the architecture test holds it to this list
#   SOURCES    its .cpp files
#   PUBLIC     third-party targets that its public headers include
#   LIBRARIES  third-party targets that only its .cpp files include
#   TESTS      GoogleTest files; all go into the one program test_<name>
#   BENCHES    Google Benchmark files; all go into the one program bench_<name>
function(penstock_room)
  cmake_parse_arguments(ROOM "" "NAME" "DEPS;SOURCES;PUBLIC;LIBRARIES;TESTS;BENCHES" ${ARGN})
  set(target penstock_${ROOM_NAME})
  add_library(${target} STATIC ${ROOM_SOURCES})
  add_library(penstock::${ROOM_NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${ROOM_NAME})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  list(TRANSFORM ROOM_DEPS PREPEND penstock_ OUTPUT_VARIABLE dep_targets)
  target_link_libraries(${target} PUBLIC ${dep_targets} ${ROOM_PUBLIC}
                        PRIVATE ${ROOM_LIBRARIES} $<BUILD_INTERFACE:penstock_warnings>)
  set_property(GLOBAL APPEND PROPERTY PENSTOCK_ROOMS ${ROOM_NAME})
  install(TARGETS ${target} EXPORT penstock-targets)
  file(GLOB headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h)
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/penstock/${ROOM_NAME})

  if(PENSTOCK_TESTS AND ROOM_TESTS)
    add_executable(test_${ROOM_NAME} ${ROOM_TESTS})
    target_link_libraries(test_${ROOM_NAME} PRIVATE ${target} ${ROOM_LIBRARIES}
                          GTest::gmock_main penstock_warnings)
    target_compile_definitions(test_${ROOM_NAME} PRIVATE
      PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    gtest_discover_tests(test_${ROOM_NAME} TEST_PREFIX ${ROOM_NAME}. DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 600)
  endif()
  if(PENSTOCK_BENCHMARKS AND ROOM_BENCHES)
    add_executable(bench_${ROOM_NAME} ${ROOM_BENCHES})
    target_link_libraries(bench_${ROOM_NAME} PRIVATE ${target} ${ROOM_LIBRARIES}
                          benchmark::benchmark_main penstock_warnings)
    target_compile_definitions(bench_${ROOM_NAME} PRIVATE
      PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endif()
endfunction()
