cmake_minimum_required(VERSION 3.25)
include(${FLOORS})
penstock_check_floors(${ROOM} ${DEP})
message("accepted")
