# The floors of the house, as "room:floor"; a room depends only on floors below its own. This is the
# one place that says so: penstock_room() refuses a DEPS list that points up or sideways, and the
# architecture test compares every #include with it.
set(PENSTOCK_FLOORS
  core:0
  hardware:1 model:1 trace:1 ledger:1
  sim:2 device:2 train:2
  profile:3 loader:3 partition:3 cluster:3 gnn:3 serve:3 embedding:3 fabric:3
  plan:4
  cli:5)
list(TRANSFORM PENSTOCK_FLOORS REPLACE ":.*" "" OUTPUT_VARIABLE PENSTOCK_ROOM_NAMES)

# Sets `out` to the floor of `room`.
function(penstock_floor room out)
  set(floors ${PENSTOCK_FLOORS})
  list(FILTER floors INCLUDE REGEX "^${room}:")
  if(NOT floors)
    message(FATAL_ERROR "${CMAKE_CURRENT_LIST_FILE}: no room is called \"${room}\"; "
                        "cmake/floors.cmake lists the rooms")
  endif()
  string(REPLACE "${room}:" "" floor "${floors}")
  set(${out} ${floor} PARENT_SCOPE)
endfunction()

# Stops unless every room in ARGN lies on a floor below `room`.
function(penstock_check_floors room)
  penstock_floor(${room} floor)
  foreach(dep ${ARGN})
    penstock_floor(${dep} below)
    if(NOT below LESS floor)
      message(FATAL_ERROR "${CMAKE_CURRENT_LIST_FILE}: room \"${room}\" (floor ${floor}) must not "
                          "use room \"${dep}\" (floor ${below}); rooms depend only on lower floors")
    endif()
  endforeach()
endfunction()
