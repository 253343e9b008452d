# penstock_room(NAME model DEPS core SOURCES graph.cpp LIBRARIES onnx TESTS tests/graph_test.cpp ...)
#
# Declares one room: the library penstock_<name> (alias penstock::<name>), its tests and benchmarks.
#   DEPS       rooms whose headers it may include; the architecture test holds it to this list
#   SOURCES    its .cpp files
#   PUBLIC     third-party targets that its public headers include
#   LIBRARIES  third-party targets that only its .cpp files include
#   TESTS      GoogleTest files; all go into the one program test_<name>. A suite or test with "Slow"
#              in its name gets the label `slow` (over 5 s; `./check --fast` leaves it out)
#   BENCHES    Google Benchmark files; all go into the one program bench_<name>
function(penstock_room)
  cmake_parse_arguments(ROOM "" "NAME" "DEPS;SOURCES;PUBLIC;LIBRARIES;TESTS;BENCHES" ${ARGN})
  if(ROOM_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "penstock_room(NAME ${ROOM_NAME}): unknown ${ROOM_UNPARSED_ARGUMENTS}")
  endif()
  penstock_check_floors(${ROOM_NAME} ${ROOM_DEPS})
  list(JOIN ROOM_DEPS " " deps)
  penstock_floor(${ROOM_NAME} floor)
  set_property(GLOBAL APPEND PROPERTY PENSTOCK_ROOMS "${ROOM_NAME} ${floor} ${deps}")

  set(target penstock_${ROOM_NAME})
  add_library(${target} STATIC ${ROOM_SOURCES})
  add_library(penstock::${ROOM_NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${ROOM_NAME})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  list(TRANSFORM ROOM_DEPS PREPEND penstock_ OUTPUT_VARIABLE dep_targets)
  target_link_libraries(${target} PUBLIC ${dep_targets} ${ROOM_PUBLIC}
                        PRIVATE ${ROOM_LIBRARIES} $<BUILD_INTERFACE:penstock_warnings>)
  # The rooms below the command line are a library for others; the command line is a program.
  if(NOT ROOM_NAME STREQUAL cli)
    install(TARGETS ${target} EXPORT penstock-targets)
    file(GLOB headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h)
    install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/penstock/${ROOM_NAME})
  endif()

  if(PENSTOCK_TESTS)
    penstock_compile_headers_alone(${ROOM_NAME})
  endif()
  if(PENSTOCK_TESTS AND ROOM_TESTS)
    penstock_test_program(test_${ROOM_NAME} PREFIX ${ROOM_NAME}
                          SOURCES ${ROOM_TESTS} LIBRARIES ${target} ${ROOM_LIBRARIES})
  endif()
  if(PENSTOCK_BENCHMARKS AND ROOM_BENCHES)
    add_executable(bench_${ROOM_NAME} ${ROOM_BENCHES})
    target_link_libraries(bench_${ROOM_NAME} PRIVATE ${target} ${ROOM_LIBRARIES}
                          benchmark::benchmark_main penstock_warnings)
    target_compile_definitions(bench_${ROOM_NAME} PRIVATE
      PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    set_property(GLOBAL APPEND PROPERTY PENSTOCK_BENCHES bench_${ROOM_NAME})
  endif()
endfunction()

# penstock_test_program(test_model PREFIX model SOURCES ... LIBRARIES ...)
#
# Adds a GoogleTest program, each of its tests known to ctest as PREFIX.Suite.Name.
function(penstock_test_program program)
  cmake_parse_arguments(TEST "" "PREFIX" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${program} ${TEST_SOURCES})
  target_link_libraries(${program} PRIVATE ${TEST_LIBRARIES} GTest::gmock_main penstock_warnings)
  target_compile_definitions(${program} PRIVATE PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${program} TEST_PREFIX ${TEST_PREFIX}. DISCOVERY_TIMEOUT 60
                       TEST_FILTER "-*Slow*" TEST_LIST ${program}_fast
                       PROPERTIES TIMEOUT 600)
  gtest_discover_tests(${program} TEST_PREFIX ${TEST_PREFIX}. DISCOVERY_TIMEOUT 60
                       TEST_FILTER "*Slow*" TEST_LIST ${program}_slow
                       PROPERTIES TIMEOUT 900 LABELS slow)
endfunction()

# Compiles every public header of a room in a file of its own, against no more than the room gives
# its users. Twice, so that a missing include guard shows too.
function(penstock_compile_headers_alone room)
  file(GLOB headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h)
  set(sources "")
  foreach(header ${headers})
    set(line "#include \"penstock/${room}/${header}\"")
    set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${header}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "${line}\n${line}\n")
    list(APPEND sources ${source})
  endforeach()
  if(sources)
    add_library(headers_${room} OBJECT ${sources})
    target_link_libraries(headers_${room} PRIVATE penstock_${room} penstock_warnings)
    target_compile_options(headers_${room} PRIVATE -O0)
  endif()
endfunction()
