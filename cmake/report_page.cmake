# penstock_report_page(OUT ROOM plan MODULES format.js ... main.js [STYLES report.css ...])
#
# Sets OUT to a .cpp file, made at build time, that defines penstock::<room>::internal::report_page():
# ui/report.html with the styles, the modules and D3 inlined. The modules stand in the order of their
# imports, because one scope holds them all.
function(penstock_report_page out)
  cmake_parse_arguments(PAGE "" "ROOM" "MODULES;STYLES" ${ARGN})
  # Version 5 of D3; the older libjs-d3 is version 3.
  find_file(PENSTOCK_D3 d3.min.js PATHS /usr/share/nodejs/d3/dist NO_DEFAULT_PATH
            DOC "d3.min.js of D3 version 5, inlined into the report page")
  if(NOT PENSTOCK_D3)
    message(FATAL_ERROR "d3.min.js (D3 version 5) is missing, which draws the report page; install "
                        "it with: sudo apt-get install node-d3, or say -DPENSTOCK_D3=FILE")
  endif()
  set(ui ${PROJECT_SOURCE_DIR}/ui)
  set(script ${PROJECT_SOURCE_DIR}/cmake/inline_page.cmake)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/page.cpp)
  list(TRANSFORM PAGE_MODULES PREPEND ${ui}/ OUTPUT_VARIABLE modules)
  list(TRANSFORM PAGE_STYLES PREPEND ${ui}/ OUTPUT_VARIABLE styles)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DUI=${ui} -DROOM=${PAGE_ROOM} "-DMODULES=${PAGE_MODULES}"
            "-DSTYLES=${PAGE_STYLES}" -DD3=${PENSTOCK_D3} -DOUT=${source} -P ${script}
    DEPENDS ${script} ${ui}/report.html ${styles} ${modules} ${PENSTOCK_D3}
    COMMENT "Inlining the report page of ${PAGE_ROOM}"
    VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
